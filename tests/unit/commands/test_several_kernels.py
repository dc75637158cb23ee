"""Several kernels on one command line: which are meant, in which order, and what stands side by side of them.

Three catalogs of kernels that are small enough to write the expectations by hand: `old` has an event that became
another one in `mid` and `new`, which are the same but for one more event.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder
from support.catalogs import X86_64
from support.cli import Done, refusal, tpgen
from support.small_kernel import Line, write_tracefs

from tpgen import api
from tpgen.backends.bpf import BpfBackend
from tpgen.catalog.read import Catalog
from tpgen.catalog.schema import KernelInfo
from tpgen.catalog.write import CatalogWriter
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.events import KernelEvents
from tpgen.kernel.sources import Sources
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.tracefs import TraceFs
from tpgen.target import Target, target_named

OLD, NEW = ("pid", "comm"), ("comm", "reason", "pid")
RECORDS = {
    "old": (Line("char comm[16]", 8, 16), Line("int pid", 24, 4, 1)),
    "new": (Line("__data_loc char[] comm", 8, 4), Line("int pid", 12, 4, 1), Line("u64 id", 16, 8)),
}


def kernel(folder: Path, shape: str, release: str | None, events: tuple[str, ...], target: Target) -> CheckedKernel:
    """A kernel whose event `left` is of one of the two shapes; other events have one argument each."""
    b = BtfBuilder(target.big_endian)
    number, text = b.integer("int", 4, SIGNED), b.ptr(b.integer("char", 1))
    kinds = {"pid": number, "comm": text, "reason": b.integer("unsigned int", 4)}
    entry, bytes_ = b.structure("trace_entry", 8), b.array(b.integer("char", 1), 16)
    long_ = b.typedef("u64", b.integer("long long unsigned int", 8))
    fields = {
        "old": [("ent", entry, 0), ("comm", bytes_, 8), ("pid", number, 24)],
        "new": [("ent", entry, 0), ("__data_loc_comm", kinds["reason"], 8), ("pid", number, 12), ("id", long_, 16)],
    }
    names = OLD if shape == "old" else NEW
    b.event("left", [(name, kinds[name]) for name in names])
    b.event_class("left", [kinds[name] for name in names], 28 if shape == "old" else 24, fields[shape])
    for event in events:
        b.event(event, [("n", number)])
        b.event_class(event, [number], 12, [("ent", entry, 0), ("n", number, 8)])
    formats = {"sched/left": RECORDS[shape]} | {f"sched/{event}": (Line("int n", 8, 4, 1),) for event in events}
    root = TraceFs(str(write_tracefs(folder, formats)), target)
    btf = BtfTracepoints(Btf(b.blob(), "vmlinux", names=TRACEPOINT_NAMES, arch=target.arch))
    return CheckedKernel(Sources("small", target, release, (btf,), root))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of this user's catalogs with the three kernels, and one of another byte order; none are shipped."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("tpgen.catalog.store.shipped_catalogs", lambda: str(tmp_path / "none"))
    catalogs = tmp_path / "data/tpgen/catalog"
    catalogs.mkdir(parents=True)
    for name, shape, release, events, arch in (
        ("mine-new", "new", "6.12.1", ("born",), "x86_64"),
        ("mine-mid", "new", "6.2.9", (), "x86_64"),
        ("mine-old", "old", "5.10.0", (), "x86_64"),
        ("mine-big", "new", "6.12.1", (), "s390x"),
    ):
        target = target_named(arch)
        writer = CatalogWriter()
        writer.add(KernelInfo(name, target, release), kernel(tmp_path / name, shape, release, events, target))
        writer.save(str(catalogs / f"{name}.tpgen"))
    return catalogs


THREE = ("--kernel", "mine-new", "--kernel", "mine-[mo]*")


def events_of(done: Done) -> list[dict[str, object]]:
    assert (done.code, done.err) == (0, "")
    found: list[dict[str, object]] = json.loads(done.out)
    return found


# --- which kernels


def kernels(*words: str) -> list[object]:
    return [event["kernel"] for event in events_of(tpgen("show", "left", "--json", *words))]


@pytest.mark.usefixtures("home")
def test_order_and_each_once() -> None:
    """The oldest release first, 6.2 before 6.12, whatever the command line says first or says twice."""
    assert kernels(*THREE, "--kernel", "mine-old", "--kernel", "6.2.9") == ["mine-old", "mine-mid", "mine-new"]


def test_builds_of_one_version(home: Path) -> None:
    """The ninth build of 6.1.0 is before the 57th, by a glob and by two names."""
    for name, release in (("builds-a", "6.1.0-57-amd64"), ("builds-b", "6.1.0-9-amd64")):
        writer = CatalogWriter()
        target = target_named("x86_64")
        writer.add(KernelInfo(name, target, release), kernel(home.parent / name, "old", release, (), target))
        writer.save(str(home / f"{name}.tpgen"))
    assert kernels("--kernel", "builds-*") == ["builds-b", "builds-a"]
    assert kernels("--kernel", "builds-a", "--kernel", "builds-b") == ["builds-b", "builds-a"]


def test_files_beside_names(home: Path) -> None:
    path = str(home / "mine-old.tpgen")
    assert kernels("--kernel", "mine-new", "--kernel", path) == ["mine-old", "mine-new"]
    assert kernels("--kernel", "mine-old", "--kernel", path, "--kernel", "mine-mid") == ["mine-old", "mine-mid"]


@pytest.fixture
def shelf(home: Path, tmp_path: Path) -> str:
    """One file with all kernels of that directory."""
    writer = CatalogWriter()
    for path in sorted(home.iterdir()):
        found = Catalog(str(path)).kernel()
        writer.add(found.info, found)
    writer.save(str(tmp_path / "shelf.tpgen"))
    return str(tmp_path / "shelf.tpgen")


def test_a_file_of_several(shelf: str) -> None:
    """All of them, those of an architecture, of a glob, or one; the same by what opens kernels in a program."""
    assert kernels("--kernel", shelf) == ["mine-old", "mine-mid", "mine-big", "mine-new"]
    assert kernels("--kernel", shelf, "--arch", "x86_64") == ["mine-old", "mine-mid", "mine-new"]
    assert kernels("--kernel", f"{shelf}:mine-[mn]*") == ["mine-mid", "mine-new"]
    assert kernels("--kernel", f"{shelf}:mine-mid", "--kernel", f"{shelf}:mine-[mo]*") == ["mine-old", "mine-mid"]
    assert tpgen("list", "--kernel", f"{shelf}:mine-mid") == tpgen("list", "--kernel", "mine-mid")
    one, several = api.open_kernel(f"{shelf}:mine-old"), api.open_kernels(shelf, arch="x86_64")
    header = tpgen("left", *THREE).out
    assert "\n".join(str(file.content) for file in several.generate("left")) == header
    assert tpgen("left", "--kernel", shelf, "--arch", "x86_64").out == header
    assert one.generate("left") == api.open_kernel("mine-old").generate("left")


@pytest.mark.parametrize(
    ("name", "arch", "what"),
    [
        ("nosuch", None, " is called 'nosuch'"),
        ("x*", "arm64", " is called 'x*' for arm64"),
        ("", "arm64", " for arm64"),
    ],
)
def test_no_such_kernel_in_a_file(name: str, arch: str | None, what: str, shelf: str) -> None:
    words = ("--kernel", f"{shelf}:{name}" if name else shelf, *(("--arch", arch) if arch else ()))
    message = f"no kernel in this catalog{what} [unknown-kernel]; it has mine-big, mine-mid, mine-new, mine-old"
    assert tpgen("list", *words) == refusal(f"{shelf}: {message}")


def test_a_file_of_several_in_a_build(shelf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made depends on the file, also where only some of its kernels are meant."""
    monkeypatch.chdir(tmp_path)
    toml = 'kernels = ["shelf.tpgen:*-[om]*"]\n[[generate]]\nevents = "left"\nforms = "raw"\n'
    (tmp_path / "tpgen.toml").write_text(toml)
    assert tpgen("build", "--depfile", "d").code == 0
    made = tpgen("left", "--raw", "--kernel", f"{shelf}:mine-old", "--kernel", f"{shelf}:mine-mid").out
    assert (tmp_path / "raw_left.h").read_text() == made
    assert shelf in (tmp_path / "d").read_text().split()
    monkeypatch.chdir("/")
    assert tpgen("build", tmp_path / "tpgen.toml", "--check").code == 0


@pytest.mark.usefixtures("home")
def test_architecture_of_a_glob() -> None:
    assert kernels("--arch", "s390x", "--kernel", "*", "--kernel", "mine-mid") == ["mine-mid", "mine-big"]
    assert "kernel" not in events_of(tpgen("show", "left", "--json", "--kernel", "*", "--arch", "s390x"))[0]


def test_two_kernels_of_one_name(home: Path, tmp_path: Path) -> None:
    """Catalogs of one name in two files are two kernels."""
    (tmp_path / "copy.tpgen").write_bytes((home / "mine-old.tpgen").read_bytes())
    assert kernels("--kernel", "mine-old", "--kernel", str(tmp_path / "copy.tpgen")) == ["mine-old", "mine-old #2"]


LISTED = "live is the running one, and `tpgen catalog list` lists the others"
USAGE = {
    "no such name": (
        ("list", "--kernel", "zzz*"),
        f"no kernel is called 'zzz*' [unknown-kernel]; {LISTED}",
    ),
    "not for that architecture": (
        ("list", "--kernel", "mine-n*", "--arch", "arm64"),
        "no kernel is called 'mine-n*' for arm64 [unknown-kernel]; for another architecture there is mine-new",
    ),
    "one of several": (
        ("list", "--kernel", "mine-old", "--kernel", "nosuch"),
        f"no kernel 'nosuch' [unknown-kernel]; {LISTED}",
    ),
    "files": (
        ("list", "--kernel", "mine-old", "--kernel", "mine-new", "--btf", "x"),
        "--kernel NAME and files exclude each other [usage]; give one or the other",
    ),
    "a command for one kernel": (
        ("catalog", "export", "mine-[nm]*", "-o", "x"),
        "this reads one kernel, not 2 [usage]; name one of mine-mid, mine-new",
    ),
    "two byte orders": (
        ("left", "--kernel", "*"),
        "mine-new and mine-big are too different for one file [usage]; a program has one byte order and one size "
        "of pointers: choose one with --arch",
    ),
    "an event of none": (
        ("show", "elft", *THREE),
        "no event 'elft' in mine-new [unknown-event]; did you mean left?",
    ),
    "a backend for one kernel": (
        ("left", "-b", "python", *THREE),
        "backend python makes files for one kernel [usage]; give one --kernel; bpf makes one header for several",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("words", "message"), USAGE.values(), ids=USAGE)
def test_usage(words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BpfBackend, "several_kernels", True)
    assert tpgen(*words) == refusal(message)


@pytest.mark.usefixtures("home")
def test_a_glob_that_means_one_is_that_kernel(tmp_path: Path) -> None:
    assert tpgen("list", "--kernel", "mine-o*") == tpgen("list", "--kernel", "mine-old")
    assert tpgen("catalog", "export", "mine-o*", "-o", tmp_path / "x.tpgen") == Done(0, "", "")


def test_a_file_that_is_called_like_a_glob(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (home / "mine-old.tpgen").rename("[a]*.tpgen")
    assert tpgen("list", "--kernel", "[a]*.tpgen").code == 0


def test_what_else_may_be_meant_is_only_looked_for_where_nothing_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each event that some kernel lacks it would take most of the time."""
    assert home.exists()
    looked: list[str] = []
    monkeypatch.setattr(KernelEvents, "_near_misses", lambda _, pattern: looked.append(pattern))
    assert tpgen("list", "born", *THREE).code == 0
    assert tpgen("born", *THREE).code == 0
    assert looked == []
    assert tpgen("list", "nosuch", *THREE).code == 2
    assert looked == ["nosuch"]


# --- side by side

SHOWN = """\
sched:left
  A  mine-old
  B  mine-mid, mine-new

                       A             B
raw arguments          2             3
  char *comm           ctx[1]        ctx[0]
  unsigned int reason  -             ctx[1]
  int pid              ctx[0]        ctx[2]
classic record         28 bytes      24 bytes
  comm                 @8 char[16]   @8 __data_loc char[]
  int pid              @24           @12
  u64 id               -             @16

sched:born
  A  mine-new
  no such event on mine-old, mine-mid

                  A
raw arguments     1
  int n           ctx[0]
classic record    12 bytes
  int n           @8
"""


@pytest.mark.usefixtures("home")
def test_show() -> None:
    """Kernels that have the same share a column; what is declared alike is told once, and its places."""
    done = tpgen("show", "left", "born", *THREE)
    assert (done.code, done.err) == (0, "")
    assert words(done.out) == words(SHOWN)


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("home")
def test_show_for_programs() -> None:
    """An object for each event of each kernel, as it is for one kernel, with the kernel's name."""
    found = events_of(tpgen("show", "left", "born", "--json", *THREE))
    assert [(event["kernel"], event["name"]) for event in found] == [
        ("mine-old", "left"), ("mine-mid", "left"), ("mine-new", "left"), ("mine-new", "born"),
    ]  # fmt: skip
    alone = events_of(tpgen("show", "left", "--json", "--kernel", "mine-old"))
    assert {"kernel": "mine-old", **alone[0]} == found[0]


LISTED = """\
1  mine-old
2  mine-mid
3  mine-new

            1  2  3  class  module
sched:left  2  3  3  left   vmlinux
sched:born        1  born   vmlinux
"""


@pytest.mark.usefixtures("home")
def test_list() -> None:
    done = tpgen("list", *THREE)
    assert (done.code, done.err) == (0, "")
    assert sorted(words(done.out)) == sorted(words(LISTED))
    found = {event["name"]: event for event in events_of(tpgen("list", "--json", *THREE))}
    assert found["left"]["args"] == {"mine-old": 2, "mine-mid": 3, "mine-new": 3}
    assert (found["born"]["args"], found["born"]["lacking"]) == ({"mine-new": 1}, ["mine-old", "mine-mid"])


@pytest.mark.usefixtures("home")
def test_check() -> None:
    """Each kernel in turn; an event that some of them lack is a note, one that all lack an error."""
    done = tpgen("check", "born", *THREE)
    assert done.code == 0
    assert done.out.startswith(tpgen("check", "born", "--kernel", "mine-new").out)
    assert done.err.splitlines() == [
        f"tpgen: note: no event 'born' in {name} [unknown-event]; `tpgen list` lists all events"
        for name in ("mine-old", "mine-mid")
    ]
    assert tpgen("check", "nosuch", *THREE).code == 2


JOINED = """\
one header for mine-old, mine-mid, mine-new
                     events  everywhere  guarded  left out
  raw arguments           1           0        3         0
  fields of records       1           1        2         0
"""


@pytest.mark.usefixtures("home")
def test_check_of_what_a_header_for_all_can_offer() -> None:
    """`pid` of the record moved, and is there everywhere; a comm of another kind and an id only behind a guard."""
    done = tpgen("check", "left", *THREE)
    assert (done.code, done.err) == (0, "")
    assert words(done.out)[-4:] == words(JOINED)


# --- from Python


@pytest.mark.usefixtures("home")
def test_api() -> None:
    opened = api.open_kernels("mine-new", "mine-o*")
    assert opened.names == ("mine-old", "mine-new")
    (left,) = opened["mine-old"].query("left")
    assert [value.name for value in left.values(api.Form.RAW)] == ["pid", "comm"]
    with pytest.raises(api.TpgenError, match="backend go makes files for one kernel"):
        opened.generate("left", backend="go")
    (alone,) = api.open_kernels("mine-mid").generate("left", forms=[api.Form.RAW])
    assert alone.content == tpgen("left", "--raw", "--kernel", "mine-mid").out


@pytest.mark.usefixtures("home")
def test_api_with_kernels_of_ones_own() -> None:
    old, new = api.open_kernel("mine-old"), api.open_kernel("mine-new")
    assert api.join_kernels([new, old, new]).names == ("mine-old", "mine-new")
    assert api.join_kernels({"fleet": new, "field": old}).names == ("field", "fleet")


def test_a_kernel_of_unknown_release_keeps_its_place(tmp_path: Path) -> None:
    opened = [
        api.Kernel(kernel(tmp_path / str(number), "old", release, (), X86_64), ())
        for number, release in enumerate(("6.12.1", None, "5.10.0"))
    ]
    assert api.join_kernels(opened).names == ("6.12.1", "unknown release", "5.10.0")
