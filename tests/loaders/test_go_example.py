"""examples/go/README.md with the newest cilium/ebpf: what the tool prints of a process, held against that process.

All commands of the page run but `go mod tidy`, for which a workspace stands: no module proxy is asked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.go_project import GoProject
from support.live import wait_until

pytestmark = [pytest.mark.live, pytest.mark.languages, pytest.mark.usefixtures("tracefs")]

# SIGUSR1 stays pending, of SIGUSR2 the kernel delivers none.
_RECEIVER = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
os.write(1, b"ready\\n")
os.read(0, 1)
os.execv("/bin/true", ["true"])
"""


@pytest.fixture(scope="module")
def project(unstable: Path, newest_go: Path, tmp_path_factory: pytest.TempPathFactory) -> GoProject:
    sources = unstable / "usr/share/gocode/src"
    made = GoProject(tmp_path_factory.mktemp("go"), newest_go, sources, modules=True)
    made.build()
    return made


def _watched(project: GoProject, child: subprocess.Popen[bytes], folder: Path) -> None:
    """Sends the child two signals of one kind and one of another and lets it go on, watched from before that."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    end = f"exec {child.pid} /bin/true\n"
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        tool = subprocess.Popen((project.here / "procwatch",), stdout=out, stderr=err)
        try:
            wait_until(lambda: "attached" in (folder / "err").read_text(), "procwatch to attach its programs")
            for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGUSR2):
                os.kill(child.pid, number)
            child.stdin.close()
            assert child.wait() == 0
            wait_until(lambda: end in (folder / "out").read_text(), "procwatch to tell of the program")
        finally:
            child.kill()
            tool.send_signal(signal.SIGINT)
            assert tool.wait(60) == 0


def test_it_tells_of_a_process_and_its_signals(project: GoProject, tmp_path: Path) -> None:
    with subprocess.Popen((sys.executable, "-c", _RECEIVER), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        _watched(project, child, tmp_path)
    told = (tmp_path / "out").read_text().splitlines()
    between = f"from {os.getpid()} to {child.pid}"
    assert [line for line in told if str(child.pid) in line.split()[1:2] or line.split(":")[0].endswith(between)] == [
        f"signal 10 {between}: delivered",
        f"signal 10 {between}: already pending",
        f"signal 12 {between}: ignored",
        f"exec {child.pid} /bin/true",
    ]
    assert (tmp_path / "err").read_text() == "attached\n"
