"""The newest bpftrace, of Debian's unstable suite: the raw arguments have names, and scripts with numbers work on.

It looks for raw tracepoints among the functions that can be traced, of which a kernel without the function tracer has
no list: it is given one.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import bpftrace
from support.projects import CHECKOUT
from support.tracers import COMM, killed, lines_until, signalling

pytestmark = [pytest.mark.live, pytest.mark.neighbours, pytest.mark.usefixtures("tracefs")]

EXAMPLE = CHECKOUT / "examples" / "bpftrace"


@pytest.fixture
def newest(tmp_path: Path) -> tuple[str, ...]:
    functions = tmp_path / "functions"
    functions.write_text("__probestub_signal_generate\n")
    return *bpftrace.unpacked("sid"), "--traceable-functions", str(functions)


def test_arguments_have_names(newest: tuple[str, ...]) -> None:
    listed = subprocess.run(
        (*newest, "-lv", "rawtracepoint:vmlinux:signal_generate"), capture_output=True, text=True, check=True
    )
    assert [line.strip() for line in listed.stdout.splitlines()][-5:] == [
        "int sig", "struct kernel_siginfo * info", "struct task_struct * task", "int group", "int result",
    ]  # fmt: skip
    script = 'rawtracepoint:signal_generate { printf("%d %d %d\\n", pid, args.sig, args.result); }'
    with signalling() as pid, killed((*newest, "-B", "line", "-e", script), stdout=subprocess.PIPE) as tracer:
        lines_until(tracer, [f"{pid} 10 0$"])


@pytest.mark.parametrize("script", ["signals.bt", "signals-raw.bt"])
def test_scripts_of_the_example(script: str, newest: tuple[str, ...]) -> None:
    with (
        signalling() as pid,
        killed((*newest, "-B", "line", str(EXAMPLE / script), str(pid)), stdout=subprocess.PIPE) as tracer,
    ):
        started_by = Path(f"/proc/{os.getpid()}/comm").read_text().strip() + " +" if script == "signals-raw.bt" else ""
        lines_until(tracer, [f"{COMM} +{pid} +10 +{COMM} +{pid} +{started_by}0$"])


def test_check_of_the_example(newest: tuple[str, ...]) -> None:
    """It puts the module's name before that of the tracepoint: vmlinux."""
    programs = {"BPFTRACE": shlex.join(newest), "TPGEN": f"{sys.executable} -m tpgen", "PYTHONPATH": str(CHECKOUT)}
    command = (EXAMPLE / "check", EXAMPLE / "signals-raw.bt", "--kernel", "5.10", "--kernel", "7.2")
    done = subprocess.run(command, env=os.environ | programs, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("signal_generate.2.bpf.o: 1 program at tracepoints: 1 fine;")
