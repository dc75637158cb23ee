"""Limits for what hostile input may take, set by the system: no clock is compared with another one."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

# Of the processor, whatever else runs on it. A quiet machine does each of the texts in a few seconds, and a parser that
# such a text keeps busy is busy for many minutes.
_SECONDS = 60
_BYTES = 700 << 20


@contextmanager
def bounded(seconds: int = _SECONDS) -> Iterator[None]:
    """Fails what takes more processor time or memory than any sound run."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_CPU: int(usage.ru_utime + usage.ru_stime) + seconds,
        resource.RLIMIT_AS: mapped + _BYTES,
    }
    before = {limit: resource.getrlimit(limit) for limit in limits}
    handler = signal.signal(signal.SIGXCPU, _too_long)
    try:
        for limit, most in limits.items():
            resource.setrlimit(limit, (most, before[limit][1]))
        yield
    finally:
        for limit, known in before.items():
            resource.setrlimit(limit, known)
        signal.signal(signal.SIGXCPU, handler)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise AssertionError("not done in the seconds of the processor that it may take")
