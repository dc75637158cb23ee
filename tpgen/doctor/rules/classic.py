"""Rules for programs that get a record: what is at the places that they read, and what the author meant.

Source: perf_event_set_bpf_prog() of kernel/events/core.c, trace_event_get_offsets() of kernel/trace/trace_events.c and
struct syscall_tp_t of kernel/trace/trace_syscalls.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.doctor.accesses import Access, AccessKind
from tpgen.doctor.beliefs import Belief, bare, essential, member_belief, relocated_members, shape_of
from tpgen.doctor.findings import Finding, Verdict
from tpgen.doctor.rules.case import Case, Told, found, value_json
from tpgen.layout import LOCATOR_BYTES, SLOT_BYTES
from tpgen.model import Event, Kind
from tpgen.typequery import is_string
from tpgen.values import Value

_CLASS_RECORD = "trace_event_raw_"
# Structs and members of system calls in general: their names say less than those of one call.
_GENERAL_STRUCTS = frozenset(
    (
        "syscall_trace_enter",
        "syscall_trace_exit",
        "syscall_tp_t",
        "trace_event_raw_sys_enter",
        "trace_event_raw_sys_exit",
    )
)
_NUMBER = "__syscall_nr"
_UNNAMED = ("__unused", "unused", "pad", "_pad", "__pad", "__data", "common_", "ent")


class _Field(NamedTuple):
    """A field as a program finds it: a system call's value has a slot of its own."""

    value: Value
    begin: int
    end: int

    def covers(self, begin: int, end: int) -> bool:
        return self.begin <= begin and end <= self.end

    def meets(self, begin: int, end: int) -> bool:
        return self.begin < end and begin < self.end


def classic_findings(case: Case, event: Event) -> Iterator[Finding]:
    """Findings about the fields of the event's record that the program reads."""
    values = case.kernel.fields(event)
    if values is None:
        yield found(case, Verdict.DEPENDS, "unknown-record", f"the record of {event.title} is not known")
        return
    record = _Record(case, event, [_placed(event, value) for value in values])
    order = sorted((a for a in case.found.accesses if a.offset is not None), key=lambda access: access.place)
    for access in order:
        match access.kind:
            case AccessKind.LOAD:
                yield from record.load(access)
            case AccessKind.HELPER:
                yield from record.copy(access)
            case AccessKind.HELPER_STRING:
                yield from record.string(access)
            case AccessKind.STORE | AccessKind.DYNAMIC | AccessKind.PASSED | AccessKind.ARGUMENT:
                pass


def _placed(event: Event, value: Value) -> _Field:
    begin = value.offset_bytes
    if event.kind == Kind.SYSCALL and value.name != _NUMBER:
        begin -= begin % SLOT_BYTES
        return _Field(value, begin, begin + SLOT_BYTES)
    return _Field(value, begin, begin + (value.size_bytes or 0))


class _Record:
    """The record of an event, as one program reads it."""

    def __init__(self, case: Case, event: Event, fields: Sequence[_Field]) -> None:
        self._case = case
        self._event = event
        self._fields = fields
        self._is_syscall = event.kind == Kind.SYSCALL
        self._end = max((field.end for field in fields), default=case.target.pointer_size)
        places = case.obj.core_relocations.keys() & case.found.reached
        self._relocated: Mapping[int, Belief] = relocated_members(case.obj, sorted(places), case.outcomes.relocations)

    # --- accesses

    def load(self, access: Access) -> Iterator[Finding]:
        """Findings about a load. What is refused whatever the event is, is a rule of all contexts."""
        begin, end = _span(access)
        if begin < self._case.target.pointer_size or begin % (end - begin):
            return
        belief = self._belief(access)
        told = self._told(access, belief, None)
        if end > self._end:
            message = f"loads {end - begin} bytes at {begin}{_meant(belief)}, and the record ends at {self._end}"
            yield self._found(Verdict.REFUSED_ATTACH, "past-end", message, told, "EACCES")
            return
        yield from self._meaning(access, begin, end, belief)

    def copy(self, access: Access) -> Iterator[Finding]:
        """Findings about bytes that a helper copies, which nothing bounds."""
        begin, end = _span(access)
        belief = self._belief(access)
        told = self._told(access, belief, None)
        if begin >= 0 and end <= self._case.target.pointer_size:
            message = f"copies {end - begin} bytes at {begin}, where the kernel keeps an address of its own"
            yield self._found(Verdict.WRONG, "header", message, told)
        elif begin >= self._end and self._has_no_tail():
            message = f"copies {end - begin} bytes at {begin}{_meant(belief)}, and the record ends at {self._end}"
            yield self._found(Verdict.WRONG, "past-end", message, told)
        elif access.size is not None and self._is_one_member(access, belief):
            yield from self._meaning(access, begin, end, belief)

    def string(self, access: Access) -> Iterator[Finding]:
        """Findings about a string that a helper copies from a fixed offset."""
        begin = access.offset or 0
        field = next((field for field in self._fields if field.covers(begin, begin + 1)), None)
        belief = self._belief(access)
        if field is None:
            if begin >= self._end and self._has_no_tail():
                message = f"copies a string at {begin}{_meant(belief)}, and the record ends at {self._end}"
                yield self._found(Verdict.WRONG, "past-end", message, self._told(access, belief, None))
            return
        told = self._told(access, belief, field.value)
        if field.value.dynamic:
            message = f"takes the locator of {field.value.name} at {field.begin} for the string itself"
            hint = f"the string is (u16)ctx->__{field.value.dynamic}_{field.value.name} bytes from the context"
            yield self._found(Verdict.WRONG, "locator-as-string", message, told, hint=hint)
        elif field.value.kind in ("int", "enum", "ptr"):
            message = f"takes `{field.value.declaration}` at {field.begin} for the bytes of a string"
            yield self._found(Verdict.WRONG, "not-a-string", message, told)
        elif belief is not None:
            yield from self._other_name(told, belief, field, begin)

    # --- what they mean

    def _meaning(self, access: Access, begin: int, end: int, belief: Belief | None) -> Iterator[Finding]:
        """Findings about what is read there instead of what the author meant."""
        if (finding := self._other_class(access, begin, end, belief)) is not None:
            yield finding
            return
        met = [field for field in self._fields if field.meets(begin, end)]
        if len(met) == 1 and met[0].covers(begin, end):
            yield from self._of_field(access, belief, met[0], begin, end)
        elif not met:
            yield from self._hole(access, belief, begin, end)
        else:
            yield from self._straddle(access, belief, met, begin, end)

    def _of_field(
        self, access: Access, belief: Belief | None, field: _Field, begin: int, end: int
    ) -> Iterator[Finding]:
        value = field.value
        told = self._told(access, belief, value)
        if value.dynamic:
            yield from self._locator(told, belief, field, begin, end)
        elif belief is not None and not self._is_general(belief):
            yield from self._other_name(told, belief, field, begin)

    def _other_name(self, told: Told, belief: Belief, field: _Field, begin: int) -> Iterator[Finding]:
        """A finding if the author meant another member than the field at that place."""
        name, value = belief.name, field.value
        if name is None or bare(name) == value.name or name.startswith(_UNNAMED):
            return
        there = f"at {begin} is `{value.declaration}`"
        elsewhere = [other for other in self._fields if other.value.name == bare(name)]
        if elsewhere:
            message = f"reads {_member(belief)} at {begin}: {there}, and {bare(name)} is at {elsewhere[0].begin}"
            yield self._found(Verdict.WRONG, "other-field", message, told, hint=self._header())
        elif _contradict(belief, value):
            message = f"reads `{belief.declaration}` of {belief.struct_name} at {begin}: {there}"
            yield self._found(Verdict.WRONG, "other-field", message, told, hint=self._header())

    def _locator(self, told: Told, belief: Belief | None, field: _Field, begin: int, end: int) -> Iterator[Finding]:
        """Findings about bytes of a locator: its halves are the offset and the length."""
        value, half = field.value, LOCATOR_BYTES // 2
        if belief is not None and belief.shape.kind == "array" and end - begin < LOCATOR_BYTES:
            message = f"takes the locator of {value.name} at {field.begin} for the string itself"
            hint = f"the string is (u16)ctx->__{value.dynamic}_{value.name} bytes from the context"
            yield self._found(Verdict.WRONG, "locator-as-string", message, told, hint=hint)
        elif end - begin < half:
            message = f"reads {end - begin} byte at {begin} of the locator of {value.name}: it has no such part"
            yield self._found(Verdict.WRONG, "locator-part", message, told)
        elif belief is not None and not self._is_general(belief):
            yield from self._other_name(told, belief, field, begin)

    def _hole(self, access: Access, belief: Belief | None, begin: int, end: int) -> Iterator[Finding]:
        if belief is not None and (belief.name or "").startswith(_UNNAMED):
            return
        message = f"reads {end - begin} bytes at {begin}{_meant(belief)}, where {self._event.title} has no field"
        told = self._told(access, belief, None)
        yield self._found(Verdict.WRONG, "hole", message, told, hint=self._whereabouts(belief))

    def _straddle(
        self, access: Access, belief: Belief | None, met: Sequence[_Field], begin: int, end: int
    ) -> Iterator[Finding]:
        """A finding where one value is read where there are parts of others, or less than one.

        A copy of several members at once is none: only what the author declares as one value.
        """
        if belief is None or belief.shape.kind not in ("int", "ptr") or belief.shape.size not in (None, end - begin):
            return
        if self._is_syscall and self._is_general(belief):
            return
        names = ", ".join(f"`{field.value.declaration}` at {field.begin}" for field in met)
        message = f"reads {end - begin} bytes at {begin}{_meant(belief)}: there is {names}"
        told = self._told(access, belief, met[0].value)
        yield self._found(Verdict.WRONG, "straddle", message, told, hint=self._whereabouts(belief))

    def _other_class(self, access: Access, begin: int, end: int, belief: Belief | None) -> Finding | None:
        """A finding where a relocation looks up a member in the record of another class."""
        if belief is None or belief.source != "relocation" or self._is_syscall or self._event.class_name is None:
            return None
        struct = essential(belief.struct_name or "")
        if not struct.startswith(_CLASS_RECORD) or struct == _CLASS_RECORD + self._event.class_name:
            return None
        field = next((field for field in self._fields if field.covers(begin, end)), None)
        if field is not None and field.begin == begin and field.value.name == bare(belief.name or ""):
            return None
        there = f"`{field.value.declaration}`" if field else "no field"
        message = f"looks up {_member(belief)}, and {self._event.title} is of class {self._event.class_name}"
        told = self._told(access, belief, field.value if field else None)
        return self._found(Verdict.WRONG, "other-class", f"{message}: at {begin} is {there}", told, hint=self._header())

    # --- parts

    def _belief(self, access: Access) -> Belief | None:
        function = self._case.function_at(access.place)
        return member_belief(self._case.obj, function, access, self._relocated)

    def _is_general(self, belief: Belief) -> bool:
        return self._is_syscall and essential(belief.struct_name or "") in _GENERAL_STRUCTS

    def _is_one_member(self, access: Access, belief: Belief | None) -> bool:
        """Whether a copy is one of a member, and not of the record or a part of it."""
        return belief is not None and belief.shape.size in (None, access.size)

    def _has_no_tail(self) -> bool:
        """Whether nothing follows the fields: no data that locators lead to."""
        return not any(field.value.dynamic for field in self._fields)

    def _whereabouts(self, belief: Belief | None) -> str | None:
        if belief is not None and belief.name is not None:
            for field in self._fields:
                if field.value.name == bare(belief.name):
                    return f"{field.value.name} is `{field.value.declaration}` at {field.begin}"
        return self._header()

    def _header(self) -> str:
        return f"`tpgen {self._case.kernel.option_for(self._event)}` makes a header that reads it rightly"

    def _told(self, access: Access, belief: Belief | None, value: Value | None) -> Told:
        actual = value_json(self._event, value, self._case.target)
        expected = belief.expected if belief else None
        return Told(access.place, None, access.offset, access.size, expected, actual)

    def _found(
        self, verdict: Verdict, code: str, message: str, told: Told, errno: str | None = None, hint: str | None = None
    ) -> Finding:
        return found(self._case, verdict, code, message, told, errno, hint)


def _span(access: Access) -> tuple[int, int]:
    assert access.offset is not None
    return access.offset, access.offset + (access.size or 1)


def _member(belief: Belief) -> str:
    return f"{belief.struct_name}.{belief.name}" if belief.struct_name else str(belief.name)


def _meant(belief: Belief | None) -> str:
    return f" ({_member(belief)})" if belief is not None and belief.name else ""


def _contradict(belief: Belief, value: Value) -> bool:
    """Whether a field cannot be what the author declares there."""
    actual = shape_of(value.type)
    match belief.shape.kind, value.kind:
        case "array", "dynamic":
            return True
        case "array", "int" | "enum" | "ptr":
            return True
        case "ptr", "int" | "enum":
            return actual.size is not None and actual.size < SLOT_BYTES
        case "int" | "ptr", "array":
            return is_string(value.pointee)
        case _:
            return False
