"""The number of bpf(2) on each machine, as the kernel's own headers have it, of which ziglang brings a copy."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tpgen.sources import bpf_call
from tpgen.sources.bpf_call import bpf

# By uname's machine: the folder below zig's headers, and the file of a process of as many bits as the machine has.
UNISTD = {
    "x86_64": "x86-linux-any/asm/unistd_64.h",
    "aarch64": "aarch64-linux-any/asm/unistd_64.h",
    "riscv64": "riscv-linux-any/asm/unistd_64.h",
    "loongarch64": "loongarch-linux-any/asm/unistd_64.h",
    "s390x": "s390x-linux-any/asm/unistd_64.h",
    "ppc64": "powerpc-linux-any/asm/unistd_64.h",
    "ppc64le": "powerpc-linux-any/asm/unistd_64.h",
    "i686": "x86-linux-any/asm/unistd_32.h",
    "i586": "x86-linux-any/asm/unistd_32.h",
    "armv7l": "arm-linux-any/asm/unistd-eabi.h",
    "armv6l": "arm-linux-any/asm/unistd-eabi.h",
}
# Of a process of 32 bits on a machine of 64.
NARROW = {"x86_64": "x86-linux-any/asm/unistd_32.h", "aarch64": "arm-linux-any/asm/unistd-eabi.h"}


def number_in(header: str) -> int:
    """What `header` defines __NR_bpf as: a number, or one above __NR_SYSCALL_BASE, which is 0 in the EABI of Arm."""
    found = importlib.util.find_spec("ziglang")
    if found is None or not found.submodule_search_locations:
        pytest.skip("ziglang is not installed")
    text = Path(found.submodule_search_locations[0], "lib/libc/include", header).read_text()
    (number,) = re.findall(r"^#define\s+__NR_bpf\s+\(?(?:__NR_SYSCALL_BASE\s*\+\s*)?(\d+)\)?$", text, re.MULTILINE)
    return int(number)


class Libc:
    """A C library that takes down the calls and answers 7."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, bytes, int]] = []

    def syscall(self, number: int, command: int, attributes: ctypes.Array[ctypes.c_char], size: int) -> int:
        self.calls.append((number, command, attributes.raw, size))
        return 7


def asked(machine: str, monkeypatch: pytest.MonkeyPatch, bits: int) -> Libc:
    libc = Libc()
    monkeypatch.setattr(bpf_call, "_libc", lambda: libc)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine))
    monkeypatch.setattr(sys, "maxsize", (1 << bits - 1) - 1)
    return libc


@pytest.mark.parametrize("machine", UNISTD)
def test_number(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = number_in(UNISTD[machine])
    libc = asked(machine, monkeypatch, 32 if UNISTD[machine].endswith(("_32.h", "eabi.h")) else 64)
    assert bpf(5, b"attributes") == 7
    assert libc.calls == [(expected, 5, b"attributes", 10)]


@pytest.mark.parametrize("machine", NARROW)
def test_number_of_a_narrow_process(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = number_in(NARROW[machine])
    libc = asked(machine, monkeypatch, 32)
    bpf(5, b"")
    assert libc.calls[0][0] == expected


def test_machine_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = asked("m68k", monkeypatch, 32)
    error = bpf(5, b"")
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSYS
    assert libc.calls == []
