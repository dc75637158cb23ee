"""pip, pipx and uv install it, for each Python that it says it is for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.bare import CHECKOUT, BareMachine, bare_machine, copy_checkout

pytestmark = pytest.mark.bare_machines

#: The Debian that has this Python; of the others an interpreter of this machine is taken.
SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid"}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# With a directory $T, the interpreter $P, and the checkout as working directory. Each says where the command is.
PREPARE = '"$P" -m venv $T/tools && $T/tools/bin/pip install -q pipx uv >&2\n'
INSTALL = {
    "pip": '"$P" -m venv $T/e && $T/e/bin/pip install -q . >&2 && command=$T/e/bin/tpgen',
    "pipx": "export PIPX_HOME=$T/pipx PIPX_BIN_DIR=$T/pipx/bin PIPX_MAN_DIR=$T/pipx/man\n"
    '$T/tools/bin/pipx install --python "$P" . >&2 && command=$T/pipx/bin/tpgen && test -e $T/pipx/man/man1/tpgen.1',
    "uv": "export UV_TOOL_DIR=$T/uv UV_TOOL_BIN_DIR=$T/uv/bin UV_CACHE_DIR=$T/cache UV_PYTHON_DOWNLOADS=never\n"
    '$T/tools/bin/uv tool install --python "$P" . >&2 && command=$T/uv/bin/tpgen',
}
# Which Python the command is run by, what it is, and its work.
USE = """
$(sed -n '1s/^#!//p' "$(readlink -f $command)") -c 'import sys; print("%d.%d" % sys.version_info[:2])'
cd / && "$command" sched_switch --raw --kernel 6.12
"""


class ThisMachine:
    """An interpreter of this machine, with a copy of the checkout."""

    def __init__(self, interpreter: Path, directory: Path) -> None:
        self.interpreter, self._checkout = interpreter, directory / "tpgen"
        copy_checkout(self._checkout)

    def succeed(self, script: str) -> str:
        command = ("bash", "-c", f"set -eo pipefail\n{script}")
        done = subprocess.run(command, cwd=self._checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def interpreter_here(version: str) -> Path | None:
    """An interpreter of this version on PATH, or among those of pyenv."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin"))
    for folder in folders:
        found = folder / f"python{version}"
        works = found.exists() and subprocess.run((found, "-c", ""), capture_output=True, check=False).returncode == 0
        if works:
            return found
    return None


@contextmanager
def machine_with(version: str, directory: Path) -> Iterator[tuple[BareMachine | ThisMachine, str, str]]:
    """A machine that has this Python, with the interpreter's name there and a directory for what is installed."""
    if version in SUITES:
        with bare_machine(SUITES[version], directory) as machine:
            machine.succeed("apt-get -qq update && apt-get -qq install -y python3-venv >&2")
            yield machine, "/usr/bin/python3", "/opt/installed"
        return
    found = interpreter_here(version)
    if found is None:
        pytest.skip(f"no Python {version} on this machine")
    yield ThisMachine(found, directory), str(found), str(directory / "installed")


@pytest.fixture(scope="module", params=PYTHONS)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, object, str]]:
    version = request.param
    with machine_with(version, tmp_path_factory.mktemp("python")) as (machine, interpreter, target):
        names = f"P={interpreter} T={target}\n"
        machine.succeed(f"{names}mkdir -p $T\n{PREPARE}")
        yield version, machine, names


@pytest.mark.parametrize("installer", INSTALL)
def test_installs_and_works(installer: str, place: tuple[str, BareMachine | ThisMachine, str]) -> None:
    version, machine, names = place
    done = machine.succeed(f"{names}{INSTALL[installer]}\n{USE}")
    out = done if isinstance(done, str) else done.out
    python, _, header = out.partition("\n")
    assert python == version
    assert "raw_sched_switch_prev_state(const void *ctx)" in header


def test_every_python_of_the_classifiers_is_tried() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text()
    assert {line.rpartition(":: ")[2].strip('",') for line in text.splitlines() if ":: Python :: 3." in line} == set(
        PYTHONS
    )
