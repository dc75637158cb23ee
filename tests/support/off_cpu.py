"""The profiler of examples/off-cpu, built by its Makefile, and what it reports held against a sleeper's own clock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from support.projects import CHECKOUT
from support.shipped import AMD64_OPTIONS

EXAMPLE = CHECKOUT / "examples" / "off-cpu"
KINDS = ("btf", "raw")
SHIPPED = " ".join(AMD64_OPTIONS)

_DRIVER = CHECKOUT / "tests" / "vm" / "offcpu.c"
_MOST_OFF = 0.02
# A fault or a lock can make a thread wait besides, shortly.
_MORE_WAITS, _SHORT_NS = 2, 5_000_000
_WAITED = re.compile(r"waited (\d+) (\d+) ([SD]) (\d+) (.*)")
_REPORTED = re.compile(r"report +(\d+)\.(\d{3}) ms +(\d+) ([SD]) +(\d+) +(\d+) (.*)")

#: A thread, its state and its name, with how often and how long it waited.
Waits: TypeAlias = Mapping[tuple[int, str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, and what the kernel did not tell; the threads, and how far the sums are from the clock at most.

    A busy machine's kernel now and then does not tell of a switch, nor does its own record of sched_switch. So a wait
    can be missing, which the number of waits shows; what is there is right all the same.
    """

    wrong: list[str]
    missing: list[str]
    threads: int
    worst: float


def make(folder: Path, kind: str, *options: str) -> Path:
    """The loader, built in a copy of the example; `options` are variables of its Makefile."""
    here = folder / f"off-cpu-{kind}"
    shutil.copytree(EXAMPLE, here, ignore=shutil.ignore_patterns("build*"))
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    environment = inherited | {"PYTHONPATH": str(CHECKOUT)}
    command = ("make", f"KIND={kind}", f"TPGEN={sys.executable} -m tpgen", *options)
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return here / "build" / "offcpu"


def driver(folder: Path) -> Path:
    """tests/vm/offcpu.c as a static program."""
    output = folder / "driver"
    warnings = ("-Wall", "-Wextra", "-Werror")
    subprocess.run(("gcc", "-std=gnu11", "-O1", *warnings, "-static", str(_DRIVER), "-o", str(output)), check=True)
    return output


def judged(told: Iterable[str]) -> Verdict:
    """Compare what the loader reported with what the threads waited: by their own clocks, less what they ran."""
    lines = list(told)
    waited = {(int(pid), state, comm): (int(count), int(ns)) for pid, count, state, ns, comm in _found(_WAITED, lines)}
    reported = _reported(lines)
    wrong, missing, worst = [], [], 0.0
    if not waited:
        wrong.append(f"nobody waited: {lines}")
    for thread, (count, ns) in waited.items():
        count_seen, ns_seen = reported.get(thread, (0, 0))
        text = f"{thread}: {count_seen} waits of {ns_seen} ns, by its own clock {count} of {ns} ns"
        if count_seen < count and ns_seen < ns:
            missing.append(text)
        elif abs(ns_seen - ns) > _MOST_OFF * ns or count_seen > count + _MORE_WAITS:
            wrong.append(text)
        worst = max(worst, abs(ns_seen - ns) / ns)
    others = {thread: waits for thread, waits in reported.items() if thread not in waited and waits[1] > _SHORT_NS}
    wrong += [f"{thread} waited {ns} ns, but none of those did" for thread, (_, ns) in others.items()]
    return Verdict(wrong, missing, len(waited), worst)


def _reported(lines: Iterable[str]) -> Waits:
    """The rows of the report, those of all stacks together."""
    sums: dict[tuple[int, str, str], tuple[int, int]] = {}
    for milliseconds, thousandths, count, state, _, pid, comm in _found(_REPORTED, lines):
        key = (int(pid), state, comm)
        before, ns = sums.get(key, (0, 0))
        sums[key] = (before + int(count), ns + int(milliseconds + thousandths) * 1000)
    return sums


def _found(pattern: re.Pattern[str], lines: Iterable[str]) -> Iterable[tuple[str, ...]]:
    return (match.groups() for match in map(pattern.fullmatch, lines) if match)
