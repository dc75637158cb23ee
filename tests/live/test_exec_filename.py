"""sched_process_exec's dynamic field holds the path that a process executes, whatever room the reader has."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.compilers import Compiler
from support.headers import write_header
from support.libbpf import BpfObject
from support.live import TraceInstance
from support.workload import Exec

pytestmark = [pytest.mark.live, pytest.mark.compilers]

ROOM = 256
CANARY = 0xA5
# Bytes that the program offers to each read: none, the NUL alone, a few, and enough for any path here.
SIZES = (0, 1, 2, 16, ROOM)

SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "tp_sched_process_exec.h"

struct read {
	long result;
	char text[256];
};

struct {
	unsigned long runs;
	int pid, old_pid;
	struct read reads[5];
} seen;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} watched SEC(".maps");

#define READ(at, size)                                                                           \\
	__builtin_memset(seen.reads[at].text, 0xa5, sizeof(seen.reads[at].text));                    \\
	seen.reads[at].result = tp_sched_process_exec_filename_read(ctx, seen.reads[at].text, size)

SEC("tp/sched/sched_process_exec")
int on_exec(void *ctx)
{
	int pid = bpf_get_current_pid_tgid() >> 32;

	if (!bpf_map_lookup_elem(&watched, &pid))
		return 0;
	seen.runs++;
	seen.pid = tp_sched_process_exec_pid(ctx);
	seen.old_pid = tp_sched_process_exec_old_pid(ctx);
	READ(0, 0);
	READ(1, 1);
	READ(2, 2);
	READ(3, 16);
	READ(4, 256);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"""


@dataclass(frozen=True, slots=True)
class Execution:
    """One exec: the file and process, what the kernel printed, and (result, buffer) of each read."""

    path: str
    pid: int
    kernel: tuple[str, ...]
    runs: int
    pids: tuple[int, int]
    reads: dict[int, tuple[int, bytes]]


@pytest.fixture(scope="module", params=["short", "x" * 150])
def execution(
    request: pytest.FixtureRequest,
    compiler: Compiler,
    tracefs: Path,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Execution:
    """A process of ours executes a path made for this test."""
    folder = tmp_path_factory.mktemp("exec")
    write_header(folder, "sched_process_exec", "classic")
    obj = compiler.compile(SOURCE, folder / "exec.o", include=[folder], system=(vmlinux_include, libbpf_include))
    path = folder / request.param
    path.symlink_to("/bin/true")
    for _ in range(5):
        if found := execute(path, obj, tracefs):
            return found
    pytest.fail("the kernel skipped our program in five runs out of five")


def execute(path: Path, obj: Path, tracefs: Path) -> Execution | None:
    """Executes and watches once. None where the kernel skipped the program, which it does for outside reasons."""
    with Exec(path) as process, TraceInstance(tracefs) as instance, BpfObject(obj) as bpf:
        bpf.map("watched").update(struct.pack("@i", process.child.pid), struct.pack("@i", 1))
        bpf.attach("on_exec")
        instance.start(["sched:sched_process_exec"], [process.child.pid])
        process.run()
        instance.stop()
        if bpf.info("on_exec").recursion_misses:
            return None
        section = bpf.section()
        runs, pid, old_pid = struct.unpack_from("@Qii", section)
        reads = dict(zip(SIZES, struct.iter_unpack(f"@q{ROOM}s", section[16:]), strict=True))
        return Execution(str(path), process.child.pid, instance.lines(), runs, (pid, old_pid), reads)


def test_kernel_recorded_the_path(execution: Execution) -> None:
    """The judge: what the kernel printed is what we executed."""
    (line,) = execution.kernel
    found = re.search(r" sched_process_exec: filename=(\S+) pid=(\d+) old_pid=(\d+)$", line)
    assert found, line
    assert found.groups() == (execution.path, str(execution.pid), str(execution.pid))


def test_scalars(execution: Execution) -> None:
    """The fields after the dynamic one; a process with one thread keeps its pid over an exec."""
    assert execution.runs == 1
    assert execution.pids == (execution.pid, execution.pid)


def test_whole_path(execution: Execution) -> None:
    """With room enough: the path, its NUL, and their length; not a byte behind them is touched."""
    result, buffer = execution.reads[ROOM]
    whole = execution.path.encode() + b"\0"
    assert result == len(whole)
    assert buffer == whole.ljust(ROOM, bytes([CANARY]))


@pytest.mark.parametrize("size", [1, 2, 16])
def test_short_buffer(execution: Execution, size: int) -> None:
    """With too little room: as much as fits, always with a NUL, and the size of the buffer as length."""
    result, buffer = execution.reads[size]
    cut = execution.path.encode()[: size - 1] + b"\0"
    assert result == size
    assert buffer == cut.ljust(ROOM, bytes([CANARY]))


def test_no_room(execution: Execution) -> None:
    """Nothing is written where there is no room, and that is no success with a length."""
    result, buffer = execution.reads[0]
    assert result <= 0
    assert buffer == bytes([CANARY]) * ROOM
