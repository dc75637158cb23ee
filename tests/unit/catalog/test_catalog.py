"""The catalog: what goes in comes out, is said in tables that people can query, and is found by its name."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import stat
import weakref
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal

import pytest
from support.catalogs import X86_64, changed, small_catalog, small_kernel
from support.cli import Done, refusal, tpgen
from support.small_kernel import Line, small_btf, write_btf, write_tracefs

from tpgen.api import open_kernel
from tpgen.basics.progress import watch
from tpgen.cache import kernel_identity as live
from tpgen.catalog.contents import CatalogContents
from tpgen.catalog.known_classes import KnownClasses
from tpgen.catalog.read import Catalog, CatalogKernel
from tpgen.catalog.schema import FLAGS, KernelInfo
from tpgen.catalog.store import StoredKernel, best, open_named, stored_kernels
from tpgen.catalog.write import CatalogWriter
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.comparison import Comparison, Subject
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.sources import Sources
from tpgen.model import (
    Alternative,
    Argument,
    Array,
    CType,
    Dynamic,
    Enum,
    Event,
    Field,
    Float,
    FuncProto,
    Int,
    Kind,
    Nullness,
    Origin,
    Pointer,
    Qualified,
    Record,
    Register,
    Struct,
    Syscall,
    SyscallRegisters,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.target import target_named

INT, CHAR = Int("int", 4, True), Int("char", 1, False)


class OneEvent(KernelEvents):
    """A kernel of one event that says what it is told."""

    def __init__(self, event: Event, *comparisons: Comparison, notes: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__("one", X86_64, None, notes)
        self._event = event
        self._comparisons = comparisons

    names = property(lambda self: (self._event.name,))  # type: ignore[assignment]

    def keys_of(self, name: str) -> list[EventKey]:
        return self.keys()

    def keys(self) -> list[EventKey]:
        return [EventKey(self._event.system, self._event.name, self._event.module)]

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        return [self._event for _ in keys]

    def comparisons(self, key: EventKey, raw_only: bool = False) -> tuple[Comparison, ...]:
        return self._comparisons


EVENT = Event(
    system="sys", name="802154_ev", module="mac802154", kind=Kind.TRACE_EVENT, attach_name="802154_ev",
    class_name="cls", class_origin=Origin.HEADERS, class_candidates=(), header=Position("net/trace.h", 12, 3),
    args=(), args_origin=Origin.BTF, names_origin=Origin.TRACEITER, record=None, record_origin=None, print_fmt=None,
)  # fmt: skip


def kept(folder: Path, kernel: KernelEvents, info: KernelInfo | None = None, root: str | None = None) -> CatalogKernel:
    """`kernel` once it went through a file."""
    writer = CatalogWriter()
    writer.add(info or KernelInfo("one", kernel.target), kernel, [root] if root else [])
    writer.save(str(folder / "kept.tpgen"))
    return Catalog(str(folder / "kept.tpgen")).kernel()


def kept_event(folder: Path, event: Event) -> Event:
    kernel = kept(folder, OneEvent(event))
    return kernel.events(kernel.keys())[0]


TYPES: dict[str, CType] = {
    "int": INT,
    "bool": Int("_Bool", 1, False, is_bool=True),
    "a rust bool": Int("bool", 1, False, is_bool=True),
    "pointer": Pointer(Pointer(Void())),
    "struct": Struct("struct", "pte", 8, 8),
    "union": Struct("union", None, 4, 4),
    "opaque": Pointer(Struct("struct", "task_struct")),
    "declared only": Pointer(Struct("struct", "afs_call", forward=True)),
    "enum": Enum("zone", 1, False),
    "nameless enum": Enum(None, 4, None),
    "typedef": Typedef("pid_t", Typedef("__kernel_pid_t", INT)),
    "unknown typedef": Typedef("mystery_t"),
    "qualified": Pointer(Qualified("const", Qualified("volatile", CHAR))),
    "tagged": Pointer(TypeTag("user", CHAR)),
    "array": Pointer(Array(Array(CHAR, 4), 3)),
    "length in words": Pointer(Array(CHAR, None, "sizeof(struct sockaddr_in6) / 2")),
    "flexible": Pointer(Array(INT, 0)),
    "function": Pointer(FuncProto(Void(), (INT, Pointer(FuncProto(INT, (), False))), variadic=True)),
    "function of nothing": Pointer(FuncProto(Float("double", 8), ())),
}


@pytest.mark.parametrize("ctype", TYPES.values(), ids=TYPES)
def test_every_type_survives(ctype: CType, tmp_path: Path) -> None:
    args = (Argument("a", ctype, 0, Nullness.MAYBE), Argument(None, ctype, 1))
    event = replace(EVENT, args=args, nullness_origin=EVENT.names_origin)
    assert kept_event(tmp_path, event) == event


REGISTERS = SyscallRegisters(
    (Register("di", 112, 8), Register("regs[3]", 24, 8)),
    Register("orig_ax", 120, 8, mask=0xFFFF),
    Register("thread_info.status", 16, 4, of_task=True, mask=2),
    2,
)
EVENTS = {
    "plain": EVENT,
    "nothing known": replace(
        EVENT, system=None, module=None, attach_name=None, class_name=None, class_origin=None, header=None, args=None,
        args_origin=None, names_origin=None,
    ),
    "candidates": replace(EVENT, class_name=None, class_origin=None, class_candidates=("one", "two")),
    "print fmt": replace(EVENT, print_fmt='"%s\n\t", REC->x, "’"'),
    "flags": replace(EVENT, **dict.fromkeys(FLAGS, True)),
    "syscall": replace(EVENT, kind=Kind.SYSCALL, syscall=Syscall("sys_enter", 59, REGISTERS)),
    "unknown syscall": replace(EVENT, kind=Kind.SYSCALL, syscall=Syscall("sys_exit", None, None)),
    "one register set": replace(EVENT, syscall=Syscall("sys_exit", 0, replace(REGISTERS, native=None, native_value=0))),
    "record": replace(
        EVENT, record_origin=Origin.TRACEFS,
        record=Record(8, 32, (
            Field("comm", Array(CHAR, 16), 8, 16, False), Field("name", CHAR, 24, 4, None, Dynamic.DATA_LOC),
            Field("rel", None, 28, 4, None, Dynamic.REL_LOC),
        )),
    ),
    "unplaced record": replace(EVENT, record=Record(8, None, (Field("x", Typedef("t"), None, None, True),))),
    "empty record": replace(EVENT, record=Record(12, 12, ())),
    "two definitions": replace(
        EVENT, args=None, args_origin=None, names_origin=None,
        alternatives=(
            Alternative(Position("net/trace.h", 12, 3), "defined(CONFIG_X) && !IS_ENABLED(Y)"),
            Alternative(Position("net/other.h"), None),
        ),
    ),
    "a definition under a condition": replace(EVENT, alternatives=(Alternative(Position("a.h", 7), "A > 1"),)),
    "nullable by its name": replace(
        EVENT, args=(Argument("p__nullable", TYPES["opaque"], 0, Nullness.MAYBE),), nullness_origin=Origin.TRACEITER
    ),
}  # fmt: skip


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_fact_survives(event: Event, tmp_path: Path) -> None:
    assert kept_event(tmp_path, event) == event


def test_no_fact_of_an_event_is_left_out() -> None:
    """A member that Event gets needs a column: each one is of another value in at least two of the above."""
    for field in fields(Event):
        if field.name == "name":
            continue
        assert len({getattr(event, field.name) for event in EVENTS.values()}) > 1, field.name


def test_findings_reasons_and_notes_survive(tmp_path: Path) -> None:
    finding = Diagnostic("raw-count", "two, or three", Position("a.h", 3, 4), "look", Severity.ERROR)
    note = Diagnostic("layout-packed", "packed", None, None, Severity.NOTE)
    comparisons = (
        Comparison(Subject.RAW, "sys:802154_ev", (finding, note)),
        Comparison(Subject.LAYOUT, "class cls"),
        Comparison(Subject.HEADER_RECORD, "sys:802154_ev", reason="they are of another release", detail=finding),
    )
    said = Diagnostic("tracefs-missing", "not mounted", hint="mount it", severity=Severity.NOTE)
    kernel = kept(tmp_path, OneEvent(EVENT, *comparisons, notes=(said,)))
    (key,) = kernel.keys()
    assert tuple(kernel.comparisons(key)) == comparisons
    assert [comparison.subject for comparison in kernel.comparisons(key, raw_only=True)] == [Subject.RAW]
    assert kernel.notes == (said,)


@pytest.mark.parametrize("arch", ["x86_64", "s390x", "i386", "arm"])
def test_what_is_said_of_a_kernel_survives(arch: str, tmp_path: Path) -> None:
    info = KernelInfo("k", target_named(arch), "6.12.107+deb13-s390x", "debian", "00ff", ("btf", "headers"))
    kernel = kept(tmp_path, OneEvent(EVENT), info)
    assert (kernel.info, kernel.target, kernel.release) == (info, info.target, info.release)


@pytest.mark.parametrize(
    ("sources", "origin"), [(("btf", "headers"), Origin.HEADERS), (("btf", "headers", "verifier"), Origin.VERIFIER)]
)
def test_origin_of_nullness_survives(sources: tuple[str, ...], origin: Origin, tmp_path: Path) -> None:
    args = (Argument("p", TYPES["opaque"], 0, Nullness.NEVER),)
    event = replace(EVENT, args=args, nullness_origin=origin)
    kernel = kept(tmp_path, OneEvent(event), KernelInfo("one", X86_64, sources=sources))
    assert kernel.events(kernel.keys()) == [event]


def test_paths_below_the_root_do_not_say_where_it_was(tmp_path: Path) -> None:
    event = replace(EVENT, header=Position("/home/me/linux/include/trace/x.h", 1))
    kernel = kept(tmp_path, OneEvent(event), root="/home/me/linux")
    header = kernel.events(kernel.keys())[0].header
    assert header == Position("include/trace/x.h", 1)
    assert b"/home/me" not in (tmp_path / "kept.tpgen").read_bytes()


def test_a_whole_kernel(tmp_path: Path) -> None:
    """The small kernel has each way in which an event finds its class."""
    kernel, catalog = small_kernel(tmp_path), Catalog(str(small_catalog(tmp_path))).kernel()
    assert catalog.names == kernel.names
    assert catalog.keys() == kernel.keys()
    assert catalog.events(catalog.keys()) == kernel.events(kernel.keys())
    for key in kernel.keys():  # noqa: SIM118  # of a kernel, not of a dict
        assert list(catalog.comparisons(key)) == list(kernel.comparisons(key))
        assert catalog.keys_of(key.name) == kernel.keys_of(key.name)


# --- for people with sqlite3


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_the_views_read_like_the_kernel(tmp_path: Path) -> None:
    path = small_catalog(tmp_path)
    assert query(path, "SELECT slot, name, type FROM arguments WHERE event = 'sched_switch' ORDER BY slot") == [
        (0, "preempt", "bool"),
        (1, "prev", "struct task_struct *"),
        (2, "next", "struct task_struct *"),
        (3, "prev_state", "unsigned int"),
    ]
    fields = "SELECT name, type, offset_bytes, size_bytes FROM fields WHERE event = 'page_ref_mod' ORDER BY position"
    assert query(path, fields) == [("pfn", "unsigned long", 8, 8), ("val", "int", 16, 4)]
    classes = "SELECT system, class, record_bytes FROM events WHERE event = 'sched_wakeup'"
    assert query(path, classes) == [("sched", "sched_wakeup_template", 24)]


def test_what_two_kernels_share_stands_once(tmp_path: Path) -> None:
    tables = ("type", "prototype", "record", "class", "field", "argument", "event", "group_event")

    def rows(path: Path) -> list[object]:
        return [query(path, f"SELECT count(*) FROM {table}") for table in tables]

    once, twice = (KernelInfo(name, X86_64) for name in ("a", "b"))
    one, two = small_catalog(tmp_path, once, name="one.tpgen"), small_catalog(tmp_path, once, twice, name="two.tpgen")
    assert rows(one) == rows(two)
    assert query(one, "SELECT count(*) FROM events") == [(6,)]
    assert query(two, "SELECT kernel, count(*) FROM events GROUP BY kernel") == [("a", 6), ("b", 6)]


def test_the_same_kernels_make_the_same_bytes(tmp_path: Path) -> None:
    assert small_catalog(tmp_path).read_bytes() == small_catalog(tmp_path, name="again.tpgen").read_bytes()


def test_file_knows_what_it_is(tmp_path: Path) -> None:
    """As SQLite has it: PRAGMA application_id is "tpgn", user_version the format."""
    path = small_catalog(tmp_path)
    assert query(path, "PRAGMA application_id") == [(int.from_bytes(b"tpgn", "big"),)]
    assert query(path, "PRAGMA user_version") == [(4,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- which is meant


def on(
    name: str, release: str | None, arch: str = "x86_64", distribution: str | None = None, own: bool = False
) -> StoredKernel:
    return StoredKernel(KernelInfo(name, target_named(arch), release, distribution), f"/{name}", not own)


KNOWN = (
    on("debian-6.1-rt-amd64", "6.1.0-56-rt-amd64", distribution="debian"),
    on("debian-6.1-amd64", "6.1.0-56-amd64", distribution="debian"),
    on("debian-6.12-cloud-amd64", "6.12.107+deb13-cloud-amd64", distribution="debian"),
    on("debian-6.12-amd64", "6.12.107+deb13-amd64", distribution="debian"),
    on("debian-6.12-arm64", "6.12.107+deb13-arm64", "aarch64", "debian"),
    on("debian-6.12-s390x", "6.12.107+deb13-s390x", "s390x", "debian"),
    on("debian-7.2-amd64", "7.2.13+deb14-amd64", distribution="debian"),
    on("mine", "6.12.9-custom", own=True),
    on("fedora", "6.17.1-300.fc43.x86_64", distribution="fedora", own=True),
    on("6.1-rt", None, own=True),
)
MEANT = {
    "6.1": "debian-6.1-amd64",  # and neither 6.12 nor another flavour
    "6.12": "debian-6.12-amd64",
    "6.12-amd64": "debian-6.12-amd64",
    "debian-6.1-rt-amd64": "debian-6.1-rt-amd64",
    "6.12.107+deb13-cloud-amd64": "debian-6.12-cloud-amd64",
    "6.12.9": "mine",
    "6.12.9-custom": "mine",
    "6.17": "fedora",
    "6.17-amd64": "fedora",
    "6.12-arm64": "debian-6.12-arm64",
    "6.12-aarch64": "debian-6.12-arm64",
    "debian-6.12-s390x": "debian-6.12-s390x",
    "debian-6.12": "debian-6.12-amd64",
    "fedora-6": "fedora",
    "6": "debian-6.12-amd64",  # what it means does not depend on what somebody added
    "7": "debian-7.2-amd64",
    "mine": "mine",
    "6.1-rt": "6.1-rt",
    "6.12.107+deb13-s390x": "debian-6.12-s390x",
    "6.1.0-56-amd64": "debian-6.1-amd64",
    "6.13": None,
    "7.2-arm64": None,
    "fedora-6.12": None,
    "": None,
    "-": None,
    "amd64": None,
}


@pytest.mark.parametrize(("wanted", "name"), MEANT.items(), ids=MEANT)
def test_names(wanted: str, name: str | None) -> None:
    found = best(wanted, KNOWN, "x86_64")
    assert (found and found.info.name) == name


def test_names_on_another_machine() -> None:
    for_arm = best("6.12", KNOWN, "aarch64")
    assert for_arm
    assert for_arm.info.name == "debian-6.12-arm64"
    assert best("6.1", KNOWN, "aarch64") is None
    assert best("6.12", KNOWN, None) is None  # an architecture that tpgen does not know


def test_of_equals_the_users_own() -> None:
    older, newer = on("older", "6.12.1", own=True), on("newer", "6.12.2", own=True)
    for known in ((older, newer), (newer, older)):
        assert best("6.12", known, "x86_64") is newer
    shipped, own = on("shipped", "6.12.1-x"), on("own", "6.12.1-x", own=True)
    for known in ((shipped, own), (own, shipped)):
        assert best("6.12.1-x", known, "x86_64") is own


def test_of_one_version_the_newest_build() -> None:
    """Debian's 6.1.0-9 is older than its 6.1.0-57, and -rc3 older than the release."""
    for older, newer in (("6.1.0-9-amd64", "6.1.0-57-amd64"), ("6.12-rc3-amd64", "6.12-amd64")):
        known = [on("older", older, own=True), on("newer", newer, own=True)]
        for order in (known, known[::-1]):
            found = best(newer.split("-")[0], order, "x86_64")
            assert found
            assert found.info.name == "newer"


@pytest.mark.parametrize("wanted", ["6.12", "debian-6.12-amd64"])
def test_a_shipped_name_opens_nothing_of_the_user(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a thousand catalogs does not wait for them."""
    monkeypatch.setattr("tpgen.catalog.store.user_catalogs", lambda: pytest.fail("the user's catalogs were asked for"))
    assert open_named(wanted, "x86_64").label == "debian-6.12-amd64"


def test_a_short_name_of_a_shipped_kernel_stays_what_it_is() -> None:
    """Neither a newer kernel of the user's nor one of that very name takes it."""
    added = (on("deb61", "6.1.999-amd64", distribution="debian", own=True), on("6.1", "7.2.13", own=True))
    for wanted in ("6.1", "debian-6.1", "6.1-amd64", "debian-6.1-amd64"):
        found = best(wanted, (*added, *KNOWN), "x86_64")
        assert found
        assert found.info.name == "debian-6.1-amd64"
    for wanted in ("deb61", "6.1.999-amd64"):
        assert best(wanted, (*added, *KNOWN), "x86_64") is added[0]


# --- the commands


def ships(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogs in `directory` be those that travel with tpgen."""
    for module in ("store", "known_classes"):
        monkeypatch.setattr(f"tpgen.catalog.{module}.shipped_catalogs", lambda: str(directory))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's catalogs lie, beside which there are no others."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    ships(tmp_path / "none", monkeypatch)
    return tmp_path / "data" / "tpgen" / "catalog"


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, ...]:
    tracefs = write_tracefs(tmp_path / "small-tracefs")
    return "--btf", str(write_btf(tmp_path / "small.btf")), "--tracefs", str(tracefs), "--arch", "x86_64"


DONE = Done(0, "", "")


def test_add_list_use(home: Path, sources: tuple[str, ...]) -> None:
    assert tpgen("catalog", "add", "mine", *sources, "--release", "9.8.7") == DONE
    listed = [line.split() for line in tpgen("catalog", "list").out.splitlines()]
    assert ["mine", "9.8.7", "x86_64", "6", str(home / "mine.tpgen")] in listed
    for kernel in ("mine", "9.8-amd64", str(home / "mine.tpgen")):
        for command in (("show", "*"), ("show", "*", "--json"), ("list",), ("sched_switch",)):
            told = tpgen(*command, "--kernel", kernel)
            direct = tpgen(*command, *sources, "--release", "9.8.7")  # which BTF does not tell
            assert (told.code, told.err) == (direct.code, direct.err) == (0, "")
            assert told.out.splitlines()[1:] == direct.out.splitlines()[1:]  # the name of the kernel is in the first


def test_list_json(home: Path, sources: tuple[str, ...]) -> None:
    tpgen("catalog", "add", "mine", *sources, "--release", "9.8.7", "--distribution", "own")
    (mine,) = [item for item in json.loads(tpgen("catalog", "list", "--json").out) if item["name"] == "mine"]
    assert mine == {
        "name": "mine", "release": "9.8.7", "distribution": "own", "arch": "x86_64", "pointer_size": 8,
        "big_endian": False, "build_id": None, "sources": ["btf", "tracefs"], "events": 6, "shipped": False,
        "path": str(home / "mine.tpgen"), "version": 1,
    }  # fmt: skip


def test_where_the_sources_lie_leaves_no_trace(home: Path, tmp_path: Path) -> None:
    """Findings in a format file, in BTF and in a header, whose paths are those below the directories given."""
    odd = small_btf()
    integer = odd.integer("int", 4)
    odd.event("odd", [("a", integer)])
    odd.event_class("odd", [integer], 20, [("first", integer, 8), ("second", integer, 13)])
    contents = []
    for folder in (tmp_path / "one", tmp_path / "another/place"):
        header = folder / "tree/include/trace/events/odd.h"
        header.parent.mkdir(parents=True)
        header.write_text(
            "#define TRACE_SYSTEM odd\nTRACE_EVENT(odd, TP_PROTO(long b), TP_ARGS(b),\n"
            'TP_STRUCT__entry(__field(int, third)), TP_fast_assign(), TP_printk("x"));\n'
        )
        tracefs = write_tracefs(folder / "tracefs", {"odd/odd": (Line("int third", 8, 4, 1),)})
        (folder / "btf").mkdir()
        btf = write_btf(folder / "btf/vmlinux", odd)
        sources = ("--btf", btf, "--tracefs", tracefs, "--headers", folder / "tree", "--arch", "x86_64")
        assert tpgen("catalog", "add", "odd", *sources) == DONE
        contents.append((home / "odd.tpgen").read_bytes())
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in contents[0]
    checked = tpgen("check", "odd", "--kernel", "odd").out
    for place in (
        "vmlinux: error: class odd",
        "format: error: odd:odd",
        "include/trace/events/odd.h:2:1: error: odd:odd",
    ):
        assert place in checked


def test_export_of_what_was_added(home: Path, sources: tuple[str, ...], tmp_path: Path) -> None:
    """A file for another machine: the same kernel, whatever it is exported from."""
    tpgen("catalog", "add", "mine", *sources, "--release", "9.8.7")
    once, twice = tmp_path / "once.tpgen", tmp_path / "twice"
    assert tpgen("catalog", "export", "9.8-x86_64", "-o", once) == DONE
    assert tpgen("catalog", "export", once, "-o", twice) == DONE
    assert once.read_bytes() == twice.read_bytes() == (home / "mine.tpgen").read_bytes()
    assert tpgen("show", "sched_switch", "--kernel", twice).code == 0


def test_adding_again_replaces(home: Path, sources: tuple[str, ...]) -> None:
    tpgen("catalog", "add", "mine", *sources, "--release", "9.8.7")
    tpgen("catalog", "add", "mine", *sources, "--release", "9.9")
    assert [path.name for path in home.iterdir()] == ["mine.tpgen"]
    assert stored_kernels()[0][0].info.release == "9.9"


NAME_HINT = "cannot be a catalog's name [usage]; letters, digits and `_.+~-`"
USAGE = {
    "no act": (
        ["catalog"],
        "the following arguments are required: list|show|add|remove|export|merge [usage]; "
        "`tpgen catalog --help` explains",
    ),
    "nothing to add": (
        ["catalog", "add", "x"],
        "nothing to add [usage]; give package files, --btf, --tracefs, --headers or --kernel",
    ),
    "a package and no name": (
        ["catalog", "add", "linux-image-9.9.deb"],
        "nothing to add [usage]; a name stands first: `tpgen catalog add NAME linux-image-9.9.deb`",
    ),
    "name of a path": (["catalog", "add", "a/b", "--kernel", "live"], f"'a/b' {NAME_HINT}"),
    "name taken": (["catalog", "add", "live", "--kernel", "live"], f"'live' {NAME_HINT}"),
    "two kernels": (
        ["probe", "--kernel", "a", "--kernel", "b"],
        "this reads one kernel, not 2 [usage]; name one of a, b",
    ),
    "both": (
        ["list", "--kernel", "a", "--btf", "b"],
        "--kernel NAME and files exclude each other [usage]; give one or the other",
    ),
    "packages and BTF": (
        ["catalog", "add", "x", "p.deb", "--btf", "b"],
        "packages have their own BTF [usage]; leave out --btf and --kernel",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage(arguments: list[str], message: str, home: Path) -> None:
    assert tpgen(*arguments) == refusal(message)
    assert not home.exists() or not list(home.iterdir())


@pytest.mark.parametrize(
    ("name", "shipped"),
    {
        "6.1": "debian-6.1-amd64",
        "7": "debian-7.2-amd64",
        "6.12-s390x": "debian-6.12-s390x",
        "debian-5.10-amd64": "debian-5.10-amd64",
    }.items(),
)
def test_a_name_that_means_a_shipped_kernel(
    name: str, shipped: str, tmp_path: Path, sources: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    home = tmp_path / "data" / "tpgen" / "catalog"
    done = tpgen("catalog", "add", name, *sources)
    assert (done.code, done.out) == (2, "")
    hint = f"give it a name of its own, such as my-{name}"
    assert done.err == f"tpgen: error: '{name}' means {shipped}, which is a shipped kernel [usage]; {hint}\n"
    assert not home.exists() or not list(home.iterdir())
    assert tpgen("catalog", "add", f"my-{name}", *sources).code == 0
    assert (home / f"my-{name}.tpgen").exists()


def test_unknown_kernels(home: Path, sources: tuple[str, ...]) -> None:
    tpgen("catalog", "add", "other", *sources, "--release", "99.1")
    changed(home / "other.tpgen", "UPDATE kernel SET arch = 's390x', big_endian = 1")
    message = "no kernel '99' [unknown-kernel]; for another architecture there is other"
    assert tpgen("list", "--kernel", "99") == refusal(message)
    assert tpgen("list", "--kernel", "99", "--arch", "s390x").code == 0
    told = tpgen("list", "--kernel", "98")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("tpgen: error: no kernel '98' [unknown-kernel]; live is the running one")


def test_a_broken_catalog_of_the_users_does_not_hide_others(home: Path, sources: tuple[str, ...]) -> None:
    tpgen("catalog", "add", "mine", *sources, "--release", "9.8.7")
    (home / "broken.tpgen").write_bytes(b"no catalog")
    assert tpgen("list", "--kernel", "mine").code == 0
    listed = tpgen("catalog", "list")
    assert listed.code == 2
    assert "mine" in listed.out
    hint = "`tpgen catalog export` makes one"
    assert listed.err == f"{home / 'broken.tpgen'}: error: not a catalog [catalog-foreign]; {hint}\n"


def test_a_file_of_several_kernels_must_be_told_apart(tmp_path: Path) -> None:
    """Where one is meant; a name without the ending stands for no more than one."""
    path = small_catalog(tmp_path, *(KernelInfo(name, X86_64) for name in ("a", "b")))
    message = f"{path}: which of its kernels is not said [unknown-kernel]; it has a, b; {path}:a would be one"
    assert tpgen("diff", path, path) == refusal(message)
    with pytest.raises(TpgenError) as refused:
        open_kernel(str(path))
    assert str(refused.value) == message
    other = path.rename(tmp_path / "other")
    message = f"{other}: which of its kernels is not said [unknown-kernel]; it has a, b; {other}.tpgen:a would be one"
    assert tpgen("list", "--kernel", other) == refusal(message)


def test_probe(tmp_path: Path) -> None:
    done = tpgen("probe", "--kernel", small_catalog(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("raw tracepoints: yes\n  yes      the catalog has ")


def test_check(tmp_path: Path) -> None:
    """What was compared when the catalog was made: five raw tracepoints, four formats, a syscall."""
    done = tpgen("check", "--kernel", small_catalog(tmp_path))
    assert (done.code, done.err) == (0, "")
    numbers = {line.split(":")[0].strip(): line.split()[-3:] for line in done.out.splitlines() if ": " in line}
    assert numbers["raw arguments"] == ["5", "0", "0"]
    assert numbers["syscall record"] == ["1", "0", "0"]


def test_findings_that_were_kept_forbid_to_generate(tmp_path: Path) -> None:
    finding = Diagnostic("raw-count", "two, or three")
    kept(tmp_path, OneEvent(EVENT, Comparison(Subject.RAW, "sys:802154_ev", (finding,))))
    done = tpgen("802154_ev", "--raw", "--kernel", tmp_path / "kept.tpgen")
    assert done == Done(1, "", "tpgen: error: two, or three [raw-count]\n")
    assert tpgen("check", "--kernel", tmp_path / "kept.tpgen").code == 1


# --- the class that only headers know


def test_the_class_of_a_running_kernels_event(home: Path, tmp_path: Path) -> None:
    """dma_fence_init could be of two classes with the same prototype and record."""
    small = small_kernel(tmp_path)

    def choice() -> tuple[str | None, Origin | None]:
        kernel = CheckedKernel(replace(small.sources, known_classes=KnownClasses("6.18.1")))
        (key,) = kernel.keys_of("dma_fence_init")
        event = kernel.event(key)
        return event.class_name, event.class_origin

    def tell(name: str, told: str, release: str | None = None, origin: Origin = Origin.HEADERS) -> None:
        event = replace(EVENT, name="dma_fence_init", module="fence", class_name=told, class_origin=origin)
        writer = CatalogWriter()
        writer.add(KernelInfo(name, X86_64, release, sources=("headers",)), OneEvent(event))
        home.mkdir(parents=True, exist_ok=True)
        writer.save(str(home / f"{name}.tpgen"))

    tell("guess", "dma_fence", origin=Origin.LAYOUT)
    assert choice() == (None, None), "what another kernel's layout says is no more than ours does"
    tell("other", "no_such_class")
    assert choice() == (None, None), "a class that does not fit"
    tell("old", "dma_fence_unsignaled", "5.10.1")
    assert choice() == ("dma_fence_unsignaled", Origin.CATALOG)
    tell("new", "dma_fence", "7.2")
    assert choice() == (None, None), "they disagree"
    tell("same", "dma_fence", "6.18.1")
    assert choice() == ("dma_fence", Origin.CATALOG), "that of this very release decides"


def test_more_files_than_may_be_open(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are closed for each other, and all are asked: the last disagrees."""
    monkeypatch.setattr("tpgen.catalog.file._MOST_OPEN", 2)
    home.mkdir(parents=True)
    known = KnownClasses("6.18.1")
    possible = ("dma_fence", "dma_fence_unsignaled")
    for number in range(5):
        writer = CatalogWriter()
        event = replace(EVENT, name="dma_fence_init", module=None, class_name=possible[number == 4])
        writer.add(KernelInfo(f"k{number}", X86_64, "6.1", sources=("headers",)), OneEvent(event))
        writer.save(str(home / f"k{number}.tpgen"))
        if number == 3:
            assert KnownClasses("6.18.1").of("dma_fence_init", None, possible) == "dma_fence"
    for _ in range(2):
        assert known.of("dma_fence_init", None, possible) is None
        links = (os.readlink(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd") if _is_open(number))
        assert 0 < sum(str(home) in link for link in links) <= 2


def _is_open(number: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{number}")


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_opened_again(is_replaced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be the same."""
    monkeypatch.setattr("tpgen.catalog.file._MOST_OPEN", 1)
    path, other = small_catalog(tmp_path), small_catalog(tmp_path, name="other.tpgen")
    kernel = Catalog(str(path)).kernel()
    assert Catalog(str(other)).kernel().keys() == kernel.keys()
    if is_replaced:
        small_catalog(tmp_path, name="new").rename(path)
        Catalog(str(other))
        with pytest.raises(TpgenError, match="changed while it was read"):
            kernel.events(kernel.keys_of("sched_switch"))
    else:
        assert [event.name for event in kernel.events(kernel.keys_of("sched_switch"))] == ["sched_switch"]


def test_the_class_of_an_event_whose_prototype_is_like_no_class(home: Path, tmp_path: Path) -> None:
    """A DEFINE_EVENT may write its types in other words. Where tracefs shows no record, a catalog tells the class."""
    b = small_btf()
    b.event("sched_waking", [("p", b.ptr(b.fwd("other")))])
    btf = BtfTracepoints(Btf(b.blob(), "vmlinux", names=TRACEPOINT_NAMES, arch="x86_64"))
    sources = Sources("small", X86_64, "6.18.1", (btf,), known_classes=KnownClasses("6.18.1"))
    writer = CatalogWriter()
    event = replace(EVENT, name="sched_waking", module=None, class_name="sched_wakeup_template")
    writer.add(KernelInfo("k", X86_64, "6.18.1", sources=("headers",)), OneEvent(event))
    home.mkdir(parents=True)
    writer.save(str(home / "k.tpgen"))
    kernel = CheckedKernel(sources)
    (found,) = kernel.events(kernel.keys_of("sched_waking"))
    assert (found.class_name, found.class_origin) == ("sched_wakeup_template", Origin.CATALOG)
    assert found.record is not None
    assert found.record.size_bytes == 24


def test_check_says_where_classes_are_known_from(tmp_path: Path) -> None:
    """Of the small kernel two have a class of their own name or fit one only, and one fits two."""
    said = tpgen("check", "--kernel", small_catalog(tmp_path)).out
    numbers = "2 by equal layout, 1 by btf: class of the same name, 1 ambiguous or unknown"
    assert f"\nclasses of events: {numbers}\n" in said


# --- what tells a running kernel


@pytest.mark.parametrize("order", ["little", "big"])
def test_build_id_among_notes(order: Literal["little", "big"]) -> None:
    """As the ELF specification has them: sizes of name and text, type, name, text; the last two padded to 4 bytes."""

    def note(name: bytes, kind: int, text: bytes) -> bytes:
        head = b"".join(n.to_bytes(4, order) for n in (len(name), len(text), kind))
        return head + name + b"\0" * (-len(name) % 4) + text + b"\0" * (-len(text) % 4)

    ours = note(b"GNU\0", 3, bytes(range(20)))
    linux = note(b"Linux\0", 257, b"\x01\x02\x03")
    assert live.build_id_in(linux + ours, order) == bytes(range(20)).hex()
    assert live.build_id_in(note(b"Xen\0", 3, b"1234") + note(b"GNU\0", 1, b"1234"), order) is None
    assert live.build_id_in(linux + ours[:-21], order) is None
    assert live.build_id_in(b"", order) is None


def test_a_kernel_that_was_dropped_is_freed(tmp_path: Path) -> None:
    """And its file is closed, both without a garbage collection: a process may open any number of kernels."""
    catalog = small_catalog(tmp_path)

    def open_files() -> list[str]:
        return [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]

    gc.disable()
    try:
        kernel = Catalog(str(catalog)).kernel()
        assert kernel.events(kernel.keys())
        known = weakref.ref(kernel), weakref.ref(kernel.catalog)
        assert str(catalog) in open_files(), "else this test sees nothing"
        del kernel
        assert [reference() for reference in known] == [None, None]
        assert str(catalog) not in open_files()
    finally:
        gc.enable()


# --- what tracefs would tell, for a user who may not read it


def unprivileged(folder: Path) -> CheckedKernel:
    """The small kernel, of which this user sees the BTF alone."""
    sources = replace(small_kernel(folder).sources, tracefs=None, known_classes=KnownClasses("6.18.1"))
    return CheckedKernel(sources)


@pytest.fixture
def told(home: Path, tmp_path: Path) -> Path:
    """A catalog of the small kernel with its tracefs, and with a class that headers would have told."""
    home.mkdir(parents=True)
    info = KernelInfo("told", X86_64, "6.18.1", sources=("btf", "headers", "tracefs"))
    return changed(
        small_catalog(home, info, name="told.tpgen"),
        "UPDATE class SET name = 'dma_fence', candidates = NULL WHERE candidates IS NOT NULL",
    )


def driver(kernel: CheckedKernel) -> Field:
    """The field `driver` of dma_fence_init, a `__data_loc char[]`."""
    (key,) = kernel.keys_of("dma_fence_init")
    record = kernel.event(key).record
    assert record is not None
    return next(field for field in record.fields if field.name == "driver")


def test_systems_and_strings_without_tracefs(told: Path, tmp_path: Path) -> None:
    kernel = unprivileged(tmp_path)
    assert [key.system for name in ("sched_switch", "dma_fence_init") for key in kernel.keys_of(name)] == [
        "sched", "dma_fence",
    ]  # fmt: skip
    assert kernel.keys_of("pelt_se_tp")[0].system is None  # a bare tracepoint is in no system, and no catalog has one
    assert kernel.select("sched:*") == [*kernel.keys_of("sched_switch"), *kernel.keys_of("sched_wakeup")]
    assert driver(kernel).type == Int("char", 1, False)  # as its BTF has it


def test_a_class_that_grew(told: Path, tmp_path: Path) -> None:
    """Of the running kernel's release there may be no catalog: a field of that name in a class of that name counts."""
    changed(told, "UPDATE field SET name = 'number' WHERE name = 'seqno'")
    assert driver(unprivileged(tmp_path)).type == Int("char", 1, False)


def test_catalogs_that_disagree(told: Path, home: Path, tmp_path: Path) -> None:
    """Another kernel has the field as bytes, and the event in another system: then neither is known."""
    info = KernelInfo("other", X86_64, "6.19", sources=("btf", "headers", "tracefs"))
    changed(
        small_catalog(home, info, name="other.tpgen"),
        "UPDATE class SET name = 'dma_fence', candidates = NULL WHERE candidates IS NOT NULL",
        "UPDATE event SET system = 'zoo' WHERE name = 'sched_switch'",
        "UPDATE field SET type = (SELECT id FROM type WHERE spelling = 'unsigned int') WHERE name = 'driver'",
    )
    kernel = unprivileged(tmp_path)
    assert kernel.keys_of("sched_switch")[0].system is None
    assert driver(kernel).type is None


@pytest.fixture
def shipped(told: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same catalog, as if it came with tpgen; this user has none."""
    shipped = told.parent.parent / "shipped"
    shipped.mkdir()
    ships(shipped, monkeypatch)
    return told.rename(shipped / told.name)


def test_a_file_of_btf_alone(shipped: Path, tmp_path: Path) -> None:
    """As the running kernel's: system, class and elements, and so a reader of text that ends it with NUL."""
    btf = ("--btf", str(write_btf(tmp_path / "vmlinux")))
    (fence,) = json.loads(tpgen("show", "dma_fence_init", "--json", *btf).out)
    assert fence["system"] == "dma_fence"
    assert [field["type"] for field in fence["record"]["fields"]] == ["char[]", "unsigned int"]
    text = tpgen("dma_fence_init", "--classic", *btf).out
    assert "long tp_dma_fence_init_driver_read(const void *ctx, void *dst, unsigned int size)" in text
    assert '#define TP_SEC_dma_fence_init "tp/dma_fence/dma_fence_init"\n' in text
    assert [line.split()[0] for line in tpgen("list", "sched:*", *btf).out.splitlines()] == [
        "sched:sched_switch",
        "sched:sched_wakeup",
    ]


def test_a_users_catalog_tells_nothing_of_a_file(told: Path, tmp_path: Path) -> None:
    """The same file gives the same on every machine."""
    (fence,) = json.loads(tpgen("show", "dma_fence_init", "--json", "--btf", write_btf(tmp_path / "vmlinux")).out)
    assert (fence["system"], fence["record"]["fields"][0]["type"]) == (None, None)


CHANGES = {
    "a field more": "INSERT INTO field SELECT record, 9, 'more', type, 16, 4, 0, NULL FROM field WHERE name = 'seqno'",
    "a field renamed": "UPDATE field SET name = 'number' WHERE name = 'seqno'",
    "another kind of field": "UPDATE field SET dynamic = 'rel_loc' WHERE name = 'driver'",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_class_of_the_same_name_with_other_fields(change: str, shipped: Path, tmp_path: Path) -> None:
    """It may be anything: then the name of the reader says that it copies bytes."""
    of = "WHERE id = (SELECT record FROM field WHERE name = 'more')"
    changed(shipped, change, f"UPDATE record SET fields = fields + 1, size_bytes = 24 {of}")
    text = tpgen("dma_fence_init", "--classic", "--btf", write_btf(tmp_path / "vmlinux")).out
    assert "long tp_dma_fence_init_driver_read_bytes(const void *ctx, void *dst, unsigned int size)" in text


def test_elements_are_those_of_this_kernel(shipped: Path, tmp_path: Path) -> None:
    """A catalog of a 64-bit kernel tells a 32-bit one what its elements are called, not how large they are."""
    changed(
        shipped, "UPDATE field SET type = (SELECT id FROM type WHERE spelling = 'unsigned long') WHERE name = 'driver'"
    )
    btf = Btf(small_btf(pointer_size=4).blob(), "vmlinux", names=TRACEPOINT_NAMES, arch="i386")
    target = target_named("i386")
    sources = Sources(
        "small", target, None, (BtfTracepoints(btf),), known_classes=KnownClasses(None, shipped_only=True)
    )
    assert driver(CheckedKernel(sources)).type == Int("unsigned long", 4, False)


def test_without_catalogs_the_name_says_bytes(home: Path, tmp_path: Path) -> None:
    """A reader of text ends it with NUL. One that cannot know is not called like it."""
    assert driver(unprivileged(tmp_path)).type is None
    sources = ("--btf", str(write_btf(tmp_path / "vmlinux")))
    text = tpgen("dma_fence_init", "--classic", *sources).out
    assert "long tp_dma_fence_init_driver_read_bytes(const void *ctx, void *dst, unsigned int size)" in text
    assert "tp_dma_fence_init_driver_read(" not in text
    with_tracefs = tpgen("dma_fence_init", "--classic", *sources, "--tracefs", str(tmp_path / "tracefs")).out
    assert "long tp_dma_fence_init_driver_read(const void *ctx, void *dst, unsigned int size)" in with_tracefs
    assert "_driver_read_bytes(" not in with_tracefs


def test_progress_counts_the_events(tmp_path: Path) -> None:
    told = []
    kernel = open_named("6.1", "x86_64")
    watch(lambda *words: told.append(words))
    try:
        CatalogWriter().add(KernelInfo("one", X86_64), kernel)
    finally:
        watch(None)
    count = len(kernel.keys())
    assert [words for words in told if words[0] == "one: events"] == [
        ("one: events", done, count) for done in range(count)
    ]


@pytest.mark.parametrize("name", [None, "three"])
def test_a_kernel_that_is_not_in_the_file(name: str | None, tmp_path: Path) -> None:
    path = small_catalog(tmp_path, KernelInfo("one", X86_64), KernelInfo("two", X86_64))
    with pytest.raises(TpgenError) as caught:
        Catalog(str(path)).kernel(name)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "unknown-kernel"
    assert diagnostic.hint is not None
    assert diagnostic.hint.split("; ")[0] == "it has one, two"


@pytest.mark.parametrize("name", ["debian-5.10-amd64", "debian-6.12-s390x"])
def test_a_list_has_of_events_what_they_have(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is of a few or of all; and it reads no record for that."""
    kernel = open_named(name)
    keys = kernel.keys()
    told = {"system", "name", "module", "kind", "attach_name", "class_name", "class_candidates", "args", "ambiguous"}
    expected = [{name: getattr(event, name) for name in told} for event in kernel.events(keys)]
    monkeypatch.setattr(CatalogContents, "unchecked_record", None)
    for some in (keys, keys[:3]):
        found = open_named(name).listed(some)
        assert [{name: getattr(event, name) for name in told} for event in found] == expected[: len(some)]
