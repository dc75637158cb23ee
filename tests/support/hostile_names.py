"""Names that somebody chose to do harm, and kernels that have them: BTF, tracefs, headers, catalogs, the running one.

Each kernel has the event of these names and one that is as it should be, `sound`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.btf_builder import SIGNED, BtfBuilder
from support.catalogs import changed, small_catalog
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


#: By table, the name in the row that is changed, and the column.
ROWS = {
    "event": ("sched_switch", "system"),
    "argument": ("preempt", "name"),
    "field": ("pfn", "name"),
    "type": ("task_struct", "name"),
}


def of_catalog(folder: Path, table: str, name: str) -> tuple[str, ...]:
    """A catalog in which somebody has changed a name."""
    row, column = ROWS[table]
    path = small_catalog(folder)
    changed(path, f"UPDATE {table} SET {column} = '{name}' WHERE name = '{row}'")
    return "--kernel", str(path)


def be_running(folder: Path, monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    """Let the kernel of these names be the running one, of which nothing is in the cache."""
    kernel(folder, **names)
    (folder / "btf").mkdir()
    (folder / "vmlinux").rename(folder / "btf" / "vmlinux")
    for module in ("tpgen.paths", "tpgen.kernel.sources", "tpgen.cache.kernel_identity"):
        monkeypatch.setattr(f"{module}.LIVE_BTF", str(folder / "btf"))
    monkeypatch.setattr("tpgen.paths.MOUNT_POINTS", (str(folder / "tracefs"),))
    monkeypatch.setattr("tpgen.paths.MOUNTS", str(folder / "mounts"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
