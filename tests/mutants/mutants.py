"""Judge the unit tests: change one token of a core module at a time and see whether a test notices (`tox -e mutants`).

The sample is drawn by a hash of the seed and of what a change reads like, so that edits elsewhere do not change it.
`without_effect.txt` beside this file lists changes that no test can notice, each with the reason.

mutmut and cosmic-ray do not fit: mutmut mutates function bodies alone, by way of a wrapper that is seen by the tests of
what a run imports, and not what runs in a process of its own, as our command line does in its tests; cosmic-ray gives
each change the whole suite.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import tokenize
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_EFFECT = Path(__file__).with_name("without_effect.txt")
# Templates decide what backends write; the tests of their bytes are those of compilers and kernels, not these.
_NOT_CORE = ("backends/",)
_SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "is": "is not", "in": "not in",
    "+": "-", "-": "+", "*": "+", "//": "*", "/": "*", "%": "//", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "^": "&",
    "and": "or", "or": "and", "not": "", "True": "False", "False": "True",
}  # fmt: skip
# What a survivor has passed. The wheel is the same code, installed elsewhere.
EVERY = ["tests/unit", "--deselect=tests/unit/test_packaging.py"]
# Of one test run: far above what the whole of tests/unit takes, whichever machine it is.
_CPU_SECONDS = 300
_MEMORY_BYTES = 6 << 30


@dataclass(frozen=True, slots=True)
class Mutant:
    """One token of `path` (relative to the checkout) replaced; `scope` is the qualified name around it."""

    path: str
    scope: str
    line: int
    start: int
    end: int
    new: str
    text: str

    @property
    def key(self) -> str:
        """What the change reads like: place and lines before and after, without numbers of lines."""
        before, after = self.text[: self.start].lstrip(), self.text[self.end :]
        return f"{self.path} {self.scope}: {before}[{self.old} -> {self.new}]{after}"

    @property
    def old(self) -> str:
        """The token before."""
        return self.text[self.start : self.end]

    def of(self, source: str) -> str:
        """The module `source` with the change."""
        lines = source.splitlines(keepends=True)
        assert lines[self.line - 1] == f"{self.text}\n", f"{self.path} was edited in the meantime"
        lines[self.line - 1] = f"{self.text[: self.start]}{self.new}{self.text[self.end :]}\n"
        return "".join(lines)


# --- the changes


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every change of one module."""
    source = path.read_text()
    tree = ast.parse(source)
    places = _mutable(tree)
    scopes = _scopes(tree)
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line, column = token.start
        if not any(start <= (line, column) < end for start, end in places):
            continue
        new = _replacement(token)
        if new is not None:
            text, end = lines[line - 1], token.end[1]
            for word in ("not in", "is not"):
                if text.startswith(word, column):  # two tokens of Python's, one operator
                    new, end = ("in" if word == "not in" else "is"), column + len(word)
            if token.string == "in" and text[:column].endswith("not "):
                continue
            scope = max((span for span in scopes if span[0] <= line <= span[1]), default=(0, 0, "module"))[2]
            yield Mutant(str(path.relative_to(ROOT)), scope, line, column, end, new, text)


def _replacement(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NUMBER:
        return str(int(token.string, 0) + 1) if token.string.replace("_", "").isalnum() else None
    return _SWAPS.get(token.string) if token.type in (tokenize.OP, tokenize.NAME) else None


_Span = tuple[tuple[int, int], tuple[int, int]]


def _mutable(tree: ast.Module) -> list[_Span]:
    """Where expressions stand that decide something at run time: no annotations, no imports, no unpacking."""
    found: list[_Span] = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                operands = itertools.pairwise((node.left, *node.comparators))
                found += [(_end(left), _start(right)) for left, right in operands]
            case ast.BoolOp():
                found += [
                    (_end(left), _start(right)) for left, right in zip(node.values, node.values[1:], strict=False)
                ]
            case ast.BinOp():
                found.append((_end(node.left), _start(node.right)))
            case ast.AugAssign():
                pass  # two characters in one token
            case ast.UnaryOp(op=ast.Not() | ast.USub()):
                found.append((_start(node), _start(node.operand)))
            case ast.Constant(value=bool() | int()):
                found.append((_start(node), _end(node)))
    dead = [(_start(node), _end(node)) for node in _annotations(tree)]
    return [span for span in found if not any(start <= span[0] < end for start, end in dead)]


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        found = (getattr(node, name, None) for name in ("annotation", "returns"))
        yield from (item for item in found if isinstance(item, ast.expr))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr):
            yield node.value  # an alias of types
        if isinstance(node, ast.Call):  # how a dataclass is made is not what it does
            yield from (word.value for word in node.keywords if word.arg in ("frozen", "slots", "maxsize"))


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset


def _scopes(tree: ast.AST, outer: str = "") -> list[tuple[int, int, str]]:
    """First line, last line and qualified name of each class and function."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{outer}{node.name}"
            found += [(node.lineno, node.end_lineno or 0, name), *_scopes(node, f"{name}.")]
        else:
            found += _scopes(node, outer)
    return found


def sample(seed: str, count: int, packages: Sequence[str]) -> list[Mutant]:
    """The `count` changes of the core modules with the smallest hashes, but those that have no effect."""
    known = {line for line in WITHOUT_EFFECT.read_text().splitlines() if line and not line.startswith((" ", "#"))}
    every = {
        mutant.key: mutant
        for path in sorted((ROOT / "tpgen").rglob("*.py"))
        if not str(path.relative_to(ROOT / "tpgen")).startswith(_NOT_CORE)
        and str(path.relative_to(ROOT / "tpgen")).startswith(tuple(packages) or "")
        for mutant in mutants_of(path)
    }
    chosen = sorted(every.values(), key=lambda mutant: hashlib.sha256(f"{seed} {mutant.key}".encode()).digest())
    return [mutant for mutant in chosen[:count] if mutant.key not in known]


# --- the judges


def judges(path: str) -> list[list[str]]:
    """Arguments for pytest, those first that cost little and are likely to notice a change of `path`."""
    unit = ROOT / "tests/unit"
    parts = Path(path).parts[1:]
    names = [part.removesuffix(".py") for part in parts if part != "__init__.py"]
    module = ".".join(("tpgen", *names))
    parent, stem = module.rpartition(".")[::2]
    files = sorted(unit.rglob("test_*.py"))
    texts = {file: file.read_text() for file in files}
    near = [
        file
        for file, text in texts.items()
        if stem in file.stem or module in text or f"from {parent} import {stem}" in text
    ]
    packages = [unit / name for name in names[:-1] if (unit / name).is_dir()]
    packages += [unit / "headers"] if parts[0] == "sources" and "headers" in parts else []
    stages = [[str(file.relative_to(ROOT)) for file in found] for found in (near, dict.fromkeys(packages)) if found]
    return [*stages, EVERY]


def noticed(mutant: Mutant, root: Path, quick: bool) -> bool:
    """Whether a test fails, in a copy of the checkout at `root`."""
    module = root / mutant.path
    source = module.read_text()
    stages = judges(mutant.path)
    try:
        module.write_text(mutant.of(source))
        return any(not _passes(root, stage) for stage in (stages[:-1] if quick else stages))
    finally:
        module.write_text(source)


def _passes(root: Path, selection: Sequence[str]) -> bool:
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *selection)
    with tempfile.TemporaryDirectory() as home:
        # A module that was changed twice in a second would not be compiled again.
        changed = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "HOME": home, "TMPDIR": home}
        done = subprocess.run(
            command,
            cwd=root,
            env=os.environ | changed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_limit,
            check=False,
        )
    return done.returncode == 0


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def copy_checkout(root: Path) -> Path:
    """The files of the checkout, without what was built and installed there."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    return Path(shutil.copytree(ROOT, root, ignore=ignored, symlinks=True))


def main() -> int:
    """Print every survivor, then the rate; fail below the aim."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packages", nargs="*", help="only modules below tpgen/ whose path begins so")
    parser.add_argument("--seed", default="2026")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--aim", type=int, default=95, help="per cent that must be noticed")
    parser.add_argument("--trust", action="store_true", help="do not try whether the tests pass without a change")
    parser.add_argument(
        "--quick", action="store_true", help="judge by the tests of the module and of its package alone"
    )
    options = parser.parse_args()
    chosen = sample(options.seed, options.count, options.packages)
    copies: SimpleQueue[Path] = SimpleQueue()
    printing = threading.Lock()

    def judge(mutant: Mutant) -> bool:
        root = copies.get()
        try:
            found = noticed(mutant, root, options.quick)
        finally:
            copies.put(root)
        with printing:
            print(f"{'noticed ' if found else 'SURVIVED'} {mutant.path}:{mutant.line} {mutant.key}", flush=True)
        return found

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.processes) as pool:
        for number in range(options.processes):
            copies.put(root := copy_checkout(Path(folder) / str(number)))
        if not options.trust and not _passes(root, EVERY):
            sys.exit("tests/unit fails without any change")
        results = list(pool.map(judge, chosen))
    rate = 100 * sum(results) / max(len(results), 1)
    print(f"{sum(results)} of {len(results)} changes were noticed: {rate:.1f} %")
    print(f"{options.count - len(chosen)} of the sample are known to have no effect")
    return 0 if rate >= options.aim else 1


if __name__ == "__main__":
    sys.exit(main())
