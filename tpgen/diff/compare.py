"""The comparison of two kernels, event by event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TypeVar

from tpgen.basics.progress import counted
from tpgen.diagnostics import Diagnostic, Severity, TpgenError
from tpgen.diff.changes import Change, EventDiff, KernelsDiff, Side, What, has_record, is_placed
from tpgen.diff.matching import Pair, paired
from tpgen.diff.nullness import Assumptions, left_out, nullness_change
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Argument, Event, Field, Kind, Record
from tpgen.programs.compat import Programs, breaks_argument, breaks_field, is_same_number
from tpgen.programs.forms import Form
from tpgen.sources.source_tree.null_args import NULLABLE_SUFFIX
from tpgen.typequery import same_type, stripped

_Facts = TypeVar("_Facts")


def diff(
    before: KernelEvents,
    after: KernelEvents,
    names: tuple[str, str],
    patterns: Sequence[str] = (),
    module: str | None = None,
) -> KernelsDiff:
    """Differences from one kernel to the other in the events that a pattern means in either, sorted by name.

    Without a pattern that is all of them. `names` are what to call the kernels. Raises `TpgenError` for a pattern that
    neither kernel knows.
    """
    keys = before.keys(), after.keys()
    pairs, notes = _comparable(paired(*keys), keys, names)
    if patterns or module is not None:
        wanted = _selected((before, after), patterns or ("*",), module)
        pairs = [(old, new) for old, new in pairs if old in wanted[0] or new in wanted[1]]
    comparison = _Comparison(before, after, all(any(key.module for key in known) for known in keys))
    events = sorted(comparison.events(pairs), key=_order)
    notes = (*notes, *left_out(events, names))
    sides = (Side(names[0], before.target, before.release), Side(names[1], after.target, after.release))
    return KernelsDiff(*sides, tuple(events), notes)


#: What a kernel's sources may not tell of at all: BTF has no system calls, and that of a module is a file of its own.
_PARTS: dict[str, Callable[[EventKey], bool]] = {
    "syscalls: events": lambda key: key.system == "syscalls",
    "events of modules": lambda key: key.module is not None,
}


def _comparable(
    pairs: list[Pair], keys: tuple[list[EventKey], list[EventKey]], names: tuple[str, str]
) -> tuple[list[Pair], tuple[Diagnostic, ...]]:
    """The pairs, less the events of only one kernel where the other's sources have nothing of their sort."""
    notes = []
    for part, belongs in _PARTS.items():
        known = [any(map(belongs, of_kernel)) for of_kernel in keys]
        if known[0] == known[1]:
            continue
        kept = [(old, new) for old, new in pairs if (old and new) or not belongs(_either(old, new))]
        if len(kept) < len(pairs):
            without, other = names if known[1] else names[::-1]
            message = (
                f"no {part} of {without} are known, so the {len(pairs) - len(kept)} that only {other} has are left out"
            )
            notes.append(Diagnostic("diff-left-out", message, severity=Severity.NOTE))
        pairs = kept
    return pairs, tuple(notes)


def _either(old: EventKey | None, new: EventKey | None) -> EventKey:
    key = old or new
    assert key is not None
    return key


def _selected(
    kernels: tuple[KernelEvents, KernelEvents], patterns: Sequence[str], module: str | None
) -> tuple[set[EventKey], set[EventKey]]:
    """The events of each kernel that the patterns mean."""
    found: tuple[set[EventKey], set[EventKey]] = (set(), set())
    for pattern in patterns:
        errors = []
        for kernel, keys in zip(kernels, found, strict=True):
            try:
                keys.update(kernel.select(pattern, module))
            except TpgenError as error:
                errors.append(error)
        if len(errors) == len(kernels):
            raise errors[-1]
    return found


def _order(found: EventDiff) -> tuple[str, str, str]:
    event = found.event
    return event.system or "", event.name, event.module or ""


class _Comparison:
    """Compares two kernels, event by event: as a whole, its raw arguments, its record.

    Where `modules_known` is false, neither kernel's modules are compared. The later kernel's classes are looked up only
    for another name.
    """

    def __init__(self, before: KernelEvents, after: KernelEvents, modules_known: bool) -> None:
        self._before = before
        self._after = after
        self._assumed = Assumptions(before), Assumptions(after)
        self._modules_known = modules_known
        # By identity: events of one prototype share their arguments, those of one class their record.
        self._found: dict[tuple[int, int], tuple[object, object, tuple[Change, ...]]] = {}

    def events(self, pairs: Sequence[Pair]) -> Iterator[EventDiff]:
        olds = iter(self._before.events([old for old, _ in pairs if old is not None]))
        news = iter(self._after.events([new for _, new in pairs if new is not None]))
        for old_key, new_key in counted("comparing events", pairs):
            old = next(olds) if old_key is not None else None
            new = next(news) if new_key is not None else None
            if old is not None and new is not None:
                old, new = self._assumed[0].added(old), self._assumed[1].added(new)
            if old is not None and new is not None and _is_renamed(old, new) is False:
                yield self._compared(old, None)
                yield self._compared(None, new)
            else:
                yield self._compared(old, new)

    def _compared(self, old: Event | None, new: Event | None) -> EventDiff:
        if old is None:
            return EventDiff(None, new, (Change(What.EVENT_NEW, Programs.NONE),))
        if new is None:
            return EventDiff(old, None, (Change(What.EVENT_GONE, attached(old)),))
        changes = (
            *whole_changes(old, new, self._modules_known),
            *raw_changes(old, new, partial(self._once, argument_changes)),
            *classic_changes(old, new, self._class_lasts, partial(self._once, field_changes)),
        )
        return EventDiff(old, new, changes, frozenset(_unknown(old, new)))

    def _once(
        self, compare: Callable[[_Facts, _Facts], Iterable[Change]], old: _Facts, new: _Facts
    ) -> Iterable[Change]:
        """The changes that `compare` finds; it is called once."""
        key = id(old), id(new)
        if key not in self._found:
            self._found[key] = old, new, tuple(compare(old, new))
        return self._found[key][2]

    def _class_lasts(self, name: str, record: Record) -> bool:
        return lasts(self._classes.get(name, ()), record)

    @cached_property
    def _classes(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for event in self._after.events(self._after.keys()):
            if event.class_name and event.record is not None:
                found.setdefault(event.class_name, []).append(event.record)
        return found


def lasts(records: Sequence[Record], record: Record) -> bool:
    """Whether `records`, those of a class of the same name on the later kernel, are just `record`, as CO-RE wants."""
    places = _places(record)
    return bool(records) and all(_places(other) == places for other in records)


def _places(record: Record) -> list[tuple[str, int | None, int | None]]:
    return [(field.member_name, field.offset_bytes, field.size_bytes) for field in record.fields]


# --- the event as a whole


def whole_changes(old: Event, new: Event, modules_known: bool = True) -> Iterator[Change]:
    """Changes of the name, the module and the system of an event."""
    if old.name != new.name:
        yield Change(What.EVENT_RENAMED, attached(old), old.name, new.name)
    if modules_known and old.module != new.module:
        # Both raw_tp and tp_btf find a tracepoint by its name alone, in whichever loaded module it is.
        yield Change(What.EVENT_MODULE, Programs.NONE, old.module or "vmlinux", new.module or "vmlinux")
    if old.system and new.system and old.system != new.system:
        yield Change(What.EVENT_SYSTEM, Programs.CLASSIC, old.system, new.system)


def _is_renamed(old: Event, new: Event) -> bool | None:
    """Whether two names are those of one tracepoint, whose arguments are the same; None where the name is the same."""
    if old.name == new.name:
        return None
    if old.args is None or new.args is None or len(old.args) != len(new.args):
        return False
    return all(same_type(a.type, b.type) for a, b in zip(old.args, new.args, strict=True))


def attached(event: Event) -> Programs:
    """Every program that can be at this event. Where its arguments are unknown, so is whether it has a tracepoint."""
    unknown = event.args is None and event.kind != Kind.SYSCALL
    raw = Programs.RAW if event.attach_name is not None or unknown else Programs.NONE
    return raw | (Programs.CLASSIC if has_record(event) else Programs.NONE)


def _unknown(old: Event, new: Event) -> Iterator[Form]:
    if old.args is None or new.args is None:
        yield Form.RAW
    if any(has_record(event) and not is_placed(event) for event in (old, new)):
        yield Form.CLASSIC


# --- raw


#: Returns the changes from some arguments to others, or from a record to another.
ArgumentChanges = Callable[[tuple[Argument, ...], tuple[Argument, ...]], Iterable[Change]]
FieldChanges = Callable[[Record, Record], Iterable[Change]]


def raw_changes(old: Event, new: Event, compare: ArgumentChanges | None = None) -> Iterator[Change]:
    """Changes of the raw arguments, and whether there are any; none where they are unknown.

    `compare` is `argument_changes`, or what remembers its results.
    """
    if old.args is None or new.args is None:
        return
    if old.attach_name is not None and new.attach_name is None:
        yield Change(What.RAW_GONE, Programs.RAW)
    if old.attach_name is None and new.attach_name is not None:
        yield Change(What.RAW_NEW, Programs.NONE)
    yield from (compare or argument_changes)(old.args, new.args)


def argument_changes(old: Sequence[Argument], new: Sequence[Argument]) -> Iterator[Change]:
    """Changes of the arguments, in the order of their slots.

    An argument is known again by its name. One whose name is no longer there was renamed or replaced by that which is
    new in its slot.
    """
    for before, after in _matched(old, new) if old != new else ():
        if before is None:
            yield Change(What.ARGUMENT_ADDED, Programs.NONE, None, after)
        elif after is None:
            # A program that reads behind the last argument is refused when it is attached.
            yield Change(What.ARGUMENT_DROPPED, Programs.RAW, before)
        else:
            yield from _argument(before, after)


def _argument(before: Argument, after: Argument) -> Iterator[Change]:
    if before.slot != after.slot:
        yield Change(What.ARGUMENT_MOVED, Programs.RAW, before, after)
    renamed = before.name != after.name and None not in (before.name, after.name)
    breaks = Programs.NONE if before.type is after.type else breaks_argument(before.type, after.type)
    if not same_type(before.type, after.type) or breaks:
        if renamed and not is_same_number(before.type, after.type):
            breaks = Programs.RAW  # neither name nor value is what it was
        yield Change(What.ARGUMENT_RETYPED, breaks, before, after)
    elif renamed:
        yield Change(What.ARGUMENT_RENAMED, Programs.NONE, before, after)
    yield from nullness_change(before, after)


def _matched(
    old: Sequence[Argument], new: Sequence[Argument]
) -> list[tuple[Argument, Argument | None] | tuple[None, Argument]]:
    by_name = {_bare_name(arg): arg for arg in new if arg.name is not None}
    named = {arg.slot: by_name.get(_bare_name(arg)) for arg in old}
    taken = {arg.slot for arg in named.values() if arg is not None}
    by_slot = {arg.slot: arg for arg in new if arg.slot not in taken}
    return [
        *((arg, named[arg.slot] or by_slot.pop(arg.slot, None)) for arg in old),
        *((None, arg) for arg in by_slot.values()),
    ]


def _bare_name(arg: Argument) -> str:
    """The name of an argument without the suffix that only marks it as one that can be NULL."""
    return (arg.name or "").removesuffix(NULLABLE_SUFFIX)


# --- the record


def classic_changes(
    old: Event, new: Event, class_lasts: Callable[[str, Record], bool], compare: FieldChanges | None = None
) -> Iterator[Change]:
    """Changes of the record and of its class, and whether there is a record; none where it is unknown.

    `compare` is `field_changes`, or what remembers its results.
    """
    if has_record(old) != has_record(new):
        gone = has_record(old)
        yield Change(What.RECORD_GONE, Programs.CLASSIC) if gone else Change(What.RECORD_NEW, Programs.NONE)
    if old.record is None or new.record is None:
        return
    if old.class_name and new.class_name and old.class_name != new.class_name:
        kept = class_lasts(old.class_name, new.record)
        yield Change(What.CLASS_RENAMED, Programs.NONE if kept else Programs.CORE, old.class_name, new.class_name)
    yield from (compare or field_changes)(old.record, new.record)


def field_changes(old: Record, new: Record) -> Iterator[Change]:
    """Changes of the fields, in the order of the earlier record, then the fields that were added."""
    if old == new:
        return
    left = {field.member_name: field for field in new.fields}
    matched = {field.member_name: left.pop(field.member_name, None) for field in old.fields}
    by_name = {field.name: field for field in left.values()}
    for before in old.fields:
        after = matched[before.member_name]
        if after is None and (after := by_name.pop(before.name, None)) is not None:
            del left[after.member_name]
        yield from _field(before, after)
    yield from (Change(What.FIELD_ADDED, Programs.NONE, None, field) for field in left.values())


def _field(before: Field, after: Field | None) -> Iterator[Change]:
    if after is None:
        yield Change(What.FIELD_DROPPED, Programs.CLASSIC, before)
        return
    if before.type is after.type and before == after:
        return
    if None not in (before.offset_bytes, after.offset_bytes) and before.offset_bytes != after.offset_bytes:
        yield Change(What.FIELD_MOVED, Programs.FIXED, before, after)
    breaks = breaks_field(before, after)
    if breaks or not _alike(before, after):
        what = What.FIELD_RESIZED if _is_resized(before, after) else What.FIELD_RETYPED
        yield Change(what, breaks, before, after)


def _alike(before: Field, after: Field) -> bool:
    return before.type is None or after.type is None or same_type(before.type, after.type)


def _is_resized(before: Field, after: Field) -> bool:
    """Whether a field only became longer or shorter, and is still of the same kind and sign."""
    if before.size_bytes == after.size_bytes or (before.dynamic, before.signed) != (after.dynamic, after.signed):
        return False
    types = before.type, after.type
    return types[0] is None or types[1] is None or type(stripped(types[0])) is type(stripped(types[1]))
