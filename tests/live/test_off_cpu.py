"""The example examples/off-cpu on the running kernel, beside a process that knows for how long it waited."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from support import off_cpu

pytestmark = [pytest.mark.live, pytest.mark.build_systems]


# In one of so many the kernel tells of every switch.
_RUNS = 5


@pytest.fixture(scope="module", params=off_cpu.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def loader(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return off_cpu.make(tmp_path_factory.mktemp("built"), kind)


def test_waits_are_those_of_the_sleepers_own_clock(kind: str, loader: Path, report: list[str], tmp_path: Path) -> None:
    command = str(off_cpu.driver(tmp_path))
    for _ in range(_RUNS):
        done = subprocess.run(command, input=f"profile {loader}\n", capture_output=True, text=True, check=True)
        *lines, end = done.stdout.splitlines()
        assert end == "done 0", done.stdout
        told = [line.removeprefix("| ") for line in lines]
        verdict = off_cpu.judged(told)
        assert verdict.wrong == []
        assert any("do_nanosleep_[k]" in line for line in told)
        if not verdict.missing:
            break
    assert verdict.missing == [], f"in each of {_RUNS} runs"
    report.append(f"off-cpu {kind}: {verdict.threads} threads and states, at most {verdict.worst:.2%} off")


def test_folded_stacks(loader: Path) -> None:
    with subprocess.Popen(["bash", "-c", "while sleep 0.05; do :; done"]) as sleeper:
        began = time.monotonic()
        try:
            command = (str(loader), "-f", "-p", str(sleeper.pid), "-d", "1")
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        finally:
            sleeper.kill()
        took = time.monotonic() - began
    lines = done.stdout.splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"(bash|sleep)(;[^; ]+)+ \d+", line)] == []
    assert any("do_nanosleep_[k]" in line for line in lines)
    # One sleep that ended at the least, and no more than both waiting all the time that there was.
    assert 50_000 <= sum(int(line.rpartition(" ")[2]) for line in lines) <= 2_000_000 * took


def test_what_is_no_number_is_refused(loader: Path) -> None:
    for options, code in ((("-p", "x"), 1), (("-d", "-1"), 1), (("-z",), 2), (("12",), 2)):
        done = subprocess.run((str(loader), *options), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("offcpu: " if code == 1 else ("usage: ", str(loader)))
