"""What tests/vm/values.c must have seen of each act of tests/vm/guest.c, from what the acting process knows itself."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Facts: TypeAlias = Mapping[str, str]

#: struct seen of values.c, in bytes.
SEEN_BYTES = 8 + 6 * (8 + 8 * 8 + 2 * 64)
# What errno and the flags of a task's state are called in C.
_EBADF, _EAGAIN, _TASK_INTERRUPTIBLE = 9, 11, 1
# DEFAULT_PRIO, and MAX_RT_PRIO - 1 less the priority that the actor takes.
_FAIR_PRIO, _ACTOR_PRIO = 120, 99 - 10


@dataclass(frozen=True, slots=True)
class Record:
    """struct record of values.c: how often a program ran for the actor, and what it read. `None` is not expected."""

    runs: int | None
    numbers: tuple[int | None, ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """Something that guest.c does: where the programs that watch it are attached, and the record of each."""

    sections: tuple[str, ...]
    expected: Callable[[Facts], tuple[Record, ...]]


def records(digits: str, big_endian: bool) -> tuple[Record, ...]:
    """The map's value, from hexadecimal digits."""
    order = ">" if big_endian else "<"
    found = []
    for runs, *numbers, first, second in struct.iter_unpack(f"{order}q8q64s64s", bytes.fromhex(digits)[8:]):
        texts = (text.partition(b"\0")[0].decode(errors="replace") for text in (first, second))
        found.append(Record(runs, tuple(numbers), tuple(texts)))
    return tuple(found)


def comparisons(seen: Record, expected: Record) -> list[tuple[object, object]]:
    """Everything that is expected of a program beside what it read."""
    pairs = [(seen.runs, expected.runs), *zip(seen.numbers, expected.numbers, strict=False)]
    return [pair for pair in (*pairs, *zip(seen.texts, expected.texts, strict=False)) if pair[1] is not None]


def _lock(facts: Facts) -> tuple[Record, ...]:
    assert (facts["refused"], facts["errno"]) == ("-1", str(_EAGAIN))
    raw = Record(1, (-_EAGAIN, *(int(facts[name]) for name in ("inode", "start", "end"))))
    return raw, raw, Record(1, (*raw.numbers, int(facts["type"])))


def _close(facts: Facts) -> tuple[Record, ...]:
    assert (facts["result"], facts["errno"]) == ("-1", str(_EBADF))
    bpf, close = int(facts["bpf"]), int(facts["close"])
    raw = Record(2, (1, 0, 1, -_EBADF))
    descriptor = int(facts["descriptor"]) & 0xFFFFFFFF
    # syscall_get_return_value() of powerpc is the register, in which an error has no sign.
    returned = _EBADF if "unsigned_errors" in facts else -_EBADF
    classic = Record(2, (bpf, 0, close, -_EBADF)), Record(1, (close, returned)), Record(1, (close, descriptor))
    return raw, raw, *classic, Record(1, (descriptor,))


def _switch(facts: Facts) -> tuple[Record, ...]:
    pids, comms = (int(facts["pid"]), int(facts["partner"])), ("the-actor", "the-partner")
    # Where spinlocks sleep, the actor may wait for one that its partner has (TASK_RTLOCK_WAIT) before it reads.
    state = None if "realtime" in facts else _TASK_INTERRUPTIBLE
    raw = Record(None, (*pids, 0, state if "prev_state" in facts else None), comms)
    return raw, raw, Record(None, (*pids, None, state, _ACTOR_PRIO, _FAIR_PRIO), comms)


def _exec(facts: Facts) -> tuple[Record, ...]:
    pid, path = int(facts["pid"]), facts["path"]
    raw = Record(1, (pid, pid), (path,))
    return raw, raw, Record(1, (pid, pid, len(path) + 1), (path,))


def _sections(system: str, event: str, *more: str) -> tuple[str, ...]:
    return f"raw_tp/{event}", f"tp_btf/{event}", f"tp/{system}/{event}", *more


ACTS: Mapping[str, Act] = {
    "lock": Act(_sections("filelock", "posix_lock_inode"), _lock),
    "close": Act(
        _sections(
            "raw_syscalls",
            "sys_exit",
            "tp/syscalls/sys_exit_close",
            "tp/syscalls/sys_enter_close",
            "raw_tp/sys_enter",
        ),
        _close,
    ),
    "switch": Act(_sections("sched", "sched_switch"), _switch),
    "exec": Act(_sections("sched", "sched_process_exec"), _exec),
}
