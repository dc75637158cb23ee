"""bpftrace: Debian 12's, and that of a later suite, which knows raw tracepoints, of packages that are only unpacked."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

from support.debian import AptRoot, cache_dir

#: That of Debian 12. It has no rawtracepoint.
INSTALLED = ("bpftrace",)
# More probes than bpftrace allows by itself, under the names that its versions have for the limits.
LIMITS = {"BPFTRACE_MAX_PROBES": "5000", "BPFTRACE_MAX_BPF_PROGS": "5000"}


@functools.cache
def unpacked(suite: str = "trixie") -> tuple[str, ...]:
    """The command of a suite's bpftrace, with its own libraries. Its 60 to 90 MB are downloaded once, and kept."""
    apt = AptRoot(suite, cache_dir())
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
