"""raw_tp, tp_btf and classic programs on the generated sched_switch headers see what the kernel itself recorded."""

from __future__ import annotations

import re
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.compilers import Compiler
from support.headers import write_header
from support.libbpf import BpfObject
from support.live import TraceInstance
from support.workload import PingPong

pytestmark = [pytest.mark.live, pytest.mark.compilers]

ROUNDS = 200
# TASK_COMM_LEN is 16: the longest comm there is, and one with a space in it.
COMMS = ("tpgen-ping-0123", "po ng")
CAPACITY = 4096
# A program each, and where its records are in the one global variable.
PROGRAMS = ("on_raw", "on_btf", "on_classic")
RECORD = struct.Struct("@ii16s16sIIq")

SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "raw_sched_switch.h"
#include "tp_sched_switch.h"

#define CAPACITY 4096

struct record {
	int prev_pid, next_pid;
	char prev_comm[16], next_comm[16];
	unsigned int preempt, raw_prev_state;
	long classic_prev_state;
};

struct log {
	unsigned long count;
	struct record records[CAPACITY];
};

struct {
	struct log raw, btf, classic;
} seen;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, int);
	__type(value, int);
} watched SEC(".maps");

/* Both processes are pinned to one CPU and a switch is not interrupted by another: nothing runs in between. */
static __always_inline struct record *new_record(struct log *log, int prev, int next)
{
	if (!bpf_map_lookup_elem(&watched, &prev) && !bpf_map_lookup_elem(&watched, &next))
		return 0;
	struct record *record = &log->records[log->count++ & (CAPACITY - 1)];
	record->prev_pid = prev;
	record->next_pid = next;
	return record;
}

SEC("raw_tp/sched_switch")
int on_raw(void *ctx)
{
	struct task_struct *prev = raw_sched_switch_prev(ctx), *next = raw_sched_switch_next(ctx);
	struct record *record = new_record(&seen.raw, BPF_CORE_READ(prev, pid), BPF_CORE_READ(next, pid));

	if (!record)
		return 0;
	BPF_CORE_READ_STR_INTO(&record->prev_comm, prev, comm);
	BPF_CORE_READ_STR_INTO(&record->next_comm, next, comm);
	record->preempt = raw_sched_switch_preempt(ctx);
	record->raw_prev_state = raw_sched_switch_prev_state(ctx);
	return 0;
}

SEC("tp_btf/sched_switch")
int on_btf(void *ctx)
{
	/* Direct loads: the verifier takes them only where the accessor kept the pointer trusted. */
	struct task_struct *prev = raw_sched_switch_prev(ctx), *next = raw_sched_switch_next(ctx);
	struct record *record = new_record(&seen.btf, prev->pid, next->pid);

	if (!record)
		return 0;
	__builtin_memcpy(record->prev_comm, prev->comm, sizeof(record->prev_comm));
	__builtin_memcpy(record->next_comm, next->comm, sizeof(record->next_comm));
	record->preempt = raw_sched_switch_preempt(ctx);
	record->raw_prev_state = raw_sched_switch_prev_state(ctx);
	return 0;
}

SEC("tp/sched/sched_switch")
int on_classic(void *ctx)
{
	struct record *record =
		new_record(&seen.classic, tp_sched_switch_prev_pid(ctx), tp_sched_switch_next_pid(ctx));

	if (!record)
		return 0;
	tp_sched_switch_prev_comm_read(ctx, record->prev_comm, sizeof(record->prev_comm));
	tp_sched_switch_next_comm_read(ctx, record->next_comm, sizeof(record->next_comm));
	record->classic_prev_state = tp_sched_switch_prev_state(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"""

_LINE = re.compile(
    r" sched_switch: prev_comm=(?P<prev_comm>.*) prev_pid=(?P<prev_pid>\d+) prev_prio=-?\d+ prev_state=(?P<state>\S+)"
    r" ==> next_comm=(?P<next_comm>.*) next_pid=(?P<next_pid>\d+) next_prio=-?\d+$"
)


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch of tasks."""

    prev_pid: int
    prev_comm: str
    next_pid: int
    next_comm: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What one program recorded of one switch, beside the tasks."""

    switch: Switch
    preempt: int
    raw_prev_state: int
    classic_prev_state: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The same switches, seen four times: by each program, and by the kernel with its letters for prev_state.

    The programs' are all switches to and from the players. The kernel's are those away from a player: on the machine
    where this was written (6.18.44 under PVM) the trace buffer holds no switch from the idle task of CPU 1, with any
    filter and without one, which bpftrace and our programs see.
    """

    pids: tuple[int, int]
    programs: dict[str, tuple[Seen, ...]]
    kernel: tuple[Switch, ...]
    kernel_states: tuple[str, ...]

    def away(self, program: str) -> list[Seen]:
        """What `program` saw of the players being switched away from."""
        return [seen for seen in self.programs[program] if seen.switch.prev_pid in self.pids]


def text(comm: bytes) -> str:
    """A comm up to its NUL."""
    return comm.split(b"\0", 1)[0].decode(errors="replace")


def unpack(log: bytes) -> tuple[Seen, ...]:
    """The records of one `struct log`."""
    (count,) = struct.unpack_from("@Q", log)
    assert count <= CAPACITY, "more switches than the program had room for"
    records = (RECORD.unpack_from(log, 8 + at * RECORD.size) for at in range(count))
    return tuple(
        Seen(Switch(prev_pid, text(prev_comm), next_pid, text(next_comm)), preempt, raw_state, classic_state)
        for prev_pid, next_pid, prev_comm, next_comm, preempt, raw_state, classic_state in records
    )


def parse(line: str) -> tuple[Switch, str]:
    """A switch as the kernel prints it, and its prev_state."""
    found = _LINE.search(line)
    assert found, line
    switch = Switch(int(found["prev_pid"]), found["prev_comm"], int(found["next_pid"]), found["next_comm"])
    return switch, found["state"]


def observe(obj: Path, tracefs: Path) -> Observation | None:
    """Plays and watches once. None where the kernel skipped a run of a program, which it does for outside reasons.

    (A classic program does not run while bpf(2) works on a map on the same CPU, and somebody else may do so.)
    """
    with PingPong(COMMS, ROUNDS) as game, TraceInstance(tracefs) as instance, BpfObject(obj) as bpf:
        # Both players sleep now, and sleep again when play() returns: however long it takes to attach and detach, all
        # four see the same switches from the first to the last.
        for pid in game.pids:
            bpf.map("watched").update(struct.pack("@i", pid), struct.pack("@i", 1))
        for program in PROGRAMS:
            bpf.attach(program)
        instance.start(["sched:sched_switch"], game.pids)
        game.play()
        instance.stop()
        missed = sum(bpf.info(program).recursion_misses for program in PROGRAMS)
        bpf.detach()
        if missed:
            return None
        logs, size = bpf.section(), 8 + CAPACITY * RECORD.size
        programs = {name: unpack(logs[at * size : (at + 1) * size]) for at, name in enumerate(PROGRAMS)}
        kernel = [(switch, state) for switch, state in map(parse, instance.lines()) if switch.prev_pid in game.pids]
    return Observation(game.pids, programs, tuple(switch for switch, _ in kernel), tuple(state for _, state in kernel))


@pytest.fixture(scope="module")
def observation(
    compiler: Compiler,
    tracefs: Path,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Observation:
    """One game, watched by programs of one compiler."""
    folder = tmp_path_factory.mktemp("sched_switch")
    write_header(folder, "sched_switch", "raw")
    write_header(folder, "sched_switch", "classic")
    system = (vmlinux_include, libbpf_include)
    obj = compiler.compile(SOURCE, folder / "switch.o", include=[folder], system=system)
    for _ in range(5):
        if found := observe(obj, tracefs):
            return found
    pytest.fail("the kernel skipped a run of our programs in five games out of five")


def test_kernel_saw_every_round(observation: Observation) -> None:
    """The judge itself is worth something: each round takes both players off the CPU, under the comm they chose."""
    left = Counter(switch.prev_pid for switch in observation.kernel)
    assert all(left[pid] >= ROUNDS for pid in observation.pids)
    comms = {(switch.prev_pid, switch.prev_comm) for switch in observation.kernel}
    assert comms == set(zip(observation.pids, COMMS, strict=True))


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_saw_what_the_kernel_recorded(observation: Observation, program: str) -> None:
    """pid and comm of prev and next, switch by switch, from the first to the last."""
    assert [seen.switch for seen in observation.away(program)] == list(observation.kernel)


def test_programs_agree(observation: Observation) -> None:
    """All three saw the same switches to and from the players, and both raw ones the same scalar arguments."""
    assert observation.programs["on_raw"] == observation.programs["on_btf"]
    raw, classic = ([seen.switch for seen in observation.programs[name]] for name in ("on_raw", "on_classic"))
    assert raw == classic
    # The first is the waking of a player, which no player is switched away from.
    assert raw[0].prev_pid not in observation.pids


@pytest.mark.parametrize("program", ["on_raw", "on_btf"])
def test_raw_preempt_and_prev_state(observation: Observation, program: str) -> None:
    """The kernel prints R+ for a preempted task, else the letter of the state that the raw argument holds."""
    letters = {0: "R", 1: "S", 2: "D"}
    # TASK_REPORT is 0x7f: higher bits are modifiers such as TASK_FREEZABLE.
    printed = ["R+" if seen.preempt else letters[seen.raw_prev_state & 0x7F] for seen in observation.away(program)]
    assert printed == list(observation.kernel_states)
    assert "S" in printed


def test_classic_prev_state(observation: Observation) -> None:
    """The record's prev_state is what the kernel prints; 0x100 (TASK_REPORT_MAX) is the `+` of the print fmt."""
    letters = {0: "R", 1: "S", 2: "D", 0x100: "R+"}
    printed = [letters[seen.classic_prev_state] for seen in observation.away("on_classic")]
    assert printed == list(observation.kernel_states)
    assert "S" in printed
