"""How the script `tpgen` ends: at once, but for code of others that wants to be told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "tpgen"
TOLD = "import atexit, sys; atexit.register(print, 'told'); from tpgen.__main__ import leave;"


def ended(code: str, **streams: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run((sys.executable, "-c", TOLD + code), text=True, check=False, **streams)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_at_once(status: int) -> None:
    done = ended(f"print('out'); print('err', file=sys.stderr, end=''); leave({status})", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (status, "out\n", "err")


@pytest.mark.parametrize(
    "other",
    [
        "from tpgen.backends import registry; registry.LOADED_OF_OTHERS.append('x')",
        "sys.settrace(lambda *_: None)",
        "sys.setprofile(lambda *_: None)",
        "sys.modules['coverage'] = sys",
    ],
)
def test_others_are_told(other: str) -> None:
    done = ended(f"{other}; leave(2)", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "told\n", "")


def test_a_disk_that_is_full() -> None:
    """As Python says it."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    code = "from tpgen.__main__ import leave; print('out'); leave(0)"
    with open("/dev/full", "w") as full:
        command = (sys.executable, "-c", code)
        done = subprocess.run(command, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 120
    assert "No space left on device" in done.stderr


def test_without_streams() -> None:
    assert ended("sys.stdout = None; leave(1)", capture_output=True).returncode == 1


def test_the_script_leaves_so() -> None:
    done = subprocess.run((sys.executable, str(SCRIPT), "--version"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:6], done.stderr) == (0, "tpgen ", "")
    assert "leave(run())" in SCRIPT.read_text()
