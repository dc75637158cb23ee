"""The cost of generated accessors: instructions and bytes of machine code, beside the same program written by hand.

By hand is what people write with libbpf: BPF_PROG, the record's struct, bpf_probe_read_kernel_str. Both are compiled by
the same compiler and loaded into the running kernel, which tells what became of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.libbpf import BpfObject  # type: ignore[import-not-found]  # tox adds tests/ to the path

_INCLUDES = "/usr/include", f"/usr/include/{os.uname().machine}-linux-gnu"
_COMPILER = "clang-14", "-target", "bpf", "-O2", "-g", *(f"-I{path}" for path in _INCLUDES)
_INSN_BYTES, _CALL = 8, 0x85
_EVENTS = "sched_switch", "sched_process_exec"


@dataclass(frozen=True, slots=True)
class Program:
    """A program in both forms; `times` and `plus` say how many of the instructions written by hand it may take."""

    name: str
    made: str
    hand: str
    times: float = 1
    plus: int = 0


def _program(
    name: str, section: str, by_hand: str, made: str, hand: str, *, times: float = 1, plus: int = 0
) -> Program:
    """Both forms; `by_hand` are BPF_PROG's arguments, or the type of what a program by hand has for its context."""
    head = f'SEC("{section}") int '
    signature = f"BPF_PROG({name}, {by_hand})" if "," in by_hand else f"{name}({by_hand} *ctx)"
    own, other = f"{head}{name}(void *ctx) {{ {made} return 0; }}", f"{head}{signature} {{ {hand} return 0; }}"
    return Program(name, own, other, times, plus)


_SWITCH = "bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state"
_RECORD, _EXEC = "struct trace_event_raw_sched_switch", "struct trace_event_raw_sched_process_exec"
_AT_NAME = "(void *)ctx + (ctx->__data_loc_filename & 0xffff)"
_PRINT = 'if (got > 0) bpf_printk("%s", buffer);'

PROGRAMS = (
    _program(
        "traced", "tp_btf/sched_switch", _SWITCH,
        "a = raw_sched_switch_prev(ctx)->pid; b = raw_sched_switch_next(ctx)->pid;", "a = prev->pid; b = next->pid;",
        plus=1,
    ),
    _program(
        "raw", "raw_tp/sched_switch", _SWITCH,
        "flag = raw_sched_switch_preempt(ctx); a = raw_sched_switch_prev_state(ctx);",
        "flag = preempt; a = prev_state;",
        plus=1,
    ),
    _program(
        "scalars", "tp/sched/sched_switch", _RECORD,
        "a = tp_sched_switch_prev_pid(ctx); b = tp_sched_switch_next_pid(ctx);",
        "a = ctx->prev_pid; b = ctx->next_pid;",
        plus=1,
    ),
    _program(
        "array", "tp/sched/sched_switch", _RECORD,
        "got = tp_sched_switch_next_comm_read(ctx, name, 16);",
        "got = bpf_probe_read_kernel_str(name, 16, ctx->next_comm);",
        times=1.5,
    ),
    _program(
        "string", "tp/sched/sched_process_exec", _EXEC,
        "got = tp_sched_process_exec_filename_read(ctx, name, sizeof(name));",
        f"got = bpf_probe_read_kernel_str(name, sizeof(name), {_AT_NAME});",
        times=1.5,
    ),
    _program(
        "string_on_stack", "tp/sched/sched_process_exec", _EXEC,
        f"char buffer[64]; got = tp_sched_process_exec_filename_read(ctx, buffer, sizeof(buffer)); {_PRINT}",
        f"char buffer[64]; got = bpf_probe_read_kernel_str(buffer, sizeof(buffer), {_AT_NAME}); {_PRINT}",
        times=1.5,
    ),
)  # fmt: skip

_HEAD = """#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
{rest}
char LICENSE[] SEC("license") = "GPL";
int a, b; char flag; long got; char name[64];
"""
_MADE = "struct task_struct { int pid; } __attribute__((preserve_access_index));\n" + "".join(
    f'#include "{form}_{event}.h"\n' for event in _EVENTS for form in ("raw", "tp")
)
_HAND = """#include <stdbool.h>
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct { int pid; };
struct trace_event_raw_sched_switch { int prev_pid; int next_pid; char next_comm[16]; };
struct trace_event_raw_sched_process_exec { unsigned int __data_loc_filename; };
#pragma clang attribute pop
"""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a loaded program: instructions, bytes of machine code, and calls among the instructions."""

    instructions: int
    jited: int
    helper_calls: int


@dataclass(frozen=True, slots=True)
class Row:
    """A program in both forms, and whether the generated one is within its aim."""

    name: str
    made: Size
    hand: Size
    most: float

    @property
    def met(self) -> bool:
        return self.made.instructions <= self.most and self.made.helper_calls == self.hand.helper_calls


def measured() -> list[Row]:
    """The sizes of all programs; none where there is no compiler or no right to load them."""
    if shutil.which(_COMPILER[0]) is None or os.geteuid() != 0:
        return []
    with tempfile.TemporaryDirectory() as folder:
        sources = {"made": (_MADE, [p.made for p in PROGRAMS]), "hand": (_HAND, [p.hand for p in PROGRAMS])}
        command = (sys.executable, "-m", "tpgen", *_EVENTS, "--raw", "--classic", "-o", folder)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        sizes = {}
        for form, (rest, programs) in sources.items():
            source, built = Path(folder, f"{form}.bpf.c"), Path(folder, f"{form}.o")
            source.write_text(_HEAD.format(rest=rest) + "\n".join(programs) + "\n")
            subprocess.run((*_COMPILER, "-c", str(source), "-o", str(built)), check=True)
            sizes[form] = dict(_loaded(built))
    made, hand = sizes["made"], sizes["hand"]
    return [
        Row(p.name, made[p.name], hand[p.name], p.times * hand[p.name].instructions + p.plus) for p in PROGRAMS
    ]  # fmt: skip


def _loaded(built: Path) -> Iterator[tuple[str, Size]]:
    """The sizes of an object's programs by their names."""
    with BpfObject(built) as obj:
        for program in PROGRAMS:
            code = obj.code(program.name)
            calls = code[::_INSN_BYTES].count(_CALL)
            yield program.name, Size(len(code) // _INSN_BYTES, obj.info(program.name).jited_bytes, calls)


def table(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield f"{'generated code on this kernel':30} {'instructions':>12} {'by hand':>8} {'bytes':>6} {'by hand':>8}  aim"
    for row in rows:
        made, hand = row.made, row.hand
        yield (
            f"{row.name:30} {made.instructions:>12} {hand.instructions:>8} {made.jited:>6} {hand.jited:>8}"
            f"  ≤ {row.most:g} and as many calls: {'met' if row.met else 'missed'}"
        )


def as_json(rows: Sequence[Row]) -> Mapping[str, Mapping[str, int]]:
    """Instructions and bytes by program, and those of what is written by hand."""
    return {
        row.name: {
            "instructions": row.made.instructions,
            "by_hand": row.hand.instructions,
            "bytes": row.made.jited,
            "bytes_by_hand": row.hand.jited,
        }
        for row in rows
    }


def worse(rows: Sequence[Row], record: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What takes a tenth more instructions beside the program by hand than in the last record that tells of it."""
    known = [(entry["name"], entry["code"]) for entry in record if "code" in entry]
    name, before = known[-1] if known else ("no record", {})
    for row in rows:
        if row.name not in before:
            continue
        now, then = row.made.instructions, before[row.name]["instructions"]
        if now * before[row.name]["by_hand"] > 1.1 * then * row.hand.instructions:
            yield f"{row.name}: {now} instructions, by hand {row.hand.instructions}; in {name} {then}"


if __name__ == "__main__":
    print("\n".join(table(measured())))
