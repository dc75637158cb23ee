"""Names that somebody chose to do harm, in every source: refused in one line or harmless, and never printed raw."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.cli import is_line, tpgen
from support.hostile_names import BACKENDS, NAMES, PLACES, ROWS, SOURCES, of_catalog


def judge(folder: Path, name: str, source: tuple[str, ...]) -> None:
    """Hold what every command and backend says and writes against the promise."""
    # What a backend is given is the same whatever the source. tests/languages has all, and compiles what they make.
    for backend in BACKENDS if "--tracefs" in source and "--btf" in source else BACKENDS[:1]:
        out = folder / backend
        out.mkdir()
        done = tpgen("*", "-b", backend, *source, "-o", f"{out}/")
        told(done.code, done.out, done.err)
        for path in out.rglob("*"):
            assert name not in str(path.relative_to(out))
            assert path.is_dir() or name.encode() not in path.read_bytes()
    for command in (("list",), ("show", "*"), ("show", "*", "--json"), ("check",)):
        done = tpgen(*command, *source)
        told(done.code, done.out, done.err)


def told(code: int, out: str, err: str) -> None:
    """A run ends in some of its statuses, with lines and without anything that a terminal obeys."""
    assert code in (0, 1, 2)
    assert (out + err).replace("\n", "").isprintable()
    assert all(map(is_line, err.splitlines()))
    assert len(err.splitlines()) < 8
    assert max(map(len, err.splitlines()), default=0) < 1000


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", NAMES)
def test_hostile_names(case: str, source: str, place: str, tmp_path: Path) -> None:
    name = NAMES[case]
    judge(tmp_path, name, SOURCES[source](tmp_path, **{place: name}))


@pytest.mark.parametrize(
    ("parts", "reason"),
    {
        "an array of void": "an array of functions, or of void",
        "a function that returns an array": "a function that returns an array or a function",
        "a function that takes void": "void among other parameters",
    }.items(),
)
def test_types_that_c_does_not_have(parts: str, reason: str, tmp_path: Path) -> None:
    b = BtfBuilder()
    int_ = b.integer("int", 4, SIGNED)
    made = {
        "an array of void": b.array(0, 3),
        "a function that returns an array": b.func_proto(b.array(int_, 3), [("", int_)]),
        "a function that takes void": b.func_proto(int_, [("", b.qualifier("CONST", 0)), ("", int_)]),
    }
    b.event("fine", [("a", b.ptr(made[parts]))])
    b.event("sound", [("a", int_)])
    (tmp_path / "vmlinux").write_bytes(b.blob())
    done = tpgen("fine", "-b", "bpf", "--btf", tmp_path / "vmlinux")
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert f"a type is {reason}, which C does not have" in done.err
    assert tpgen("sound", "--btf", tmp_path / "vmlinux").code == 0


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("case", NAMES)
def test_hostile_names_in_a_catalog(case: str, table: str, tmp_path: Path) -> None:
    judge(tmp_path, NAMES[case], of_catalog(tmp_path, table, NAMES[case]))
