"""A kernel small enough to know by heart: the BTF and the tracefs of a handful of tracepoints, written by hand.

It has each way in which an event finds its class: `sched_switch` has one of its own name, `sched_wakeup` shares the
only one of its prototype, `page_ref_mod` has the prototype of two of which one has its record, `dma_fence_init` that
of two with the same record, and `pelt_se_tp` is a bare tracepoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from support.btf_builder import BOOL, SIGNED, BtfBuilder
from tpgen.sources.headers.facts import HeaderFacts

RECORD_HEADER = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""


@dataclass(frozen=True)
class Line:
    """A field line of a format file. `signed` None leaves the last part out, as old kernels do for some."""

    declaration: str
    offset: int
    size: int
    signed: int | None = 0

    def __str__(self) -> str:
        sign = "" if self.signed is None else f"\tsigned:{self.signed};"
        return f"\tfield:{self.declaration};\toffset:{self.offset};\tsize:{self.size};{sign}\n"


def format_text(name: str, lines: Iterable[Line], print_fmt: str = '"%d", REC->pid', event_id: int = 300) -> str:
    """The text of a format file."""
    own = "".join(map(str, lines))
    return f"name: {name}\nID: {event_id}\nformat:\n{RECORD_HEADER}\n{own}\nprint fmt: {print_fmt}\n"


FORMATS: dict[str, tuple[Line, ...]] = {
    "sched/sched_switch": (
        Line("char prev_comm[16]", 8, 16),
        Line("pid_t prev_pid", 24, 4, 1),
        Line("int prev_prio", 28, 4, 1),
        Line("long prev_state", 32, 8, 1),
        Line("char next_comm[16]", 40, 16),
        Line("pid_t next_pid", 56, 4, 1),
        Line("int next_prio", 60, 4, 1),
    ),
    "sched/sched_wakeup": (Line("pid_t pid", 8, 4, 1), Line("unsigned long pfn", 16, 8)),
    "dma_fence/dma_fence_init": (Line("__data_loc char[] driver", 8, 4), Line("unsigned int seqno", 12, 4)),
    "page_ref/page_ref_mod": (Line("unsigned long pfn", 8, 8), Line("int val", 16, 4, 1)),
    "syscalls/sys_enter_close": (Line("int __syscall_nr", 8, 4, 1), Line("unsigned int fd", 16, 8)),
}


def small_btf(big_endian: bool = False, pointer_size: int = 8) -> BtfBuilder:
    """The BTF of the kernel. A caller may add to it before it takes the blob."""
    b = BtfBuilder(big_endian)
    uint, int_, char = b.integer("unsigned int", 4), b.integer("int", 4, SIGNED), b.integer("char", 1)
    ulong, long_ = b.integer("long unsigned int", pointer_size), b.integer("long int", pointer_size, SIGNED)
    bool_ = b.typedef("bool", b.integer("_Bool", 1, BOOL))
    short, uchar = b.integer("short unsigned int", 2), b.integer("unsigned char", 1)
    comm, flexible, words = b.array(char, 16), b.array(char, 0), b.array(ulong, 6)
    pid = b.typedef("pid_t", b.typedef("__kernel_pid_t", int_))
    task = b.ptr(b.structure("task_struct", 4, [("pid", pid, 0)]))
    page, fence = b.ptr(b.fwd("page")), b.ptr(b.fwd("dma_fence"))
    entry = b.structure(
        "trace_entry", 8, [("type", short, 0), ("flags", uchar, 2), ("preempt_count", uchar, 3), ("pid", int_, 4)]
    )
    b.enum("bpf_prog_type", values=[("BPF_PROG_TYPE_RAW_TRACEPOINT", 17)])

    def record(*members: tuple[str, int, int], end: int) -> list[tuple[str, int, int]]:
        return [("ent", entry, 0), *members, ("__data", flexible, end)]

    switch = [("preempt", bool_), ("prev", task), ("next", task), ("prev_state", uint)]
    b.event("sched_switch", switch)
    b.event_class(
        "sched_switch",
        [ctype for _, ctype in switch],
        64,
        record(
            ("prev_comm", comm, 8), ("prev_pid", pid, 24), ("prev_prio", int_, 28), ("prev_state", long_, 32),
            ("next_comm", comm, 40), ("next_pid", pid, 56), ("next_prio", int_, 60), end=64,
        ),
    )  # fmt: skip
    b.event("sched_wakeup", [("p", task)])
    b.event_class("sched_wakeup_template", [task], 24, record(("pid", pid, 8), ("pfn", ulong, 16), end=24))
    b.event("dma_fence_init", [("fence", fence)])
    fields = record(("__data_loc_driver", uint, 8), ("seqno", uint, 12), end=16)
    b.event_class("dma_fence", [fence], 16, fields)
    b.event_class("dma_fence_unsignaled", [fence], 16, fields)
    b.event("page_ref_mod", [("page", page), ("v", int_)])
    b.event_class("page_ref_mod_template", [page, int_], 24, record(("pfn", ulong, 8), ("val", int_, 16), end=20))
    b.event_class(
        "page_ref_mod_and_test_template", [page, int_], 24,
        record(("pfn", ulong, 8), ("val", int_, 16), ("ret", int_, 20), end=24),
    )  # fmt: skip
    entity = b.ptr(b.fwd("sched_entity"))
    b.event("pelt_se_tp", [("se", entity)])
    b.event_class("pelt_se_tp", [entity])
    # As the kernel builds it on its stack in perf_call_bpf_enter(); the regs lie over the pad.
    b.structure("syscall_tp_t", 64, [("ent", entry, 0), ("syscall_nr", int_, 8), ("args", words, 16)])
    return b


def write_tracefs(root: Path, formats: dict[str, tuple[Line, ...]] | None = None) -> Path:
    """A directory like tracefs with these events, all of them by default; `root` is returned."""
    for number, (event, lines) in enumerate((FORMATS if formats is None else formats).items(), 300):
        directory = root / "events" / event
        directory.mkdir(parents=True)
        (directory / "format").write_text(format_text(directory.name, lines, event_id=number))
    return root


@dataclass(frozen=True)
class GivenHeaders:
    """The facts of headers, and the same with resolved types where they differ."""

    facts: HeaderFacts
    other: HeaderFacts | None = None

    @property
    def resolved(self) -> HeaderFacts:
        return self.other or self.facts


def write_btf(path: Path, builder: BtfBuilder | None = None) -> Path:
    """The BTF in a file; `path` is returned."""
    path.write_bytes((builder or small_btf()).blob())
    return path
