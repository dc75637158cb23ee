"""What the tests of the backends for other languages share: an odd kernel, and events of the running one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from support import kinds, odd_kernel
from support.cli import tpgen
from support.kernel_facts import Field, Scalar, TracepointImage, fields, systems
from support.live import VMLINUX_BTF

EVERY_EVENT = "TPGEN_EVERY_EVENT"
#: A process that sends itself a signal, which is number 10, and then executes /bin/true.
SIGNAL_AND_EXEC = """
import os, signal, threading
signal.signal(signal.SIGUSR1, lambda *_: None)
open("/proc/self/comm", "w").write("tpgen-actor")
os.write(1, b"ready\\n")
os.read(0, 16)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
os.execv("/bin/true", ["true"])
"""
Odd = Callable[[str, Path, bool], Path]


def every_event() -> bool:
    """Whether all is tested that there is, and not a little of each kind."""
    return os.environ.get(EVERY_EVENT, "") not in ("", "0")


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Odd:
    """A function that writes what a backend makes of the odd kernel to a path, for either byte order."""
    kernels = {big: odd_kernel.write(tmp_path_factory.mktemp("odd"), big) for big in (False, True)}

    def generate(backend: str, path: Path, big_endian: bool = False) -> Path:
        btf, tracefs = kernels[big_endian]
        arch = "s390x" if big_endian else "x86_64"
        done = tpgen("odd:*", "-b", backend, "--btf", btf, "--tracefs", tracefs, "--arch", arch, "-o", path)
        assert (done.code, done.out, done.err) == (0, "", "")
        return path

    return generate


@dataclass(frozen=True)
class Running:
    """The events of the running kernel that are tested, by what its BTF and its format files say of them."""

    image: TracepointImage
    systems: dict[str, str]
    tracefs: Path

    @cached_property
    def records(self) -> dict[str, tuple[Field, ...]]:
        """The fields of some events with something of each kind, or with TPGEN_EVERY_EVENT=1 of all events."""
        found = {event: self._fields(event) for event in self.systems}
        seen = {e: kinds.classic_kinds(e, self.systems[e], f, self.image) for e, f in found.items()}
        return {event: found[event] for event in self._chosen(seen)}

    def _fields(self, event: str) -> tuple[Field, ...]:
        """What programs are given: of a system call not the texts that 7.2 adds behind its arguments."""
        system = self.systems[event]
        found = fields(self.tracefs, system, event)
        return tuple(field for field in found if not (system == "syscalls" and field.dynamic))

    @cached_property
    def raw(self) -> tuple[str, ...]:
        """The tracepoints, likewise."""
        params = self.image.params
        seen = {event: kinds.raw_kinds(event, params[event], bare=event not in self.systems) for event in params}
        return self._chosen(seen)

    def _chosen(self, seen: dict[str, frozenset[str]]) -> tuple[str, ...]:
        return tuple(seen) if every_event() else kinds.sample(seen)

    def generate(self, backend: str, path: Path, form: str) -> Path:
        """What a backend makes of one form of the tested events."""
        events = [f"{self.systems[e]}:{e}" for e in self.records] if form == "classic" else list(self.raw)
        done = tpgen(*events, f"--{form}", "-b", backend, "-o", path)
        assert (done.code, done.err) == (0, "")
        return path

    def scalar(self, event: str, field: Field) -> Scalar | None:
        """What makes the numbers of a field, an array's included; None for what is not made of numbers."""
        if field.type.startswith(("struct ", "union ")) and "*" not in field.type:
            return None
        if field.array or self.systems[event] == "syscalls":
            return self.image.scalar_named(field.type)
        return Scalar(field.size, field.signed, field.type == "bool")

    def numbers(self, event: str, field: Field, record: bytes) -> tuple[int, ...]:
        """The numbers of a field that is not dynamic; the bytes of one that has none."""
        scalar = self.scalar(event, field) or Scalar(1)
        size = field.size if field.array or self.scalar(event, field) is None else scalar.size
        data = record[field.offset : field.offset + size]
        parts = (data[at : at + scalar.size] for at in range(0, size, scalar.size))
        found = (int.from_bytes(part, "little", signed=scalar.signed) for part in parts)
        return tuple(int(number != 0) if scalar.is_bool else number for number in found)


@pytest.fixture(scope="session")
def running(tracefs: Path) -> Running:
    """The running kernel."""
    return Running(TracepointImage(VMLINUX_BTF), systems(tracefs), tracefs)


def pattern_record(size: int, seed: int) -> bytes:
    """Bytes with negative numbers of each width among them; those of a locator say that nothing is there."""
    return bytes((0x81 + 37 * at + 101 * seed) & 0xFF for at in range(size))
