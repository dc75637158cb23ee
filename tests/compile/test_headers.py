"""The headers of sched_switch compile without a warning in every company and as every kind of C."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.compilers import CONVERSIONS, CompileError, Compiler

pytestmark = [pytest.mark.compilers, pytest.mark.kernel_btf]

HEADERS = ("raw_sched_switch.h", "tp_sched_switch.h")
RAW, CLASSIC = (f'#include "{name}"\n' for name in HEADERS)
VMLINUX = "#include <vmlinux.h>\n"
LIBBPF = "#include <bpf/bpf_core_read.h>\n#include <bpf/bpf_helpers.h>\n#include <bpf/bpf_tracing.h>\n"
UAPI = "#include <linux/bpf.h>\n"
UNITS = {
    "raw": RAW,
    "classic": CLASSIC,
    "raw then classic": RAW + CLASSIC,
    "classic then raw": CLASSIC + RAW,
    "raw twice": RAW + RAW,
    "classic twice": CLASSIC + CLASSIC,
    "both twice": RAW + CLASSIC + RAW + CLASSIC,
}
# Uses each accessor, with contexts of several types: `ctx` is any pointer.
USES = """
struct anything;
unsigned long long use(void *plain, const void *constant, unsigned long long *slots, struct anything *unknown);
unsigned long long use(void *plain, const void *constant, unsigned long long *slots, struct anything *unknown)
{
	char comm[16];
	unsigned long long sum = (unsigned long long)raw_sched_switch_prev(plain);

	sum += (unsigned long long)raw_sched_switch_next(constant);
	sum += raw_sched_switch_preempt(slots) + raw_sched_switch_prev_state(unknown);
	sum += tp_sched_switch_prev_pid(plain) + tp_sched_switch_next_pid(constant);
	sum += tp_sched_switch_prev_prio(slots) + tp_sched_switch_next_prio(unknown) + tp_sched_switch_prev_state(plain);
	sum += raw_sched_switch_has_prev_state() + tp_sched_switch_has_prev_comm();
	sum += tp_sched_switch_prev_comm_read(constant, comm, sizeof(comm)) + comm[0];
	sum += tp_sched_switch_next_comm_read(unknown, comm, sizeof(comm)) + comm[0];
	return sum;
}
"""
# From the format file and the prototype of sched_switch on Linux 6.18, by hand.
LAYOUT = """
#include <stddef.h>
#define AT(type, member, offset) _Static_assert(offsetof(struct type, member) == (offset), #type "." #member)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NARROW(offset, size) ((offset) + 8 - (size))
#else
#define NARROW(offset, size) (offset)
#endif
AT(raw_sched_switch, preempt, NARROW(0, 1));
AT(raw_sched_switch, prev, 8);
AT(raw_sched_switch, next, 16);
AT(raw_sched_switch, prev_state, NARROW(24, 4));
_Static_assert(sizeof(struct raw_sched_switch) == 32, "four slots");
AT(tp_sched_switch, prev_comm, 8);
AT(tp_sched_switch, prev_pid, 24);
AT(tp_sched_switch, prev_prio, 28);
AT(tp_sched_switch, prev_state, 32);
AT(tp_sched_switch, next_comm, 40);
AT(tp_sched_switch, next_pid, 56);
AT(tp_sched_switch, next_prio, 60);
_Static_assert(sizeof(struct tp_sched_switch) == 64, "the padded record");
"""
TYPES = """
#define IS(expression, type) \\
	_Static_assert(__builtin_types_compatible_p(__typeof__(expression), type), #expression)
void *ctx;
IS(raw_sched_switch_preempt(ctx), _Bool);
IS(raw_sched_switch_prev(ctx), struct task_struct *);
IS(raw_sched_switch_next(ctx), struct task_struct *);
IS(raw_sched_switch_prev_state(ctx), unsigned int);
IS(tp_sched_switch_prev_pid(ctx), int);
IS(tp_sched_switch_next_pid(ctx), int);
IS(tp_sched_switch_prev_prio(ctx), int);
IS(tp_sched_switch_next_prio(ctx), int);
IS(tp_sched_switch_prev_state(ctx), long);
IS(raw_sched_switch_has_prev(), _Bool);
IS(tp_sched_switch_has_prev_comm(), _Bool);
IS(((struct raw_sched_switch *)ctx)->preempt, _Bool);
IS(((struct raw_sched_switch *)ctx)->prev, struct task_struct *);
IS(((struct raw_sched_switch *)ctx)->prev_state, unsigned int);
IS(((struct tp_sched_switch *)ctx)->prev_pid, int);
IS(((struct tp_sched_switch *)ctx)->prev_state, long);
IS(((struct tp_sched_switch *)ctx)->prev_comm, char[16]);
"""


@pytest.mark.parametrize("std", ["c11", "gnu11", "c23", "gnu23"])
@pytest.mark.parametrize("name", HEADERS)
def test_main_file(compiler: Compiler, target: str, std: str, name: str, switch_headers: Path, tmp_path: Path) -> None:
    """As the main file, where no header is excused for a `#pragma once` or a function that nobody calls."""
    compiler.compile(switch_headers / name, tmp_path / "unit.o", target=target, std=std, options=CONVERSIONS)


@pytest.mark.parametrize("std", ["c11", "gnu11", "c23", "gnu23"])
@pytest.mark.parametrize("unit", UNITS)
def test_alone(compiler: Compiler, target: str, std: str, unit: str, switch_headers: Path, tmp_path: Path) -> None:
    """Without vmlinux.h and libbpf, together and repeated."""
    include, output = [switch_headers], tmp_path / "unit.o"
    compiler.compile(UNITS[unit], output, target=target, std=std, include=include, options=CONVERSIONS)


# Not as C23: bpftool 7.1 (Debian 12) writes `typedef _Bool bool;` and an enum with `false` and `true`, which C23 has
# made keywords, and the kernel's BTF holds those, so that no header of ours can help.
@pytest.mark.parametrize("std", ["c11", "gnu11"])
@pytest.mark.parametrize("order", ["vmlinux first", "vmlinux last", "vmlinux between"])
def test_with_vmlinux(
    compiler: Compiler,
    target: str,
    std: str,
    order: str,
    switch_headers: Path,
    vmlinux_include: Path,
    tmp_path: Path,
) -> None:
    """With vmlinux.h before, after and between."""
    texts = {
        "vmlinux first": VMLINUX + RAW + CLASSIC,
        "vmlinux last": RAW + CLASSIC + VMLINUX,
        "vmlinux between": CLASSIC + VMLINUX + RAW,
    }
    include, system, output = [switch_headers], [vmlinux_include], tmp_path / "unit.o"
    compiler.compile(texts[order] + USES, output, target=target, std=std, include=include, system=system)
    compiler.compile(texts[order], output, target=target, std=std, include=include, system=system, options=CONVERSIONS)


@pytest.mark.parametrize("order", ["libbpf first", "libbpf last"])
def test_with_vmlinux_and_libbpf(
    compiler: Compiler,
    target: str,
    order: str,
    switch_headers: Path,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path: Path,
) -> None:
    """With vmlinux.h and libbpf's headers, before and after. Only GNU C: libbpf 1.1 says `asm`."""
    first = order == "libbpf first"
    source = (VMLINUX + LIBBPF + RAW + CLASSIC if first else RAW + CLASSIC + VMLINUX + LIBBPF) + USES
    include, system = [switch_headers], [vmlinux_include, libbpf_include]
    compiler.compile(source, tmp_path / "unit.o", target=target, include=include, system=system)


@pytest.mark.parametrize("std", ["gnu11", "gnu23"])
@pytest.mark.parametrize("order", ["libbpf first", "libbpf last"])
def test_with_libbpf_alone(
    compiler: Compiler,
    target: str,
    std: str,
    order: str,
    switch_headers: Path,
    kernel_uapi: tuple[Path, ...],
    tmp_path: Path,
) -> None:
    """With libbpf's headers and <linux/bpf.h> in place of vmlinux.h."""
    libbpf = UAPI + "#include <bpf/bpf_helpers.h>\n"
    source = (libbpf + RAW + CLASSIC if order == "libbpf first" else RAW + CLASSIC + libbpf) + USES
    include = [switch_headers]
    compiler.compile(source, tmp_path / "unit.o", target=target, std=std, include=include, system=kernel_uapi)


@pytest.mark.parametrize("std", ["c11", "c23"])
@pytest.mark.parametrize("checks", [LAYOUT, TYPES, USES], ids=["layout", "types", "uses"])
def test_contents(compiler: Compiler, target: str, std: str, checks: str, switch_headers: Path, tmp_path: Path) -> None:
    """Offsets and sizes of both structs, the type of every accessor, and contexts of any pointer type."""
    source = RAW + CLASSIC + checks
    compiler.compile(source, tmp_path / "unit.o", target=target, std=std, include=[switch_headers])


@pytest.mark.parametrize("order", ["vmlinux first", "vmlinux last"])
def test_types_with_vmlinux(
    compiler: Compiler, target: str, order: str, switch_headers: Path, vmlinux_include: Path, tmp_path: Path
) -> None:
    """The same types where vmlinux.h defines them: the header's task_struct is the kernel's."""
    headers = VMLINUX + RAW + CLASSIC if order == "vmlinux first" else RAW + CLASSIC + VMLINUX
    source = headers + TYPES + "IS(raw_sched_switch_prev(ctx)->pid, pid_t);\n"
    include, system = [switch_headers], [vmlinux_include]
    compiler.compile(source, tmp_path / "unit.o", target=target, include=include, system=system)


@pytest.mark.parametrize("std", ["gnu11", "c23"])
@pytest.mark.parametrize(
    ("there", "not_there"),
    [
        ("raw_sched_switch_prev(ctx) != 0", "raw_sched_switch_nonsense(ctx) != 0"),
        ("tp_sched_switch_prev_pid(ctx)", "tp_sched_switch_nonsense(ctx)"),
        ("sizeof(((struct raw_sched_switch *)ctx)->prev)", "sizeof(((struct raw_sched_switch *)ctx)->nonsense)"),
        ("sizeof(((struct tp_sched_switch *)ctx)->prev_pid)", "sizeof(((struct tp_sched_switch *)ctx)->nonsense)"),
        ("raw_sched_switch_has_prev_state()", "raw_sched_switch_has_nonsense()"),
        ("tp_sched_switch_has_prev_pid()", "tp_sched_switch_has_nonsense()"),
        # A raw context is not a classic one: what only the other has is not there either.
        ("raw_sched_switch_preempt(ctx)", "raw_sched_switch_prev_pid(ctx)"),
        ("tp_sched_switch_prev_state(ctx)", "tp_sched_switch_preempt(ctx)"),
    ],
)
def test_what_the_kernel_lacks_is_an_error(
    compiler: Compiler, std: str, there: str, not_there: str, switch_headers: Path, tmp_path: Path
) -> None:
    """A name that the event does not have stops the compiler, which names it; its neighbour compiles."""
    function = "int use(void *ctx);\nint use(void *ctx) {{ (void)ctx; return {}; }}\n"
    output = tmp_path / "unit.o"
    compiler.compile(RAW + CLASSIC + function.format(there), output, std=std, include=[switch_headers])
    name = not_there.removeprefix("sizeof(((struct ").split("(")[0] if "->" not in not_there else "nonsense"
    with pytest.raises(CompileError, match=name):
        compiler.compile(RAW + CLASSIC + function.format(not_there), output, std=std, include=[switch_headers])
