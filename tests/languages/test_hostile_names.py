"""What is generated of a kernel in which somebody chose names to do harm: each language's own tools take all of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from support import hostile_names
from support.bpftrace import unpacked
from support.cli import tpgen
from support.languages import run, rust_check

from languages.test_go import accepted

pytestmark = pytest.mark.languages

#: Words of the languages, which are names in C or are not.
WORDS = ("int", "fn", "func", "None", "self", "printf")
NAMES = {**hostile_names.NAMES, **{word: word for word in WORDS}}
SOURCES = (*hostile_names.SOURCES, "a catalog", "the running kernel", "what is cached of it")
Files = frozenset[tuple[str, bytes]]
CLANG = ("clang", "-target", "bpf", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c")
# What SystemTap has from its kernel's headers.
TYPES = "#include <stdbool.h>\ntypedef int pid_t;\ntypedef unsigned int u32;\n"


def kernels(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each name with the words for a kernel that has it, in each place in turn."""
    number, stored = count(), 0
    for name in NAMES.values():
        for place in hostile_names.ROWS if source == "a catalog" else hostile_names.PLACES:
            own = folder / str(next(number))
            own.mkdir()
            if source == "a catalog":
                yield name, hostile_names.of_catalog(own, place, name)
            elif source in hostile_names.SOURCES:
                yield name, hostile_names.SOURCES[source](own, **{place: name})
            else:
                hostile_names.be_running(own, monkeypatch, **{place: name})
                if source == "what is cached of it":
                    # The second run that asks for all of it stores the kernel.
                    tpgen("*", "-b", "json")
                    tpgen("show", "*", "--json")
                    stored += len(list((own / "cache").glob("tpgen/kernels/*")))
                yield name, () if source == "what is cached of it" else ("--no-cache",)
    assert source != "what is cached of it" or stored > 40


def made(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[Files]]:
    """What each backend makes of the kernels, each once."""
    found: dict[str, set[Files]] = {backend: set() for backend in hostile_names.BACKENDS}
    for number, (name, words) in enumerate(kernels(source, folder, monkeypatch)):
        for backend in hostile_names.BACKENDS:
            out = folder / f"{backend}{number}"
            tpgen("*", "-b", backend, *words, "-o", f"{out}/")
            files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
            if name not in WORDS:
                assert not any(name in path or name.encode() in content for path, content in files.items())
            found[backend].add(frozenset(files.items()))
    return found


def write(folder: Path, files: Files) -> list[Path]:
    for name, content in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return [folder / name for name, _ in files]


def clang_takes(folder: Path, found: set[Files]) -> None:
    for number, files in enumerate(found):
        for path in write(folder / str(number), files):
            run(*CLANG, path, cwd=folder)


def bpftrace_parses(folder: Path, found: set[Files]) -> None:
    """It then does not find the tracepoints, which this kernel does not have."""
    for number, files in enumerate(found):
        for path in write(folder / str(number), files):
            done = subprocess.run((*unpacked(), "--dry-run", path), capture_output=True, text=True, check=False)
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
            assert [line for line in errors if not re.search("tracepoints? not found", line)] == [], path.read_text()


def go_takes(folder: Path, found: set[Files]) -> None:
    """Packages of one module."""
    (folder / "go.mod").write_text("module example\n\ngo 1.19\n")
    for number, files in enumerate(found):
        write(folder / "tracepoints" / f"p{number}", files)
    accepted(folder)


def json_is_json(folder: Path, found: set[Files]) -> None:
    for files in found:
        for _, content in files:
            assert isinstance(json.loads(content), dict | list)


def python_runs(folder: Path, found: set[Files]) -> None:
    for files in found:
        for name, content in files:
            exec(compile(content, name, "exec", dont_inherit=True), {"__name__": "tracepoints"})


def rustc_takes(folder: Path, found: set[Files]) -> None:
    """Modules of one crate."""
    (folder / "tracepoints").mkdir(parents=True)
    lines = []
    for number, files in enumerate(found):
        for _, content in files:
            (folder / "tracepoints" / f"m{number}.rs").write_bytes(content)
            lines.append(f"pub mod m{number};\n")
    (folder / "tracepoints.rs").write_text("".join(lines))
    rust_check(folder, "bpfel")


def gcc_takes(folder: Path, found: set[Files]) -> None:
    for number, files in enumerate(found):
        for path in write(folder / str(number), files):
            path.write_text(TYPES + path.read_text())
            run("gcc", "-std=gnu11", "-Wall", "-Werror", "-fsyntax-only", path, cwd=folder)


JUDGES: dict[str, Callable[[Path, set[Files]], None]] = {
    "bpf": clang_takes, "bpftrace": bpftrace_parses, "go": go_takes, "json": json_is_json, "python": python_runs,
    "rust": rustc_takes, "systemtap": gcc_takes,
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_hostile_names(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(source, tmp_path, monkeypatch)
    for backend, judge in JUDGES.items():
        assert any(
            b"sound" in content or b"sched_switch" in content for files in found[backend] for _, content in files
        )
        (tmp_path / backend).mkdir()
        judge(tmp_path / backend, found[backend])
