"""The types of the API as a program outside of the repository sees them: mypy and pyright, both as strict as they are.

pyright is that in basedpyright, whose wheel has all of it: the one of that name fetches itself from npm.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tpgen import api

CONSUMER = Path(__file__).parents[1] / "typing" / "consumer.py"


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A copy of the program where no configuration of this repository counts."""
    return Path(shutil.copy(CONSUMER, tmp_path))


def checked(*command: str, cwd: Path) -> str:
    done = subprocess.run((sys.executable, "-m", *command), cwd=cwd, capture_output=True, text=True, check=False)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def test_mypy(consumer: Path) -> None:
    command = ("mypy", "--strict", "--config-file=", f"--cache-dir={consumer.parent}/cache", consumer.name)
    assert checked(*command, cwd=consumer.parent) == ""


def test_pyright(consumer: Path) -> None:
    (consumer.parent / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "failOnWarnings": false}')
    command = ("basedpyright", "--level", "error", "--pythonpath", sys.executable, consumer.name)
    assert checked(*command, cwd=consumer.parent) == ""


def test_it_would_be_noticed(consumer: Path) -> None:
    """That either sees the types at all."""
    consumer.write_text(f"{consumer.read_text()}\n\nwrong: int = api.open_kernel().label\n")
    assert "assignment" in checked("mypy", "--strict", "--config-file=", consumer.name, cwd=consumer.parent)


def test_the_program_uses_whatever_there_is() -> None:
    """Each function of the API and each attribute of its classes."""
    named = {node.attr for node in ast.walk(ast.parse(CONSUMER.read_text())) if isinstance(node, ast.Attribute)}
    functions = {name for name in api.__all__ if name[0].islower()}
    classes = (api.Kernel, api.Kernels, api.Tracepoint, api.Check)
    methods = {name for kind in classes for name in vars(kind) if name[0] != "_"}
    assert functions - named == set()
    assert methods - named == set()


def test_all_names_are_there() -> None:
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert sorted(api.__all__) == api.__all__
    assert not hasattr(api, "nothing_of_the_kind")
