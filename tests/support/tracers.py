"""Programs that trace until they are killed, and a process that gives them something to tell."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

COMM = "tpgen-actor"
_SIGNALLING = f"""
import os, signal, time
signal.signal(signal.SIGUSR1, lambda *_: None)
open("/proc/self/comm", "w").write("{COMM}")
os.write(1, b"ready\\n")
while True:
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.05)
"""


@contextmanager
def signalling() -> Iterator[int]:
    """A process of the name COMM that sends itself SIGUSR1, which is number 10, again and again: its pid."""
    with killed((sys.executable, "-I", "-S", "-c", _SIGNALLING), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid


@contextmanager
def killed(command: Sequence[str], cwd: Path | None = None, **pipes: int | IO[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block.

    SIGINT, after which bpftrace would say goodbye, is lost on 0.17 unless it comes while that waits for an event.
    """
    with subprocess.Popen(command, cwd=cwd, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[str], wanted: Iterable[str]) -> None:
    """Reads what a process prints until each of the patterns has matched a line, in any order."""
    missing, seen = list(wanted), []
    late = threading.Timer(600, process.kill)  # of a machine that is busy bpftrace may take a minute to start
    late.start()
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        missing = [pattern for pattern in missing if not re.match(pattern, line)]
        if not missing:
            break
    late.cancel()
    assert missing == [], "".join(seen)
