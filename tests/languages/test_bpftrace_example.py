"""examples/bpftrace: the scripts tell what a process does, and the check what a kernel lacks.

docs/neighbours/bpftrace.md has the check of block_bio_queue as an example.
Debian 12's bpftrace 0.17 knows no raw tracepoints. `tox -e live` takes that of Debian 13 as well.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import bpftrace
from support.projects import CHECKOUT
from support.tracers import COMM, killed, lines_until, signalling

from languages.conftest import every_event

pytestmark = [pytest.mark.languages, pytest.mark.live]

EXAMPLE = CHECKOUT / "examples" / "bpftrace"
SCRIPTS = [("installed", "signals.bt")]
if every_event():
    SCRIPTS += [("unpacked", "signals.bt"), ("unpacked", "signals-raw.bt")]


@pytest.mark.parametrize(("version", "script"), SCRIPTS)
def test_script_tells_who_signals_whom(version: str, script: str) -> None:
    command = bpftrace.INSTALLED if version == "installed" else bpftrace.unpacked()
    # The process goes on: bpftrace prints what BEGIN says before its other probes are attached.
    with signalling() as pid:
        started_by = rf"{re.escape(comm_of(os.getpid()))} +" if script == "signals-raw.bt" else ""
        line = rf"{COMM} +{pid} +10 +{COMM} +{pid} +{started_by}0$"
        tracing = (*command, "-B", "line", str(EXAMPLE / script), str(pid))
        with killed(tracing, stdout=subprocess.PIPE) as tracer:
            lines_until(tracer, [r"FROM +PID +SIG +TO +PID ", line])


def comm_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")


def check(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The example's check of a script that Debian 13's bpftrace compiles."""
    programs = {"BPFTRACE": shlex.join(bpftrace.unpacked()), "TPGEN": f"{sys.executable} -m tpgen"}
    environment = os.environ | programs | {"PYTHONPATH": str(CHECKOUT)}
    command = (EXAMPLE / "check", script, *options)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


class TestCheck:
    __test__ = every_event()  # Debian 13's bpftrace is for those runs alone

    def test_script_of_the_example_is_fine_on_every_kernel(self) -> None:
        done = check(EXAMPLE / "signals-raw.bt")
        assert done.returncode == 0, done.stderr
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith("debian-")]
        assert len(rows) > 10
        assert {tuple(rest) for _, *rest in rows} == {("1", "fine")}

    def test_argument_that_newer_kernels_lack(self, tmp_path: Path) -> None:
        """Since Linux 5.11 (309a62fa3a9e) block_bio_queue is given the bio alone."""
        script = tmp_path / "bytes.bt"
        script.write_text("rawtracepoint:block_bio_queue { @[comm] = sum(((struct bio *)arg1)->bi_iter.bi_size); }\n")
        assert check(script, "--kernel", "5.10").returncode == 0
        done = check(script, "--kernel", "5.10", "--kernel", "7.2")
        assert done.returncode == 1
        assert "reads ctx[1], and block_bio_queue has 1 argument (EINVAL) [no-argument]" in done.stdout
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith("debian-")]
        assert rows == [["debian-5.10-amd64", "1", "fine"], ["debian-7.2-amd64", "1", "refused-attach"]]

    def test_another_argument_in_its_place_is_not_seen(self, tmp_path: Path) -> None:
        """The page sends readers to `tpgen show` for that: up to Linux 5.10 arg0 is the queue."""
        script = tmp_path / "bytes.bt"
        script.write_text("rawtracepoint:block_bio_queue { @[comm] = sum(((struct bio *)arg0)->bi_iter.bi_size); }\n")
        assert check(script, "--kernel", "5.10", "--kernel", "7.2").returncode == 0

    def test_several_probes_of_one_tracepoint_are_judged_each(self, tmp_path: Path) -> None:
        script = tmp_path / "several.bt"
        script.write_text(
            'rawtracepoint:signal_generate { printf("%d", arg0); }\n'
            'rawtracepoint:signal_generate, rawtracepoint:signal_deliver { printf("%d", arg4); }\n'
        )
        done = check(script, "--kernel", "6.12", "--json")
        assert done.returncode == 1, done.stderr
        # signal_deliver has three arguments: int sig, struct kernel_siginfo *info, struct k_sigaction *ka.
        assert done.stdout.count('"verdict": "fine"') == 2
        assert done.stdout.count('"verdict": "refused-attach"') == 1

    def test_script_without_raw_tracepoints_has_nothing_to_check(self) -> None:
        done = check(EXAMPLE / "signals.bt")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.endswith(f"check: no rawtracepoint probe in {EXAMPLE / 'signals.bt'}\n")
