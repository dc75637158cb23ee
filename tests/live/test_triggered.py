"""Events that a process of ours triggers: accessors return what the kernel itself recorded, in all of its record.

The kernel's record is taken as bytes from a trace buffer of our own, and read as the format files say. Classic programs
are held to every field. Raw programs have what the kernel made its fields of, and make the same of it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.accessors import Accessor, Header
from support.compilers import Compiler
from support.kernel_facts import Field
from support.libbpf import BpfObject
from support.live import TraceInstance
from support.ring_buffer import records
from support.values import Place
from support.workload import Child

from live.population import Population
from live.test_every_value import places_of_fields

pytestmark = [pytest.mark.live, pytest.mark.compilers]

# A line each: a signal with a negative code, a fork, a lock that somebody else has, a timer, a packet to itself, a file
# that is not there, and an exec.
_ACTIONS = """
import fcntl, os, signal, socket, sys, threading
os.sched_setaffinity(0, {int(sys.argv[1])})
signal.signal(signal.SIGUSR1, lambda *_: None)
locked = open(sys.argv[2], "r+")
mailbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mailbox.bind(("127.0.0.1", 0))
os.write(1, b"ready\\n")
os.read(0, 16)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
os.fork() or os._exit(0)
try: fcntl.lockf(locked, fcntl.LOCK_EX | fcntl.LOCK_NB, 3, 10)
except BlockingIOError: pass
signal.setitimer(signal.ITIMER_REAL, 1000.25, 7.5)
mailbox.sendto(b"x" * 100, mailbox.getsockname())
try: os.open("/nonexistent/file", os.O_RDONLY)
except FileNotFoundError: pass
os.execv("/bin/true", ["true"])
"""
# By event and field of its record: how a raw program gets the same, where its arguments tell.
RAW: dict[str, dict[str, str]] = {
    "signal_generate": {
        "sig": "raw_signal_generate_sig(ctx)",
        "pid": "BPF_CORE_READ(raw_signal_generate_task(ctx), pid)",
        "group": "raw_signal_generate_group(ctx)",
        "result": "raw_signal_generate_result(ctx)",
    },
    "sched_process_fork": {
        "parent_pid": "BPF_CORE_READ(raw_sched_process_fork_parent(ctx), pid)",
        "child_pid": "BPF_CORE_READ(raw_sched_process_fork_child(ctx), pid)",
    },
    "posix_lock_inode": {
        "fl": "raw_posix_lock_inode_fl(ctx)",
        "i_ino": "BPF_CORE_READ(raw_posix_lock_inode_inode(ctx), i_ino)",
        "ret": "raw_posix_lock_inode_ret(ctx)",
    },
    "itimer_state": {
        "which": "raw_itimer_state_which(ctx)",
        "expires": "raw_itimer_state_expires(ctx)",
        # Of a pointer to const, libbpf 1.1's macro makes a variable that clang 22 wants a value for.
        "value_sec": "BPF_CORE_READ((struct itimerspec64 *)raw_itimer_state_value(ctx), it_value.tv_sec)",
        "interval_sec": "BPF_CORE_READ((struct itimerspec64 *)raw_itimer_state_value(ctx), it_interval.tv_sec)",
    },
    "net_dev_queue": {
        "skbaddr": "raw_net_dev_queue_skb(ctx)",
        "len": "BPF_CORE_READ(raw_net_dev_queue_skb(ctx), len)",
    },
    "sys_enter": {"id": "raw_sys_enter_id(ctx)"},
    "sys_exit": {"ret": "raw_sys_exit_ret(ctx)"},
    "sys_enter_openat": {},
    "sys_exit_openat": {},
    "sched_process_exec": {
        "pid": "BPF_CORE_READ(raw_sched_process_exec_p(ctx), pid)",
        "old_pid": "raw_sched_process_exec_old_pid(ctx)",
    },
    "sched_process_exit": {
        "pid": "BPF_CORE_READ(raw_sched_process_exit_p(ctx), pid)",
        # Since 6.16.
        "group_dead": "raw_sched_process_exit_group_dead(ctx)",
    },
}
VALUES, TEXTS, ROOM, CAPACITY = 16, 2, 64, 256
RECORD = struct.Struct(f"@{VALUES}Q{TEXTS}q" + f"{ROOM}s" * TEXTS)

PROLOGUE = f"""
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
struct record {{
	unsigned long long values[{VALUES}];
	long lengths[{TEXTS}];
	char texts[{TEXTS}][{ROOM}];
}};
struct log {{
	unsigned long long count;
	struct record records[{CAPACITY}];
}};
struct {{
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
}} watched SEC(".maps");
char LICENSE[] SEC("license") = "GPL";

/* The watched process has one thread on one CPU. */
static __always_inline struct record *new_record(struct log *log)
{{
	int pid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&watched, &pid) ? &log->records[log->count++ & ({CAPACITY} - 1)] : 0;
}}
"""
PROGRAM = """
SEC("{section}") int on_{name}(void *ctx)
{{
	struct record *record = new_record(&seen.{name});

	if (!record)
		return 0;
{stores}	return 0;
}}
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a program saw it: its values by name, as unsigned 64-bit integers, and (length, bytes) of copies."""

    values: dict[str, int]
    copies: dict[str, tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Observation:
    """What the process did: the kernel's records by event, oldest first, and what each program saw."""

    kernel: Mapping[str, Sequence[bytes]]
    programs: Mapping[str, Sequence[Seen]]


# --- the programs


def classic_header(population: Population, event: str) -> Header:
    """The header of the event's record."""
    return next(h for h in population.generated if (h.form, h.event) == ("classic", event))


def copies(header: Header) -> list[Accessor]:
    """The accessors that copy."""
    return [accessor for accessor in header.accessors if accessor.copies]


def raw_expressions(population: Population, event: str) -> dict[str, str]:
    """The part of RAW that this kernel's record has."""
    there = {field.name for field in population.fields(event)}
    return {field: text for field, text in RAW[event].items() if field in there}


def source(population: Population) -> str:
    """A classic program for every event, and a raw one where its arguments tell of the record."""
    includes, logs, programs = [], [], []
    for event in RAW:
        header = classic_header(population, event)
        includes.append(header.path.name)
        logs.append(f"classic_{event}")
        calls = {accessor.name: f"{accessor.name}(ctx)" for accessor in header.values}
        programs.append(program(f"classic_{event}", f"tp/{population.systems[event]}/{event}", calls, copies(header)))
        if raw := raw_expressions(population, event):
            includes.append(f"raw_{event}.h")
            logs.append(f"raw_{event}")
            programs.append(program(f"raw_{event}", f"raw_tp/{event}", raw, ()))
    seen = f"struct {{\n\tstruct log {', '.join(logs)};\n}} seen;\n"
    return "".join((*(f'#include "{name}"\n' for name in includes), PROLOGUE, seen, *programs))


def program(name: str, section: str, calls: Mapping[str, str], copied: Sequence[Accessor]) -> str:
    """A program that stores the results of these calls, and what these accessors copy."""
    stores = [
        f"\trecord->values[{at}] = (unsigned long long)(long long){call};\n" for at, call in enumerate(calls.values())
    ]
    stores += [
        f"\trecord->lengths[{at}] = {accessor.name}(ctx, record->texts[{at}], {ROOM});\n"
        for at, accessor in enumerate(copied)
    ]
    assert len(calls) <= VALUES
    assert len(copied) <= TEXTS
    return PROGRAM.format(name=name, section=section, stores="".join(stores))


# --- watching


@pytest.fixture(scope="module")
def observation(
    population: Population,
    compiler: Compiler,
    tracefs: Path,
    vmlinux_include: Path,
    libbpf_include: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Observation:
    """A process that does it all, seen by the kernel and by the programs of one compiler."""
    folder = tmp_path_factory.mktemp("triggered")
    system = (vmlinux_include, libbpf_include)
    obj = compiler.compile(source(population), folder / "seen.o", include=[population.folder], system=system)
    for _ in range(5):
        if found := observe(population, obj, tracefs, folder / "locked"):
            return found
    pytest.fail("the kernel skipped a run of our programs in five runs out of five")


def observe(population: Population, obj: Path, tracefs: Path, locked: Path) -> Observation | None:
    """Acts and watches once. None where the kernel skipped a run of a program, which it does for outside reasons."""
    cpu = max(os.sched_getaffinity(0))
    with locked.open("w") as lock, TraceInstance(tracefs) as instance, BpfObject(obj) as bpf:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        child = Child(_ACTIONS, [str(cpu), str(locked)])
        try:
            child.await_line("ready")
            bpf.map("watched").update(struct.pack("@i", child.pid), struct.pack("@i", 1))
            names = [f"on_{name}" for name, _ in programs_of(population)]
            for name in names:
                bpf.attach(name)
            instance.start([f"{population.systems[event]}:{event}" for event in RAW], [child.pid])
            child.go()
            child.wait()
            instance.stop()
        finally:
            child.close()
        missed = sum(bpf.info(name).recursion_misses for name in names)
        bpf.detach()
        if missed:
            return None
        section = bpf.section()
        kernel = by_event(population, list(records(instance.path, cpu)))
    return Observation(kernel, dict(seen(population, section)))


def by_event(population: Population, found: Sequence[bytes]) -> dict[str, list[bytes]]:
    """The records of each event, which begin with the number that tracefs has for it."""
    folders = {event: population.tracefs / "events" / population.systems[event] / event for event in RAW}
    numbers = {event: int((folder / "id").read_text()) for event, folder in folders.items()}
    return {event: [record for record in found if type_of(record) == number] for event, number in numbers.items()}


def type_of(record: bytes) -> int:
    """The record's common_type."""
    (number,) = struct.unpack_from("@H", record)
    return int(number)


def programs_of(population: Population) -> Iterator[tuple[str, tuple[list[str], list[str]]]]:
    """The programs in the order of their logs, with the names of their values and of their copies."""
    for event in RAW:
        header = classic_header(population, event)
        names = [accessor.name for accessor in header.values], [accessor.name for accessor in copies(header)]
        yield f"classic_{event}", names
        if raw := raw_expressions(population, event):
            yield f"raw_{event}", (list(raw), [])


def seen(population: Population, section: bytes) -> Iterator[tuple[str, list[Seen]]]:
    """What is in each program's log."""
    log_bytes = 8 + CAPACITY * RECORD.size
    for number, (name, (values, copied)) in enumerate(programs_of(population)):
        log = section[number * log_bytes : (number + 1) * log_bytes]
        (count,) = struct.unpack_from("@Q", log)
        assert count <= CAPACITY, f"more of {name} than the program had room for"
        rows = (RECORD.unpack_from(log, 8 + at * RECORD.size) for at in range(count))
        yield name, [unpacked(values, copied, row) for row in rows]


def unpacked(values: Sequence[str], copied: Sequence[str], row: tuple[Any, ...]) -> Seen:
    """One record of a log, of which a program uses as much as it has values and copies."""
    lengths, texts = row[VALUES : VALUES + TEXTS], row[VALUES + TEXTS :]
    texts_by_name = dict(zip(copied, zip(lengths, texts, strict=True), strict=False))
    return Seen(dict(zip(values, row, strict=False)), texts_by_name)


# --- what the kernel recorded


def recorded(places: Sequence[Place], record: bytes) -> dict[str, int]:
    """The scalar fields of a record by accessor, as unsigned 64-bit integers."""
    return {place.accessor: place.value(record, "bpfel") for place in places}


def copied(field: Field, record: bytes) -> tuple[int, bytes]:
    """What a read of a field into ROOM bytes of zeros leaves, and its length: of a string with its NUL."""
    offset, size = field.offset, field.size
    if field.dynamic:
        (locator,) = struct.unpack_from("@I", record, field.offset)
        offset, size = locator & 0xFFFF, locator >> 16
    data = record[offset : offset + size]
    if "char" in field.type and "unsigned" not in field.type:
        data = data.split(b"\0", 1)[0][: ROOM - 1] + b"\0"
    return min(len(data), ROOM), data[:ROOM].ljust(ROOM, b"\0")


# --- the tests


@pytest.mark.parametrize("event", RAW)
def test_classic(population: Population, observation: Observation, event: str) -> None:
    """Every field of every record, from the first to the last."""
    header = classic_header(population, event)
    places = places_of_fields(population, header)
    arrays = [field for field in population.fields(event) if field.array or field.dynamic]
    found = observation.programs[f"classic_{event}"]
    assert [one.values for one in found] == [recorded(places, record) for record in observation.kernel[event]]
    assert [one.copies for one in found] == [
        {f"{header.prefix}_{field.name}_read": copied(field, record) for field in arrays}
        for record in observation.kernel[event]
    ]


@pytest.mark.parametrize("event", [event for event, fields in RAW.items() if fields])
def test_raw(population: Population, observation: Observation, event: str) -> None:
    """The arguments are what the kernel made its record of."""
    header = classic_header(population, event)
    places = {place.accessor.removeprefix(f"{header.prefix}_"): place for place in places_of_fields(population, header)}
    expected = [
        {name: places[name].value(record, "bpfel") for name in raw_expressions(population, event)}
        for record in observation.kernel[event]
    ]
    assert [one.values for one in observation.programs[f"raw_{event}"]] == expected


# By hand, from the actions: a value that each event was to have, as a signed number.
ACTIONS = {
    "signal_generate": ("code", -6),  # SI_TKILL
    "posix_lock_inode": ("ret", -11),  # -EAGAIN
    "itimer_state": ("interval_nsec", 500_000_000),
    "net_dev_queue": ("len", 14 + 20 + 8 + 100),  # Ethernet, IPv4, UDP, data
    "sys_exit_openat": ("ret", -2),  # -ENOENT
}


@pytest.mark.parametrize(("event", "field", "value"), [(event, *known) for event, known in ACTIONS.items()])
def test_it_happened(observation: Observation, event: str, field: str, value: int) -> None:
    """The judge itself is worth something: the record tells what the process did."""
    found = [one.values[f"tp_{event}_{field}"] for one in observation.programs[f"classic_{event}"]]
    assert value & 0xFFFF_FFFF_FFFF_FFFF in found


def test_each_happened(observation: Observation) -> None:
    """There is a record of every event."""
    assert [event for event, found in observation.kernel.items() if not found] == []
