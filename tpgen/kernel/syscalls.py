"""System calls as the raw tracepoints sys_enter and sys_exit tell of them: by a number and by the registers.

Every call comes through these two tracepoints. Which one it is, its number tells, which is ABI and stands in
kernel_headers/syscalls.tbl. Its arguments lie in the registers that the kernel saved, `struct pt_regs`: which register
holds which argument is ABI as well, where in the struct it lies is the kernel's own affair and taken from its BTF.
Source: arch/*/include/asm/syscall.h, syscall_get_arguments() and syscall_get_nr(); arch/*/include/asm/ftrace.h,
arch_trace_is_compat_syscall().
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tpgen.basics.memo import memoised
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.model import SYSCALL_TRACEPOINTS, Array, Register, Syscall, SyscallRegisters
from tpgen.paths import resource_dir
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.target import Target, target_named
from tpgen.typequery import stripped

if TYPE_CHECKING:
    from tpgen.sources.headers.trace_events.syscall_defines import SyscallDefine, SyscallDefines

_ENTER, _EXIT = SYSCALL_TRACEPOINTS


class _Place(NamedTuple):
    """A member of `struct pt_regs`, or of `struct task_struct` where `of_task`, and the bits of it that count."""

    path: str
    of_task: bool = False
    mask: int | None = None


class _Abi(NamedTuple):
    """The members that hold a call's arguments, its number once it is done, and what tells its own ABI from others."""

    args: tuple[str, ...]
    number: _Place
    native: _Place | None = None
    native_value: int = 0


# At sys_exit the registers still tell the number, but for arm, which keeps it in the task.
_ABIS = {
    # TS_COMPAT is set in a 32-bit call of any process. An x32 call has a bit in its number that no other has.
    "x86_64": _Abi(("di", "si", "dx", "r10", "r8", "r9"), _Place("orig_ax"), _Place("thread_info.status", True, 2)),
    "i386": _Abi(("bx", "cx", "dx", "si", "di", "bp"), _Place("orig_ax")),
    # PSR_MODE32_BIT is set in a process of 32 bits. The number is an int.
    "aarch64": _Abi(
        ("orig_x0", *(f"regs[{n}]" for n in range(1, 6))), _Place("syscallno"), _Place("pstate", mask=0x10)
    ),
    # Calls of the old ABI have numbers from 0x900000 on.
    "arm": _Abi(
        ("uregs[17]", *(f"uregs[{n}]" for n in range(1, 6))),
        _Place("thread_info.abi_syscall", True),
        _Place("thread_info.abi_syscall", True, 0x900000),
    ),
    # SR_UXL is 1 in a process of 32 bits, 2 in one of 64.
    "riscv64": _Abi(("orig_a0", "a1", "a2", "a3", "a4", "a5"), _Place("a7"), _Place("status", mask=1 << 32)),
    # PSW_MASK_EA is set in a process of 64 bits. The high half of int_code tells the length of the instruction.
    "s390x": _Abi(
        ("orig_gpr2", *(f"gprs[{n}]" for n in range(3, 8))),
        _Place("int_code", mask=0xFFFF),
        _Place("psw.mask", mask=1 << 32),
        1 << 32,
    ),
}


def syscall(event: str, target: Target, btf: Btf | None) -> Syscall:
    """Return how to see the system call of the event sys_enter_* or sys_exit_*; `btf` is that of vmlinux."""
    tracepoint = _ENTER if event.startswith(f"{_ENTER}_") else _EXIT
    arch, found = registers(btf, target) if btf else (target.arch, None)
    return Syscall(tracepoint, _numbers(arch).get(event.removeprefix(f"{tracepoint}_")), found)


def syscall_events(defines: SyscallDefines, target: Target) -> Iterator[tuple[str, SyscallDefine]]:
    """Every syscalls: event of a kernel whose sources define these calls: a call that has no number has no events."""
    numbers = _numbers(target.arch)
    for name, define in defines.calls.items():
        if name in numbers:
            yield from ((f"{tracepoint}_{name}", define) for tracepoint in SYSCALL_TRACEPOINTS)


@memoised
def registers(btf: Btf, target: Target) -> tuple[str, SyscallRegisters | None]:
    """Return the architecture, which the registers tell where nothing else did, and where the kernel keeps them."""
    for arch in (target.arch,) if target.arch in _ABIS else _arches_like(target):
        found = _registers(_ABIS[arch], btf)
        if found is not None:
            return arch, found
    return target.arch, None


def _arches_like(target: Target) -> Iterator[str]:
    shape = (target.pointer_size, target.big_endian)
    return (arch for arch in _ABIS if shape == ((like := target_named(arch)).pointer_size, like.big_endian))


def _registers(abi: _Abi, btf: Btf) -> SyscallRegisters | None:
    args = tuple(_register(_Place(path), btf) for path in abi.args)
    number = _register(abi.number, btf)
    native = None if abi.native is None else _register(abi.native, btf)
    if number is None or (native is None and abi.native is not None):
        return None
    known = tuple(arg for arg in args if arg is not None)
    return SyscallRegisters(known, number, native, abi.native_value) if known == args else None


def _register(place: _Place, btf: Btf) -> Register | None:
    """Return where a member lies; None where the struct has no such member."""
    struct = "task_struct" if place.of_task else "pt_regs"
    first = next(btf.ids_of(BtfKind.STRUCT, struct), None)
    if first is None:
        return None
    offset, type_id, *names = 0, first, *place.path.partition("[")[0].split(".")
    for name in names:
        member = _member(btf, type_id, name)
        if member is None:
            return None
        offset, type_id = offset + member[0], member[1]
    size, ctype = btf.size(type_id), stripped(btf.ctype(type_id))
    if isinstance(ctype, Array):
        assert ctype.length
        size //= ctype.length
        offset += size * int(place.path.partition("[")[2].rstrip("]"))
    return Register(place.path, offset, size, place.of_task, place.mask)


def _member(btf: Btf, type_id: int, name: str) -> tuple[int, int] | None:
    """The offset in bytes and the type of a member, which may lie in nameless structs and unions."""
    type_id = btf.strip(type_id)
    for member in btf.members(type_id) if btf.kind(type_id) in (BtfKind.STRUCT, BtfKind.UNION) else ():
        if member.name == name:
            return member.offset_bits // 8, member.type_id
        if not member.name and (inner := _member(btf, member.type_id, name)):
            return member.offset_bits // 8 + inner[0], inner[1]
    return None


@cache
def _numbers(arch: str) -> dict[str, int]:
    """The numbers of an architecture's system calls by the function that serves them, without its `sys_`."""
    text = (resource_dir("kernel_headers") / "syscalls.tbl").read_text(encoding="ascii")
    lines = text.splitlines()
    heading = next(line for line in lines if line.startswith("# function ")).split()[2:]
    if arch not in heading:
        return {}
    rows = (line.split() for line in lines if not line.startswith("#"))
    column = heading.index(arch) + 1
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
