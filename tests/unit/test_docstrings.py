"""The rule of CONTRIBUTING.md for docstrings, as far as a machine can hold it: each names its subject."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Beginnings that name nothing, or refer to the docstring above.
_VAGUE = re.compile(r"(?:What|The same|All that|All of it|Those|That|One that|Just|So|Such|It|They|This)\b")


def docstrings(path: Path) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


MODULES = sorted((ROOT / "tpgen").rglob("*.py"))


def test_each_names_its_subject() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in MODULES
        for text in docstrings(path)
        if _VAGUE.match(text)
    }
    assert found == set()


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__main__.py"], ids=lambda path: path.stem)
def test_each_module_has_one(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))
