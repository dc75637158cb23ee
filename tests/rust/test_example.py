"""examples/rust: built as its reader would, loaded by aya, and what it tells of a process held against that process.

docs/neighbours/aya.md shows what `tpgen doctor` says of it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from languages.conftest import SIGNAL_AND_EXEC
from support import aya
from support.cli import tpgen
from support.live import wait_until
from support.projects import CHECKOUT
from support.workload import Child

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("tracefs")]

PROGRAMS = "ebpf/target/bpfel-unknown-none/release/trail"


@pytest.fixture(scope="session")
def project(rust: aya.Rust, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("rust") / "rust"
    ignored = shutil.ignore_patterns("target", "Cargo.lock", "tracepoints.rs", ".tpgen.manifest")
    shutil.copytree(CHECKOUT / "examples" / "rust", here, ignore=ignored)
    make(here, rust)
    return here


def make(here: Path, rust: aya.Rust) -> None:
    command = ("make", f"TPGEN={sys.executable} -m tpgen", f"EBPF_CARGO={rust.programs}")
    environment = {**rust.environment, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr


def test_it_tells_what_a_process_does(project: Path, tmp_path: Path) -> None:
    child = Child(SIGNAL_AND_EXEC, [])
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        tool = subprocess.Popen((project / "target/release/trail", str(child.pid)), stdout=out, stderr=err)
        try:
            child.await_line("ready")
            wait_until(lambda: "attached" in (tmp_path / "err").read_text(), "trail to attach its programs")
            child.go()
            assert child.wait() == 0
            wait_until(lambda: "exec" in (tmp_path / "out").read_text(), "trail to tell of the program")
        finally:
            tool.send_signal(signal.SIGINT)
            tool.wait(60)
            child.close()
    told = (tmp_path / "out").read_text().splitlines()
    assert told[:2] == [f"signal {child.pid} {signal.SIGUSR1:d}", f"exec {child.pid} /bin/true"]
    assert set(told[2:]) <= {f"signal {child.pid} {signal.SIGCHLD:d}"}
    assert (tmp_path / "err").read_text() == "attached\n"


def test_doctor_knows_the_kernels_that_it_is_right_on(project: Path) -> None:
    """The records of Debian's rt kernel 6.1 lie 4 bytes further."""
    done = tpgen("doctor", project / PROGRAMS)
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[0].endswith("trail: 2 programs at tracepoints: 1 wrong, 1 fine")
    assert "wrong: reads 4 bytes at 8, where sched:sched_process_exec has no field [hole]" in done.out
    verdicts = dict(line.split(maxsplit=1) for line in done.out.splitlines() if line.startswith(("debian-", "live ")))
    assert verdicts.pop("debian-6.1-rt-amd64") == "1 wrong, 1 fine"
    assert len(verdicts) >= 16
    assert set(verdicts.values()) == {"2 fine"}


def test_programs_are_compiled_again_for_another_kernel(project: Path, rust: aya.Rust, tmp_path: Path) -> None:
    here = tmp_path / "rust"
    shutil.copytree(project, here, ignore=shutil.ignore_patterns("tracepoints.rs", ".tpgen.manifest"))
    before = (here / PROGRAMS).read_bytes()
    make(here, rust)
    assert (here / PROGRAMS).read_bytes() == before, "nothing changed"

    toml = here / "tpgen.toml"
    toml.write_text(toml.read_text().replace("[[generate]]", '[[generate]]\nkernel = "debian-6.1-rt-amd64"'))
    make(here, rust)
    done = tpgen("doctor", "--kernel", "debian-6.1-rt-amd64", here / PROGRAMS)
    assert (done.code, done.out.splitlines()[0].partition(": ")[2]) == (0, "2 programs at tracepoints: 2 fine")
