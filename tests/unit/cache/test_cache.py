"""What is kept of the running kernel: the same as without, quick to find, private, and given up on any doubt."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.catalogs import small_catalog
from support.cli import Done, tpgen

from tpgen.backends.base import Option
from tpgen.backends.bpf import BpfBackend
from tpgen.cache import outputs
from tpgen.cache.outputs import CachedInvocation, CachedOutput
from tpgen.cache.private_files import PrivateFiles
from tpgen.catalog import live_cache
from tpgen.commands import generate
from tpgen.commands.common.parsing import Parser
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.events import KernelEvents
from tpgen.sources.verifier import Verifier

if TYPE_CHECKING:
    from tpgen.cache.outputs import Content
    from tpgen.model import Nullness
    from tpgen.sources.btf_tracepoints import BtfTracepoints

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("tracefs")]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This user's cache directory, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tpgen"


def entry_of(cache: Path) -> Path:
    (entry,) = (cache / "outputs").iterdir()
    return entry


def store(invocation: CachedInvocation, output: CachedOutput) -> list[tuple[str, Content]]:
    """The files, which are taken, so that an entry is stored if it can be."""
    return list(invocation.storing(output, (), ()).files)


def forge(entry: Path) -> None:
    """Change what an entry says as its writer would: `believed` shows whether a run does."""
    content = entry.read_bytes()[4:].replace(b"sched_switch", b"sched_forged")
    entry.write_bytes(zlib.crc32(content).to_bytes(4, "big") + content)


def believed(words: tuple[str, ...] = ("sched_switch", "--raw")) -> bool:
    done = tpgen(*words)
    assert (done.code, done.err) == (0, "")
    return "sched_forged" in done.out


def forged_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the key of a forged entry, which has its words in it, fit it again."""
    key, name = CachedInvocation.key, CachedInvocation.name
    monkeypatch.setattr(CachedInvocation, "key", lambda self: key(self).replace(b"sched_switch", b"sched_forged"))
    monkeypatch.setattr(
        CachedInvocation, "name", staticmethod(lambda key: name(key.replace(b"sched_forged", b"sched_switch")))
    )


# --- headers


def test_a_warm_run_says_the_same(cache: Path) -> None:
    cold, warm, without = tpgen("sched_switch"), tpgen("sched_switch"), tpgen("sched_switch", "--no-cache")
    assert cold == warm == without
    assert cold.code == 0
    assert len(list((cache / "outputs").iterdir())) == 1


SCRIPT = """
import json, sys
from tpgen.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
# What reading a kernel takes, and what takes longest to import of the rest.
HEAVY = {"lark", "pycparser", "rich", "jinja2", "sqlite3", "dataclasses", "argparse", "re", "json.decoder"}


@pytest.mark.parametrize("output", [(), ("-o", "x.h"), ("-o", "d/")])
def test_a_warm_run_imports_next_to_nothing(cache: Path, tmp_path: Path, output: tuple[str, ...]) -> None:
    script = SCRIPT.replace("import json, sys", "import sys").replace("json.dumps(sorted(sys.modules))", "*sys.modules")
    command = (sys.executable, "-c", script, "sched_switch", "--raw", *output)
    cold, warm = (subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True) for _ in range(2))
    assert cold.stdout == warm.stdout
    assert "tpgen.model" in cold.stderr.split(), "else this test sees nothing"
    assert not ((HEAVY | {"typing"}) - {"sqlite3"}) & set(cold.stderr.split())
    assert not (HEAVY | {"typing"}) & set(warm.stderr.split())


def test_files_and_stdout_share_an_entry(cache: Path, tmp_path: Path) -> None:
    told = tpgen("sched_switch", "--raw").out
    entry = entry_of(cache)
    before = entry.stat().st_mtime_ns
    for output in (("-o", tmp_path / "a.h"), (f"-o{tmp_path / 'a.h'}",), (f"--output={tmp_path / 'a.h'}",)):
        assert tpgen("sched_switch", "--raw", *output) == Done(0, "", "")
        assert (tmp_path / "a.h").read_text() == told
        (tmp_path / "a.h").unlink()
    assert entry_of(cache).stat().st_mtime_ns == before


def test_both_forms_share_a_prelude_in_a_directory_alone(cache: Path, tmp_path: Path) -> None:
    """What headers include depends on where they go, whichever was there first."""
    outputs = ([], ["-o", tmp_path / "d.h"], ["-o", f"{tmp_path / 'd'}/"])
    expected = [tpgen("sched_switch", *output, "--no-cache").out for output in outputs]
    for order in (outputs, outputs[::-1]):
        for output in order:
            assert tpgen("sched_switch", *output) == Done(0, expected[outputs.index(output)], "")
        assert (tmp_path / "d.h").read_text() == expected[0]
        assert len(list((tmp_path / "d").iterdir())) == 3
    assert len(list((cache / "outputs").iterdir())) == 2


def test_several_events(cache: Path, tmp_path: Path) -> None:
    for directory in ("cold", "warm"):
        assert tpgen("sched:sched_s*", "-o", tmp_path / directory).code == 0
    cold, warm = ({f.name: f.read_bytes() for f in (tmp_path / d).iterdir()} for d in ("cold", "warm"))
    assert cold == warm
    assert len(cold) > 2
    assert tpgen("sched:sched_s*").err.startswith("tpgen: error: "), "several headers need a directory, kept or not"


NOT_KEPT = [
    ("sched_switch", "--no-cache"),
    ("sched_switch", "--btf", "/sys/kernel/btf/vmlinux"),
    ("sched_switch", "--config=x", "--headers=x"),
    ("sched_switch", "--kernel=live", "--headers=x"),
    ("sched_switch", "--kernel"),
    ("no_such_event",),
    ("sched_switch", "--", "no_such_event"),
    ("sched_switch", "-o"),
    ("sched_switch", "-o", ""),
]


@pytest.mark.parametrize("words", NOT_KEPT, ids=" ".join)
def test_what_is_not_kept(words: tuple[str, ...], cache: Path) -> None:
    tpgen(*words)
    assert not (cache / "outputs").exists()


KEPT = [
    ("--arch=x86_64",),
    ("--raw", "--module", "vmlinux"),
    ("-b", "go", "--package", "mine"),
    ("-b", "go", "--package=yours"),
    ("--flat", "-bsystemtap"),
    ("-b", "bpf", "--module=vmlinux", "--classic"),
    ("--kernel=live",),
    ("--kernel", "6.12"),
    ("--kernel", "6.12", "--arch=arm64"),
]


def test_options_that_their_text_decides_are_kept(cache: Path) -> None:
    """Those of the kernel, of the command and of the backend: an entry each, of what a run without a cache makes."""
    for number, words in enumerate(KEPT):
        cold, warm, without = (tpgen("sched_switch", *words, *more) for more in ((), (), ("--no-cache",)))
        assert cold == warm == without
        assert len(kept_in(cache)) == number + (cold.code == 0)
        assert cold.code == 0, cold


def test_an_option_that_the_cache_does_not_know_keeps_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds an option need not think of the cache: a run with it is not served from there, without it it is."""
    original = generate.parser

    def parser() -> Parser:
        made = original()
        made.add_argument("--strange", metavar="FILE")
        made.add_argument("--odd", action="store_true")
        return made

    monkeypatch.setattr(generate, "parser", parser)
    for words in (("--strange", "x"), ("--strange=x", "-o", "/dev/null"), ("--odd",), ("--arch=x86_64", "--odd")):
        assert tpgen("sched_switch", "--raw", *words).code == 0
        assert not (cache / "outputs").exists()
    assert tpgen("sched_switch", "--raw").code == 0
    assert len(kept_in(cache)) == 1


def test_an_option_more_of_a_backend_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BpfBackend, "options", (Option("word", "which", "none"),))
    for words in (("--word", "a"), ("--word", "b"), ("--word=a",)):
        assert tpgen("sched_switch", "--raw", *words).code == 0
    assert len(kept_in(cache)) == 3


def test_no_word_is_lost_or_joined() -> None:
    keys = {CachedInvocation.of(words)._words for words in (["a", "b"], ["a b"], ["ab"], ["a"], ["b", "a"])}  # type: ignore[union-attr]
    assert len(keys) == 5


# --- whose it is


def test_it_is_for_this_user_only(cache: Path) -> None:
    tpgen("sched_switch", "--raw")
    tpgen("list")
    tpgen("list")
    for directory in ("outputs", "marks", "kernels"):
        assert stat.S_IMODE((cache / directory).stat().st_mode) == 0o700
        (entry,) = (cache / directory).iterdir()
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def test_a_forged_entry_would_be_believed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests below see nothing."""
    believed()
    forge(entry_of(cache))
    forged_key(monkeypatch)
    assert believed()


@pytest.mark.parametrize("whose", ["directory", "entry"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_to_is_not_read(
    whose: str, mode: int, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    believed()
    entry = entry_of(cache)
    forge(entry)
    path = entry if whose == "entry" else entry.parent
    path.chmod(path.stat().st_mode | mode)
    forged_key(monkeypatch)
    assert not believed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("whose", ["directory", "entry"])
def test_what_another_user_owns_is_not_read(whose: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    believed()
    entry = entry_of(cache)
    forge(entry)
    os.chown(entry if whose == "entry" else entry.parent, 12345, 12345)
    forged_key(monkeypatch)
    assert not believed()


def test_a_symlink_is_not_followed(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    believed()
    entry = entry_of(cache)
    forge(entry)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    forged_key(monkeypatch)
    assert not believed()


# --- what became of it


def damages(content: bytes) -> Iterator[bytes]:
    yield b""
    yield content[:3]
    yield content[: len(content) // 2]
    yield content + b"x"
    yield content[:100] + bytes([content[100] ^ 1]) + content[101:]
    yield content[:-10] + bytes([content[-10] ^ 1]) + content[-9:]
    garbage = b"99999999999:x"
    yield zlib.crc32(garbage).to_bytes(4, "big") + garbage


def test_a_corrupt_entry_is_made_again_without_a_word(cache: Path) -> None:
    good = tpgen("sched_switch", "--raw")
    whole = entry_of(cache).read_bytes()
    for damaged in damages(whole):
        entry_of(cache).write_bytes(damaged)
        assert tpgen("sched_switch", "--raw") == good
        assert entry_of(cache).read_bytes() == whole


def test_another_installation_is_another_key(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    believed()
    monkeypatch.setattr(outputs, "installation", lambda: "another")
    believed()
    assert len(list((cache / "outputs").iterdir())) == 2


@pytest.mark.parametrize("changed", ["identity", "none"])
def test_another_kernel_is_another_key(changed: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    believed()
    monkeypatch.setattr(
        "tpgen.cache.kernel_identity.current", {"identity": lambda: "another", "none": lambda: None}[changed]
    )
    believed()
    assert len(list((cache / "outputs").iterdir())) == (2 if changed == "identity" else 1)


@pytest.mark.parametrize("name", ["board.tpgen", "board.tpgen:*"])
def test_a_named_kernel_is_kept_by_what_its_name_means(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalog file that is replaced, one that is added and another machine each make another entry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    entries = []

    def run() -> str:
        done = tpgen("sched_switch", "--raw", "--kernel", name)
        assert done.code == 0, done.err
        assert tpgen("sched_switch", "--raw", "--kernel", name) == done
        entries.append(len(list((cache / "outputs").iterdir())))
        return done.out

    small_catalog(tmp_path).rename("board.tpgen")
    first = run()
    assert tpgen("catalog", "export", "6.1", "-o", "board.tpgen").code == 0
    assert run() != first
    assert tpgen("catalog", "add", "mine", "--kernel", "board.tpgen").code == 0
    run()
    monkeypatch.setattr("tpgen.cache.kernel_identity.current", lambda: None)
    run()
    assert entries == [1, 2, 3, 3], "of the running kernel, which is not named, nothing depends"


def test_all_events_of_a_named_kernel_are_not_kept(cache: Path, tmp_path: Path) -> None:
    assert tpgen("sched:*", "--kernel", "6.12", "-o", tmp_path / "all").code == 0
    assert not (cache / "outputs").exists()


def test_old_entries_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_MOST", 3)
    for number in range(6):
        invocation = CachedInvocation.of([f"event_{number}"])
        assert invocation
        store(invocation, CachedOutput([("a.h", "text")], [], False))
    assert len(list((cache / "outputs").iterdir())) == 3
    last = CachedInvocation.of(["event_5"])
    assert last
    assert last.lookup()


def test_notes_bytes_and_names_come_back(cache: Path) -> None:
    invocation = CachedInvocation.of(["x", "-o", "y"])
    assert invocation
    said = CachedOutput(
        [("a/b.h", "text — \n"), ("c.bin", b"\0\xff"), ("empty", "")], ["tpgen: note: one", "two"], True
    )
    store(invocation, said)
    back = invocation.lookup()
    assert back
    assert (back.notes, back.separate) == (said.notes, True)
    data = [(name, bytes(content)) for name, content in back.files if not isinstance(content, str)]
    assert data == [("a/b.h", "text — \n".encode()), ("c.bin", b"\0\xff"), ("empty", b"")], "as they are written"


def kept_in(cache: Path) -> list[str]:
    return sorted(os.listdir(cache / "outputs"))


def test_an_output_is_kept_in_full_or_not_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where its files are not all taken, nor where it is larger than what is kept; it is the same answer."""
    invocation = CachedInvocation.of(["x"])
    assert invocation
    files = [("a.h", b"a" * 200_000), ("b.h", b"b" * 200_000)]
    taking = iter(invocation.storing(CachedOutput(files, [], True), (), ()).files)
    assert next(taking) == files[0]
    assert len(kept_in(cache)) == 1, "it is on its way"
    del taking
    assert kept_in(cache) == []
    monkeypatch.setattr(outputs, "_BIGGEST", 300_000)
    assert store(invocation, CachedOutput(files, [], True)) == files
    assert kept_in(cache) == []
    assert store(invocation, CachedOutput(files[:1], [], True)) == files[:1]
    assert len(kept_in(cache)) == 1


def test_a_failure_on_the_way_keeps_nothing(cache: Path, tmp_path: Path) -> None:
    """The last of the files cannot be written."""
    (tmp_path / "tp_sched_wakeup_new.h").mkdir()
    assert tpgen("sched_w*", "-o", tmp_path).code == 2
    assert kept_in(cache) == []
    assert sorted(os.listdir(tmp_path)) == ["cache", "tp_sched_wakeup_new.h"]


def test_text_that_is_printed_comes_back_as_text(cache: Path) -> None:
    invocation = CachedInvocation.of(["x"])
    assert invocation
    store(invocation, CachedOutput([("a.h", "text — \n")], [], False))
    back = invocation.lookup()
    assert back
    assert back.files == [("a.h", "text — \n")]


@pytest.mark.parametrize("obstacle", ["file", "dangling", "nowhere", "relative", "no home"])
def test_an_unwritable_place_is_ignored(
    obstacle: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if obstacle == "file":
        cache.parent.write_text("in the way")
    elif obstacle == "dangling":
        cache.parent.symlink_to("/nonexistent/place")
    elif obstacle == "nowhere":
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self/nowhere")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setenv("HOME", str(tmp_path / "home") if obstacle == "relative" else "")
        monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert not believed()
        assert tpgen("list", "sched_switch").err == ""
    assert not (tmp_path / "relative").exists()


# --- the whole kernel


def test_a_cached_kernel_says_the_same(cache: Path) -> None:
    """The second run that asks for all events keeps them, and every other is served from there."""
    assert tpgen("show", "sched_switch").code == 0
    assert not (cache / "marks").exists(), "a run that asks for one event resolves no other"
    cold = tpgen("list")
    assert not (cache / "kernels").exists(), "where there is no second run nothing is gained"
    assert tpgen("list") == cold
    assert live_cache.cached_kernel("x") is not None
    for words in (
        ("list",),
        ("show", "*", "--json"),
        ("show", "sched:*"),
        ("list", "no_such"),
        ("show", "sched_swich"),
    ):
        assert tpgen(*words) == tpgen(*words, "--no-cache")
    assert tpgen("list") == cold


def test_the_verifier_is_asked_once_and_not_for_a_list(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored by a run that shows nothing of NULL leaves it open; the next that shows it for all stores it."""
    real = [tpgen("show", *words, "--json", "--no-cache").out for words in (["sched_pi_setprio"], ["*"])]
    asked = []
    assumptions = Verifier.assumptions

    def counted(self: Verifier, tracepoints: BtfTracepoints, event: str) -> Mapping[int, Nullness]:
        asked.append(event)
        return assumptions(self, tracepoints, event)

    monkeypatch.setattr(Verifier, "assumptions", counted)
    listed = tpgen("list")
    assert tpgen("list") == listed
    assert asked == []
    assert tpgen("show", "sched_pi_setprio", "--json").out == real[0]
    assert asked == ["sched_pi_setprio"]
    assert [tpgen("show", "*", "--json").out for _ in range(2)] == [real[1]] * 2
    del asked[:]
    assert [tpgen("show", "*", "--json").out, tpgen("list")] == [real[1], listed]
    assert asked == []


def test_a_kernel_on_its_way_into_the_cache_answers_all_that_its_sources_do() -> None:
    """Whatever of a kernel's interface sources answer in their own way is passed on to them."""
    classes = CheckedKernel.__mro__[: CheckedKernel.__mro__.index(KernelEvents)]
    answered = {name for base in classes for name in vars(base)} & set(vars(KernelEvents))
    assert {"raw_evidence", "events"} <= answered
    assert answered - {"__doc__", "__module__"} <= set(vars(live_cache.CachingKernel))


def test_a_corrupt_kernel_is_made_again_without_a_word(cache: Path) -> None:
    good = tpgen("list", "sched:*")
    assert {tpgen("list").code for _ in range(2)} == {0}
    (entry,) = (cache / "kernels").iterdir()
    whole = entry.read_bytes()
    for damaged in (b"", whole[:5000], whole[:9000] + bytes([whole[9000] ^ 1]) + whole[9001:]):
        entry.write_bytes(damaged)
        assert tpgen("list", "sched:*") == good
        assert tpgen("list").code == 0
        assert entry.read_bytes() == whole


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_kernel_that_others_can_write_to_is_not_read(mode: int, cache: Path) -> None:
    assert {tpgen("list").code for _ in range(2)} == {0}
    (entry,) = (cache / "kernels").iterdir()
    entry.chmod(mode)
    assert live_cache.cached_kernel("x") is None


def test_processes_at_once(cache: Path) -> None:
    """Eight that all find nothing, and someone who clears the cache."""
    command = (sys.executable, "-m", "tpgen", "sched_switch", "--raw")
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    while any(process.poll() is None for process in running):
        for entry in list((cache / "outputs").iterdir()) if (cache / "outputs").is_dir() else []:
            entry.unlink(missing_ok=True)
        try:
            running[0].wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        break
    outcomes = {(process.communicate(), process.returncode) for process in running}
    assert outcomes == {((tpgen("sched_switch", "--raw").out.encode(), b""), 0)}


def test_files_that_vanish_are_no_failure(tmp_path: Path) -> None:
    files = PrivateFiles("x", 2, 100, str(tmp_path / "d"))
    with pytest.raises(OSError, match="No such file"):
        files.read("a")
    files.write("a", b"1")
    assert files.read("a") == b"1"
    (tmp_path / "d" / "b").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="own"):
        files.read("b")
