"""The documents against the code: every diagnostic has its row, and every file that is named is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import tpgen as package

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:]+)\)")
_FILE = re.compile(r"\b[\w./-]+\.(?:py|toml|lark|tbl|h|in)\b")
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


def doctor_rows() -> list[tuple[str, ...]]:
    """The rows of docs/doctor.md, without the verdicts'."""
    return re.findall(r"^\| `([a-z-]+)`((?: \|[^|]*){5}) \|$", (ROOT / "docs" / "doctor.md").read_text(), re.MULTILINE)


def given_as_code() -> Iterator[str]:
    """The constants given to functions and classes of the doctor for a parameter or field of the name `code`."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tpgen" / "doctor").rglob("*.py")]
    every = [node for tree in trees for node in ast.walk(tree)]
    places = {}
    for node in every:
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        elif isinstance(node, ast.ClassDef):
            names = [ast.unparse(field.target) for field in node.body if isinstance(field, ast.AnnAssign)]
        else:
            continue
        if "code" in names:
            places[node.name] = names.index("code")
    for node in every:
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            chosen = node.args[places[called] : places[called] + 1] if called in places else []
            chosen += [keyword.value for keyword in node.keywords if keyword.arg == "code" and called in places]
            chosen = [part for each in chosen for part in getattr(each, "values", None) or (each,)]
            branches = [
                part for each in chosen for part in (getattr(each, "body", each), getattr(each, "orelse", each))
            ]
            yield from (each.value for each in branches if isinstance(each, ast.Constant))


def test_the_doctors_codes_have_a_row_each() -> None:
    listed = [code for code, *_ in doctor_rows()]
    assert sorted(listed) == sorted(set(given_as_code()))
    assert not set(listed) & {code for code, *_ in rows()}


def test_every_code_has_a_row() -> None:
    found = {code for code in codes() if _CODE.fullmatch(code)}
    assert found - {code for code, *_ in rows()} == set()


def test_every_row_has_a_code() -> None:
    assert {code for code, *_ in rows()} - set(codes()) == set()


def test_no_code_has_two_rows() -> None:
    assert [code for code, count in Counter(code for code, *_ in rows()).items() if count > 1] == []


def test_every_code_in_the_other_documents_exists() -> None:
    documents = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    shown = {code for path in documents for code in re.findall(r" \[([a-z]+(?:-[a-z]+)+)\]", path.read_text())}
    assert shown
    assert shown <= {code for code, *_ in rows()} | {code for code, *_ in doctor_rows()}


DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = _LINK.findall(re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_files_that_are_named_are_there() -> None:
    """By the end of their path: `preprocessor/macros.py`."""
    text = "".join((ROOT / name).read_text() for name in ("docs/architecture.md", "CONTRIBUTING.md"))
    tracked = ("tpgen", "tests", "kernel_headers", "templates", "examples", "docs")
    files = [f"/{path.relative_to(ROOT)}" for folder in tracked for path in (ROOT / folder).rglob("*.*")]
    files += [f"/{path.name}" for path in ROOT.iterdir()]
    named = {found for found in _FILE.findall(text) if "NAME" not in found}
    assert named
    assert {found for found in named if not any(path.endswith(f"/{found}") for path in files)} <= {
        "tpgen.toml",
        "vmlinux.h",
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_are_named_are_there(document: Path) -> None:
    """`tpgen.spelling.spell` is a module and something in it."""
    for full in re.findall(r"\btpgen(?:\.[a-zA-Z_]+)+", document.read_text()):
        parts = full.split(".")
        if parts[1] in ("toml", "manifest", "backends", "cmake", "bzl", "fish") and len(parts) == 2:
            continue  # files of these names, and the group of entry points
        assert found_in_package(parts), full


def found_in_package(parts: list[str]) -> bool:
    for count in range(len(parts), 1, -1):
        path = ROOT.joinpath(*parts[:count])
        for module in (path.with_suffix(".py"), path / "__init__.py"):
            if module.exists():
                return all(re.search(rf"\b{name}\b", module.read_text()) for name in parts[count:])
    return False


def test_every_part_of_the_package_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    parts = [
        path.stem for path in (ROOT / "tpgen").iterdir() if path.name[0] not in "_." and path.suffix in ("", ".py")
    ]
    wings = [
        path.name for path in (ROOT / "tpgen" / "sources" / "headers").iterdir() if (path / "__init__.py").exists()
    ]
    assert {part for part in (*parts, *wings) if f"`{part}" not in text} <= {"integrations"}


def test_the_release_is_the_same_everywhere() -> None:
    """The newest one of the changelog, and those that the documents tell others to use."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.*?)\]", changelog, re.MULTILINE)[0] in (package.__version__, "Unreleased")
    named = {found for path in DOCUMENTS for found in re.findall(r"(?:tpgen@|rev: )v([\d.]+\d)", path.read_text())}
    assert named == {package.__version__}


def test_every_document_is_in_the_list() -> None:
    listed = _LINK.findall((ROOT / "docs" / "README.md").read_text())
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert there - {"README.md"} <= set(listed)


NEIGHBOURS = [path for path in DOCUMENTS if path.parent.name == "neighbours"]


@pytest.mark.parametrize("page", NEIGHBOURS, ids=lambda path: path.name)
def test_pages_about_other_tools_have_one_shape(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{2,} (.*)$", text, re.MULTILINE)
    assert headings == ["How to do it there", "What tpgen adds", "Both together"]


_LIMIT = re.compile(r"^\| [^|]+ \| (\d+)(?: (bytes|KiB|MiB|GiB))? \| `([\w.]+):(\w+)` \|$", re.MULTILINE)
_UNITS = {"": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def test_limits_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "limits.md").read_text()
    found = _LIMIT.findall(text)
    assert len(found) == text.count("\n| ") - 2 * text.count("\n| what |")
    for number, unit, module, name in found:
        assert getattr(import_module(f"tpgen.{module}"), name) == int(number) * _UNITS[unit], name


def test_what_the_threat_table_names_is_there() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    paths = re.findall(r"`((?:tpgen|tests)/[\w./]+)`", text)
    assert paths
    assert not [path for path in paths if not (ROOT / path).is_file()]
