"""Headers of system calls of a 32-bit kernel, whose long is an int to a BPF program."""

from __future__ import annotations

import pytest

from tpgen.backends.bpf.header import Header
from tpgen.backends.bpf.syscall import syscall_header
from tpgen.model import (
    CType,
    Event,
    Field,
    Int,
    Kind,
    Pointer,
    Record,
    Register,
    Syscall,
    SyscallRegisters,
)
from tpgen.target import target_named

INT, LONG = Int("int", 4, True), Int("long", 4, True)
WIDE, CHAR = Int("long long", 8, True), Int("char", 1, False)
ARM = target_named("arm")
# Offsets as of a struct pt_regs of 18 words, r0 to r3 and ORIG_r0.
REGISTERS = SyscallRegisters(
    tuple(Register(f"uregs[{n}]", 4 * n, 4) for n in (17, 1, 2, 3)),
    Register("thread_info.abi_syscall", 28, 4, of_task=True, mask=0xFFFFF),
    None,
)


def header(tracepoint: str, *fields: tuple[str, CType | None]) -> Header:
    """The header of call number 180, with the fields of its record behind the number."""
    placed = [Field("__syscall_nr", INT, 8, 4, True)]
    placed += [Field(name, ctype, 12 + 4 * at, 4, False) for at, (name, ctype) in enumerate(fields)]
    event = Event(
        system="syscalls", name=f"{tracepoint}_x", module=None, kind=Kind.SYSCALL, attach_name=None, class_name=None,
        class_origin=None, class_candidates=(), header=None, args=None, args_origin=None, names_origin=None,
        record=Record(8, 12 + 4 * len(fields), tuple(placed)), record_origin=None, print_fmt=None,
        syscall=Syscall(tracepoint, 180, REGISTERS),
    )  # fmt: skip
    return syscall_header(event, ARM, None)


def test_the_result() -> None:
    made = header("sys_exit", ("ret", LONG))
    (accessor,) = made.accessors
    assert (accessor.name, accessor.type.type.text, accessor.type.narrow) == (
        "raw_sys_exit_x_ret",
        "int",
        "unsigned int",
    )
    assert accessor.bits == "TPGEN_LOAD(u64, ctx, 8)"
    assert [(member.name, member.offset) for member in made.struct.members] == [("regs", 0), ("ret", 8)]
    assert made.struct.size_bytes == 16
    (test,) = made.tests
    assert test.conditions == ("(TPGEN_READ(unsigned int, TPGEN_TASK(ctx), 28) & 0xfffff) == 180",)


def test_the_number_and_the_arguments() -> None:
    made = header("sys_enter", ("fd", Int("unsigned int", 4, False)), ("buf", Pointer(CHAR)), ("count", None))
    assert [(a.name, a.type.type.text, a.bits) for a in made.accessors] == [
        ("raw_sys_enter_x_fd", "unsigned int", "TPGEN_READ(unsigned int, TPGEN_REGS(ctx), 68)"),
        ("raw_sys_enter_x_buf", "char *", "TPGEN_READ(unsigned int, TPGEN_REGS(ctx), 4)"),
        ("raw_sys_enter_x_count", "unsigned int", "TPGEN_READ(unsigned int, TPGEN_REGS(ctx), 8)"),
    ]
    assert [accessor.comment for accessor in made.accessors] == [
        "Argument 0: unsigned int fd, in regs->uregs[17]",
        "Argument 1: char *buf, in regs->uregs[1]",
        "Argument 2: count, in regs->uregs[2]",
    ]
    (test,) = made.tests
    assert test.conditions == ("(int)TPGEN_LOAD(u64, ctx, 8) == 180",)
    assert made.struct.members[1].name == "id"


@pytest.mark.parametrize(("at", "there"), [(0, 0), (1, 1), (2, 2)])
def test_a_wide_argument_and_what_follows_have_no_accessor(at: int, there: int) -> None:
    """A 64-bit argument takes two registers, by rules that differ from call to call."""
    types: list[CType] = [INT, INT, INT]
    types[at] = WIDE
    made = header("sys_enter", *zip("abc", types, strict=True))
    assert len(made.accessors) == there
