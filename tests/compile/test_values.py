"""What accessors return for chosen contents of the context: on the kernel, and in the object code of both byte orders.

A new kind of argument is a new row of CASES.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.bpf_asm import Machine, functions
from support.compilers import TARGETS, Compiler, disassembly
from support.headers import write_header
from support.libbpf import BpfObject

pytestmark = [pytest.mark.compilers, pytest.mark.kernel_btf]

ONES = 0xFFFF_FFFF_FFFF_FFFF
# The kernel hands out at most 12 arguments.
SLOTS = 12
# What all other slots hold: no case expects it.
POISON = 0x5A5A_5A5A_5A5A_5A5A

_WORD = {0: 0, 1: 1, 0x7FFF_FFFF: 0x7FFF_FFFF, 0xDEAD_BEEF_0000_0000: 0, 0xFFFF_FFFF_0000_0005: 5}
SIGNED_32 = _WORD | {0xFFFF_FFF5: -11, 0x8000_0000: -0x8000_0000, 0x1_0000_0000 - 1: -1, ONES: -1}
UNSIGNED_32 = _WORD | {0xFFFF_FFF5: 0xFFFF_FFF5, 0x8000_0000: 0x8000_0000, ONES: 0xFFFF_FFFF}
UNSIGNED_16 = {0: 0, 0x8000: 0x8000, 0xFFFF: 0xFFFF, 0xABCD_0000: 0, 0xFFFF_FFFF_FFFF_0001: 1, ONES: 0xFFFF}
UNSIGNED_8 = {0: 0, 0x80: 0x80, 0xFF: 0xFF, 0xAB00: 0, 0xFFFF_FFFF_FFFF_FF01: 1, ONES: 0xFF}
SIGNED_8 = {0: 0, 0x7F: 0x7F, 0x80: -0x80, 0xF5: -11, 0xAB00: 0, 0xFFFF_FFFF_FFFF_FF01: 1, ONES: -1}
# The low byte alone is the kernel's bool; what is above it is never looked at.
BOOL = {0: 0, 1: 1, 0x100: 0, 0xFFFF_FFFF_FFFF_FF00: 0, 0xDEAD_BEEF_0000_0001: 1, ONES: 1}
WHOLE = {
    0: 0,
    1: 1,
    ONES: -1,
    0x8000_0000_0000_0000: -(1 << 63),
    0x7FFF_FFFF_FFFF_FFFF: (1 << 63) - 1,
    0xFFFF_FFF5: 0xFFFF_FFF5,
}
POINTER = {0: 0, 0xFFFF_8880_1234_5678: 0xFFFF_8880_1234_5678 - (1 << 64), 0x7FFF_FFFF_FFFF: 0x7FFF_FFFF_FFFF, ONES: -1}


@dataclass(frozen=True, slots=True)
class Case:
    """One argument: its slot, and for each content of the slot the accessor's result as a signed 64-bit integer."""

    event: str
    argument: str
    slot: int
    # The accessor's return type: the argument's own, less typedefs and qualifiers.
    type: str
    values: dict[int, int] = field(repr=False)
    # How to look at the result, for an argument that is no scalar.
    expression: str = "{call}"

    def __str__(self) -> str:
        return f"{self.event}.{self.argument}"


# Prototypes of Linux 6.18:
#   sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
#   sched_migrate_task(struct task_struct *p, int dest_cpu)
#   sys_exit(struct pt_regs *regs, long ret)
#   kvm_apic_accept_irq(__u32 apicid, __u16 dm, __u16 tm, __u8 vec)
#   mc_event(const unsigned int err_type, const char *error_msg, const char *label, const int error_count,
#            const u8 mc_index, const s8 top_layer, const s8 mid_layer, const s8 low_layer, unsigned long address, …)
#   memcg_flush_stats(struct mem_cgroup *memcg, s64 stats_updates, bool force, bool needs_flush)
#   sched_skip_vma_numa(struct mm_struct *mm, struct vm_area_struct *vma, enum numa_vmaskip_reason reason)
#   tmigr_update_events(struct tmigr_group *child, struct tmigr_group *group, union tmigr_state childstate,
#                       union tmigr_state groupstate, u64 nextevt)
CASES = (
    Case("sched_switch", "preempt", 0, "_Bool", BOOL),
    Case("sched_switch", "prev", 1, "struct task_struct *", POINTER),
    Case("sched_switch", "next", 2, "struct task_struct *", POINTER),
    Case("sched_switch", "prev_state", 3, "unsigned int", UNSIGNED_32),
    Case("sched_migrate_task", "p", 0, "struct task_struct *", POINTER),
    Case("sched_migrate_task", "dest_cpu", 1, "int", SIGNED_32),
    Case("sys_exit", "ret", 1, "long", WHOLE),
    Case("kvm_apic_accept_irq", "apicid", 0, "unsigned int", UNSIGNED_32),
    Case("kvm_apic_accept_irq", "dm", 1, "unsigned short", UNSIGNED_16),
    Case("kvm_apic_accept_irq", "vec", 3, "unsigned char", UNSIGNED_8),
    Case("mc_event", "error_msg", 1, "const char *", POINTER),
    Case("mc_event", "error_count", 3, "int", SIGNED_32),
    Case("mc_event", "mc_index", 4, "unsigned char", UNSIGNED_8),
    Case("mc_event", "top_layer", 5, "signed char", SIGNED_8),
    Case("mc_event", "low_layer", 7, "signed char", SIGNED_8),
    Case("mc_event", "address", 8, "unsigned long", WHOLE),
    Case("memcg_flush_stats", "stats_updates", 1, "long long", WHOLE),
    Case("memcg_flush_stats", "needs_flush", 3, "_Bool", BOOL),
    Case("sched_skip_vma_numa", "reason", 2, "enum numa_vmaskip_reason", UNSIGNED_32),
    Case("tmigr_update_events", "childstate", 2, "union tmigr_state", UNSIGNED_32, "{call}.state"),
    Case("tmigr_update_events", "groupstate", 3, "union tmigr_state", UNSIGNED_32, "{call}.state"),
)
EVENTS = tuple(dict.fromkeys(case.event for case in CASES))
# Enums, structs and unions by value have their own type only where vmlinux.h has defined it before.
_DEFINED_BY_VMLINUX = ("enum", "struct", "union")

FUNCTION = """
long long value_{name}(void *ctx);
long long value_{name}(void *ctx)
{{
	_Static_assert(__builtin_types_compatible_p(__typeof__({call}), {type}), "type of {name}");
	return (long long){expression};
}}
__attribute__((section("raw_tp/{event}"), used)) int run_{name}(void *ctx)
{{
	out = (long long){expression};
	return 0;
}}
"""


def needs_vmlinux(case: Case) -> bool:
    """Whether the type of the case must be defined for the unit to use it."""
    return case.type.startswith(_DEFINED_BY_VMLINUX) and not case.type.endswith("*")


def source(event: str) -> str:
    """For each case of the event a function that returns the value, and a program that stores it."""
    text = ["#include <vmlinux.h>\n"] if any(needs_vmlinux(case) for case in CASES if case.event == event) else []
    text.append(f'#include "raw_{event}.h"\nlong long out;\n')
    for case in CASES:
        if case.event == event:
            call = f"raw_{event}_{case.argument}(ctx)"
            expression = case.expression.format(call=call)
            parts = {"name": case.argument, "event": event, "call": call, "type": case.type}
            text.append(FUNCTION.format(expression=expression, **parts))
    text.append('char LICENSE[] __attribute__((section("license"), used)) = "GPL";\n')
    return "".join(text)


def slots(case: Case, content: int) -> list[int]:
    """A whole context with `content` in the slot of the case."""
    return [content if slot == case.slot else POISON for slot in range(SLOTS)]


Objects = Callable[[Compiler, str, str], Path]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory, vmlinux_include: Path) -> Objects:
    """The object for a compiler, a target and an event, compiled once."""
    made: dict[tuple[str, str, str], Path] = {}

    def get(compiler: Compiler, target: str, event: str) -> Path:
        key = (compiler.name, target, event)
        if key not in made:
            folder = tmp_path_factory.mktemp(event)
            write_header(folder, event, "raw")
            include, system = [folder], [vmlinux_include]
            unit = folder / "values.o"
            made[key] = compiler.compile(source(event), unit, target=target, include=include, system=system)
        return made[key]

    return get


@pytest.mark.live
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_on_the_kernel(compiler: Compiler, case: Case, objects: Objects) -> None:
    """The kernel runs the program on the given slots (BPF_PROG_TEST_RUN)."""
    program = f"run_{case.argument}"
    with BpfObject(objects(compiler, "bpfel", case.event), programs=[program]) as bpf:
        found = {}
        for content in case.values:
            bpf.test_run(program, slots(case, content))
            (found[content],) = struct.unpack("@q", bpf.section())
    assert found == case.values


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_in_object_code(compiler: Compiler, target: str, case: Case, objects: Objects) -> None:
    """The instructions, interpreted on a context of the target's byte order: the only way here to run bpfeb."""
    insns = functions(disassembly(objects(compiler, target, case.event)))[f"value_{case.argument}"]
    big_endian = target == "bpfeb"
    found = {}
    for content in case.values:
        context = struct.pack(f"{'>' if big_endian else '<'}{SLOTS}Q", *slots(case, content))
        result = Machine(insns, context, big_endian=big_endian).run()
        found[content] = result - (1 << 64) if result >> 63 else result
    assert found == case.values


@pytest.mark.parametrize(("target", "expected"), [("bpfel", 5), ("bpfeb", 0xDEAD_BEEF)])
def test_narrow_load_goes_wrong_on_big_endian(compiler: Compiler, target: str, expected: int, tmp_path: Path) -> None:
    """The interpreter knows its byte orders: a load of 4 bytes, which no accessor makes, reads the wrong half."""
    text = (
        "unsigned long long value(void *ctx);\n"
        "unsigned long long value(void *ctx) { return *(unsigned int *)((char *)ctx + 8); }\n"
    )
    insns = functions(disassembly(compiler.compile(text, tmp_path / "narrow.o", target=target)))["value"]
    context = struct.pack(f"{'>' if target == 'bpfeb' else '<'}3Q", POISON, 0xDEAD_BEEF_0000_0005, POISON)
    assert Machine(insns, context, big_endian=target == "bpfeb").run() == expected
