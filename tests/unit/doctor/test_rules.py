"""Verdicts on hand-assembled programs at the events of a kernel that is known by heart, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.bpf_text import assembled
from support.btf_builder import BtfBuilder
from support.catalogs import X86_64
from support.small_kernel import small_btf, write_tracefs

from tpgen.basics.frozen import replace
from tpgen.doctor.beliefs import argument_beliefs, begins_with
from tpgen.doctor.core_relocation.stable_types import stable_record
from tpgen.doctor.findings import Judgement, Verdict
from tpgen.doctor.judge import judge
from tpgen.doctor.kernels import KnownKernel
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.sources import Sources
from tpgen.programs.sections import parse_section
from tpgen.sources.bpf_object.facts import BpfObject, LineInfo, MapDefinition
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.tracefs import TraceFs

END = "; r0 = 0; exit"
FINE, DEPENDS, WRONG = Verdict.FINE, Verdict.DEPENDS, Verdict.WRONG
ATTACH, LOAD = Verdict.REFUSED_ATTACH, Verdict.REFUSED_LOAD

Kernel = Callable[[str], KnownKernel]


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Makes the small kernel, with an event of a module beside it, of a release."""
    tracefs = write_tracefs(tmp_path / "tracefs")
    builder = small_btf()
    base = BtfTracepoints(Btf(builder.blob(), "vmlinux", names=TRACEPOINT_NAMES, arch="x86_64"))
    extra = BtfBuilder(base=builder)
    extra.event("drv_start", [("nr", extra.integer("int", 4, 1))])
    module = BtfTracepoints(Btf(extra.blob(), "drv", base.btf, TRACEPOINT_NAMES), "drv")

    def made(release: str) -> KnownKernel:
        sources = Sources("small", X86_64, release, (base, module), TraceFs(str(tracefs), X86_64))
        return KnownKernel.of("small", CheckedKernel(sources))

    return made


def judged(kernel: KnownKernel, section: str, text: str, **changes: object) -> Judgement:
    """The judgement on a program of that section."""
    found = assembled(text)
    program = found.program._replace(section_name=section, section=parse_section(section))
    obj = replace(found.obj, **changes)
    (judgement,) = judge(obj, kernel, [program], {})
    return judgement


def codes(judgement: Judgement) -> set[str]:
    return {finding.code for finding in judgement.findings}


# --- raw arguments: sched_switch(bool preempt, task_struct *prev, task_struct *next, unsigned int prev_state)


@pytest.mark.parametrize(
    ("section", "text", "verdict", "code", "errno"),
    [
        ("raw_tp/sched_switch", "r2 = *(u64 *)(r1 + 24)", FINE, None, None),
        ("raw_tp/sched_switch", "r2 = *(u64 *)(r1 + 32)", ATTACH, "no-argument", "EINVAL"),
        ("raw_tp/sched_switch", "r2 = *(u64 *)(r1 + 96)", LOAD, "no-argument", "EACCES"),
        ("raw_tp/sched_switch", "r2 = *(u64 *)(r1 - 8)", LOAD, "no-argument", "EACCES"),
        ("tp_btf/sched_switch", "r2 = *(u64 *)(r1 + 32)", LOAD, "no-argument", "EACCES"),
        ("raw_tp/sched_switch", "r2 = *(u32 *)(r1 + 6)", LOAD, "unaligned", "EACCES"),
        ("raw_tp/sched_switch", "r2 = *(u32 *)(r1 + 12)", FINE, None, None),  # half of a pointer, by its author's will
        ("raw_tp/sched_switch", "r2 = *(u32 *)(r1 + 28)", WRONG, "part", None),  # the half that is always 0
        ("tp_btf/sched_switch", "r2 = *(u32 *)(r1 + 28)", LOAD, "unaligned", "EACCES"),
        ("raw_tp/sched_switch", "*(u64 *)(r1 + 8) = r1", LOAD, "ctx-write", "EACCES"),
        ("raw_tp/sched_switch", "r1 += 8; r2 = *(u64 *)(r1 + 0)", LOAD, "modified-ctx", "EACCES"),
        ("raw_tp/sched_switch", "r2 = *(u64 *)(r1 + 8); r2 = *(u32 *)(r2 + 0)", LOAD, "deref-scalar", "EACCES"),
        ("tp_btf/sched_switch", "r2 = *(u64 *)(r1 + 8); r2 = *(u32 *)(r2 + 0)", FINE, None, None),
        ("tp_btf/sched_switch", "r2 = *(u64 *)(r1 + 24); r2 = *(u32 *)(r2 + 0)", LOAD, "deref-scalar", "EACCES"),
        ("tp_btf/sched_switch", "r2 = *(u32 *)(r1 + 8)", LOAD, "narrow-pointer", "EACCES"),
        ("tp_btf/sched_switch", "r2 = *(u32 *)(r1 + 24)", FINE, None, None),
        ("raw_tp/sched_gone", "r2 = 0", ATTACH, "no-tracepoint", "ENOENT"),
        ("tp_btf/sched_gone", "r2 = 0", LOAD, "no-tracepoint", "ESRCH"),
        ("raw_tp/drv_start", "r2 = *(u64 *)(r1 + 0)", DEPENDS, "module", None),
        ("tp_btf/drv:drv_start", "r2 = *(u64 *)(r1 + 0)", DEPENDS, "module", None),
        ("tp_btf/vmlinux:drv_start", "r2 = 0", LOAD, "no-tracepoint", "ESRCH"),
        ("raw_tp.w/sched_switch", "r2 = *(u64 *)(r1 + 0)", FINE, None, None),
        ("raw_tp.w/sched_switch", "r2 = *(u64 *)(r1 + 0); r2 = *(u32 *)(r2 + 0)", ATTACH, "writable", "EINVAL"),
        ("tp_btf/pelt_se_tp", "r2 = *(u64 *)(r1 + 0)", LOAD, "opaque-argument", "EACCES"),
        ("raw_tp/pelt_se_tp", "r2 = *(u64 *)(r1 + 0)", FINE, None, None),
        ("raw_tp", "r2 = *(u64 *)(r1 + 80)", FINE, None, None),
    ],
)
def test_raw(kernel: Kernel, section: str, text: str, verdict: Verdict, code: str | None, errno: str | None) -> None:
    judgement = judged(kernel("6.18.1"), section, text + END)
    assert judgement.verdict == verdict, judgement
    assert codes(judgement) == ({code} if code else set())
    assert {finding.errno for finding in judgement.findings} == ({errno} if code else set())


# --- records

_SWITCH = "tp/sched/sched_switch"


@pytest.mark.parametrize(
    ("section", "text", "verdict", "code", "errno"),
    [
        (_SWITCH, "r2 = *(u32 *)(r1 + 24)", FINE, None, None),
        (_SWITCH, "r2 = *(u32 *)(r1 + 4)", LOAD, "header", "EACCES"),
        (_SWITCH, "r2 = *(u32 *)(r1 + 26)", LOAD, "unaligned", "EACCES"),
        (_SWITCH, "r2 = *(u32 *)(r1 + 64)", ATTACH, "past-end", "EACCES"),
        (_SWITCH, "r2 = *(u32 *)(r1 + 8192)", LOAD, "past-end", "EACCES"),
        (_SWITCH, "*(u32 *)(r1 + 24) = r1", LOAD, "ctx-write", "EACCES"),
        (_SWITCH, "r2 = *(u64 *)(r1 + 32); r2 = *(u32 *)(r2 + 0)", LOAD, "deref-scalar", "EACCES"),
        (_SWITCH, "r2 = *(u64 *)(r1 + 24)", FINE, None, None),  # two fields at once: nobody says that it is one
        ("tp/sched/sched_wakeup", "r2 = *(u32 *)(r1 + 12)", WRONG, "hole", None),
        ("tp/sched/sched_gone", "r2 = 0", ATTACH, "no-event", "ENOENT"),
        ("tp/block/sched_switch", "r2 = 0", ATTACH, "no-event", "ENOENT"),
        ("tp/sched/pelt_se_tp", "r2 = 0", ATTACH, "no-event", "ENOENT"),
        ("tp/sched_switch", "r2 = 0", ATTACH, "no-event", "EINVAL"),
        ("tracepoint/generic", "r2 = 0", ATTACH, "no-event", "EINVAL"),
        ("tp/syscalls/sys_enter_close", "r2 = *(u64 *)(r1 + 16)", FINE, None, None),
        ("tp/syscalls/sys_enter_close", "r2 = *(u32 *)(r1 + 20)", FINE, None, None),  # upper half of a register
        ("tp/syscalls/sys_enter_close", "r2 = *(u64 *)(r1 + 24)", ATTACH, "past-end", "EACCES"),
        ("tp/dma_fence/dma_fence_init", "r2 = *(u32 *)(r1 + 8)", FINE, None, None),
        ("tp/dma_fence/dma_fence_init", "r2 = *(u16 *)(r1 + 10)", FINE, None, None),  # the length
        ("tp/dma_fence/dma_fence_init", "r2 = *(u8 *)(r1 + 8)", WRONG, "locator-part", None),
    ],
)
def test_classic(
    kernel: Kernel, section: str, text: str, verdict: Verdict, code: str | None, errno: str | None
) -> None:
    judgement = judged(kernel("6.18.1"), section, text + END)
    assert judgement.verdict == verdict, judgement
    assert codes(judgement) == ({code} if code else set())
    assert {finding.errno for finding in judgement.findings} == ({errno} if code else set())


def copy(helper: int, offset: int, size: int) -> str:
    """A program that has a helper copy bytes of its context."""
    return f"r3 = r1; r3 += {offset}; r1 = r10; r1 += -64; r2 = {size}; call {helper}; r0 = 0; exit"


@pytest.mark.parametrize(
    ("section", "helper", "offset", "size", "verdict", "code"),
    [
        (_SWITCH, 113, 40, 16, FINE, None),
        (_SWITCH, 113, 0, 64, FINE, None),  # the record as a whole
        (_SWITCH, 113, 64, 8, WRONG, "past-end"),
        (_SWITCH, 113, 0, 4, WRONG, "header"),
        (_SWITCH, 115, 8, 16, FINE, None),
        (_SWITCH, 115, 32, 16, WRONG, "not-a-string"),
        ("tp/dma_fence/dma_fence_init", 115, 8, 16, WRONG, "locator-as-string"),
        ("tp/dma_fence/dma_fence_init", 115, 16, 16, FINE, None),  # where its only string begins
    ],
)
def test_copies(
    kernel: Kernel, section: str, helper: int, offset: int, size: int, verdict: Verdict, code: str | None
) -> None:
    judgement = judged(kernel("6.18.1"), section, copy(helper, offset, size))
    assert judgement.verdict == verdict, judgement
    assert codes(judgement) == ({code} if code else set())


# --- what depends on the release

_NARROW = "r2 = *(u32 *)(r1 + 8)"
_FOLLOW = "r2 = *(u64 *)(r1 + 8); r2 = *(u32 *)(r2 + 0)"
_MOVED = "r1 += 8; r2 = *(u64 *)(r1 + 0)"


@pytest.mark.parametrize(
    ("section", "text", "licence", "verdicts"),
    [
        ("tp_btf/sched_switch", _NARROW, "GPL", (FINE, FINE, DEPENDS, LOAD, LOAD, LOAD)),
        ("tp_btf/sched_switch", _FOLLOW, "GPL", (FINE, FINE, FINE, FINE, FINE, FINE)),
        ("tp_btf/sched_switch", _FOLLOW, "BSD", (FINE, FINE, DEPENDS, LOAD, LOAD, LOAD)),
        ("tp_btf/sched_switch", _FOLLOW, "Dual BSD/GPL", (FINE, FINE, FINE, FINE, FINE, FINE)),
        ("raw_tp/sched_switch", _MOVED, "GPL", (LOAD, LOAD, LOAD, LOAD, LOAD, FINE)),
        ("tp_btf/pelt_se_tp", "r2 = *(u64 *)(r1 + 0)", "GPL", (LOAD, LOAD, LOAD, LOAD, LOAD, FINE)),
        ("tp_btf.s/sched_switch", "r2 = 0", "GPL", (FINE, FINE, DEPENDS, LOAD, LOAD, LOAD)),
        ("raw_tp.s/sched_switch", "r2 = 0", "GPL", (LOAD, LOAD, LOAD, LOAD, LOAD, LOAD)),
        ("tp.s/sched/sched_switch", "r2 = 0", "GPL", (LOAD, LOAD, LOAD, LOAD, LOAD, LOAD)),
        ("raw_tp/sched_switch", "lock fetch_add", "GPL", (LOAD, FINE, FINE, FINE, FINE, FINE)),
    ],
)
def test_releases(kernel: Kernel, section: str, text: str, licence: str, verdicts: tuple[Verdict, ...]) -> None:
    if text == "lock fetch_add":
        text = "r2 = 1; *(u64 *)(r10 - 8) = r2; fetch_add(*(u64 *)(r10 - 8), r2)"
    for release, verdict in zip(("5.10.0", "6.1.9", "6.6.3", "6.12.107", "6.18.1", "7.2.0"), verdicts, strict=True):
        assert judged(kernel(release), section, text + END, license=licence).verdict == verdict, release


def test_dead_code_counts_where_the_kernel_checks_all(kernel: Kernel) -> None:
    text = "r0 = 0; exit; r2 = 1; fetch_add(*(u64 *)(r10 - 8), r2); exit"
    (finding,) = judged(kernel("5.10.0"), "raw_tp/sched_switch", text).findings
    assert (finding.verdict, finding.code) == (LOAD, "instruction")
    assert "never runs" in finding.message


# --- variables


def test_variable_decides_both_ways(kernel: Kernel) -> None:
    text = "r3 = &guard; r3 = *(u8 *)(r3 + 0); if r3 == 0 goto out; r2 = *(u64 *)(r1 + 32); out: r0 = 0; exit"
    for content, verdict, words in ((b"\0", DEPENDS, "with guard=1: reads ctx[4]"), (b"\1", ATTACH, "reads ctx[4]")):
        found = assembled(text, rodata={"guard": content})
        program = found.program._replace(section=parse_section("raw_tp/sched_switch"))
        (judgement,) = judge(found.obj, kernel("6.18.1"), [program], {})
        assert judgement.verdict == verdict
        assert judgement.findings[0].message.startswith(words)
        (judgement,) = judge(found.obj, kernel("6.18.1"), [program], {"guard": 0})
        assert judgement.verdict == FINE


# --- beliefs


def with_line(text: str, line: str) -> BpfObject:
    found = assembled(text)
    section = found.program.function.place.section
    return replace(found.obj, lines={section: ((0, LineInfo("a.bpf.c", 7, 1, line)),)})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("int BPF_PROG(f, bool preempt, struct task_struct *prev)", ["bool preempt", "struct task_struct *prev"]),
        ("int BPF_PROG(f, const struct sock *sk, unsigned long x)", ["const struct sock *sk", "unsigned long x"]),
        ("int BPF_PROG(f, struct task_struct *prev,", ["struct task_struct *prev"]),
        ("int BPF_PROG(f, struct task_struct *prev, struct task", ["struct task_struct *prev"]),
        ("int BPF_PROG(f)", []),
        ('SEC("raw_tp/x") int BPF_PROG2(f, u32 a) { return 0; }', ["u32 a"]),
    ],
)
def test_signature(line: str, expected: list[str]) -> None:
    obj = with_line("r0 = 0; exit", line)
    found = argument_beliefs(obj, obj.programs[0].function, [])
    assert [belief.declaration for _, belief in sorted(found.items())] == expected


@pytest.mark.parametrize(
    ("line", "verdict", "code"),
    [
        ("int BPF_PROG(f, bool preempt, struct task_struct *prev)", FINE, None),
        ("int BPF_PROG(f, struct task_struct *prev, struct task_struct *next)", WRONG, "moved"),
        ("int BPF_PROG(f, bool preempt, struct task_struct *mine)", FINE, None),
        ("int BPF_PROG(f, bool preempt, u32 mine)", WRONG, "other-type"),
        ("int BPF_PROG(f, bool preempt, u64 mine)", FINE, None),
        ("struct task_struct *p = (struct task_struct *)ctx[1];", FINE, None),
        ("u32 p = (u32)ctx[1];", WRONG, "other-type"),
        ("u32 p = (u32)ctx->args[2];", FINE, None),  # another slot than is loaded
    ],
)
def test_text_tells_what_was_meant(kernel: Kernel, line: str, verdict: Verdict, code: str | None) -> None:
    obj = with_line("r2 = *(u64 *)(r1 + 8); r0 = 0; exit", line)
    program = obj.programs[0]._replace(section=parse_section("raw_tp/sched_switch"))
    (judgement,) = judge(obj, kernel("6.18.1"), [program], {})
    assert judgement.verdict == verdict, judgement
    assert codes(judgement) == ({code} if code else set())


def test_struct_that_begins_with_another() -> None:
    builder = BtfBuilder()
    number = builder.integer("int", 4, 1)
    inner = builder.structure("sock_common", 4, [("a", number, 0)])
    sock = builder.structure("sock", 8, [("__sk_common", inner, 0), ("b", number, 4)])
    builder.structure("inet_sock", 12, [("sk", sock, 0), ("c", number, 8)])
    builder.structure("small", 4, [("c", number, 0)])
    builder.structure("big", 64, [(f"m{index}", number, 4 * index) for index in range(16)])
    btf = Btf(builder.blob(), "vmlinux")
    assert begins_with(btf, "inet_sock", "sock") is True
    assert begins_with(btf, "inet_sock", "sock_common") is True
    assert begins_with(btf, "big", "sock") is False
    assert begins_with(btf, "small", "sock") is None  # which may be a part of the kernel's
    assert begins_with(btf, "absent", "sock") is None


@pytest.mark.parametrize(
    ("name", "header", "places"),
    [
        ("syscall_trace_enter", 8, [("nr", 8), ("args", 16)]),
        ("syscall_trace_exit", 8, [("nr", 8), ("ret", 16)]),
        ("syscall_trace_enter", 12, [("nr", 12), ("args", 16)]),  # vendors' real-time kernels
        ("syscall_trace_exit", 16, [("nr", 16), ("ret", 24)]),
        ("bpf_raw_tracepoint_args", 12, [("args", 0)]),
    ],
)
def test_structs_that_are_the_same_everywhere(name: str, header: int, places: list[tuple[str, int]]) -> None:
    record = stable_record(name, header, X86_64)
    assert [(field.name, field.offset_bytes) for field in record.fields] == places


# --- what else a program needs


@pytest.mark.parametrize(
    ("section", "number", "licence", "code"),
    [
        ("raw_tp/sched_switch", 5, "GPL", None),  # bpf_ktime_get_ns
        ("raw_tp/sched_switch", 46, "GPL", "helper"),  # bpf_get_socket_cookie, which tp_btf may call
        ("tp/sched/sched_switch", 46, "GPL", "helper"),
        ("tp_btf/sched_switch", 46, "GPL", None),
        ("tp_btf/sched_switch", 1, "MIT", None),
        ("tp_btf/sched_switch", 113, "MIT", "not-gpl"),  # bpf_probe_read_kernel
        ("tp_btf/sched_switch", 113, None, "not-gpl"),
        ("tp_btf/sched_switch", 113, "Dual MIT/GPL", None),
    ],
)
def test_helpers(kernel: Kernel, section: str, number: int, licence: str | None, code: str | None) -> None:
    judgement = judged(kernel("6.18.1"), section, f"r0 = 0; call {number}; r0 = 0; exit", license=licence)
    assert judgement.verdict == (LOAD if code else FINE)
    assert codes(judgement) == ({code} if code else set())


def test_newer_helper(kernel: Kernel) -> None:
    for release, expected in (("5.10.0", {"helper"}), ("6.1.0", set()), ("6.12.0", set())):
        judgement = judged(kernel(release), "raw_tp/sched_switch", "r0 = 0; call 181; r0 = 0; exit")  # bpf_loop
        assert codes(judgement) == expected, release


def test_missing_kernel_function(kernel: Kernel) -> None:
    text = "call extern:bpf_throw; r0 = 0; exit"
    guarded = "r1 = &extern:bpf_throw; if r1 == 0 goto out; call extern:bpf_throw; out: r0 = 0; exit"
    for program, weak, expected in (
        (text, (), {"ksym"}),
        (text, ("bpf_throw",), {"ksym"}),
        (guarded, ("bpf_throw",), set()),
        (guarded, (), {"ksym"}),
    ):
        found = assembled(program, kernel_symbols={"bpf_throw": "func"}, weak=weak)
        used = found.program._replace(section=parse_section("raw_tp/sched_switch"))
        (judgement,) = judge(found.obj, kernel("6.18.1"), [used], {})
        assert codes(judgement) == expected, (program, weak)


def test_program_of_a_table_of_programs(kernel: Kernel) -> None:
    """Of an object that calls programs by a table, one whose event no kernel has is said to be called."""
    maps = (MapDefinition("programs", 3),)
    judgement = judged(kernel("6.18.1"), "raw_tp/never_there", "r0 = 0; exit", maps=maps)
    assert (judgement.verdict, len(judgement.notes)) == (FINE, 1)
    assert judged(kernel("6.18.1"), "raw_tp/never_there", "r0 = 0; exit").verdict == ATTACH
    # debian-5.10-amd64 has it, so that its absence means something
    judgement = judged(kernel("6.18.1"), "raw_tp/block_rq_issue", "r0 = 0; exit", maps=maps)
    assert judgement.verdict == ATTACH
