"""bpftrace: Debian 12's, and that of Debian 13, which knows raw tracepoints, out of packages that are only unpacked."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.debian import AptRoot, cache_dir

#: That of Debian 12. It has no rawtracepoint.
INSTALLED = ("bpftrace",)
_SUITE = "trixie"
# More probes than bpftrace allows by itself, under the names that its versions have for the limits.
LIMITS = {"BPFTRACE_MAX_PROBES": "5000", "BPFTRACE_MAX_BPF_PROGS": "5000"}


@functools.cache
def unpacked() -> tuple[str, ...]:
    """The command of Debian 13's bpftrace, with its own libraries. Its 60 MB are downloaded once, and kept."""
    apt = AptRoot(_SUITE, cache_dir())
    folder = cache_dir() / f"bpftrace-{apt.version('bpftrace')}"
    if not folder.exists():
        scratch = folder.with_name(f"{folder.name}.{os.getpid()}")
        scratch.mkdir(parents=True)
        for package in apt.download_with_dependencies("bpftrace"):
            subprocess.run(("dpkg-deb", "-x", str(package), str(scratch)), check=True)
        scratch.rename(folder)
    libraries = folder / "usr/lib/x86_64-linux-gnu"
    loader = next(libraries.glob("ld-linux-*.so.*"))
    return str(loader), "--library-path", f"{libraries}", str(folder / "usr/bin/bpftrace")


def refusals(command: tuple[str, ...], script: Path) -> list[str]:
    """What bpftrace has against a script, which it compiles but neither loads nor attaches."""
    whole = (*command, "--emit-elf", str(script.with_suffix(".o")), str(script))
    done = subprocess.run(whole, capture_output=True, text=True, env=os.environ | LIMITS, check=False)
    said = [line for line in done.stderr.splitlines() if "RLIMIT_MEMLOCK" not in line and "ERROR" in line]
    return said if said or done.returncode == 0 else [f"exit {done.returncode}: {done.stderr[-500:]}"]


@contextmanager
def killed(command: Sequence[str], **pipes: int) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block.

    SIGINT, after which bpftrace would say goodbye, is lost on 0.17 unless it comes while that waits for an event.
    """
    with subprocess.Popen(command, text=True, **pipes) as process:
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
