"""The raw form of a system call on every architecture, from registers that are laid out here as its kernel does it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bpf_asm import Insn, Machine, functions
from support.btf_builder import SIGNED, BtfBuilder
from support.cli import refusal, tpgen
from support.compilers import Compiler, disassembly
from support.small_kernel import Line, write_btf, write_tracefs

pytestmark = pytest.mark.compilers

# long sys_futex(u32 *uaddr, int op, u32 val, const struct __kernel_timespec *utime, u32 *uaddr2, u32 val3)
ARGUMENTS = ("uaddr", "op", "val", "utime", "uaddr2", "val3")
TYPES = ("u32 * uaddr", "int op", "u32 val", "const struct __kernel_timespec * utime", "u32 * uaddr2", "u32 val3")
RESULTS = (0x1234_5000, -2, 0x8000_0001, 0x2345_6000, 0x3456_7000, 0xFFFF_FFFE)
REGS, TASK = 0x5_0000_0000, 0x6_0000_0000


@dataclass(frozen=True, slots=True)
class Arch:
    """An architecture: its number of futex, its registers in BTF, and where they are, by the ABI.

    `args` and `number` are offsets in struct pt_regs; `number` and `mode` may be in the task, as
    `…_of_task` says; `mode` is None where there is one ABI only.
    `own` and `other` are contents of the word at `mode` of `mode_bytes` for calls of the kernel's ABI and of another.
    """

    futex: int
    long_bytes: int
    big_endian: bool
    build: Callable[[BtfBuilder, int], None]
    regs_bytes: int
    args: tuple[int, ...]
    number: int
    number_bytes: int
    number_of_task: bool = False
    mode: int | None = None
    mode_bytes: int = 0
    mode_of_task: bool = False
    own: int = 0
    other: int = 0


def members(ctype: int, words: str, step: int, start: int = 0) -> list[tuple[str, int, int]]:
    return [(name, ctype, start + step * index) for index, name in enumerate(words.split())]


def x86_64(b: BtfBuilder, long_: int) -> None:
    names = "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss"
    b.structure("pt_regs", 168, members(long_, names, 8))
    u32 = b.integer("unsigned int", 4)
    info = b.structure("thread_info", 24, [("flags", long_, 0), ("syscall_work", long_, 8), ("status", u32, 16)])
    b.structure("task_struct", 64, [("thread_info", info, 0)])


def i386(b: BtfBuilder, long_: int) -> None:
    # The segment registers are pairs of shorts, then come orig_ax and the rest.
    b.structure("pt_regs", 68, [*members(long_, "bx cx dx si di bp ax", 4), ("orig_ax", long_, 44)])


def aarch64(b: BtfBuilder, long_: int) -> None:
    flat = b.structure("", 272, [("regs", b.array(long_, 31), 0), *members(long_, "sp pc pstate", 8, 248)])
    user = b.structure("user_pt_regs", 272, [("regs", b.array(long_, 31), 0), *members(long_, "sp pc pstate", 8, 248)])
    union = b.union("", 272, [("user_regs", user, 0), ("", flat, 0)])
    number = b.integer("int", 4, SIGNED)
    b.structure("pt_regs", 336, [("", union, 0), ("orig_x0", long_, 272), ("syscallno", number, 280)])


def arm(b: BtfBuilder, long_: int) -> None:
    b.structure("pt_regs", 72, [("uregs", b.array(long_, 18), 0)])
    info = b.structure("thread_info", 32, [("flags", long_, 0), ("abi_syscall", b.integer("int", 4, SIGNED), 20)])
    b.structure("task_struct", 64, [("state", long_, 0), ("thread_info", info, 8)])


def riscv64(b: BtfBuilder, long_: int) -> None:
    names = "epc ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"
    b.structure("pt_regs", 288, members(long_, names + " status badaddr cause orig_a0", 8))


def s390x(b: BtfBuilder, long_: int) -> None:
    psw = b.typedef("psw_t", b.structure("", 16, members(long_, "mask addr", 8)))
    flat = b.structure("", 152, [("args", b.array(long_, 1), 0), ("psw", psw, 8), ("gprs", b.array(long_, 16), 24)])
    union = b.union("", 152, [("", flat, 0)])
    code = b.union("", 8, [("int_code", b.integer("unsigned int", 4), 0)])
    b.structure("pt_regs", 176, [("", union, 0), ("orig_gpr2", long_, 152), ("", code, 160)])


ARCHES = {
    # TS_COMPAT is bit 1 of the task's status; bit 0 is another matter.
    "x86_64": Arch(202, 8, False, x86_64, 168, (112, 104, 96, 56, 72, 64), 120, 8, False, 16, 4, True, 1, 3),
    "i386": Arch(422, 4, False, i386, 68, (0, 4, 8, 12, 16, 20), 44, 4),
    # PSR_MODE32_BIT is 0x10 of pstate.
    "aarch64": Arch(98, 8, False, aarch64, 336, (272, 8, 16, 24, 32, 40), 280, 4, False, 264, 8, False, 0, 0x10),
    # r0 is overwritten by the result; its first value is uregs[17]. An old call has 0x900000 in its number.
    "arm": Arch(422, 4, False, arm, 72, (68, 4, 8, 12, 16, 20), 28, 4, True, 28, 4, True, 422, 0x900000 + 422),
    # UXL is 2 in bits 32 and 33 of status for 64 bits, 1 for 32.
    "riscv64": Arch(98, 8, False, riscv64, 288, (280, 88, 96, 104, 112, 120), 136, 8, False, 256, 8, False,
                    2 << 32, 1 << 32),
    # The mask of a process has EA and BA (bits 31 and 32) for 64 bits, BA alone for 31.
    "s390x": Arch(238, 8, True, s390x, 176, (152, 48, 56, 64, 72, 80), 160, 4, False, 8, 8, False, 3 << 31, 1 << 31),
}  # fmt: skip


def kernel(folder: Path, arch: Arch) -> tuple[str | Path, ...]:
    """The options that mean a kernel of that architecture with the events of futex."""
    b = BtfBuilder(arch.big_endian)
    long_ = b.integer("long unsigned int", arch.long_bytes)
    b.typedef("u32", b.integer("unsigned int", 4))
    b.typedef("u64", b.integer("long long unsigned int", 8))
    arch.build(b, long_)
    number, size = Line("int __syscall_nr", 8, 4, 1), arch.long_bytes
    first = 16 if size == 8 else 12
    enter = [Line(declaration, first + size * at, size) for at, declaration in enumerate(TYPES)]
    exits = Line("long ret", first, size, 1)
    formats = {"syscalls/sys_enter_futex": (number, *enter), "syscalls/sys_exit_futex": (number, exits)}
    formats["syscalls/sys_enter_pread64"] = (
        number, Line("unsigned int fd", first, size), Line("u64 pos", first + size, size),
        Line("int behind", first + 2 * size, size),
    )  # fmt: skip
    formats["syscalls/sys_enter_no_such_call"] = (number,)
    return "--btf", write_btf(folder / "vmlinux", b), "--tracefs", write_tracefs(folder / "tracefs", formats)


SOURCE = '#include "raw_sys_enter_futex.h"\n#include "raw_sys_exit_futex.h"\n'
FUNCTION = "long long {name}(void *ctx);\nlong long {name}(void *ctx) {{ return (long long){call}; }}\n"
CALLS = {f"enter_{name}": f"raw_sys_enter_futex_{name}(ctx)" for name in (*ARGUMENTS, "matches")}
CALLS |= {f"exit_{name}": f"raw_sys_exit_futex_{name}(ctx)" for name in ("ret", "matches")}


@dataclass(frozen=True, slots=True)
class Call:
    """A system call in the making: what the registers and the task hold."""

    arch: Arch
    number: int
    mode: int
    second: int

    def _place(self, memory: bytearray, offset: int, size: int, value: int) -> None:
        value &= (1 << 8 * size) - 1
        memory[offset : offset + size] = value.to_bytes(size, "big" if self.arch.big_endian else "little")

    def run(self, code: tuple[Insn, ...]) -> int:
        """What a function returns, as a signed number of 64 bits."""
        arch = self.arch
        regs, task = bytearray([0xEE] * arch.regs_bytes), bytearray([0xEE] * 64)
        if arch.mode is not None:
            self._place(task if arch.mode_of_task else regs, arch.mode, arch.mode_bytes, self.mode)
        if arch.number != arch.mode:  # arm has both in one word
            self._place(task if arch.number_of_task else regs, arch.number, arch.number_bytes, self.number)
        # What lies above an argument of four bytes is dirt.
        for at, value in zip(arch.args, RESULTS, strict=True):
            self._place(regs, at, arch.long_bytes, value & 0xFFFF_FFFF | 0xBAD << 32)
        context = struct.pack(f"{'>' if arch.big_endian else '<'}2Q", REGS, self.second)
        machine = Machine(code, context, big_endian=arch.big_endian, memory={REGS: regs, TASK: task}, task=TASK)
        result = machine.run()
        return result - (1 << 64) if result >> 63 else result


@pytest.mark.parametrize("arch", ARCHES.values(), ids=ARCHES)
@pytest.mark.parametrize("named", [True, False], ids=["--arch", "by the registers"])
def test_futex(compiler: Compiler, arch: Arch, named: bool, tmp_path: Path) -> None:
    """Each argument by name, with its type; the call is told from others, and from that of another ABI."""
    options = kernel(tmp_path, arch)
    if named:
        options += "--arch", next(name for name, known in ARCHES.items() if known is arch)
    done = tpgen("sys_e*_futex", "--raw", *options, "-o", tmp_path)
    assert (done.code, done.err) == (0, "")
    source = SOURCE + "".join(FUNCTION.format(name=name, call=call) for name, call in CALLS.items())
    target = "bpfeb" if arch.big_endian else "bpfel"
    obj = compiler.compile(source, tmp_path / "futex.o", target=target, std="c11", include=[tmp_path])
    code = functions(disassembly(obj))
    enter = Call(arch, arch.futex, arch.own, arch.futex)
    # Pointers are of 64 bits on a 64-bit kernel, and the dirt is theirs.
    wide = 0xBAD << 32 if arch.long_bytes == 8 else 0
    expected = [value | wide if "*" in ctype else value for value, ctype in zip(RESULTS, TYPES, strict=True)]
    assert [enter.run(code[f"enter_{name}"]) for name in ARGUMENTS] == expected
    assert enter.run(code["enter_matches"]) == 1
    assert Call(arch, arch.futex + 1, arch.own, arch.futex + 1).run(code["enter_matches"]) == 0
    error = -11 & (1 << 8 * arch.long_bytes) - 1
    exits = Call(arch, arch.futex, arch.own, error)
    assert (exits.run(code["exit_matches"]), exits.run(code["exit_ret"])) == (1, -11)
    assert Call(arch, arch.futex + 1, arch.own + (arch.number == arch.mode), error).run(code["exit_matches"]) == 0
    if arch.mode is not None:
        other = Call(arch, arch.futex, arch.other, arch.futex)
        assert (other.run(code["enter_matches"]), other.run(code["exit_matches"])) == (0, 0)


def test_high_half_of_s390_int_code(compiler: Compiler, tmp_path: Path) -> None:
    """It tells the length of the instruction, and is no part of the number."""
    arch = ARCHES["s390x"]
    assert tpgen("sys_e*_futex", "--raw", *kernel(tmp_path, arch), "-o", tmp_path).code == 0
    source = SOURCE + FUNCTION.format(name="matches", call=CALLS["exit_matches"])
    obj = compiler.compile(source, tmp_path / "futex.o", target="bpfeb", include=[tmp_path])
    code = functions(disassembly(obj))["matches"]
    assert Call(arch, 0x2_0000 | arch.futex, arch.own, 0).run(code) == 1


def test_argument_of_two_registers(tmp_path: Path) -> None:
    """Which ones differs from call to call: it has no accessor, nor has what follows it."""
    text = tpgen("sys_enter_pread64", "--raw", *kernel(tmp_path, ARCHES["arm"])).out
    assert "raw_sys_enter_pread64_fd(" in text
    assert "pos" not in text
    assert "behind" not in text


def test_no_number(tmp_path: Path) -> None:
    done = tpgen("sys_enter_no_such_call", "--raw", *kernel(tmp_path, ARCHES["x86_64"]))
    what = "no raw form of syscalls:sys_enter_no_such_call: its number is unknown on this architecture"
    assert done == refusal(f"{what} [no-such-form]")


@pytest.mark.parametrize("lost", ["orig_ax", "r10", "status", "thread_info", "pt_regs"])
def test_unknown_layout(lost: str, tmp_path: Path) -> None:
    """Where one of the members is not there, nothing is guessed."""
    options = kernel(tmp_path, ARCHES["x86_64"])
    blob = bytearray((tmp_path / "vmlinux").read_bytes())
    at = blob.index(b"\0" + lost.encode() + b"\0") + 1
    blob[at : at + len(lost)] = b"x" * len(lost)
    (tmp_path / "vmlinux").write_bytes(blob)
    what = "no BTF shows where the kernel has the registers of a system call"
    done = tpgen("sys_enter_futex", "--raw", *options, "--arch", "x86_64")
    assert done == refusal(f"no raw form of syscalls:sys_enter_futex: {what} [no-such-form]")


def test_shown(tmp_path: Path) -> None:
    """`show` tells what the header reads, and from where."""
    out = tpgen("show", "sys_enter_futex", "sys_exit_futex", *kernel(tmp_path, ARCHES["s390x"])).out
    enter, exits = out.split("\nsyscalls:sys_exit_futex\n")
    assert "\nraw arguments: those of system call 238 (registers from btf, types from tracefs)\n" in enter
    assert "\n  regs->orig_gpr2      u32 *uaddr\n  regs->gprs[3]        int op\n" in enter
    assert "  attach   raw_tp/sys_enter, tp_btf/sys_enter, tp/syscalls/sys_enter_futex\n" in enter
    assert "\n  ctx[1]               long ret\n" in exits
