"""Joining classic records: where each kernel has a field of a name, and what tells these kernels apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from tpgen.model import Array, CType, Enum, Field, FuncProto, Int, Kind, Origin, Pointer, Struct
from tpgen.spelling import spell
from tpgen.typequery import element_of, is_string, size_of, stripped
from tpgen.variants.deciding import record_facts, telling
from tpgen.variants.facts import (
    Condition,
    Conjunction,
    FieldPlace,
    JoinedField,
    JoinedRecord,
    Member,
    MemberExists,
    Not,
    Omitted,
    RecordExists,
)
from tpgen.variants.readings import Number, readings
from tpgen.variants.views import (
    KernelView,
    UnknownKindError,
    holds_all,
    is_same_everywhere,
    member_type,
    prototype_of,
)

_SCALAR_BYTES = (1, 2, 4, 8)


class _Outcome(NamedTuple):
    """The member that has a field on a kernel, and the type through which it is read; None where bytes are copied."""

    member: Member
    type: CType | None


class _Read(NamedTuple):
    """A field as one accessor reads it: `through` is the type on each kernel, None where its bytes are copied."""

    name: str
    type: CType | None
    through: Mapping[str, CType | None]
    struct: str | None = None


def join_record(views: Sequence[KernelView]) -> JoinedRecord:
    """Join the classic records of the event on `views`, oldest first, all of which have one with placed fields."""
    values: list[JoinedField] = []
    omitted: list[Omitted] = []
    for name in dict.fromkeys(field.name for view in reversed(views) for field in _fields(view)):
        fields = {view.kernel: [field for field in _fields(view) if field.name == name] for view in views}
        if twice := [kernel for kernel, found in fields.items() if len(found) > 1]:
            omitted.append(Omitted(name, f"{', '.join(twice)} has two fields of this name"))
            continue
        found = {kernel: each[0] for kernel, each in fields.items() if each}
        reads = _reads(name, found, views)
        if isinstance(reads, str):
            omitted.append(Omitted(name, reads))
            continue
        for read in reads:
            joined = _joined(read, found, views)
            (omitted if isinstance(joined, Omitted) else values).append(joined)  # type: ignore[arg-type]
    return JoinedRecord(tuple(values), tuple(omitted))


def _fields(view: KernelView) -> tuple[Field, ...]:
    assert view.event.record is not None
    return view.event.record.fields


# --- how a field is read


def _reads(name: str, fields: Mapping[str, Field], views: Sequence[KernelView]) -> list[_Read] | str:
    """The accessors that read the field of all kernels; the reason where none can."""
    scalars = {view.kernel: _scalar(fields[view.kernel], view) for view in views if view.kernel in fields}
    types = {kernel: ctype for kernel, ctype in scalars.items() if ctype is not None}
    if not types:
        return [_Read(name, None, dict.fromkeys(scalars))]
    if len(types) < len(scalars):
        bytes_of = [kernel for kernel, ctype in scalars.items() if ctype is None]
        return f"it is a scalar on {', '.join(types)}, and bytes on {', '.join(bytes_of)}"
    of_name = readings(types)
    return of_name if isinstance(of_name, str) else [_Read(name, r.type, r.through, r.struct) for r in of_name]


def _scalar(field: Field, view: KernelView) -> CType | None:
    """The type of a field that is one number or pointer; None for one whose bytes are copied."""
    size = field.size_bytes
    if field.dynamic or size is None:
        return None
    if view.event.kind == Kind.SYSCALL and field.type is not None:
        size = size_of(field.type, view.target) or size
    if size not in _SCALAR_BYTES:
        return None
    match None if field.type is None else stripped(field.type):
        case Int() | Pointer() | FuncProto():
            return field.type
        case Enum() as enum:
            return Enum(enum.name, size, enum.signed)
        case Array():
            return None
        case None:
            return Number(size, bool(field.signed)).type
        case _:
            return None if _is_struct(field) else Number(size, bool(field.signed)).type


def _is_struct(field: Field) -> bool:
    return field.type is not None and isinstance(stripped(field.type), Struct)


# --- where it is


def _joined(read: _Read, fields: Mapping[str, Field], views: Sequence[KernelView]) -> JoinedField | Omitted:
    having = [view for view in views if view.kernel in read.through]
    places = _by_members(read, fields, views)
    if isinstance(places, str) or _unseen(places, having):
        # Where all kernels agree nothing need be asked.
        fixed = _fixed(read, fields, views)
        if isinstance(places, str) and fixed is None:
            return Omitted(f"{read.name} as {read.struct}" if read.struct else read.name, places)
        places = fixed or places
    assert not isinstance(places, str)
    of_read = [fields[view.kernel] for view in having]
    known = [field for field in of_read if not field.dynamic or field.type is not None]
    text = bool(known) and all(map(_is_text, known))
    unseen = _unseen(places, having)
    return JoinedField(read.name, read.struct, read.type, places, text, bool(known), unseen)


def _is_text(field: Field) -> bool:
    if field.dynamic:
        return is_string(field.type)
    return field.type is not None and isinstance(stripped(field.type), Array) and is_string(element_of(field.type))


def _unseen(places: Sequence[FieldPlace], having: Sequence[KernelView]) -> tuple[str, ...]:
    """The kernels that have the field, but at no place by which a loader could find it."""
    seen = {kernel for place in places for kernel in place.kernels}
    return tuple(view.kernel for view in having if view.kernel not in seen)


def _fixed(read: _Read, fields: Mapping[str, Field], views: Sequence[KernelView]) -> tuple[FieldPlace] | None:
    """The place of a field that is at one offset on all kernels and is read alike; None where it is not."""
    if len(read.through) < len(views):
        return None
    kernels = tuple(read.through)
    facts = {
        (fields[k].offset_bytes, fields[k].size_bytes, fields[k].dynamic, _signed(read.through[k])) for k in kernels
    }
    newest = fields[kernels[-1]]
    if len(facts) > 1:
        return None
    size = None if newest.dynamic else newest.size_bytes
    return (FieldPlace(kernels, (), None, newest, read.through[kernels[-1]], size),)


def _signed(ctype: CType | None) -> bool | None:
    bare = None if ctype is None else stripped(ctype)
    return bool(bare.signed) if isinstance(bare, Int) else None


def _by_members(read: _Read, fields: Mapping[str, Field], views: Sequence[KernelView]) -> tuple[FieldPlace, ...] | str:
    """Where relocations find the field, by conditions; the reason where nothing tells at load."""
    if views[0].event.kind == Kind.SYSCALL:
        return "the records of system calls differ, and no relocation knows them"
    outcomes = {view.kernel: _outcome(read, fields, view) for view in views if view.kernel in read.through}
    if odd := [view.kernel for view in views if _is_odd(outcomes.get(view.kernel), fields.get(view.kernel), view)]:
        return f"it is at an offset that is no multiple of its size, or at several, on {', '.join(odd)}"
    groups: dict[_Outcome, list[KernelView]] = {}
    for view in reversed(views):
        if (outcome := outcomes.get(view.kernel)) is not None:
            groups.setdefault(outcome, []).insert(0, view)
    if not groups:
        return f"it is on {', '.join(outcomes)} alone, where no BTF of its image tells a loader so"
    if len(groups) == 1 and len(next(iter(groups.values()))) == len(views):
        return (_place(read, fields, *next(iter(groups.items())), ()),)
    places = []
    for outcome, group in groups.items():
        others = [view for view in views if outcomes.get(view.kernel) != outcome or view.kernel not in outcomes]
        when = telling(_bases(outcome, groups), partial(_pool, group, others), group, others)
        if when is None:
            return _undecided(outcome, group, others)
        places.append(_place(read, fields, outcome, group, when))
    return tuple(places) if _comes_out(places, outcomes, views) else "what is known of the kernels contradicts itself"


def _outcome(read: _Read, fields: Mapping[str, Field], view: KernelView) -> _Outcome | None:
    """The member by which a relocation finds the field; None where BTF does not have the record, or not its class."""
    event, field = view.event, fields[view.kernel]
    if event.record_origin != Origin.BTF or event.class_name is None:
        return None
    try:
        return _Outcome(Member(event.class_name, field.member_name, member_type(field)), read.through[view.kernel])
    except UnknownKindError:
        return None


def _is_odd(outcome: _Outcome | None, field: Field | None, view: KernelView) -> bool:
    """Whether a program may not load the member where it lies, or a loader does not know where it does."""
    if outcome is None or field is None:
        return False
    assert field.offset_bytes is not None and field.size_bytes is not None
    loaded = outcome.type is not None or field.dynamic is not None
    return (loaded and field.offset_bytes % field.size_bytes != 0) or not is_same_everywhere(view, outcome.member)


def _place(
    read: _Read,
    fields: Mapping[str, Field],
    outcome: _Outcome,
    group: Sequence[KernelView],
    when: tuple[Conjunction, ...],
) -> FieldPlace:
    of_group = [fields[view.kernel] for view in group]
    sizes = {field.size_bytes for field in of_group}
    size = sizes.pop() if len(sizes) == 1 and not of_group[-1].dynamic else None
    return FieldPlace(tuple(view.kernel for view in group), when, outcome.member, of_group[-1], outcome.type, size)


def _bases(outcome: _Outcome, groups: Iterable[_Outcome]) -> list[Conjunction]:
    """Beginnings of a condition for the member. A class may live on for other events where this one has a newer."""
    classes = list(dict.fromkeys(other.member.class_name for other in groups))
    newer = classes[: classes.index(outcome.member.class_name)]
    there: Conjunction = (MemberExists(outcome.member),)
    gone: Conjunction = tuple(Not(RecordExists(name)) for name in newer)
    return [(*gone, *there), there] if gone else [there]


def _pool(group: Sequence[KernelView], others: Sequence[KernelView]) -> list[Condition]:
    """Conditions that may tell the kernels of `group` from `others`: of the record, of other classes, the prototype."""
    facts = record_facts(group, others)
    own = {view.event.class_name for view in group}
    classes = dict.fromkeys(v.event.class_name for v in others if v.event.class_name and v.event.class_name not in own)
    facts += (Not(RecordExists(name)) for name in classes)
    return facts + list(dict.fromkeys(filter(None, map(prototype_of, group))))


def _comes_out(
    places: Sequence[FieldPlace], outcomes: Mapping[str, _Outcome | None], views: Sequence[KernelView]
) -> bool:
    """Whether the conditions, tried in their order on each kernel, lead to the member that has the field there."""
    for view in views:
        taken = next((p for p in places if any(holds_all(each, view) is not False for each in p.when)), None)
        expected = outcomes.get(view.kernel)
        if (None if taken is None else taken.member) != (None if expected is None else expected.member):
            return False
    return True


def _undecided(outcome: _Outcome, group: Sequence[KernelView], others: Sequence[KernelView]) -> str:
    """Why the kernels of `group` cannot be told from `others` at load."""
    here = ", ".join(view.kernel for view in group)
    shown = "bytes" if outcome.type is None else f"`{spell(outcome.type)}`"
    return (
        f"nothing at load tells {here}, where it is {shown} in trace_event_raw_{outcome.member.class_name}, "
        f"from {', '.join(view.kernel for view in others)}"
    )
