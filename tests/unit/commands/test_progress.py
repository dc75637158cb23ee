"""Progress at a terminal: whatever takes its time tells how far it is, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.btf_builder import elf
from support.cli import Terminal, tpgen
from support.doctor_cases import compiled
from support.packages import make_deb
from support.small_kernel import write_btf, write_tracefs

from tpgen.basics.progress import counted, tell, watch
from tpgen.cli import main
from tpgen.commands.common.progress import Line
from tpgen.commands.deliver import Screen

pytestmark = pytest.mark.compilers

LINE = re.compile("\r\x1b\\[K([^\r\n]*)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with objects, two catalogs, a project and a tree of headers."""
    folder = tmp_path_factory.mktemp("home")
    compiled(folder)
    small = ("--btf", write_btf(folder / "vmlinux"), "--tracefs", write_tracefs(folder / "tracefs"))
    for name in ("one", "two"):
        assert tpgen("catalog", "add", name, *small, "-o", folder / f"{name}.tpgen").code == 0
    _package(folder)
    (folder / "tpgen.toml").write_text('[[generate]]\nevents = ["sched:sched_w*"]\ndirectory = "made"\n')
    tree = folder / "tree/include/trace/events"
    tree.mkdir(parents=True)
    for name in ("open", "shut"):
        (tree / f"{name}.h").write_text(
            f"#define TRACE_SYSTEM {name}\n#include <linux/tracepoint.h>\n"
            f"TRACE_EVENT(door_{name}, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), "
            "TP_fast_assign(), TP_printk())\n"
        )
    return folder


def _package(folder: Path) -> None:
    image, module = folder / "root/boot/vmlinuz-1.0", folder / "root/lib/modules/1.0/old.ko"
    for path, sections in ((image, {".BTF": (folder / "vmlinux").read_bytes()}), (module, {".text": b"x"})):
        path.parent.mkdir(parents=True)
        path.write_bytes(elf(sections))
    make_deb(folder / "root", folder / "linux.deb")


#: What takes over a second with the input that people have, and a stage that each has to tell.
LONG = {
    "a tree of headers": (("list", "--headers", "tree", "--arch", "x86_64"), "reading headers: 1 of 2"),
    "types of headers": (("show", "*", "--headers", "tree", "--arch", "x86_64"), "finding types: 1 of 2"),
    "all events": (("show", "sched:*", "--kernel", "6.12"), "reading events: 1 of"),
    "a whole check": (("check", "--btf", "vmlinux", "--tracefs", "tracefs"), "comparing events: 1 of"),
    "a check of a catalog": (("check", "sched:*", "--kernel", "6.12"), "reading comparisons: 1 of"),
    "several kernels": (("list", "sched:*", "--kernel", "6.1", "--kernel", "6.12"), "reading kernels: 1 of 2"),
    "differences": (("diff", "6.1", "6.12", "sched:*"), "comparing events: 1 of"),
    "histories": (("history", "sched:sched_s*"), "comparing events: 1 of"),
    "many files": (("sched:*", "--kernel", "6.12", "-o", "headers"), "making files: 2"),
    "a build": (("build", "-o", "built", "--kernel", "6.12"), "making files: 2"),
    "objects": (("doctor", "records.bpf.o", "--kernel", "6.1", "--kernel", "6.12"), "records.bpf.o: kernels: 1 of 2"),
    "an atlas": (("atlas", "-o", "site", "--kernel", "one.tpgen"), "making pages of events: 0 of"),
    "a package": (("catalog", "add", "packed", "linux.deb", "-o", "packed.tpgen"), "linux.deb: modules: 1"),
    "a new kernel": (("catalog", "add", "new", "--btf", "vmlinux", "-o", "new.tpgen"), "new: events: 1 of"),
    "a merge": (("catalog", "merge", "both.tpgen", "one.tpgen", "two.tpgen"), "copying kernels: 1 of 2"),
    "a whole catalog": (("catalog", "add", "both.tpgen"), "copying kernels: 1 of 2"),
}  # fmt: skip


@pytest.fixture
def at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress that does not wait for a second to pass, in that directory, with a terminal of 80 columns."""
    monkeypatch.setattr("tpgen.commands.common.progress._FIRST_SECONDS", 0)
    monkeypatch.setattr("tpgen.commands.common.progress._EACH_SECONDS", 0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.chdir(home)


def told(text: str) -> list[str]:
    return [line for line in LINE.findall(text) if line]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("words", "stage"), LONG.values(), ids=LONG)
def test_what_takes_long_tells_how_far_it_is(words: tuple[str, ...], stage: str) -> None:
    words = (*words, "--no-cache") if "--headers" in words else words
    done = tpgen(*words, stream=Terminal)
    assert done.code == (words[0] == "doctor"), done.err
    assert [line for line in told(done.err) if line.startswith(stage)]
    assert max(map(len, told(done.err))) < 80
    assert not told(done.out)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("words", [
    LONG["a tree of headers"][0], LONG["several kernels"][0], LONG["histories"][0],
    ("check", "sched:*", "--kernel", "6.1", "--kernel", "6.12"), ("diff", "6.1", "6.12", "sched:*", "--json"),
])  # fmt: skip
def test_nothing_of_it_is_left(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With both on one terminal there is, once the lines were erased, what stands there without progress."""
    with_progress, without = Terminal(), Terminal()
    with contextlib.redirect_stdout(with_progress), contextlib.redirect_stderr(with_progress):
        main(words)
    assert told(with_progress.getvalue())
    monkeypatch.setenv("TERM", "dumb")
    with contextlib.redirect_stdout(without), contextlib.redirect_stderr(without):
        main(words)
    seen = [line.rpartition("\r\x1b[K")[2] for line in with_progress.getvalue().split("\n")]
    assert seen == without.getvalue().split("\n")


@pytest.mark.usefixtures("at_once")
def test_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    words = LONG["several kernels"][0]
    assert told(tpgen(*words, stream=Terminal).err)
    assert not told(tpgen(*words, "-q", stream=Terminal).err)
    assert not told(tpgen("-q", *words, stream=Terminal).err)
    assert not told(tpgen(*words).err)
    monkeypatch.setenv("TERM", "dumb")
    assert not told(tpgen(*words, stream=Terminal).err)


def test_none_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """And then one in a tenth of a second."""
    now = [100.0]
    monkeypatch.setattr("tpgen.commands.common.progress.time.monotonic", lambda: now[0])
    with contextlib.redirect_stderr(Terminal()) as err:
        Screen.begin()
        line = Line()
        for number, now[0] in enumerate((100.0, 100.99, 101.0, 101.05, 101.11, 101.12)):
            line.tell("files", number, 6)
        Screen.make_room()
    assert told(err.getvalue()) == ["files: 2 of 6", "files: 4 of 6"]


@pytest.mark.usefixtures("at_once")
def test_a_pager_is_not_disturbed() -> None:
    """What is written to a pipe may be on the screen at once: from then on no line is."""
    events: list[str] = []

    class Out(Terminal):
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            events.append("out")
            return len(text)

    class Err(Terminal):
        def write(self, text: str) -> int:
            events.append("line" if told(text) else "erased")
            return len(text)

    words = ("check", "sched:*", "--kernel", "6.1", "--kernel", "6.12")
    with contextlib.redirect_stdout(Out()), contextlib.redirect_stderr(Err()):
        assert main(words) == 0
    first = events.index("out")
    assert "line" in events[:first]
    assert events[first - 1] == "erased"
    assert "line" not in events[first:]


# --- the parts


@pytest.fixture
def watched() -> Iterator[list[tuple[str, int, int]]]:
    told: list[tuple[str, int, int]] = []
    watch(lambda *words: told.append(words))
    yield told
    watch(None)


def test_counting(watched: list[tuple[str, int, int]]) -> None:
    assert list(counted("words", ["a", "b"])) == ["a", "b"]
    assert list(counted("half of them", ["a", "b"], 2)) == ["a", "b"]
    assert list(counted("one", ["a"])) == ["a"]
    tell("the rest")
    assert watched == [
        ("words", 0, 2), ("words", 1, 2), ("half of them", 0, 4), ("half of them", 2, 4), ("the rest", 0, 0),
    ]  # fmt: skip


def test_nobody_watches() -> None:
    items = ["a", "b"]
    assert counted("words", items) is items
    tell("nobody")
