"""The system call bpf(2), for what only the running kernel can tell."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache

from tpgen.basics.typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

#: Commands, of enum bpf_cmd.
PROG_LOAD, OBJ_GET_INFO_BY_FD, RAW_TRACEPOINT_OPEN, BTF_GET_FD_BY_ID, BTF_GET_NEXT_ID = 5, 15, 17, 19, 23

# Numbers of bpf(2), by uname's machine; a process of 32 bits has those of the second table.
_NUMBERS = {
    "x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351, "ppc64": 361, "ppc64le": 361,
    "i686": 357, "i586": 357, "armv7l": 386, "armv6l": 386,
}  # fmt: skip
_NUMBERS_32 = {"x86_64": 357, "aarch64": 386}


def bpf(command: int, attributes: bytes | bytearray) -> int | OSError:
    """Make the call with a copy of a `union bpf_attr`, into which `attributes` takes what the kernel writes back.

    Return its result, or the error that it ended with.
    """
    import ctypes

    number = _number()
    if number is None:
        return OSError(errno.ENOSYS, "the number of bpf(2) is not known for this machine")
    buffer = ctypes.create_string_buffer(bytes(attributes), len(attributes))
    result: int = _libc().syscall(number, command, buffer, len(attributes))
    if result < 0:
        error = ctypes.get_errno()
        return OSError(error, os.strerror(error))
    if isinstance(attributes, bytearray):
        attributes[:] = buffer.raw
    return result


def _number() -> int | None:
    """The number of bpf(2) for this process; None where it is not known."""
    machine, narrow = os.uname().machine, sys.maxsize < 1 << 32
    number = _NUMBERS_32.get(machine) if narrow else None
    return _NUMBERS.get(machine) if number is None else number


@cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def u32(value: int) -> bytes:
    """The value as the kernel reads it."""
    return value.to_bytes(4, sys.byteorder)


def u64(value: int) -> bytes:
    """The value as the kernel reads it."""
    return value.to_bytes(8, sys.byteorder)
