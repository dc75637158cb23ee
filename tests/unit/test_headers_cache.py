"""The cache of trees of headers: when it is used, when it is not, and that nothing wrong with it ever matters."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from tpgen.model import Array
from tpgen.sources.headers import cache
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.read import Headers, read_headers, read_text
from tpgen.sources.headers.serial import from_json, to_json
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
    monkeypatch.setattr(cache, "_YOUNG_NS", -(10**18))
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

    def fail(*_: object) -> None:
        raise AssertionError("the headers are read")

    monkeypatch.setattr(Headers, "_read", fail)
    monkeypatch.setattr(Headers, "_complete", fail)


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
    assert length_of_comm(headers.on_hand) == (None, "LEN")
    assert length_of_comm(headers.completed) == (16, None)
    # Once they are known, they are at hand; what both need is one file of the tree each.
    assert Headers(str(tree), X86_64, use_cache=True).on_hand == headers.completed
    assert len(list(home.iterdir())) == 2


def test_facts_from_the_cache_are_completed(home: Path, tree: Path) -> None:
    _ = Headers(str(tree), X86_64, use_cache=True).on_hand
    completed = Headers(str(tree), X86_64, use_cache=True)
    assert length_of_comm(completed.on_hand) == (None, "LEN")
    assert completed.completed == read_headers(str(tree), X86_64)
    # What the facts were made of counts for the completed ones as well.
    (tree / "include/trace/events/one.h").write_text("#include <linux/len.h>\n" + header("two"))
    assert names(read(tree)) == ["two"]


def test_it_is_for_this_user_only(home: Path, tree: Path) -> None:
    read(tree)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry_of(home).stat().st_mode) == 0o600


def test_without_the_option_nothing_is_kept(home: Path, tree: Path) -> None:
    read_headers(str(tree), X86_64)
    assert not home.exists()


@pytest.mark.parametrize(
    "edit",
    [
        lambda tree: (tree / "include/trace/events/one.h").write_text(header("changed")),
        lambda tree: (tree / "include/trace/events/two.h").write_text(header("two")),
        lambda tree: (tree / "include/trace/events/one.h").unlink(),
        lambda tree: (tree / "include/trace/events/one.h").rename(tree / "include/trace/events/aaa.h"),
        lambda tree: (tree / "include/linux/len.h").write_text("#define LEN 32\n"),
        lambda tree: (tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n"),
    ],
    ids=["edited", "added", "removed", "renamed", "included", "release"],
)
def test_a_tree_that_changed_is_read_again(home: Path, tree: Path, edit: object) -> None:
    before = read(tree)
    assert callable(edit)
    edit(tree)
    after = read(tree)
    assert after == read_headers(str(tree), X86_64)
    assert after != before


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
        lambda tree: os.utime(tree / "include/trace/events/one.h"),
        lambda tree: os.utime(tree / "include/linux/len.h"),
        lambda tree: replace(tree / "include/linux/len.h", "#define LEN 16\n"),
        lambda tree: replace(tree / "include/trace/events/one.h", (tree / "include/trace/events/one.h").read_text()),
        lambda tree: replace(tree / "include/linux/other.h", "#define OTHER 2\n"),
        lambda tree: replace(tree / "Makefile", "VERSION = 6\nPATCHLEVEL = 1\n"),
    ],
    ids=["events touched", "included touched", "included replaced", "events replaced", "unrelated edited", "release"],
)
def test_what_changes_no_contents_that_matter_is_no_change(
    home: Path, tree: Path, touch: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "include/linux/other.h").write_text("#define OTHER 1\n")
    (tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n")
    before = read(tree)
    entry = entry_of(home).read_bytes()
    assert callable(touch)
    touch(tree)
    forbid_reading(monkeypatch)
    assert read(tree) == before
    # The next run knows the new stamps, and looks into no header.
    assert entry_of(home).read_bytes() != entry
    monkeypatch.setattr(cache, "file_digest", lambda path: pytest.fail(f"{path} is read"))
    assert read(tree) == before


def replace(path: Path, text: str) -> None:
    """Another file of that name and text, as an editor or git makes it."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


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
        (tree / "include/linux/len.h").write_text("#define LEN 32\n")
        return facts

    original = Headers._complete
    monkeypatch.setattr(Headers, "_complete", edited_while_read)
    read(tree)
    assert not home.exists()


def test_a_tree_that_was_just_edited_is_not_kept(tree: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Within one tick of the file system's clock a second edit would leave no trace.
    monkeypatch.setattr(cache, "_YOUNG_NS", 2 * 10**9)
    read(tree)
    assert not home.exists()
    monkeypatch.setattr(cache, "_YOUNG_NS", 10**6)
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
    monkeypatch.setattr(cache, "program", lambda: "another version")
    read(tree)
    assert len(list(home.iterdir())) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b'"one"', b'"two"'),
        lambda raw: b"\xff" + raw,
        lambda raw: b"[1, 2]\n{}",
        lambda raw: b"{}\n{}",
        lambda raw: raw.split(b"\n")[0] + b"\n" + b"[" * 100_000,
        lambda raw: b"null\nnull",
        lambda raw: b"{}\n{}\n{}",
    ],
)
def test_a_spoilt_entry_is_replaced(home: Path, tree: Path, spoil: object) -> None:
    whole = read(tree)
    entry = entry_of(home)
    raw = entry.read_bytes()
    assert callable(spoil)
    entry.write_bytes(spoil(raw))
    assert read(tree) == whole
    assert entry.read_bytes() == raw


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"paths": 3}', '{"paths": [], "types": [["Int"]]}', "[" * 5000]
)
def test_what_are_no_facts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the facts"):
        from_json(text)


def test_facts_that_point_outside_their_tables_are_refused() -> None:
    data = json.loads(to_json(read_text(header("one"), X86_64)))
    for table in ("types", "args", "fields", "paths"):
        with pytest.raises(ValueError, match="not the facts"):
            from_json(json.dumps({**data, table: []}))


def test_facts_survive_being_written() -> None:
    proto = "struct s *a, const char __user *b, int (*c)(void *, ...), enum e d, u8 f[4][2], union u g"
    text = header("one", proto, "a, b, c, d, f, g").replace("u32, x", "struct unknown, x")
    wrapped = "#define MADE(name) TRACE_EVENT(name, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), 1, 2)\nMADE(two)\n"
    facts = read_text(text + wrapped, X86_64)
    assert facts.classes[1].chain
    assert len(facts.events[0].args) == 6
    assert from_json(to_json(facts)) == facts


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("whose", ["directory", "entry"])
def test_what_another_user_owns_is_not_read(home: Path, tree: Path, whose: str) -> None:
    read(tree)
    entry = entry_of(home)
    head, full, body = entry.read_bytes().split(b"\n")
    os.chown(home if whose == "directory" else entry, 12345, 12345)
    # What it says would be believed if it were this user's.
    forged = body.replace(b'"one"', b'"two"')
    about = json.loads(head) | {"facts": hashlib.sha256(forged).hexdigest()}
    entry.write_bytes(b"\n".join((json.dumps(about).encode(), full, forged)))
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to become")
def test_a_directory_that_cannot_be_written_to_is_ignored(
    home: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The other user may have no access to the checkout, so all that is needed of it is loaded before.
    read_headers(str(tree), X86_64)
    monkeypatch.setattr(cache, "program", lambda: "this version")
    home.mkdir(parents=True)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    pid = os.fork()
    if pid == 0:
        os.setuid(12345)
        os._exit(0 if names(read(tree)) == ["one"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not list(home.iterdir())


def test_a_relative_cache_home_is_none(tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "_YOUNG_NS", -(10**18))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    read(tree)
    assert not (tmp_path / "relative").exists()
    assert (tmp_path / ".cache/tpgen/headers").is_dir()


def _run(tree: str, count: int) -> None:
    for _ in range(count):
        assert [event.name for event in read_headers(tree, X86_64, use_cache=True).events] == ["one"]


def test_two_processes_at_once(home: Path, tree: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_run, args=(str(tree), 20)) for _ in range(4)]
    for process in processes:
        process.start()
    for _ in range(20):
        for entry in list(home.iterdir()) if home.is_dir() else []:
            entry.unlink(missing_ok=True)
        time.sleep(0.002)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert not list(home.glob("*.tmp"))


def test_it_does_not_grow_without_end(home: Path, tree: Path) -> None:
    for number in range(20):
        read_headers(str(tree), X86_64, {"CONFIG_FOO": str(number)}, use_cache=True)
    assert len(list(home.iterdir())) == 16
