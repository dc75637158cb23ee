"""The layers of the package, as its imports have them. docs/architecture.md draws the same picture for people.

Imports are read from the syntax trees: those within functions and those for the type checker count like any other,
since a module that names another's types depends on what it means by them.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The layers, lowest first. A module imports from its own entry and from lower rows; entries of one row do not know
#: each other. An entry is a module or a package, without the entries that it contains and that stand for themselves.
LAYERS = """
basics
diagnostics kernel.options
model
target
typequery
layout spelling
values programs paths output kernel.request annotations
cache
sources.bpf_call sources.btf_encoding sources.cdecl sources.compression sources.elf sources.files sources.source_tree
sources.headers.facts sources.headers.preprocessor
sources.headers.types
sources.headers.trace_events
sources.headers.incremental
sources.btf_types sources.formats sources.images sources.headers
sources.btf
sources.bpf_object
sources.btf_tracepoints sources.tracefs sources.packages
sources.verifier
kernel
catalog probe show
opening
variants
diff backends catalog.build
history
doctor atlas
building
commands api
cli
"""

#: What a run imports that finds its answer in the cache, and a build that finds nothing to do. Each module has but
#: these and LIGHT_LIBRARY at its top level: the rest of the library takes longer to import than such a run takes.
LIGHT = """
cli paths cache.fingerprint cache.kernel_identity cache.outputs cache.private_files commands.deliver
building.depfile building.manifest building.request building.states kernel.options
"""
LIGHT_LIBRARY = "__future__ atexit gc io os stat sys time zlib"

#: By library, the modules that import it: one, which keeps its exceptions to itself. Of lark one for each grammar.
LIBRARIES = {
    "jinja2": ["backends.templates"],
    "lark": ["sources.formats", "sources.headers.trace_events.member_grammar"],
    "pycparser": ["sources.cdecl"],
    "backports": ["sources.compression"],
}

#: The modules that write files; the command line writes to stdout.
WRITERS = {"output", "cache.outputs", "cache.private_files"}
_WRITING = re.compile(
    r"\bopen\([^)]*\"[wax]b?\"|\b(?:write_text|write_bytes|mkstemp)\(|\bos\.(?:replace|rename)\(|O_CREAT"
)

MOST_MODULES, MOST_LINES = 14, 600


@cache
def modules() -> dict[str, Path]:
    """The modules by name, without the leading `tpgen.`; a package is its `__init__`."""
    paths = sorted((ROOT / "tpgen").rglob("*.py"))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)
    return {name.removeprefix("tpgen."): path for name, path in zip(names, paths, strict=True)}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text())


def imported(statements: Iterable[ast.AST]) -> Iterator[str]:
    """The full names that these statements import; of `from a import b`, `a.b` where that is a module, else `a`."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.module is not None, "relative imports"
            names = (f"{statement.module}.{alias.name}" for alias in statement.names)
            yield from (name if name.removeprefix("tpgen.") in modules() else statement.module for name in names)


@cache
def ours(name: str) -> frozenset[str]:
    """The modules of tpgen that a module imports, wherever it does. All know the version, in `tpgen` itself."""
    found = (full for full in imported(ast.walk(tree(name))) if full.startswith("tpgen."))
    return frozenset(full.removeprefix("tpgen.") for full in found)


@cache
def place(name: str) -> tuple[int, str]:
    """The layer and the entry of a module."""
    rows = [row.split() for row in LAYERS.strip().splitlines()]
    entries = {entry: number for number, row in enumerate(rows) for entry in row}
    parts = name.split(".")
    candidates = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    entry = next((candidate for candidate in candidates if candidate in entries), None)
    assert entry is not None, f"{name} is in no layer"
    return entries[entry], entry


def layered() -> list[str]:
    """The modules that the layers are about: not the packages without a line of code, nor `python -m tpgen`."""
    return [name for name in modules() if name not in ("tpgen", "__main__") and any(map(is_code, tree(name).body))]


def is_code(statement: ast.stmt) -> bool:
    return not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))


def test_no_import_goes_up() -> None:
    up = set()
    for importing in layered():
        (layer, entry) = place(importing)
        for other in ours(importing):
            there, other_entry = place(other)
            if entry != other_entry and there >= layer:
                up.add((importing, other))
    assert not up


def test_every_entry_has_modules() -> None:
    assert {place(name)[1] for name in layered()} == set(LAYERS.split())


def test_no_circles() -> None:
    TopologicalSorter({name: ours(name) for name in modules()}).prepare()


def at_import(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, without those of `if TYPE_CHECKING`."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and ast.unparse(statement.test) != "TYPE_CHECKING":
            yield from at_import(statement.body + statement.orelse)
        elif isinstance(statement, ast.With | ast.Try):
            yield from at_import(statement.body)


@pytest.mark.parametrize("name", LIGHT.split())
def test_light_modules_import_light_ones(name: str) -> None:
    allowed = {*LIGHT_LIBRARY.split(), "tpgen", *(f"tpgen.{other}" for other in LIGHT.split())}
    packages = {f"tpgen.{other.partition('.')[0]}" for other in LIGHT.split() if "." in other}
    assert set(imported(at_import(tree(name).body))) <= allowed | packages


def test_packages_of_light_modules_are_empty() -> None:
    for package in {name.rpartition(".")[0] for name in LIGHT.split()} - {""}:
        assert not any(map(is_code, tree(package).body)), package


def test_each_library_has_one_module() -> None:
    found = {
        library: [
            name
            for name in modules()
            if any(full.partition(".")[0] == library for full in imported(ast.walk(tree(name))))
        ]
        for library in LIBRARIES
    }
    assert found == LIBRARIES


def test_few_modules_write_files() -> None:
    found = {name for name, path in modules().items() if _WRITING.search(path.read_text())}
    assert found - {"cli"} == WRITERS  # which opens /dev/null in the place of a stdout that is closed


def test_sizes() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name for name, count in lines.items() if count > MOST_LINES}
    files = Counter(path.parent for path in modules().values() if path.name not in ("__init__.py", "__main__.py"))
    assert not {folder for folder, count in files.items() if count > MOST_MODULES}
