"""The table of system call numbers, judged by the headers that the C library's users get them from."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder

from tpgen.kernel.syscalls import syscall
from tpgen.sources.btf import Btf
from tpgen.target import target_named

_INCLUDE = Path("/usr/include")
_NUMBER = re.compile(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", re.MULTILINE)
# Where linux-libc-dev has an architecture's numbers, and how many of its names are functions' names too, at least. (In
# that of i386 many an old call has the name of the function that serves its successor.)
HEADERS = {
    "x86_64": (Path("asm/unistd_64.h"), 330),
    "aarch64": (Path("../asm-generic/unistd.h"), 280),
    "riscv64": (Path("../asm-generic/unistd.h"), 280),
}


def table(arch: str) -> dict[str, int]:
    """What the headers say, by the name that a program uses."""
    multiarch = sysconfig.get_config_var("MULTIARCH")
    path = _INCLUDE / str(multiarch) / HEADERS[arch][0]
    if multiarch != "x86_64-linux-gnu" or not path.exists():
        pytest.skip(f"no {path} of x86")
    return {name: int(number) for name, number in _NUMBER.findall(path.read_text())}


@pytest.mark.parametrize("arch", HEADERS)
def test_numbers(arch: str) -> None:
    """A call has the number that its header gives the name, wherever function and name are the same."""
    said, target = table(arch), target_named(arch)
    ours = {name: syscall(f"sys_enter_{name}", target, None).number for name in said}
    known = {name: number for name, number in ours.items() if number is not None}
    differ = {name: (number, said[name]) for name, number in known.items() if number != said[name]}
    assert not differ
    assert len(known) >= HEADERS[arch][1]


# Names that a program uses for functions of other names, by hand from the manual pages.
BY_FUNCTION = {
    ("x86_64", "newstat"): 4,
    ("x86_64", "newuname"): 63,
    ("x86_64", "umount"): 166,
    ("i386", "newstat"): 106,
    ("i386", "oldumount"): 22,
    ("i386", "umount"): 52,
    ("aarch64", "newuname"): 160,
    ("arm", "openat"): 322,
    ("s390x", "openat"): 288,
    ("s390x", "exit_group"): 248,
}


@pytest.mark.parametrize(("call", "number"), BY_FUNCTION.items(), ids=map("-".join, BY_FUNCTION))
def test_number_by_function(call: tuple[str, str], number: int) -> None:
    arch, function = call
    for tracepoint in ("sys_enter", "sys_exit"):
        found = syscall(f"{tracepoint}_{function}", target_named(arch), None)
        assert (found.tracepoint, found.number) == (tracepoint, number)


@pytest.mark.parametrize("call", [("aarch64", "open"), ("x86_64", "no_such_call"), ("i386", "futex")])
def test_no_number(call: tuple[str, str]) -> None:
    """arm64 never had open; on i386 futex is served by futex_time32, and futex_time64 by futex."""
    arch, function = call
    expected = 422 if call == ("i386", "futex") else None
    assert syscall(f"sys_enter_{function}", target_named(arch), None).number == expected


@pytest.mark.live
def test_every_call_of_the_running_kernel_has_a_number(tracefs: Path) -> None:
    """And no two the same."""
    arch = Path("/proc/sys/kernel/arch").read_text().strip() if Path("/proc/sys/kernel/arch").exists() else "x86_64"
    names = [path.name for path in (tracefs / "events/syscalls").glob("sys_enter_*")]
    numbers = [syscall(name, target_named(arch), None).number for name in names]
    assert len(names) > 250
    assert None not in numbers
    assert len(set(numbers)) == len(numbers)


def test_registers_of_x86_64() -> None:
    """Offsets by hand; a call of 32 bits has TS_COMPAT, 2, in its thread's status, and one of 64 has 0 there."""
    b = BtfBuilder()
    ulong, uint = b.integer("long unsigned int", 8), b.integer("unsigned int", 4)
    names = ["r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax"]
    b.structure("pt_regs", 72, [(name, ulong, 8 * at) for at, name in enumerate(names)])
    info = b.structure("thread_info", 16, [("flags", ulong, 0), ("status", uint, 12)])
    b.structure("task_struct", 40, [("", b.union("", 16, [("thread_info", info, 0)]), 24)])
    btf = Btf(b.blob(), "blob", arch="x86_64")
    registers = syscall("sys_enter_read", target_named("x86_64"), btf).registers
    assert registers is not None
    assert [(register.offset_bytes, register.size_bytes) for register in registers.args] == [
        (56, 8), (48, 8), (40, 8), (0, 8), (16, 8), (8, 8),
    ]  # fmt: skip
    assert (registers.number.offset_bytes, registers.number.size_bytes) == (64, 8)
    assert registers.native is not None
    native = registers.native
    assert (native.offset_bytes, native.size_bytes, native.of_task, native.mask) == (36, 4, True, 2)
    assert registers.native_value == 0
