"""The cache of trees of headers: when it is used, when it is not, and that nothing wrong with it ever matters."""

from __future__ import annotations

import hashlib
import marshal
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tpgen.cache import fingerprint
from tpgen.model import Array
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental import analysis, cache_file, resolved_units
from tpgen.sources.headers.incremental.codec import Decoder, Encoder
from tpgen.sources.headers.read import Headers, read_headers, read_text
from tpgen.sources.headers.trace_events import extraction
from tpgen.target import target_named

X86_64 = target_named("x86_64")
HEADER = """
#define TRACE_SYSTEM test
TRACE_EVENT({name}, TP_PROTO({proto}), TP_ARGS({args}), TP_STRUCT__entry(__field(u32, x) __string(s, s)
    __array(char, comm, LEN)), TP_fast_assign(), TP_printk(""));
FTRACE_ENTRY(other, x, y);
"""


def header(name: str, proto: str = "int a", args: str = "a") -> str:
    return HEADER.format(name=name, proto=proto, args=args)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache directory. Files count as old at once, except where a test says otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", -(10**18))
    return tmp_path / "cache/tpgen/headers"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "include/trace/events").mkdir(parents=True)
    (root / "include/linux").mkdir()
    (root / "include/trace/events/one.h").write_text("#include <linux/len.h>\n" + header("one"))
    (root / "include/linux/len.h").write_text("#define LEN 16\n")
    return root


def read(tree: Path) -> HeaderFacts:
    return read_headers(str(tree), X86_64, use_cache=True)


def names(facts: HeaderFacts) -> list[str]:
    return [event.name for event in facts.events]


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on only the cache can answer."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the headers are read")

    monkeypatch.setattr(analysis, "Analysis", fail)


@dataclass
class Work:
    """The headers that were scanned, and those whose types were resolved, by their names."""

    scanned: set[str] = field(default_factory=set)
    resolved: set[str] = field(default_factory=set)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """What is done from here on."""
    done = Work()
    scan, resolve = extraction.scan, resolved_units._resolve

    def scan_noted(source: Any, *rest: Any) -> Any:
        done.scanned.add(Path(source.path).name)
        return scan(source, *rest)

    def resolve_noted(unit: Any, *rest: Any) -> Any:
        done.resolved.add(Path(unit.path).name)
        return resolve(unit, *rest)

    monkeypatch.setattr(extraction, "scan", scan_noted)
    monkeypatch.setattr(resolved_units, "_resolve", resolve_noted)
    return done


def entry_of(home: Path) -> Path:
    (entry,) = home.iterdir()
    return entry


def test_a_second_run_takes_the_same_facts_from_the_cache(
    home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(tree)
    assert names(first) == ["one"]
    assert len(first.skipped) == 1
    assert first == read_headers(str(tree), X86_64)
    forbid_reading(monkeypatch)
    assert read(tree) == first


def length_of_comm(facts: HeaderFacts) -> tuple[int | None, str | None]:
    ctype = facts.classes[0].fields[2].type
    assert isinstance(ctype, Array)
    return ctype.length, ctype.length_text


def test_types_are_looked_up_when_they_are_asked_for(home: Path, tree: Path) -> None:
    headers = Headers(str(tree), X86_64, use_cache=True)
    assert length_of_comm(headers.facts) == (None, "LEN")
    assert length_of_comm(headers.resolved) == (16, None)
    # What was resolved before makes no difference.
    again = Headers(str(tree), X86_64, use_cache=True)
    assert (again.facts, again.resolved) == (headers.facts, headers.resolved)
    alone = Headers(str(tree), X86_64, use_cache=True)
    assert alone.facts == headers.facts


def test_facts_from_the_cache_are_resolved(home: Path, tree: Path) -> None:
    _ = Headers(str(tree), X86_64, use_cache=True).facts
    headers = Headers(str(tree), X86_64, use_cache=True)
    assert length_of_comm(headers.facts) == (None, "LEN")
    assert headers.resolved == read_headers(str(tree), X86_64)
    # What the facts were made of counts for the resolved ones as well.
    (tree / "include/trace/events/one.h").write_text("#include <linux/len.h>\n" + header("two"))
    assert names(read(tree)) == ["two"]


def test_it_is_for_this_user_only(home: Path, tree: Path) -> None:
    read(tree)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry_of(home).stat().st_mode) == 0o600


def test_without_the_option_nothing_is_kept(home: Path, tree: Path) -> None:
    read_headers(str(tree), X86_64)
    assert not home.exists()


# --- what changed


def put(tree: Path, name: str, text: str) -> None:
    """Another file of that name and text, as an editor or git makes it."""
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


ONE, TWO, LEN = "include/trace/events/one.h", "include/trace/events/two.h", "include/linux/len.h"
PART, WHOLE = "include/trace/part.h", "include/trace/events/whole.h"
ALL = {"one.h", "two.h", "whole.h"}


@pytest.fixture
def many(tree: Path) -> Path:
    """A tree of three headers with events: one uses a length of another header's, one an enum's, one has a fragment."""
    put(tree, LEN, "#define LEN 16\n#define UNUSED 1\n")
    put(tree, "include/linux/order.h", "enum order { FIRST, SECOND, COUNT };\n")
    put(tree, TWO, "#include <linux/order.h>\n" + header("two").replace("LEN", "COUNT"))
    put(tree, WHOLE, header("whole").replace("LEN", "4") + '#include "../part.h"\n')
    put(tree, PART, header("part").replace("#define TRACE_SYSTEM test\n", "").replace("LEN", "4"))
    return tree


@pytest.mark.parametrize(
    ("edit", "scanned", "resolved"),
    [
        (lambda tree: put(tree, ONE, header("changed")), {"one.h"}, {"one.h"}),
        (lambda tree: put(tree, "include/trace/events/new.h", header("new")), {"new.h"}, {"new.h"}),
        (lambda tree: (tree / ONE).unlink(), set(), set()),
        (lambda tree: (tree / ONE).rename(tree / "include/trace/events/aaa.h"), {"aaa.h"}, {"aaa.h"}),
        (lambda tree: put(tree, LEN, "#define LEN 32\n"), set(), {"one.h"}),
        (lambda tree: put(tree, LEN, "#include <linux/order.h>\n#define LEN 16\n#define UNUSED 1\n"), set(), ALL),
        (lambda tree: put(tree, "include/linux/order.h", "enum order { FIRST, COUNT };\n"), set(), {"two.h"}),
        (lambda tree: put(tree, PART, header("other").split("\n", 2)[2]), {"whole.h"}, {"whole.h"}),
        (lambda tree: (tree / PART).unlink(), {"whole.h"}, ALL),
        (lambda tree: (tree / LEN).unlink(), set(), ALL),
        (lambda tree: put(tree, "drivers/new/len.h", "#define LEN 8\n"), set(), ALL),
        (lambda tree: put(tree, "Makefile", "VERSION = 6\nPATCHLEVEL = 1\n"), ALL, ALL),
        (lambda tree: put(tree, "include/linux/free.h", "#define COUNT 99\n"), set(), set()),
    ],
    ids=[
        "edited", "added", "removed", "renamed", "constant", "includes", "enumerator", "fragment", "no fragment",
        "included no more", "directory", "release", "seen by none",
    ],
)  # fmt: skip
def test_only_what_depends_on_a_change_is_read_again(
    home: Path, many: Path, work: Work, edit: Callable[[Path], object], scanned: set[str], resolved: set[str]
) -> None:
    read(many)
    work.scanned.clear()
    work.resolved.clear()
    edit(many)
    after = read(many)
    assert (work.scanned, work.resolved) == (scanned, resolved)
    assert after == read_headers(str(many), X86_64)
    # And it was kept.
    work.scanned.clear()
    work.resolved.clear()
    assert read(many) == after
    assert work == Work()


def test_the_order_of_arguments_follows_the_class_in_another_header(home: Path, tree: Path, work: Work) -> None:
    of_class = "DECLARE_EVENT_CLASS(far, TP_PROTO(int a, int b), TP_ARGS({}), TP_STRUCT__entry(), TP_fast_assign(), 1);"
    put(tree, TWO, "#define TRACE_SYSTEM two\n" + of_class.format("a, b"))
    put(tree, ONE, "#define TRACE_SYSTEM one\nDEFINE_EVENT(far, near, TP_PROTO(int a, int b), TP_ARGS(a, b));")
    assert [arg.name for arg in read(tree).events[0].args] == ["a", "b"]
    put(tree, TWO, "#define TRACE_SYSTEM two\n" + of_class.format("b, a"))
    assert [arg.name for arg in read(tree).events[0].args] == ["b", "a"]


def test_macros_that_are_borrowed_count(home: Path, tree: Path, work: Work) -> None:
    driver = tree / "drivers/mine"
    own = header("mine").replace("__field(u32, x)", "MINE_ENTRY")
    put(driver, "trace.h", '#include "mine.h"\n' + own)
    put(driver, "mine.h", "#define MINE_ENTRY __field(u32, first)\n")
    first = read(tree)
    assert first.classes[0].fields[0].name == "first"
    put(driver, "mine.h", "#define MINE_ENTRY __field(u32, second)\n")
    assert read(tree).classes[0].fields[0].name == "second"
    assert read(tree) == read_headers(str(tree), X86_64)
    # From another header beside it, which includes it, and is new.
    put(driver, "trace.h", own)
    assert read(tree) == read_headers(str(tree), X86_64)
    put(driver, "main.h", '#include "trace.h"\n#define MINE_ENTRY __field(u32, third)\n')
    work.scanned.clear()
    assert read(tree).classes[0].fields[0].name == "third"
    assert work.scanned == {"trace.h"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # A second definition in the driver's directory: none counts.
        ("drivers/mine/new.h", "#define LEN 5\n"),
        # What the header includes is there now, and brings another header along.
        ("drivers/other/missing.h", '#include "deep.h"\n'),
        # A header of the directory, which nobody includes, does.
        ("drivers/mine/beside.h", '#include "../other/deep.h"\n'),
    ],
)
def test_other_headers_come_into_sight(home: Path, tree: Path, name: str, text: str) -> None:
    put(tree, "drivers/mine/trace.h", '#include "../other/missing.h"\n' + header("mine").replace("LEN", "DEEP + LEN"))
    put(tree, "drivers/mine/mine.h", "#define LEN 4\n")
    put(tree, "drivers/mine/beside.h", "#define DEEP 1\n" if name.endswith("new.h") else "#define OTHER 1\n")
    put(tree, "drivers/other/deep.h", "#define DEEP 2\n")
    before = read(tree)
    put(tree, name, text)
    after = read(tree)
    assert after == read_headers(str(tree), X86_64)
    assert after.classes[0] != before.classes[0]


def test_a_link_leads_somewhere_at_last(home: Path, tree: Path) -> None:
    (tree / "include/trace/events/link.h").symlink_to(tree.parent / "elsewhere.h")
    assert names(read(tree)) == ["one"]
    (tree.parent / "elsewhere.h").write_text(header("linked"))
    assert names(read(tree)) == ["linked", "one"]
    (tree.parent / "elsewhere.h").write_text(header("edited"))
    assert names(read(tree)) == ["edited", "one"]


@pytest.mark.parametrize("there", [True, False])
def test_a_header_appears_in_a_directory_that_is_not_listed(home: Path, tree: Path, there: bool) -> None:
    # Of a kernel, tools/ is left out; what a header includes from there still counts.
    (tree / "arch").mkdir()
    if there:
        (tree / "tools").mkdir()
    put(tree, ONE, '#include "../../../tools/len.h"\n' + header("one"))
    assert length_of_comm(read(tree)) == (16, None)  # of include/linux/len.h, which nobody includes
    put(tree, "tools/len.h", "#define LEN 7\n")
    assert length_of_comm(read(tree)) == (7, None)
    put(tree, "tools/len.h", "#define LEN 8\n")
    assert length_of_comm(read(tree)) == (8, None)


def test_a_header_that_nobody_includes_is_edited(home: Path, tree: Path) -> None:
    """Neither it, nor what contradicts it, nor one outside of the driver's directory goes unnoticed."""
    put(tree, ONE, header("one"))
    assert length_of_comm(read(tree)) == (16, None)
    put(tree, "include/linux/len.h", "#define LEN 9\n")
    assert length_of_comm(read(tree)) == (9, None)
    put(tree, "drivers/other/len.h", "#define LEN 4\n")
    assert length_of_comm(read(tree)) == (None, "LEN")
    put(tree, "drivers/other/len.h", "#define WIDTH 4\n")
    assert length_of_comm(read(tree)) == (9, None)
    put(tree, "include/linux/len.h", "#define WIDTH 4\n")
    assert length_of_comm(read(tree)) == (None, "LEN")
    put(tree, "include/linux/new/len.h", "#define LEN 5\n")
    assert length_of_comm(read(tree)) == (5, None)


def test_a_header_of_the_kernel_around_a_driver_is_edited(home: Path, tree: Path) -> None:
    put(tree, "Makefile", "VERSION = 6\nPATCHLEVEL = 1\n")
    put(tree, "drivers/mine/trace.h", header("one"))
    driver = tree / "drivers/mine"
    assert length_of_comm(read(driver)) == (16, None)
    put(tree, "include/linux/len.h", "#define LEN 9\n")
    assert length_of_comm(read(driver)) == (9, None)
    put(tree, "include/linux/later.h", "#define LEN 10\n")
    assert length_of_comm(read(driver)) == (None, "LEN")
    (tree / "include/linux/len.h").unlink()
    assert length_of_comm(read(driver)) == (10, None)


def test_a_fragment_appears_where_an_include_leads(home: Path, tree: Path) -> None:
    put(tree, ONE, header("one").replace("TRACE_SYSTEM test", "TRACE_SYSTEM one") + "#include <extra/part.h>\n")
    read(tree)
    put(tree, "drivers/extra/part.h", header("part").split("\n", 2)[2])
    after = read(tree)
    assert [(event.system, event.name) for event in after.events] == [("one", "one"), ("one", "part")]
    assert after == read_headers(str(tree), X86_64)


def test_an_edit_that_keeps_size_and_time_is_noticed(home: Path, tree: Path) -> None:
    path = tree / "include/trace/events/one.h"
    assert names(read(tree)) == ["one"]
    status = path.stat()
    path.write_text(path.read_text().replace("(one,", "(two,"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert names(read(tree)) == ["two"]


@pytest.mark.parametrize(
    "touch",
    [
        lambda tree: os.utime(tree / ONE),
        lambda tree: os.utime(tree / LEN),
        lambda tree: put(tree, LEN, "#define LEN 16\n"),
        lambda tree: put(tree, ONE, (tree / ONE).read_text()),
        lambda tree: put(tree, "include/linux/other.h", "#define OTHER 2\n"),
        lambda tree: put(tree, "Makefile", "VERSION = 6\nPATCHLEVEL = 1\n"),
        lambda tree: put(tree, "include/linux/built.o", ""),
    ],
    ids=[
        "events touched", "included touched", "included replaced", "events replaced", "unrelated edited", "release",
        "built",
    ],
)  # fmt: skip
def test_what_changes_no_contents_that_matter_is_no_change(
    home: Path, tree: Path, work: Work, touch: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "include/linux/other.h").write_text("#define OTHER 1\n")
    (tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n")
    before = read(tree)
    work.scanned.clear()
    work.resolved.clear()
    touch(tree)
    assert read(tree) == before
    assert work == Work()
    # The next run knows the new stamps, and looks into no header.
    forbid_reading(monkeypatch)
    assert read(tree) == before


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("include/linux/other.h", "#define OTHER 1\n", header("two")),
        ("include/linux/len.h", "#define LEN 16\n" + " " * (1 << 19), "#define LEN 16\n"),
        ("include/linux/len.h", "", "#define LEN 16\n"),
    ],
    ids=["gets an event", "becomes small enough", "is no longer empty"],
)
def test_a_header_that_comes_to_matter_is_read(home: Path, tree: Path, name: str, before: str, after: str) -> None:
    (tree / name).write_text(before)
    first = read(tree)
    (tree / name).write_text(after)
    second = read(tree)
    assert second == read_headers(str(tree), X86_64)
    assert second != first


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edited_while_read(*arguments: Any) -> Any:
        facts = original(*arguments)
        (tree / LEN).write_text("#define LEN 32\n")
        return facts

    original = resolved_units._resolve
    monkeypatch.setattr(resolved_units, "_resolve", edited_while_read)
    read(tree)
    assert not home.exists()


def test_a_tree_that_was_just_edited_is_not_kept(tree: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Within one tick of the file system's clock a second edit would leave no trace.
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", 2 * 10**9)
    read(tree)
    assert not home.exists()
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", 10**6)
    time.sleep(0.02)
    read(tree)
    assert entry_of(home).exists()


def test_each_question_has_its_own_entry(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tree)
    read_headers(str(tree), target_named("i386"), use_cache=True)
    read_headers(str(tree), X86_64, {"CONFIG_FOO": "y"}, use_cache=True)
    read_headers(str(tree), X86_64, every_arch=True, use_cache=True)
    assert len(list(home.iterdir())) == 4
    monkeypatch.chdir(tree.parent)  # positions name files as the root was given
    relative = read_headers("tree", X86_64, use_cache=True)
    assert relative.events[0].position.path == "tree/include/trace/events/one.h"


def test_another_program_does_not_use_it(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tree)
    monkeypatch.setattr(cache_file, "installation", lambda: "another version")
    read(tree)
    assert len(list(home.iterdir())) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b"one", b"two"),
        lambda raw: b"\xff" + raw,
        lambda raw: raw[:48] + b"[" * (len(raw) - 48),
        lambda raw: b"[1, 2]\n{}",
        lambda raw: b"{}\n{}",
        lambda raw: raw.split(b"\n")[0] + b"\n" + b"[" * 100_000,
        lambda raw: b"null\nnull",
        lambda raw: b"{}\n{}\n{}",
    ],
)
def test_a_spoilt_entry_is_replaced(home: Path, tree: Path, spoil: object, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(tree)
    entry = entry_of(home)
    raw = entry.read_bytes()
    assert callable(spoil)
    entry.write_bytes(spoil(raw))
    assert read(tree) == whole
    forbid_reading(monkeypatch)
    assert read(tree) == whole


def test_facts_survive_being_written() -> None:
    proto = "struct s *a, const char __user *b, int (*c)(void *, ...), enum e d, u8 f[4][2], union u g"
    text = header("one", proto, "a, b, c, d, f, g").replace("u32, x", "struct unknown, x")
    wrapped = "#define MADE(name) TRACE_EVENT(name, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), 1, 2)\nMADE(two)\n"
    facts = read_text(text + wrapped, X86_64)
    assert facts.classes[1].chain
    assert len(facts.events[0].args) == 6
    assert Decoder(marshal.loads(marshal.dumps(Encoder().facts(facts)))).facts == facts


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("whose", ["directory", "entry"])
def test_what_another_user_owns_is_not_read(home: Path, tree: Path, whose: str) -> None:
    read(tree)
    entry = entry_of(home)
    raw = entry.read_bytes()
    # What it says is believed as long as it is this user's. The digest of each part is in a table, that of the table at
    # the end.
    at = int.from_bytes(raw[-48:-40], "little")
    start, size, known = marshal.loads(raw[at:])["facts"]
    forged = raw[start : start + size].replace(b"one", b"two")
    table = raw[at:-48].replace(known, hashlib.sha256(forged).digest())
    end = raw[-48:-32] + hashlib.sha256(table).digest()
    entry.write_bytes(raw[:start] + forged + raw[start + size : at] + table + end)
    assert names(read(tree)) == ["two"]
    os.chown(home if whose == "directory" else entry, 12345, 12345)
    assert names(read(tree)) == ["one"]


@pytest.mark.parametrize("whose", ["directory", "entry"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_to_is_not_read(
    home: Path, tree: Path, whose: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(tree)
    path = home if whose == "directory" else entry_of(home)
    path.chmod(path.stat().st_mode | mode)
    forbid_reading(monkeypatch)
    with pytest.raises(AssertionError, match="the headers are read"):
        read(tree)


def test_a_symlink_is_not_followed(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tree)
    entry = entry_of(home)
    elsewhere = home.parent / "elsewhere"
    entry.rename(elsewhere)
    entry.symlink_to(elsewhere)
    forbid_reading(monkeypatch)
    with pytest.raises(AssertionError, match="the headers are read"):
        read(tree)


def test_a_fifo_does_not_hang(home: Path, tree: Path) -> None:
    read(tree)
    entry = entry_of(home)
    entry.unlink()
    os.mkfifo(entry)
    assert names(read(tree)) == ["one"]


@pytest.mark.parametrize("obstacle", ["file", "dangling", "home"])
def test_an_unwritable_place_is_ignored(home: Path, tree: Path, obstacle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if obstacle == "file":
        home.parent.mkdir(parents=True)
        home.write_text("in the way")
    elif obstacle == "dangling":
        home.parent.mkdir(parents=True)
        home.symlink_to("/nonexistent/place")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self/nowhere")
    assert names(read(tree)) == ["one"]


# The other user may have no access to the checkout, so all that is needed of it is loaded before.
AS_ANOTHER_USER = """
import os, sys
from tpgen.cache import fingerprint
from tpgen.sources.headers.incremental import cache_file
from tpgen.sources.headers.read import read_headers
from tpgen.target import target_named

def read_in(cache):
    os.environ["XDG_CACHE_HOME"] = cache
    return [event.name for event in read_headers(sys.argv[1], target_named("x86_64"), use_cache=True).events]

fingerprint._YOUNG_NS = -(10**18)
cache_file.installation = lambda: "this version"
read_in(sys.argv[2])
os.setuid(12345)
print(*read_in(sys.argv[3]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to become")
def test_a_directory_that_cannot_be_written_to_is_ignored(tree: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        place, entries = Path(name), Path(name, "cache/tpgen/headers")
        place.chmod(0o755)
        shutil.copytree(tree, place / "tree")
        entries.mkdir(parents=True)
        command = (sys.executable, "-c", AS_ANOTHER_USER, place / "tree", tmp_path / "writable", place / "cache")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")
        assert list((tmp_path / "writable/tpgen/headers").iterdir())
        assert not list(entries.iterdir())


def test_a_relative_cache_home_is_none(tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", -(10**18))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    read(tree)
    assert not (tmp_path / "relative").exists()
    assert (tmp_path / ".cache/tpgen/headers").is_dir()


READ_20_TIMES = """
import sys
from tpgen.cache import fingerprint
from tpgen.sources.headers.read import read_headers
from tpgen.target import target_named

fingerprint._YOUNG_NS = -(10**18)
for _ in range(20):
    facts = read_headers(sys.argv[1], target_named("x86_64"), use_cache=True)
    assert [event.name for event in facts.events] == ["one"]
"""


def test_several_processes_at_once(home: Path, tree: Path) -> None:
    command = (sys.executable, "-c", READ_20_TIMES, str(tree))
    subprocess.run(command, check=True)
    assert list(home.iterdir())
    processes = [subprocess.Popen(command) for _ in range(4)]
    while any(process.poll() is None for process in processes):
        for entry in list(home.iterdir()) if home.is_dir() else []:
            entry.unlink(missing_ok=True)
        time.sleep(0.002)
    assert [process.returncode for process in processes] == [0] * 4
    assert not list(home.glob("*.tmp"))


def test_it_does_not_grow_without_end(home: Path, tree: Path) -> None:
    for number in range(20):
        read_headers(str(tree), X86_64, {"CONFIG_FOO": str(number)}, use_cache=True)
    assert len(list(home.iterdir())) == 16
