"""Debian's perf and bcc, and kernel headers that bcc can compile with."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

#: The interpreter that python3-bpfcc is for.
PYTHON = "/usr/bin/python3"
_SOURCES = Path("/usr/src")


@functools.cache
def missing_neighbours() -> str | None:
    """Which of the tools that the tests of docs/neighbours use is not there, None where all are."""
    for tool, package in (("perf", "linux-perf"), ("compactsnoop-bpfcc", "bpfcc-tools")):
        if shutil.which(tool) is None:
            return f"{package} is not installed"
    found = subprocess.run((PYTHON, "-c", "import bcc"), capture_output=True, check=False)
    if found.returncode:
        return "python3-bpfcc is not installed"
    return None if _headers() else "no linux-headers of Debian are installed"


def _headers() -> Path | None:
    found = sorted(_SOURCES.glob("linux-headers-*-amd64"))
    return found[-1] if found else None


def bcc_environment(folder: Path) -> dict[str, str]:
    """The environment in which bcc compiles with Debian's kernel headers, whatever kernel runs.

    Debian's packages divide them in two, which bcc looks for below /lib/modules of the running kernel alone: `folder`
    becomes a tree of links to both.
    """
    headers = _headers()
    assert headers is not None
    common = headers.with_name(headers.name.replace("-amd64", "-common"))
    for part in (common, headers):
        subprocess.run(("cp", "-rs", "--force", f"{part}/.", str(folder)), check=True)
    return {**os.environ, "BCC_KERNEL_SOURCE": str(folder)}
