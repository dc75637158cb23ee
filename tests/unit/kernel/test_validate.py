"""Names that somebody chose to do harm, in every source: refused in one line or harmless, and never printed raw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.catalogs import changed, small_catalog
from support.cli import tpgen
from support.small_kernel import Line, format_text

BACKENDS = ("bpf", "bpftrace", "go", "json", "python", "rust", "systemtap")
NAMES = {
    "the end of a comment": 'a//");int f(void){return 1;}/*',
    "another end of a comment": "a*/int evil;/*",
    "a quote": 'zq"zr',
    "a newline": "zq\nzr",
    "an escape sequence": "a\x1b[31mb",
    "a blank": "zq zr",
    "a homoglyph": "\u0430rg",  # a Cyrillic a
    "an override of the direction": "a\u202eb",
    "ten thousand letters": "a" * 10_000,
}


def kernel(
    folder: Path, system: str = "good", event: str = "fine", arg: str = "a", field: str = "b", tag: str = "c"
) -> Path:
    """The BTF of a kernel with the event that these name and with `sound`; its tracefs lies beside it."""
    b = BtfBuilder()
    int_, short, char = b.integer("int", 4, SIGNED), b.integer("short unsigned int", 2), b.integer("char", 1)
    pointer = b.ptr(b.fwd(tag))
    entry = b.structure("trace_entry", 8, [("type", short, 0), ("pid", int_, 4)])
    flexible = b.array(char, 0)
    for name, argument, member in ((event, arg, field), ("sound", "a", "b")):
        b.event(name, [(argument, pointer)])
        b.event_class(name, [pointer], 12, [("ent", entry, 0), (member, int_, 8), ("__data", flexible, 12)])
    (folder / "vmlinux").write_bytes(b.blob())
    for name, of, member in ((event, system, field), ("sound", "good", "b")):
        if "/" in name + of or max(len(name.encode()), len(of.encode())) > 255:
            continue
        directory = folder / "tracefs" / "events" / of / name
        directory.mkdir(parents=True)
        (directory / "format").write_text(format_text(name, (Line(f"int {member}", 8, 4, 1),)))
    return folder


def header(
    folder: Path, system: str = "good", event: str = "fine", arg: str = "a", field: str = "b", tag: str = "c"
) -> Path:
    text = f"#undef TRACE_SYSTEM\n#define TRACE_SYSTEM {system}\n"
    for name, argument, member in ((event, arg, field), ("sound", "a", "b")):
        text += (
            f"TRACE_EVENT({name}, TP_PROTO(struct {tag} *{argument}), TP_ARGS({argument}),\n"
            f'TP_STRUCT__entry(__field(int, {member})), TP_fast_assign(), TP_printk("x"));\n'
        )
    path = folder / "trace.h"
    path.write_text(text)
    return path


def of_btf(folder: Path, **names: str) -> tuple[str, ...]:
    return ("--btf", str(kernel(folder, **names) / "vmlinux"))


def of_tracefs(folder: Path, **names: str) -> tuple[str, ...]:
    return ("--tracefs", str(kernel(folder, **names) / "tracefs"), "--arch", "x86_64")


def of_both(folder: Path, **names: str) -> tuple[str, ...]:
    return (*of_btf(folder, **names), "--tracefs", str(folder / "tracefs"))


def of_header(folder: Path, **names: str) -> tuple[str, ...]:
    return ("--headers", str(header(folder, **names)), "--no-cache")


PLACES = ("system", "event", "arg", "field", "tag")
SOURCES: dict[str, Callable[..., tuple[str, ...]]] = {
    "BTF": of_btf, "tracefs": of_tracefs, "BTF and tracefs": of_both, "a header": of_header,
}  # fmt: skip


def judge(folder: Path, name: str, source: tuple[str, ...]) -> None:
    """Hold what every command and backend says and writes against the promise."""
    # What a backend is given is the same whatever the source.
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
    assert all(line.startswith("tpgen: ") for line in err.splitlines())
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


#: By table, the name in the row that is changed, and the column.
ROWS = {
    "event": ("sched_switch", "system"),
    "argument": ("preempt", "name"),
    "field": ("pfn", "name"),
    "type": ("task_struct", "name"),
}


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("case", NAMES)
def test_hostile_names_in_a_catalog(case: str, table: str, tmp_path: Path) -> None:
    row, column = ROWS[table]
    path = small_catalog(tmp_path)
    changed(path, f"UPDATE {table} SET {column} = '{NAMES[case]}' WHERE name = '{row}'")
    judge(tmp_path, NAMES[case], ("--kernel", str(path)))
