"""examples/libbpf: built as its reader would, and what it tells of a process held against that process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import tpgen
from support.live import wait_until
from support.projects import CHECKOUT

pytestmark = [pytest.mark.live, pytest.mark.build_systems]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("libbpf") / "libbpf"
    shutil.copytree(CHECKOUT / "examples" / "libbpf", here, ignore=shutil.ignore_patterns("build"))
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ("make", f"TPGEN={sys.executable} -m tpgen")
    environment = inherited | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return here


def test_it_tells_of_a_process_from_its_start_to_its_end(project: Path, tracefs: Path, tmp_path: Path) -> None:
    # It waits for a line, becomes another program, and ends.
    started = subprocess.Popen(("sh", "-c", "read line; exec /bin/true"), stdin=subprocess.PIPE)
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        tool = subprocess.Popen((project / "build" / "execs", str(started.pid)), stdout=out, stderr=err)
        try:
            wait_until(lambda: "attached" in (tmp_path / "err").read_text(), "execs to attach its programs")
            started.communicate(b"\n")
            wait_until(lambda: "exit" in (tmp_path / "out").read_text(), "execs to tell of the end")
        finally:
            tool.send_signal(signal.SIGINT)
            assert tool.wait(60) == 0
    assert (tmp_path / "out").read_text().splitlines() == [f"exec {started.pid} /bin/true", f"exit {started.pid} true"]
    assert (tmp_path / "err").read_text() == "attached\n"


def test_the_doctor_finds_it_fine_on_every_kernel(project: Path) -> None:
    done = tpgen("doctor", project / "build" / "execs.bpf.o")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0].endswith("execs.bpf.o: 2 programs at tracepoints: 2 fine")
