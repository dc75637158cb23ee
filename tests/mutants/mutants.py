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
import json
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
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
# The folder of tests of a package that has none of its name.
_TESTS_OF = {"sources/headers": "headers", "sources/source_tree": "headers", "diff": "commands"}
# Of a folder with many tests, those that most of its package runs in.
_FIRST = {"headers": ("cases", "read", "types")}
# What costs more than the rest of its folder, and would be last to notice: only what survives the others meets it.
_NOT_NEAR = [
    f"--deselect=tests/unit/{name}"
    for name in (
        "cache/test_cache.py",  # of the running kernel, which other processes change
        "catalog/test_hostile.py::test_flipped_bits",
        "headers/test_conditions.py::test_a_megabyte_of_parentheses_has_no_value",
        "headers/test_hostile.py::test_a_megabyte_of_nonsense",
        "headers/test_incremental_edits.py",
        "kernel/test_one_answer.py",
        "sources/test_tracefs.py::test_running_kernel",
    )
]
# The tests that judge a change, one stage after the other.
_STAGES = ("first", "near", "every")
# Of one test run: far above what the tests near a module, and all of tests/unit, take. A change that makes a run use
# more has been noticed, and so has one that waits for what does not come.
_NEAR_CPU_SECONDS, _CPU_SECONDS = 120, 600
_WALL_SECONDS = 3600
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


def judges(path: str) -> dict[str, list[str]]:
    """Arguments for pytest: the tests of the module and those of its package, if there are any, then all."""
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
    package = unit / _folder_of_tests(parts)
    others = [package / f"test_{name}.py" for name in _FIRST.get(package.name, ())]
    first = [file for file in near if stem in file.stem] or others or near
    rest = sorted({*near, *package.glob("*.py")} - set(first), key=lambda file: file.stat().st_size)
    stages = {
        name: [str(file.relative_to(ROOT)) for file in files] for name, files in (("first", first), ("near", rest))
    }
    return {name: [*files, *_NOT_NEAR] for name, files in stages.items() if files} | {"every": EVERY}


def _folder_of_tests(parts: Sequence[str]) -> str:
    folder = "/".join(parts[: min(2, len(parts) - 1)])
    return _TESTS_OF.get(folder) or _TESTS_OF.get(parts[0]) or (parts[0] if folder else "commands")


def noticed_by(mutant: Mutant, root: Path, selection: Sequence[str]) -> str:
    """What fails, in a copy of the checkout at `root`, with the change: a test's name, or "" where none does."""
    module = root / mutant.path
    source = module.read_text()
    try:
        _put(module, mutant.of(source))
        return failure(root, selection)
    finally:
        _put(module, source)


def _put(module: Path, source: str) -> None:
    """Writes a module that Python is to compile again: one that was changed twice in a second would look unchanged."""
    module.write_text(source)
    for compiled in module.parent.glob(f"__pycache__/{module.stem}.*"):
        compiled.unlink()


def failure(root: Path, selection: Sequence[str]) -> str:
    """The first test that fails, or how the run ended; "" where all pass."""
    command = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *selection)
    with _open_directory() as home:
        changed = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "", "HOME": home, "TMPDIR": home}
        try:
            done = subprocess.run(
                command,
                cwd=root,
                env=os.environ | changed,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=_WALL_SECONDS,
                start_new_session=True,  # Linux shares out its processors among sessions
                preexec_fn=partial(_limit, _CPU_SECONDS if selection is EVERY else _NEAR_CPU_SECONDS),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "no end"
    if done.returncode in (0, 5):  # 5: nothing to run
        return ""
    failed = (line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR ")))
    return next(failed, f"status {done.returncode}")


@contextmanager
def _open_directory() -> Iterator[str]:
    """A temporary directory that others can read: some tests become nobody."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield folder


def _limit(cpu_seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def copy_checkout(root: Path) -> Path:
    """The files of the checkout, without what was built and installed there."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    return Path(shutil.copytree(ROOT, root, ignore=ignored, symlinks=True))


@dataclass(slots=True)
class Results:
    """What was judged, kept in a file of lines of JSON, so that a run that was stopped goes on where it was."""

    path: Path | None
    noticed: dict[str, str] = field(default_factory=dict)
    passed: dict[str, set[str]] = field(default_factory=dict)

    def read(self, again: bool) -> None:
        """Takes what earlier runs wrote; with `again`, only what they noticed."""
        if self.path is None or not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            done = json.loads(line)
            if done["by"]:
                self.noticed[done["key"]] = done["by"]
            elif not again:
                self.passed.setdefault(done["key"], set()).add(done["tests"])

    def add(self, key: str, tests: str, by: str) -> None:
        """Notes that `by` noticed the change, or that all of `tests` passed."""
        if by:
            self.noticed[key] = by
        else:
            self.passed.setdefault(key, set()).add(tests)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps({"key": key, "tests": tests, "by": by}) + "\n")

    def still_to_run(self, mutant: Mutant, until: str) -> dict[str, list[str]]:
        """The tests that did not yet judge the change, up to those named `until`."""
        if mutant.key in self.noticed:
            return {}
        stages = judges(mutant.path)
        wanted = _STAGES[: _STAGES.index(until) + 1]
        return {name: stages[name] for name in wanted if name in stages and name not in self.passed.get(mutant.key, ())}


def main() -> int:
    """Print every survivor, then the rate; fail below the aim."""
    options = _arguments().parse_args()
    chosen = sample(options.seed, options.count, options.packages)
    results = Results(options.results)
    results.read(options.again)
    copies: SimpleQueue[Path] = SimpleQueue()
    writing = threading.Lock()

    def judge(mutant: Mutant) -> bool:
        for tests, selection in results.still_to_run(mutant, options.until).items():
            root = copies.get()
            try:
                by = noticed_by(mutant, root, selection)
            finally:
                copies.put(root)
            with writing:
                results.add(mutant.key, tests, by)
            if by:
                break
        by = results.noticed.get(mutant.key, "")
        with writing:
            print(f"{'noticed ' if by else 'SURVIVED'} {mutant.path}:{mutant.line} {mutant.key}", flush=True)
        return bool(by)

    with _open_directory() as folder, ThreadPoolExecutor(options.processes) as pool:
        for number in range(options.processes):
            copies.put(root := copy_checkout(Path(folder) / str(number)))
        if not options.trust and (failed := failure(root, EVERY)):
            sys.exit(f"tests/unit fails without any change: {failed}")
        found = list(pool.map(judge, chosen))
    rate = 100 * sum(found) / max(len(found), 1)
    print(f"{sum(found)} of {len(found)} changes were noticed: {rate:.1f} %")
    print(f"{options.count - len(chosen)} of the sample are known to have no effect")
    return 0 if rate >= options.aim else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packages", nargs="*", help="only modules below tpgen/ whose path begins so")
    parser.add_argument("--seed", default="2026")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--aim", type=int, default=95, help="per cent that must be noticed")
    parser.add_argument("--trust", action="store_true", help="do not try whether the tests pass without a change")
    parser.add_argument(
        "--until",
        choices=_STAGES,
        default="every",
        help="judge by the tests of the module, of its package too, or by all",
    )
    parser.add_argument(
        "--results", type=Path, help="file, outside the checkout, that keeps what was judged: a run goes on from there"
    )
    parser.add_argument("--again", action="store_true", help="judge what survived once more, as after adding tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
