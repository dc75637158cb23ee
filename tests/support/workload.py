"""Processes that do exactly what a test wants to see, and whose every move falls between two quiet moments."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from support.live import wait_until

# Waits for a line on stdin twice: the moments in which the process is certainly not on a CPU.
_PLAYER = """
import os, sys
comm, cpu, first, rounds, read_fd, write_fd = sys.argv[1], *map(int, sys.argv[2:])
os.sched_setaffinity(0, {cpu})
with open("/proc/self/comm", "w") as file:
    file.write(comm)
os.write(1, b"ready\\n")
os.read(0, 16)
for _ in range(rounds):
    if first:
        os.write(write_fd, b"x")
    os.read(read_fd, 1)
    if not first:
        os.write(write_fd, b"x")
    os.sched_yield()
os.write(1, b"done\\n")
os.read(0, 16)
"""

_EXEC = """
import os, sys
os.write(1, b"ready\\n")
os.read(0, 16)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Child:
    """A python process that runs `script` and is steered through its stdin."""

    def __init__(self, script: str, arguments: Sequence[str], pass_fds: Sequence[int] = ()) -> None:
        command = (sys.executable, "-I", "-S", "-c", script, *arguments)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=pass_fds)

    @property
    def pid(self) -> int:
        """The kernel's pid of the process, which has one thread."""
        return self._process.pid

    def await_line(self, expected: str) -> None:
        """Waits for the line `expected` and then until the process sleeps in its read of stdin."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        assert line == f"{expected}\n", f"child {self.pid} said {line!r} instead of {expected!r}"
        wait_until(self._reads_stdin, f"child {self.pid} to sleep")

    def go(self) -> None:
        """Lets the process pass its read of stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        """The exit status."""
        return self._process.wait(timeout=600)

    def close(self) -> None:
        """Ends the process if it has not ended by itself."""
        self._process.kill()
        self._process.communicate()

    def _reads_stdin(self) -> bool:
        # The kernel answers this file only after wait_task_inactive(): where it names a system call, the task is off
        # its CPU and the sched_switch of its going has been handed out to everyone. `running` is the other answer.
        # The first argument, 0 here and not 1, tells read(0) from the write(1) before it.
        words = Path(f"/proc/{self.pid}/syscall").read_text().split()
        return len(words) > 1 and words[0] != "-1" and words[1] == "0x0"


class PingPong:
    """Two processes on one CPU that hand a byte back and forth: each round is at least one switch from each of them."""

    def __init__(self, comms: tuple[str, str], rounds: int) -> None:
        # Any CPU will do; the last one is seldom the one that takes the interrupts.
        cpu = max(os.sched_getaffinity(0))
        self._fds = [*os.pipe(), *os.pipe()]
        there_read, there_write, back_read, back_write = self._fds
        ends = ((1, back_read, there_write), (0, there_read, back_write))
        self.children = [
            Child(_PLAYER, [comm, *map(str, (cpu, first, rounds, read, write))], pass_fds=(read, write))
            for comm, (first, read, write) in zip(comms, ends, strict=True)
        ]

    def __enter__(self) -> Self:
        for child in self.children:
            child.await_line("ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in self.children:
            child.close()
        for fd in self._fds:
            os.close(fd)

    @property
    def pids(self) -> tuple[int, int]:
        """The pids, in the order of the comms."""
        first, second = self.children
        return first.pid, second.pid

    def play(self) -> None:
        """Plays all rounds. Both processes sleep before and after: nothing of them is seen outside this call."""
        for child in self.children:
            child.go()
        for child in self.children:
            child.await_line("done")


class Exec:
    """A process that waits and then executes `path`, whose basename need not be that of a real program's."""

    def __init__(self, path: Path) -> None:
        self.child = Child(_EXEC, [str(path)])

    def __enter__(self) -> Self:
        self.child.await_line("ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.child.close()

    def run(self) -> None:
        """Lets the process execute the file, and waits for its end."""
        self.child.go()
        assert self.child.wait() == 0
