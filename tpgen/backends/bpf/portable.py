"""Headers for several kernels: values at the same place are read directly, others where the loader finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tpgen.backends.bpf.classic import classic_sections, field_comment, string_reader
from tpgen.backends.bpf.flavours import Flavours, flavours
from tpgen.backends.bpf.header import (
    READ_BYTES,
    Accessor,
    Choice,
    ContextStruct,
    Copy,
    CopyChoice,
    Header,
    argument_accessor,
    bits_at,
    header,
)
from tpgen.backends.bpf.raw import NULLNESS, raw_programs, raw_sections
from tpgen.backends.bpf.syscall import syscall_header
from tpgen.backends.bpf.types import ValueType, declared, value_type
from tpgen.basics.frozen import replace
from tpgen.layout import SLOT_BYTES
from tpgen.model import CType, Dynamic, Event, Pointer
from tpgen.programs.forms import Form
from tpgen.programs.sections import ProgramSection, ProgramType
from tpgen.target import Target
from tpgen.typequery import size_of
from tpgen.variants.facts import (
    ArgumentPlace,
    FieldPlace,
    JoinedArgument,
    JoinedField,
    Omitted,
    PrototypeExists,
)
from tpgen.variants.join import JoinedEvent
from tpgen.variants.views import KernelView, prototype_of

_NO_STRUCT = ContextStruct((), 0, False, 1)
_CONDITION_INDENT = "\t    "


def portable_header(event: JoinedEvent, form: Form, releases: Mapping[str, str | None]) -> Header:
    """The header for one form of an event, which some kernels have; `releases` are these, None where unknown."""
    having = [view.kernel for view in event.having(form)]
    *others, last = (releases[kernel] or kernel for kernel in having)
    kernels = f"{', '.join(others)} and {last}" if others else last
    if form == Form.CLASSIC:
        return _classic(event, kernels, string_reader(True, [releases[kernel] for kernel in having]))
    return _raw(event, kernels) if event.event.syscall is None else _syscall(event, kernels)


# --- raw


def _raw(joined: JoinedEvent, kernels: str) -> Header:
    views, found = joined.having(Form.RAW), joined.arguments()
    event = _merged(views)
    assert event.attach_name is not None
    tag, target = f"raw_{event.name}", views[-1].target
    local = _flavours(views, [value.places for value in found.values], f"raw_{event.name}")
    accessors = [_argument(tag, value, local, target) for value in found.values]
    return header(
        event,
        kernels,
        tag,
        heading=f"the raw arguments, as {raw_programs(event, event.attach_name)} programs are given them.",
        sections=raw_sections(event, event.attach_name),
        context=_context(local),
        struct=_NO_STRUCT,
        accessors=accessors,
        values=map(_name, found.values),
        conditions=_conditions(found.values, local),
        local_types=local.text(_comments(local, views)),
        notes=_notes(joined, Form.RAW, found.omitted),
    )


def _name(value: JoinedArgument | JoinedField) -> str:
    return f"{value.name}_as_{value.struct}" if value.struct else value.name


def _argument(tag: str, value: JoinedArgument, local: Flavours, target: Target) -> Accessor:
    read = _value_type(value.type, target)
    first = value.places[0]
    comment = f"Argument {declared(value.type, value.name)}{NULLNESS[value.nullness]}"
    comment += _where([(f"slot {p.slot}", p.kernels) for p in value.places], value.is_everywhere, value.unseen)
    accessor = argument_accessor(tag, _name(value), comment, read, _slot(first), value.nullness)
    if value.is_everywhere:
        return accessor
    choices = (
        Choice(local.any_of(p.when, _CONDITION_INDENT), _through(p.type, value.type, _slot(p), target))
        for p in value.places
    )
    return accessor._replace(choices=tuple(choices))


def _slot(place: ArgumentPlace) -> str:
    return bits_at(place.slot * SLOT_BYTES, SLOT_BYTES)


def _value_type(ctype: CType, target: Target, signed: bool | None = False) -> ValueType:
    value = value_type(ctype, size_of(ctype, target) or SLOT_BYTES, signed)
    assert value is not None, "it fits a slot"
    return value


def _through(ctype: CType, into: CType, bits: str, target: Target) -> str:
    """The expression of `bits` as a value of `ctype` before it is converted into another type."""
    if ctype == into:
        return bits
    value = _value_type(ctype, target)
    return f"({value.narrow}){bits}" if value.is_bool else f"({value.type.text}){bits}"


def _syscall(joined: JoinedEvent, kernels: str) -> Header:
    """The header of a system call, which is the same on all kernels."""
    made = syscall_header(joined.event, joined.views[-1].target, kernels)
    notes = tuple(_notes(joined, Form.RAW, ()))
    return made._replace(struct=_NO_STRUCT, several=True, notes=notes)


# --- classic


def _classic(joined: JoinedEvent, kernels: str, string: str) -> Header:
    views, found = joined.having(Form.CLASSIC), joined.record()
    event = _merged(views)
    tag, target = f"tp_{event.name}", views[-1].target
    local = _flavours(views, [value.places for value in found.values], f"tp_{event.name}")
    scalars = [value for value in found.values if value.type is not None]
    copies = [_copy(tag, value, local, string) for value in found.values if value.type is None]
    program = ProgramSection(ProgramType.TP, event.name, event.system).name if event.system else "classic"
    return header(
        event,
        kernels,
        tag,
        heading=f"the classic record, as {program} programs are given it.",
        sections=classic_sections(event),
        context=_context(local),
        struct=_NO_STRUCT,
        accessors=[_scalar(tag, value, local, target) for value in scalars],
        values=map(_name, found.values),
        copies=copies,
        conditions=_conditions(found.values, local),
        local_types=local.text(_comments(local, views)),
        notes=_notes(joined, Form.CLASSIC, found.omitted),
    )


def _scalar(tag: str, value: JoinedField, local: Flavours, target: Target) -> Accessor:
    assert value.type is not None
    read = _value_type(value.type, target, value.places[0].field.signed)
    accessor = Accessor(
        f"{tag}_{_name(value)}", _field_comment(value), read, _load(value.places[0], value.type, local, target)
    )
    if value.is_everywhere:
        return accessor
    choices = (
        Choice(local.any_of(place.when, _CONDITION_INDENT), _load(place, value.type, local, target))
        for place in value.places
    )
    return accessor._replace(choices=tuple(choices))


def _load(place: FieldPlace, into: CType, local: Flavours, target: Target) -> str:
    """The expression of a scalar field."""
    field = place.field
    assert field.offset_bytes is not None and field.size_bytes is not None and place.type is not None
    if place.member is None:
        return bits_at(field.offset_bytes, field.size_bytes)
    bits = f"TPGEN_FIELD({local.record_of(place.member)}, ctx, {place.member.name})"
    # A pointer does not become a number by way of another.
    return bits if isinstance(place.member.type, Pointer) else _through(place.type, into, bits, target)


def _copy(tag: str, value: JoinedField, local: Flavours, string: str) -> Copy:
    first = value.places[0]
    field = first.field
    assert field.offset_bytes is not None
    name = f"{tag}_{value.name}_read" if value.is_known else f"{tag}_{value.name}_read_bytes"
    size = None if field.dynamic else field.size_bytes
    relative = field.dynamic == Dynamic.REL_LOC
    function = string if value.is_string else READ_BYTES
    copy = Copy(name, _field_comment(value), field.offset_bytes, size, relative, function)
    if first.member is None:
        return copy
    return copy._replace(choices=tuple(_copy_choice(place, local) for place in value.places))


def _copy_choice(place: FieldPlace, local: Flavours) -> CopyChoice:
    assert place.member is not None
    record, member = local.record_of(place.member), place.member.name
    length = f"TPGEN_FIELD_SIZE({record}, {member})" if place.size_bytes is None else str(place.size_bytes)
    condition = local.any_of(place.when, _CONDITION_INDENT) if place.when else None
    return CopyChoice(condition, record, member, length, place.field.dynamic)


def _field_comment(value: JoinedField) -> str:
    places = [(_offset(place), place.kernels) for place in value.places]
    return field_comment(value.places[0].field) + _where(places, value.is_everywhere, value.unseen)


def _offset(place: FieldPlace) -> str:
    if place.member is None:
        return f"offset {place.field.offset_bytes}"
    return f"{place.member.name} of trace_event_raw_{place.member.class_name}"


# --- both


def _merged(views: Sequence[KernelView]) -> Event:
    """The newest kernel's event, with what is true of it on all kernels."""
    events = [view.event for view in views]
    systems = {event.system for event in events} - {None}
    return replace(
        events[-1],
        system=systems.pop() if len(systems) == 1 else None,
        sleepable=all(event.sleepable for event in events),
        ambiguous=any(event.ambiguous for event in events),
    )


def _flavours(
    views: Sequence[KernelView], places: Iterable[Sequence[ArgumentPlace | FieldPlace]], suffix: str
) -> Flavours:
    """The local types that these places need."""
    every = [place for of_value in places for place in of_value]
    conditions = [condition for place in every for each in place.when for condition in each]
    members = [place.member for place in every if isinstance(place, FieldPlace) and place.member is not None]
    return flavours(conditions, members, list(filter(None, map(prototype_of, reversed(views)))), suffix)


def _comments(local: Flavours, views: Sequence[KernelView]) -> dict[PrototypeExists, str]:
    """The kernels that have each prototype."""
    return {form: ", ".join(view.kernel for view in views if prototype_of(view) == form) for form in local.prototypes}


def _conditions(values: Sequence[JoinedArgument] | Sequence[JoinedField], local: Flavours) -> dict[str, str]:
    """The condition under which each value is there that is not everywhere, by its name."""
    return {
        _name(value): local.any_of(
            tuple(dict.fromkeys(each for place in value.places for each in place.when)), _CONDITION_INDENT
        )
        for value in values
        if not value.is_everywhere
    }


def _where(places: Sequence[tuple[str, Sequence[str]]], everywhere: bool, unseen: Sequence[str]) -> str:
    """The end of a comment: where the kernels have a value."""
    text = "; ".join(where if everywhere else f"{where} on {', '.join(kernels)}" for where, kernels in places)
    return f"; {text}" + (f"; not to be told on {', '.join(unseen)}, which has it" if unseen else "")


def _context(local: Flavours) -> str:
    if local.prototypes or local.records:
        return "What the loader looks for: prototypes and records, of which it compares names and kinds."
    return "All of the kernels have all of it in the same places."


def _notes(joined: JoinedEvent, form: Form, omitted: Sequence[Omitted]) -> Iterator[str]:
    """Notes for the first lines on kernels and values that the header is not for."""
    if joined.lacking:
        yield f"Not there on {', '.join(joined.lacking)}."
    for kernel, reason in joined.reasons(form).items():
        yield f"Not on {kernel}: {reason}."
    systems = {view.kernel: view.event.system for view in joined.having(form) if view.event.system}
    if form == Form.CLASSIC and len(set(systems.values())) > 1:
        named = ", ".join(f"{system} on {kernel}" for kernel, system in systems.items())
        yield f"No SEC() is right on all of them: its system is {named}."
    for each in omitted:
        yield f"Without {each.name}: {each.reason}."
