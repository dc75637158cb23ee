"""examples/systemtap on the running kernel: SystemTap's BPF runtime runs what it made of tpgen's objects."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from support.projects import CHECKOUT
from support.systemtap import make_tree, stap
from support.tracers import COMM, killed, lines_until, signalling

pytestmark = [pytest.mark.live, pytest.mark.systemtap]

SCRIPT = CHECKOUT / "examples" / "systemtap" / "signals.stp"
# stapbpf gives up where it may not lock all memory, which BPF has needed no more since Linux 5.11.
_NO_LIMIT = """
#include <sys/resource.h>
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) { return 0; }
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment for stapbpf, on machines too that let not even root lift the limit."""
    limits = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        library = tmp_path / "limit.so"
        command = ("gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library)
        subprocess.run(command, input=_NO_LIMIT, text=True, check=True)
        return os.environ | {"LD_PRELOAD": str(library)}
    resource.setrlimit(resource.RLIMIT_MEMLOCK, limits)
    return dict(os.environ)


def test_it_tells_who_signals(environment: dict[str, str], tmp_path: Path) -> None:
    """With no more than the object: the tree is for the machine that translates."""
    make_tree(tmp_path / "tree", os.uname().release, "--raw", "--kernel", "live")
    done = stap(tmp_path, "--runtime=bpf", "-r", tmp_path / "tree", "-p4", "-m", "signals", SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    shutil.rmtree(tmp_path / "tree")
    with signalling() as pid:
        tracing = ("stapbpf", "-x", str(pid), "signals.bo")
        with killed(tracing, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as tracer:
            lines_until(tracer, [r"FROM +PID +SIG +RESULT$", rf"{COMM} +{pid} +10 +0$"])
