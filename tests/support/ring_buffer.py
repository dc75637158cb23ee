"""The records of a trace buffer as bytes, as the kernel wrote them: per_cpu/cpuN/trace_pipe_raw.

The layout of a page is that of events/header_page and events/header_event (kernel/trace/ring_buffer.c).
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_HEADER_BYTES = 16
# Of the word behind the page's time stamp. Above it are flags for records that are gone.
_COMMIT_MASK = 0xF_FFFF
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31


def records(instance: Path, cpu: int) -> Iterator[bytes]:
    """Every record of one CPU, oldest first, and takes them out of the buffer."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    fd = os.open(instance / f"per_cpu/cpu{cpu}/trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while page := _read(fd, page_bytes):
            yield from page_records(page)
    finally:
        os.close(fd)


def _read(fd: int, size: int) -> bytes:
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return b""


def page_records(page: bytes, byte_order: str = sys.byteorder) -> Iterator[bytes]:
    """Every record of a page of a machine with 64 bits."""
    order = "<" if byte_order == "little" else ">"
    (commit,) = struct.unpack_from(f"{order}Q", page, 8)
    at, end = _HEADER_BYTES, _HEADER_BYTES + (commit & _COMMIT_MASK)
    while at < end:
        word, array = struct.unpack_from(f"{order}2I", page, at)
        # The first bit-field of the word: 5 bits, at whichever end the machine begins.
        kind = word & 31 if byte_order == "little" else word >> 27
        if kind in (_TIME_EXTEND, _TIME_STAMP):
            at += 8
        elif kind == _PADDING:
            at += 4 + array
        elif kind == 0:
            yield page[at + 8 : at + 4 + array]
            at += 4 + array
        else:
            yield page[at + 4 : at + 4 + 4 * kind]
            at += 4 + 4 * kind
