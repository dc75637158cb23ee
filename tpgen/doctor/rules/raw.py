"""Rules for programs that get raw arguments: which of them there are, and which the author meant.

Source: btf_ctx_access() of kernel/bpf/btf.c, raw_tp_prog_is_valid_access() and bpf_probe_register() of
kernel/trace/bpf_trace.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpgen.doctor.accesses import Access, AccessKind
from tpgen.doctor.beliefs import Belief, Shape, argument_beliefs, begins_with, shape_of
from tpgen.doctor.findings import Expected, Finding, Verdict
from tpgen.doctor.rules.case import Case, Told, found, value_json
from tpgen.doctor.verifier import (
    ANY_POINTERS,
    INTEGER_POINTERS,
    MOST_ARGUMENTS,
    QUALIFIED_VOID_POINTERS,
    STRUCT_ARGUMENTS,
    WHOLE_POINTERS,
    Turn,
)
from tpgen.layout import SLOT_BYTES
from tpgen.model import Event, Int, Qualified, Struct, Void
from tpgen.typequery import stripped
from tpgen.values import Value

_READS = (AccessKind.LOAD, AccessKind.HELPER, AccessKind.HELPER_STRING, AccessKind.ARGUMENT)


def raw_findings(case: Case, event: Event) -> Iterator[Finding]:
    """Findings about the arguments of the event that the program reads."""
    values = case.kernel.arguments(event)
    if values is None:
        message = f"the arguments of {event.title} are not known"
        yield found(case, Verdict.DEPENDS, "unknown-arguments", message)
        return
    reads = sorted((a for a in case.found.accesses if a.kind in _READS and a.offset is not None), key=_order)
    beliefs = argument_beliefs(case.obj, case.program.function, reads)
    for access in reads:
        yield from _access(case, event, values, beliefs, access)
    yield from _meanings(case, event, values, beliefs, reads)


def _order(access: Access) -> tuple[str, int]:
    return access.place.section, access.place.at


def _access(
    case: Case, event: Event, values: Sequence[Value], beliefs: dict[int, Belief], access: Access
) -> Iterator[Finding]:
    assert access.offset is not None
    slot, size = access.offset // SLOT_BYTES, access.size or 1
    belief = beliefs.get(slot)
    told = Told(access.place, slot, access.offset, access.size, belief.expected if belief else None)
    divisor = SLOT_BYTES if case.is_tp_btf else size
    if access.offset < 0 or (access.kind == AccessKind.LOAD and access.offset % divisor):
        return  # which is no place of an argument: a rule of all contexts
    if slot >= len(values):
        yield _no_argument(case, event, len(values), told, belief, access)
        return
    value = values[slot]
    told = told._replace(actual=value_json(event, value, case.target))
    if case.is_tp_btf and access.kind == AccessKind.LOAD:
        yield from _loaded_by_type(case, value, told, size)
    if _is_always_zero(access, value):
        message = f"ctx[{slot}] is `{value.declaration}`: bytes {access.offset} to {access.offset + size - 1} are 0"
        yield found(case, Verdict.WRONG, "part", message, told, hint=f"load the whole slot: (…)ctx[{slot}]")


def _no_argument(case: Case, event: Event, count: int, told: Told, belief: Belief | None, access: Access) -> Finding:
    number = "no arguments" if count == 0 else f"{count} argument{'s' * (count > 1)}"
    meant = f" ({belief.declaration})" if belief else ""
    message = f"reads ctx[{told.slot}]{meant}, and {event.attach_name} has {number}"
    if access.kind != AccessKind.LOAD:
        return found(case, Verdict.WRONG, "no-argument", message, told)
    hint = _header(case, event)
    assert told.slot is not None
    if case.is_tp_btf or told.slot >= MOST_ARGUMENTS:
        return found(case, Verdict.REFUSED_LOAD, "no-argument", message, told, "EACCES", hint)
    return found(case, Verdict.REFUSED_ATTACH, "no-argument", message, told, "EINVAL", hint)


def _header(case: Case, event: Event) -> str:
    return f"`tpgen {case.kernel.option_for(event)}` makes a header that reads them rightly"


def _is_always_zero(access: Access, value: Value) -> bool:
    """Whether an access takes only bytes of a slot that its value does not have."""
    if access.kind != AccessKind.LOAD or value.size_bytes is None or access.size is None:
        return False
    assert access.offset is not None
    begin, end = value.offset_bytes, value.offset_bytes + value.size_bytes
    return access.offset >= end or access.offset + access.size <= begin


# --- what tp_btf loads, by type


def _loaded_by_type(case: Case, value: Value, told: Told, size: int) -> Iterator[Finding]:
    if value.type is None:
        return
    if value.kind == "ptr" and size != SLOT_BYTES:
        message = f"loads {size} bytes of ctx[{told.slot}], `{value.declaration}`: a pointer is loaded whole"
        yield from _since(case, WHOLE_POINTERS, True, "narrow-pointer", message, told)
    if value.kind in ("struct", "union"):
        message = f"ctx[{told.slot}] is a {value.kind} itself, `{value.declaration}`, which tp_btf does not load"
        yield from _since(case, STRUCT_ARGUMENTS, False, "opaque-argument", message, told)
    elif (turn := _turn_of(value)) is not None:
        message = f"ctx[{told.slot}] is `{value.declaration}`, a pointer that tp_btf does not load"
        yield from _since(case, turn, False, "opaque-argument", message, told)


def _since(case: Case, turn: Turn, refuses: bool, code: str, message: str, told: Told) -> Iterator[Finding]:
    """A finding where the verifier refuses something: since a change, or up to it where not `refuses`."""
    happened = case.kernel.has(turn)
    if happened is None:
        yield found(case, Verdict.DEPENDS, code, f"{message}; whether this release refuses that is not known", told)
    elif happened == refuses:
        hint = f'SEC("raw_tp/{case.section.event}") does' if not refuses else None
        yield found(case, Verdict.REFUSED_LOAD, code, message, told, "EACCES", hint)


def _turn_of(value: Value) -> Turn | None:
    """The change since which a pointer may be loaded; None for one that always could be."""
    if value.kind != "ptr":
        return None
    match value.pointee, stripped(value.pointee or Void()):
        case (None | Void(), _) | (_, Struct(forward=False)):
            return None
        case _, Void():
            return QUALIFIED_VOID_POINTERS
        case ((Int(size_bytes=1) | Qualified(qualifier="const", target=Int(size_bytes=1))), _):  # is_string_ptr()
            return None
        case _, Int():
            return INTEGER_POINTERS
        case _:
            return ANY_POINTERS


# --- what they mean


def _meanings(
    case: Case, event: Event, values: Sequence[Value], beliefs: dict[int, Belief], reads: Sequence[Access]
) -> Iterator[Finding]:
    """Findings about arguments that are not what the author took them for."""
    first = {access.offset // SLOT_BYTES: access for access in reversed(reads) if access.offset is not None}
    for slot, access in sorted(first.items()):
        if not 0 <= slot < len(values):
            continue
        finding = _other_struct(case, event, values[slot]) or _other_belief(
            case, event, values, beliefs.get(slot), access
        )
        if finding is not None:
            yield finding


def _other_struct(case: Case, event: Event, value: Value) -> Finding | None:
    """A finding where members of another struct are looked up behind an argument."""
    assert value.slot is not None
    actual = shape_of(value.type)
    for use in sorted(case.found.pointers, key=lambda use: (use.place, use.struct_name or "")):
        if use.struct_name is None or use.offset // SLOT_BYTES != value.slot:
            continue
        expected = Expected(None, f"struct {use.struct_name} *", "relocation")
        told = Told(use.place, value.slot, use.offset, None, expected, value_json(event, value, case.target))
        message = f"takes ctx[{value.slot}] for a struct {use.struct_name} *: it is `{value.declaration}`"
        if actual.kind != "ptr" and actual.kind is not None:
            return found(case, Verdict.WRONG, "other-type", message, told, hint=_header(case, event))
        if actual.tag is None or actual.tag == use.struct_name:
            continue
        alike = _begin_alike(case, use.struct_name, actual.tag)
        if alike is False:
            return found(case, Verdict.WRONG, "other-type", message, told, hint=_header(case, event))
        if alike is None:
            message = f"{message}; it is not known whether one of these structs begins with the other: give --btf"
            return found(case, Verdict.DEPENDS, "other-type", message, told)
    return None


def _begin_alike(case: Case, one: str, other: str) -> bool | None:
    """Whether one of two structs begins with the other; None where no BTF has them as a whole."""
    images = case.kernel.images[:1] or ((case.obj.btf,) if case.obj.btf is not None else ())
    answers = [begins_with(image, *pair) for image in images for pair in ((one, other), (other, one))]
    if case.kernel.images and case.obj.btf is not None:
        answers.append(begins_with(case.obj.btf, one, other) or None)
    if True in answers:
        return True
    return False if answers[:1] == [False] else None


def _other_belief(
    case: Case, event: Event, values: Sequence[Value], belief: Belief | None, access: Access
) -> Finding | None:
    """A finding where the source text takes an argument for one of another kind, or for one of another slot."""
    if belief is None or access.offset is None:
        return None
    value = values[access.offset // SLOT_BYTES]
    actual = value_json(event, value, case.target)
    told = Told(access.place, value.slot, access.offset, access.size, belief.expected, actual)
    shape = shape_of(value.type)
    moved = _elsewhere(values, value, belief)
    message = f"takes ctx[{value.slot}] for `{belief.declaration}`: it is `{value.declaration}`"
    if moved is not None:
        message = f"{message}, and {belief.name} is ctx[{moved.slot}]"
        return found(case, Verdict.WRONG, "moved", message, told, hint=_header(case, event))
    if _contradict(case, belief.shape, shape):
        return found(case, Verdict.WRONG, "other-type", message, told, hint=_header(case, event))
    return None


def _elsewhere(values: Sequence[Value], value: Value, belief: Belief) -> Value | None:
    """The argument of the name that the author gives to another one; it has the kind that the author expects."""
    if belief.name is None or value.name is None or belief.name == value.name:
        return None
    named = [other for other in values if other.name == belief.name]
    if not named or belief.shape.kind not in (None, shape_of(named[0].type).kind):
        return None
    return named[0]


def _contradict(case: Case, belief: Shape, actual: Shape) -> bool:
    """Whether a value cannot be what the author took it for: a number for a pointer, or a pointer to another struct."""
    match belief.kind, actual.kind:
        case "ptr", "int":
            return belief.tag is not None or (actual.size or SLOT_BYTES) < SLOT_BYTES
        case "int", "ptr":
            return belief.size is not None and belief.size < SLOT_BYTES
        case "ptr", "ptr":
            if belief.tag is None or actual.tag is None or belief.tag == actual.tag:
                return False
            return _begin_alike(case, belief.tag, actual.tag) is False
        case _:
            return False
