"""What the accessors compile to: one u64 load at a fixed offset of the context, then a truncation; both byte orders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bpf_asm import Insn, Load, Machine, functions, loads, truncates
from support.compilers import COMPILERS, Compiler, disassembly
from support.libbpf import BpfObject, VerifierError

pytestmark = [pytest.mark.compilers, pytest.mark.kernel_btf]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of sched_switch: its slot counts u64s, its size is in bytes."""

    name: str
    slot: int
    size: int


ARGUMENTS = (
    Argument("preempt", 0, 1),
    Argument("prev", 1, 8),
    Argument("next", 2, 8),
    Argument("prev_state", 3, 4),
)
# Name, offset in the record and type of the load, by hand from the format file.
FIELDS = (
    ("prev_pid", 24, "u32"),
    ("prev_prio", 28, "u32"),
    ("prev_state", 32, "u64"),
    ("next_pid", 56, "u32"),
    ("next_prio", 60, "u32"),
)
FUNCTION = "unsigned long long {name}(void *ctx, int which);\nunsigned long long {name}(void *ctx, int which)\n"
BRANCH = "{{\n\tif (which)\n\t\treturn (unsigned long long){a};\n\treturn (unsigned long long){b};\n}}\n"
MERGES = {
    # Neighbours of one type, neighbours of unlike types, and the two ends.
    "prev_next": ("raw_sched_switch_prev(ctx)", "raw_sched_switch_next(ctx)", (8, 16)),
    "preempt_prev": ("raw_sched_switch_preempt(ctx)", "raw_sched_switch_prev(ctx)", (0, 8)),
    "preempt_state": ("raw_sched_switch_preempt(ctx)", "raw_sched_switch_prev_state(ctx)", (0, 24)),
    "pids": ("tp_sched_switch_prev_pid(ctx)", "tp_sched_switch_next_pid(ctx)", (24, 56)),
    "prios": ("tp_sched_switch_prev_prio(ctx)", "tp_sched_switch_next_prio(ctx)", (28, 60)),
}
PLAIN = ("((unsigned long long *)ctx)[1]", "((unsigned long long *)ctx)[2]")
INCLUDES = '#include "raw_sched_switch.h"\n#include "tp_sched_switch.h"\n'


def source() -> str:
    """A function per argument, per field and per pair that a compiler would like to merge."""
    text = [INCLUDES]
    calls = [(f"raw_{a.name}", f"raw_sched_switch_{a.name}(ctx)") for a in ARGUMENTS]
    calls += [(f"tp_{name}", f"tp_sched_switch_{name}(ctx)") for name, _, _ in FIELDS]
    for name, call in calls:
        text.append(FUNCTION.format(name=name))
        text.append(f"{{\n\t(void)which;\n\treturn (unsigned long long){call};\n}}\n")
    for name, (a, b, _) in MERGES.items():
        text.append(FUNCTION.format(name=f"merge_{name}") + BRANCH.format(a=a, b=b))
    text.append(FUNCTION.format(name="merge_plain") + BRANCH.format(a=PLAIN[0], b=PLAIN[1]))
    return "".join(text)


@pytest.fixture
def code(compiler: Compiler, target: str, switch_headers: Path, tmp_path: Path) -> dict[str, tuple[Insn, ...]]:
    """The instructions of every function."""
    obj = compiler.compile(source(), tmp_path / "code.o", target=target, include=[switch_headers])
    return functions(disassembly(obj))


def test_argument_is_one_u64_load_then_a_truncation(code: dict[str, tuple[Insn, ...]]) -> None:
    """Only this reads the right bytes on both byte orders and passes every verifier."""
    for argument in ARGUMENTS:
        insns = code[f"raw_{argument.name}"]
        assert loads(insns) == (Load("u64", "r1", 8 * argument.slot, context=True),), insns
        (at,) = (at for at, insn in enumerate(insns) if "*(u64 *)" in insn.text)
        assert truncates(insns[at + 1 :], argument.size) == (argument.size < 8), insns


def test_field_is_one_load_of_its_own_size(code: dict[str, tuple[Insn, ...]]) -> None:
    """A classic record's field sits at its offset, in the byte order of the machine."""
    for name, offset, load in FIELDS:
        assert loads(code[f"tp_{name}"]) == (Load(load, "r1", offset, context=True),), code[f"tp_{name}"]


@pytest.mark.parametrize("name", MERGES)
def test_branches_keep_their_own_loads(code: dict[str, tuple[Insn, ...]], name: str) -> None:
    """`if (p) v = a(ctx); else v = b(ctx);` stays two loads at fixed offsets, not one through ctx + register."""
    found = loads(code[f"merge_{name}"])
    assert all(load.context for load in found), code[f"merge_{name}"]
    assert sorted(load.offset for load in found) == list(MERGES[name][2])


def test_plain_loads_are_merged(code: dict[str, tuple[Insn, ...]]) -> None:
    """The two compilers do merge what nothing keeps apart, and the check above would see it."""
    found = loads(code["merge_plain"])
    assert len(found) == 1
    assert not found[0].context


# The test in front of the load is not the loop's: a compiler that may move the load has it in front of the loop.
GUARDED = """
unsigned long long {name}(void *ctx, int there, unsigned int mask);
unsigned long long {name}(void *ctx, int there, unsigned int mask)
{{
	unsigned long long sum = 0;

	for (; mask; mask >>= 1)
		if (there && mask & 1)
			sum += (unsigned long long){call};
	return sum;
}}
"""
GUARDS = {
    # The accessor's call, the bytes of the context in front of what it loads, and what it loads.
    "raw": ("raw_sched_switch_prev_state(ctx)", 24, 8),
    "classic": ("tp_sched_switch_prev_state(ctx)", 32, 8),
    "narrow": ("tp_sched_switch_next_prio(ctx)", 60, 4),
}
STATE, MASK = 0x402, 0b1011


@pytest.fixture(params=GUARDS)
def guard(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def guarded(compiler: Compiler, target: str, headers: Path, folder: Path, name: str) -> tuple[Insn, ...]:
    """The instructions of a loop that loads behind a test."""
    text = INCLUDES + GUARDED.format(name="guarded", call=GUARDS[name][0])
    obj = compiler.compile(text, folder / "guarded.o", target=target, include=[headers])
    return functions(disassembly(obj))["guarded"]


def run_guarded(insns: tuple[Insn, ...], context: bytes, there: bool, target: str) -> int:
    return Machine(insns, context, big_endian=target == "bpfeb", arguments=(there, MASK)).run()


def test_load_stays_behind_its_guard(
    compiler: Compiler, target: str, guard: str, switch_headers: Path, tmp_path: Path
) -> None:
    """A loop whose test says that there is no such value does not load it: there is no memory where it would be."""
    insns = guarded(compiler, target, switch_headers, tmp_path, guard)
    _, before, size = GUARDS[guard]
    assert run_guarded(insns, bytes(before), False, target) == 0
    context = bytes(before) + STATE.to_bytes(size, "big" if target == "bpfeb" else "little")
    assert run_guarded(insns, context, True, target) == STATE * MASK.bit_count()


def test_load_that_is_not_volatile_leaves_its_guard(
    target: str, guard: str, switch_headers: Path, tmp_path: Path
) -> None:
    """clang 14 does move it, and the test above would see it."""
    for name in ("raw_sched_switch.h", "tp_sched_switch.h"):
        (tmp_path / name).write_text((switch_headers / name).read_text().replace("__asm__ volatile", "__asm__"))
    insns = guarded(COMPILERS[0], target, tmp_path, tmp_path, guard)
    with pytest.raises(AssertionError, match="in no memory that the function may touch"):
        run_guarded(insns, bytes(GUARDS[guard][1]), False, target)


PROGRAM = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "raw_sched_switch.h"
#include "tp_sched_switch.h"
int out;
SEC("raw_tp/sched_switch") int on_raw(void *ctx)
{
	unsigned long v;
	if (bpf_get_smp_processor_id())
		v = (unsigned long)RAW_A;
	else
		v = (unsigned long)RAW_B;
	out = v >> 3;
	return 0;
}
SEC("tp_btf/sched_switch") int on_btf(void *ctx)
{
	struct task_struct *task;
	if (bpf_get_smp_processor_id())
		task = (struct task_struct *)RAW_A;
	else
		task = (struct task_struct *)RAW_B;
	out = task->pid;
	return 0;
}
SEC("tp/sched/sched_switch") int on_classic(void *ctx)
{
	int pid;
	if (bpf_get_smp_processor_id())
		pid = TP_A;
	else
		pid = TP_B;
	out = pid;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""
ACCESSORS = {
    "RAW_A": "raw_sched_switch_prev(ctx)",
    "RAW_B": "raw_sched_switch_next(ctx)",
    "TP_A": "tp_sched_switch_prev_pid(ctx)",
    "TP_B": "tp_sched_switch_next_pid(ctx)",
}
PLAIN_LOADS = {"RAW_A": PLAIN[0], "RAW_B": PLAIN[1], "TP_A": "((int *)ctx)[6]", "TP_B": "((int *)ctx)[14]"}


def branching_program(
    compiler: Compiler, loads: dict[str, str], headers: Path, system: tuple[Path, ...], folder: Path
) -> Path:
    """An object whose three programs choose between two values of their context."""
    defines = "".join(f"#define {name} {text}\n" for name, text in loads.items())
    return compiler.compile(defines + PROGRAM, folder / "branch.o", include=[headers], system=system)


@pytest.mark.live
@pytest.mark.usefixtures("tracefs")
@pytest.mark.parametrize("program", ["on_raw", "on_btf", "on_classic"])
def test_verifier_takes_branches(
    compiler: Compiler,
    program: str,
    switch_headers: Path,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path: Path,
) -> None:
    """The kernel loads such a program, and in tp_btf takes either pointer for a trusted one."""
    system = (vmlinux_include, libbpf_include)
    obj = branching_program(compiler, ACCESSORS, switch_headers, system, tmp_path)
    with BpfObject(obj, programs=[program]) as bpf:
        bpf.attach(program)


@pytest.mark.live
@pytest.mark.parametrize("program", ["on_raw", "on_btf", "on_classic"])
def test_verifier_refuses_plain_branches(
    compiler: Compiler,
    program: str,
    switch_headers: Path,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path: Path,
) -> None:
    """The same program on plain loads is refused: what the accessors prevent does happen, on this very kernel."""
    system = (vmlinux_include, libbpf_include)
    obj = branching_program(compiler, PLAIN_LOADS, switch_headers, system, tmp_path)
    with pytest.raises(VerifierError, match="dereference of modified ctx ptr"), BpfObject(obj, programs=[program]):
        pass
