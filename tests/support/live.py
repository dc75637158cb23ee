"""The running kernel: whether tests may use it, tracefs, and the kernel's own record of what processes did."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from support import compilers, libbpf

TRACEFS = Path("/sys/kernel/tracing")
VMLINUX_BTF = Path("/sys/kernel/btf/vmlinux")
REQUIRE_LIVE = "TPGEN_REQUIRE_LIVE"
# PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h: only there is a task's pid what getpid() returns.
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"


def live_is_required() -> bool:
    """Whether a live test that cannot run is a failure (continuous integration) rather than a skip."""
    return os.environ.get(REQUIRE_LIVE, "") not in ("", "0")


def no_btf() -> str | None:
    """Why there is no BTF of the running kernel, None where there is."""
    return None if os.access(VMLINUX_BTF, os.R_OK) else f"{VMLINUX_BTF} cannot be read"


@functools.cache
def no_live_kernel() -> str | None:
    """Why tests may not load, attach and trace on this machine, None where they may."""
    if os.geteuid() != 0:
        return "not root"
    if reason := no_btf():
        return reason
    if os.readlink("/proc/self/ns/pid") != _INITIAL_PID_NAMESPACE:
        return "not in the initial pid namespace, where the kernel's pids are ours"
    if shutil.which("bpftool") is None:
        return "bpftool is not installed"
    try:
        return libbpf.bpf_refused()
    except OSError as error:
        return f"libbpf cannot be used: {error}"


@functools.cache
def missing_compilers() -> str | None:
    """Which of the compilers is not there, None when all are."""
    missing = [compiler.missing for compiler in compilers.COMPILERS if compiler.missing]
    if shutil.which("llvm-objdump-14") is None and shutil.which("llvm-objdump") is None:
        missing.append("llvm-objdump is not installed")
    return "; ".join(missing) or None


def wait_until(ready: Callable[[], bool], what: str, timeout_seconds: float = 60) -> None:
    """Returns when `ready()` is true; TimeoutError naming `what` when it does not become true in time."""
    end = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_seconds} s for {what}")
        time.sleep(0.001)


@contextlib.contextmanager
def mounted_tracefs() -> Iterator[Path]:
    """tracefs, mounted for the length of the block if it was not there."""
    if (TRACEFS / "events").is_dir():
        yield TRACEFS
        return
    subprocess.run(("mount", "-t", "tracefs", "tpgen-tests", str(TRACEFS)), check=True)
    try:
        yield TRACEFS
    finally:
        subprocess.run(("umount", str(TRACEFS)), check=True)


class TraceInstance:
    """A private tracefs instance: the kernel's own record of some events in some processes, and of nothing else.

    Events of the machine's other users neither show up in it nor are disturbed by it.
    """

    def __init__(self, tracefs: Path) -> None:
        self.path = tracefs / "instances" / f"tpgen-{os.getpid()}-{secrets.token_hex(4)}"
        self._events: list[str] = []

    def __enter__(self) -> Self:
        self.path.mkdir()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._write("set_event_pid", "")
        # The last reference to a trace file can outlive our close() for a moment.
        wait_until(self._removed, f"{self.path} to go")

    def start(self, events: Iterable[str], pids: Iterable[int]) -> None:
        """Records each `system:event` from now on, where one of `pids` runs or is switched to or from."""
        self._write("set_event_pid", " ".join(str(pid) for pid in pids))
        for event in events:
            self._events.append(event)
            self._write(self._enable(event), "1")

    def stop(self) -> None:
        """Ends the recording; what was recorded stays readable."""
        while self._events:
            self._write(self._enable(self._events.pop()), "0")

    def lines(self) -> tuple[str, ...]:
        """The records as the kernel prints them, oldest first. An error when the kernel lost any."""
        lost = [name for name in sorted(self.path.glob("per_cpu/cpu*/stats")) if _lost(name.read_text())]
        assert not lost, f"the kernel lost trace records: {lost}"
        text = (self.path / "trace").read_text(errors="replace")
        return tuple(line for line in text.splitlines() if not line.startswith("#"))

    def _removed(self) -> bool:
        try:
            self.path.rmdir()
        except OSError:
            return False
        return True

    def _enable(self, event: str) -> str:
        return f"events/{event.replace(':', '/')}/enable"

    def _write(self, name: str, text: str) -> None:
        # O_TRUNC is what empties set_event_pid; write_text() opens with it.
        (self.path / name).write_text(text)


def _lost(stats: str) -> bool:
    """Whether a per_cpu/cpuN/stats file counts records that are gone."""
    counts = dict(line.split(": ", 1) for line in stats.splitlines() if ": " in line)
    return any(int(counts[name]) for name in ("overrun", "commit overrun", "dropped events"))
