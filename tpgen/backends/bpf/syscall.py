"""The raw form of a syscalls: event: a system call's arguments by name, from the registers that the kernel saved.

Its program attaches to sys_enter or sys_exit and is run for every system call, so the header has a test for the one.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.backends.bpf.header import Accessor, ContextStruct, Header, Test, bits_at, header, slot_member
from tpgen.backends.bpf.raw import raw_programs, raw_sections
from tpgen.backends.bpf.types import ValueType, sized_integer, spelled, value_type
from tpgen.layout import SLOT_BYTES
from tpgen.model import SYSCALL_TRACEPOINTS, Event, Field, Int, Pointer, Register, Struct, Syscall, SyscallRegisters
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import size_of

_REGS, _SECOND = 0, SLOT_BYTES


def syscall_header(event: Event, target: Target, release: str | None) -> Header:
    """The header for the system call that `event` is about, of a kernel whose registers are known."""
    call, record = event.syscall, event.record
    assert call is not None and call.number is not None and call.registers is not None and record is not None
    tag = f"raw_{event.name}"
    second = _long(target)
    enters = call.tracepoint == SYSCALL_TRACEPOINTS[0]
    regs = value_type(Pointer(Struct("struct", "pt_regs")), target.pointer_size, False)
    assert regs is not None
    members = (slot_member(regs, "regs", _REGS), slot_member(second, "id" if enters else "ret", _SECOND))
    fields = record.fields[1:]  # the first is the number
    accessors = list(_arguments(tag, fields, call.registers, target)) if enters else [_result(tag, second)]
    return header(
        event,
        release,
        tag,
        heading=f"system call {call.number} as {raw_programs(event, call.tracepoint)} programs see it.",
        sections=raw_sections(event, call.tracepoint),
        context=f"The context of every system call: ask {tag}_matches() which it is.",
        struct=ContextStruct(members, 2 * SLOT_BYTES, False, SLOT_BYTES),
        accessors=accessors,
        values=[accessor.name.removeprefix(f"{tag}_") for accessor in accessors],
        tests=(_test(tag, call, call.registers, second, enters),),
        types=(regs.type,),
        from_registers=True,
    )


def _long(target: Target) -> ValueType:
    """The kernel's long, which is the id of a call and its result."""
    found = value_type(Int("long", target.pointer_size, True), target.pointer_size, True)
    assert found is not None
    return found


def _arguments(tag: str, fields: tuple[Field, ...], registers: SyscallRegisters, target: Target) -> Iterator[Accessor]:
    """An accessor for each argument that lies in a register.

    On a 32-bit kernel a 64-bit argument takes two, by rules that differ from call to call: it and what follows it have
    no accessor.
    """
    for index, (field, register) in enumerate(zip(fields, registers.args, strict=False)):
        size = register.size_bytes if field.type is None else size_of(field.type, target) or register.size_bytes
        value = value_type(field.type, size, field.signed)
        if value is None or size > register.size_bytes:
            return
        declared = field.name if field.type is None else spell(field.type, field.name)
        comment = f"Argument {index}: {declared}, in regs->{register.name}"
        yield Accessor(f"{tag}_{field.name}", comment, value, _read(register))


def _result(tag: str, result: ValueType) -> Accessor:
    return Accessor(f"{tag}_ret", "What the call returns: long ret", result, bits_at(_SECOND, SLOT_BYTES))


def _test(tag: str, call: Syscall, registers: SyscallRegisters, number: ValueType, enters: bool) -> Test:
    """Whether it is this call: by its number, and by the ABI, since each has numbers of its own."""
    bits = f"({number.type.text}){bits_at(_SECOND, SLOT_BYTES)}" if enters else _read(registers.number)
    conditions = [f"{bits} == {call.number}"]
    comment = f"Whether it is this call: number {call.number}"
    if registers.native is not None:
        conditions.append(f"{_read(registers.native)} == {registers.native_value:#x}")
        comment += ", and not that of a 32-bit program, which has other numbers and registers"
    return Test(f"{tag}_matches", comment, tuple(conditions))


def _read(register: Register) -> str:
    """The expression of a register's bits."""
    base = "TPGEN_TASK(ctx)" if register.of_task else "TPGEN_REGS(ctx)"
    integer = spelled(sized_integer(register.size_bytes, signed=False)).text
    bits = f"TPGEN_READ({integer}, {base}, {register.offset_bytes})"
    return bits if register.mask is None else f"({bits} & {register.mask:#x})"
