"""docs/diagnostics.md has a row for every code that the package reports, and no other."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_CODE = re.compile(r"[a-z]+(-[a-z]+)*")


@cache
def nodes() -> list[ast.AST]:
    return [node for path in (ROOT / "tpgen").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]


def takes_code(node: ast.AST) -> bool:
    """Whether a function's first argument is a diagnostic's code, or a class's first field."""
    if isinstance(node, ast.FunctionDef):
        names = [argument.arg for argument in node.args.args if argument.arg != "self"]
    elif isinstance(node, ast.ClassDef):
        names = [ast.unparse(field.target) for field in node.body if isinstance(field, ast.AnnAssign)]
    else:
        return False
    return names[:1] == ["code"]


def codes() -> Iterator[str]:
    """Whatever is given as a code, or yielded as the first of a pair of a code and a message."""
    functions = {node.name for node in nodes() if isinstance(node, ast.FunctionDef | ast.ClassDef) and takes_code(node)}
    assert {"Diagnostic", "fail"} <= functions
    for node in nodes():
        first: ast.expr | None = None
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            first = node.args[0] if called in functions else None
        elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            first, message, *_ = (*node.value.elts, None, None)
            first = first if isinstance(message, ast.JoinedStr) else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def rows() -> list[tuple[str, ...]]:
    return _ROW.findall((ROOT / "docs" / "diagnostics.md").read_text())


def test_every_code_has_a_row() -> None:
    found = {code for code in codes() if _CODE.fullmatch(code)}
    assert found - {code for code, *_ in rows()} == set()


def test_every_row_has_a_code() -> None:
    assert {code for code, *_ in rows()} - set(codes()) == set()


def test_no_code_has_two_rows() -> None:
    assert [code for code, count in Counter(code for code, *_ in rows()).items() if count > 1] == []


def test_every_code_in_the_other_documents_exists() -> None:
    documents = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    shown = {code for path in documents for code in re.findall(r" \[([a-z]+(?:-[a-z]+)+)\]", path.read_text())}
    assert shown
    assert shown <= {code for code, *_ in rows()}
