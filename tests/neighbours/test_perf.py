"""docs/neighbours/perf.md: what it says of Debian's perf. Its own commands are run as those of every page are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen

pytestmark = [pytest.mark.live, pytest.mark.neighbours, pytest.mark.usefixtures("tracefs")]


def perf(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(("perf", *arguments), cwd=folder, capture_output=True, text=True, check=False)


def test_it_does_not_know_every_function_of_a_print_fmt(tmp_path: Path) -> None:
    """The decoders need none."""
    event = "ipi:ipi_send_cpumask"
    assert perf(tmp_path, "record", "-q", "-o", "a.data", "-e", event, "true").returncode == 0
    assert f"[{event}] function __get_cpumask not defined" in perf(tmp_path, "script", "-i", "a.data").stderr
    done = tpgen(event, "--classic", "-b", "python")
    assert (done.code, done.err) == (0, "")
    assert "class tp_ipi_send_cpumask(" in done.out


@pytest.mark.parametrize(
    "option", [("-e", "signal:signal_made"), ("-e", "signal:signal_generate", "--filter", "signo == 1")]
)
def test_name_that_this_kernel_lacks_fails_on_it(option: tuple[str, ...], tmp_path: Path) -> None:
    assert perf(tmp_path, "record", "-q", "-o", "a.data", *option, "true").returncode != 0


def test_what_it_recorded_is_read_without_tracefs(tmp_path: Path) -> None:
    """As on another machine: where the kernel's tracefs was there is nothing."""
    recorded = ("record", "-q", "-o", "a.data", "-e", "sched:sched_process_exit", "true")
    assert perf(tmp_path, *recorded).returncode == 0
    hidden = "mount -t tmpfs none /sys/kernel/tracing && exec perf script -i a.data -F comm,event,trace"
    command = ("unshare", "--mount", "sh", "-c", hidden)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "true sched:sched_process_exit: comm=true pid=" in done.stdout
