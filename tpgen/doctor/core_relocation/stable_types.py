"""Types of contexts that are the same on every kernel but for the size of its records' header.

`struct bpf_raw_tracepoint_args` is of the UAPI. `struct syscall_trace_enter` and `struct syscall_trace_exit` of
kernel/trace/trace.h are as they were in 5.10, 6.1, 6.12, 6.18 and 7.2.
"""

from __future__ import annotations

from tpgen.model import Array, CType, Field, Int, Record
from tpgen.target import Target

_NAMES = ("bpf_raw_tracepoint_args", "syscall_trace_enter", "syscall_trace_exit")


def is_stable(name: str) -> bool:
    """Whether it is the name of one of these structs."""
    return name in _NAMES


def stable_record(name: str, header_bytes: int, target: Target) -> Record:
    """The struct of that name on a kernel whose records begin with a header of so many bytes."""
    word = target.pointer_size
    if name == "bpf_raw_tracepoint_args":
        return Record(0, 0, (_field("args", Array(Int("unsigned long long", 8, False), 0), 0, 0),))
    at = _aligned(header_bytes, 4)
    number, last = _field("nr", Int("int", 4, True), at, 4), _aligned(at + 4, word)
    if name == "syscall_trace_enter":
        return Record(
            header_bytes, last, (number, _field("args", Array(Int("unsigned long", word, False), 0), last, 0))
        )
    return Record(header_bytes, last + word, (number, _field("ret", Int("long", word, True), last, word)))


def _field(name: str, ctype: CType, at: int, size: int) -> Field:
    return Field(name, ctype, at, size, None)


def _aligned(offset: int, to: int) -> int:
    return -(-offset // to) * to
