"""Headers read by two processes: the same facts as by one, whatever becomes of the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.users import unprivileged

from tpgen.basics import team
from tpgen.cache import fingerprint
from tpgen.diagnostics import TpgenError
from tpgen.sources.headers.facts import HeaderFacts
from tpgen.sources.headers.incremental import analysis
from tpgen.sources.headers.read import Headers
from tpgen.target import target_named

X86_64 = target_named("x86_64")
SECOND_CORE_IS_FREE = team.second_core_is_free

EVENT = """
#define TRACE_SYSTEM {system}
#include <linux/{system}.h>
TRACE_EVENT({name}, TP_PROTO(int a, {type} b), TP_ARGS(b, a), TP_STRUCT__entry(__field({type}, x)
    __array(char, comm, {length}) __string(s, s)), TP_fast_assign(), TP_printk(""));
"""
FRAGMENT = """
TRACE_EVENT(part{number}, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(u32, x)), TP_fast_assign(),
    TP_printk(""));
"""
# The class has another order of arguments than the prototype; it is of the header before.
OF_OTHER_CLASS = (
    "DEFINE_EVENT({name}, late{number}, TP_PROTO(int a, {type} b), TP_ARGS(a, b));\nFTRACE_ENTRY(o, x, y);\n"
)
#: One of each header, those of other classes, the fragments.
EVENTS = 24 + 8 + 6
BROKEN = "\nTRACE_EVENT(broken, TP_PROTO(int a), TP_ARGS(a)\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree")


def write_tree(root: Path) -> Path:
    """Headers whose facts depend on each other's, among them some that are broken, and one that no text is."""
    (root / "include/trace/events").mkdir(parents=True)
    (root / "include/linux").mkdir()
    for number in range(24):
        system = f"sys{number:02}"
        last = {"name": f"event{number - 1}", "number": number, "type": f"t{number - 1}_t"}
        words = {"system": system, "name": f"event{number}", "type": f"t{number}_t", "length": f"LEN{number}"}
        text = EVENT.format(**words) + (OF_OTHER_CLASS.format(**last) if number % 3 == 1 else "")
        text += f'#include "part{number}.h"\n' if number % 5 == 2 else ""
        text += BROKEN if number in (3, 20) else ""
        (root / f"include/trace/events/{system}.h").write_text(text)
        # Every fourth length is in a header that nobody includes.
        where = f"elsewhere{number}" if number % 4 == 3 else system
        (root / f"include/linux/{where}.h").write_text(f"#define LEN{number} {number + 1}\n")
        with open(root / f"include/linux/{system}.h", "a") as file:
            file.write(f"typedef struct {{ u32 a, b[{number}]; }} t{number}_t;\n")
    for number in (2, 7, 12, 17, 22, 99):
        (root / f"include/trace/events/part{number}.h").write_text(FRAGMENT.format(number=number))
    (root / "include/trace/events/sys05.h").write_bytes(
        b"\xff\0" + EVENT.format(system="sys05", name="event5", type="t5_t", length="LEN5").encode()
    )
    return root


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two processes, however few headers there are and whatever else runs."""
    monkeypatch.setattr(analysis, "_MANY", 1)
    monkeypatch.setattr(team, "second_core_is_free", lambda: True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprint, "_YOUNG_NS", -(10**18))


def alone(tree: Path) -> tuple[HeaderFacts, HeaderFacts]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team, "second_core_is_free", lambda: False)
        headers = Headers(str(tree), X86_64)
        return headers.facts, headers.resolved


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were forked from here on."""
    made: list[int] = []
    fork = os.fork

    def noted() -> int:
        made.append(child := fork())
        return child

    monkeypatch.setattr(os, "fork", noted)
    return made


def none_is_left() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.mark.parametrize("with_types", [True, False])
def test_the_same_facts(tree: Path, with_types: bool, forks: list[int]) -> None:
    facts, resolved = alone(tree)
    assert len(facts.events) == EVENTS
    assert {found.code for found in facts.skipped} == {
        "header-unbalanced", "header-other-event", "header-encoding", "header-nul",
    }  # fmt: skip
    descriptors = os.listdir("/proc/self/fd")
    headers = Headers(str(tree), X86_64, use_cache=True, with_types=with_types)
    assert (headers.facts, headers.resolved) == (facts, resolved)
    assert len(forks) == 1
    assert none_is_left()
    assert os.listdir("/proc/self/fd") == descriptors
    # What is kept of it is as good as what one process read.
    again = Headers(str(tree), X86_64, use_cache=True)
    assert (again.facts, again.resolved) == (facts, resolved)
    assert "_analysis" not in again.__dict__


def test_what_is_kept_is_still_valid_after_an_edit(tree: Path) -> None:
    _ = Headers(str(tree), X86_64, use_cache=True).resolved
    (tree / "include/linux/sys21.h").write_text("#define LEN21 9\ntypedef struct { u32 a, b[7]; } t21_t;\n")
    (tree / "include/trace/events/sys01.h").write_text(
        EVENT.format(system="sys01", name="renamed", type="t1_t", length="LEN1")
    )
    headers = Headers(str(tree), X86_64, use_cache=True)
    found = headers.facts, headers.resolved
    assert found == alone(tree)


def test_facts_and_types_are_stored_at_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[None] = []
    monkeypatch.setattr(Headers, "_store", lambda self, analysis: stored.append(None))
    headers = Headers(str(tree), X86_64, use_cache=True, with_types=True)
    _ = headers.facts, headers.resolved
    assert len(stored) == 1


def ending(number: int, end: Callable[[], object]) -> Callable[..., list[Any]]:
    """An exchange that ends the second process instead of the `number`th of its messages."""
    exchange, count = team._Pair.exchange, iter(range(100))

    def ended(self: Any, value: Any) -> list[Any]:
        if self.rank and next(count) == number:
            end()
        return exchange(self, value)

    return ended


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def failed() -> None:
    raise MemoryError


def left() -> None:
    raise SystemExit(0)


#: How often the processes exchange something in a run with types.
EXCHANGES = 12


def test_every_exchange_is_known(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that none is left out below."""
    seen: list[None] = []
    exchange = team._Pair.exchange

    def counted(self: Any, value: Any) -> list[Any]:
        seen.append(None)
        return exchange(self, value)

    monkeypatch.setattr(team._Pair, "exchange", counted)
    _ = Headers(str(tree), X86_64, with_types=True).resolved
    assert len(seen) == EXCHANGES


@pytest.mark.parametrize(
    ("number", "end"), [*((number, killed) for number in range(EXCHANGES)), (0, failed), (5, left), (11, failed)]
)
def test_the_other_process_ends_early(
    tree: Path,
    number: int,
    end: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    expected = alone(tree)
    monkeypatch.setattr(team._Pair, "exchange", ending(number, end))
    headers = Headers(str(tree), X86_64, with_types=True)
    assert (headers.facts, headers.resolved) == expected
    assert none_is_left()
    assert capfd.readouterr() == ("", "")


def test_this_process_is_interrupted(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other ends with it, and is not left as a zombie."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    parent = os.getpid()
    parse = analysis.extract
    monkeypatch.setattr(analysis, "extract", lambda *a, **k: interrupted() if os.getpid() == parent else parse(*a, **k))
    with pytest.raises(KeyboardInterrupt):
        _ = Headers(str(tree), X86_64, with_types=True).facts
    assert none_is_left()


def test_children_are_waited_for_by_somebody_else(tree: Path) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        headers = Headers(str(tree), X86_64)
        assert headers.resolved == alone(tree)[1]
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("name", ["fork", "pipe"])
def test_no_process_is_to_be_had(tree: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise BlockingIOError

    expected = alone(tree)
    monkeypatch.setattr(os, name, refused)
    descriptors = os.listdir("/proc/self/fd")
    headers = Headers(str(tree), X86_64, with_types=True)
    assert (headers.facts, headers.resolved) == expected
    assert os.listdir("/proc/self/fd") == descriptors


def test_headers_that_cannot_be_read(forks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        Path(name).chmod(0o755)
        tree = write_tree(Path(name, "tree"))
        for number in (4, 9, 18):
            (tree / f"include/trace/events/sys{number:02}.h").chmod(0)
        with unprivileged():
            headers = Headers(str(tree), X86_64, with_types=True)
            assert (headers.facts, headers.resolved) == alone(tree)
    assert sum(found.code == "unreadable" for found in headers.facts.skipped) == 3
    assert len(forks) == 1


def test_headers_that_are_too_large(tree: Path) -> None:
    """They are told in their order."""
    for number in (4, 9, 18):
        with open(tree / f"include/trace/events/sys{number:02}.h", "a") as file:
            file.truncate((1 << 26) + 1)
    headers = Headers(str(tree), X86_64, with_types=True)
    assert (headers.facts, headers.resolved) == alone(tree)
    assert sum(found.code == "unreadable" for found in headers.facts.skipped) == 3


def test_a_root_that_is_gone(tmp_path: Path, forks: list[int]) -> None:
    with pytest.raises(TpgenError, match="cannot read"):
        Headers(str(tmp_path / "missing"), X86_64)
    assert not forks


# --- where there is a second core


SAYS = "import os, threading, time\nfrom tpgen.basics.team import second_core_is_free\n{}\nprint(second_core_is_free())"
IDLE = """from tpgen.basics import team
team._running, team._allowed_cores = lambda: 1, lambda: 8.0
os.cpu_count, os.sched_getaffinity = lambda: 8, lambda _: set(range(8))
"""


def said(program: str) -> str:
    command = (sys.executable, "-c", SAYS.format(program))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("program", "free"),
    [
        (IDLE, True),
        (IDLE + "os.sched_getaffinity = lambda _: {0}", False),
        (IDLE + "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", False),
        (IDLE + "team._running = os.cpu_count", False),
        (IDLE + "team._allowed_cores = lambda: 1.5", False),
    ],
)
def test_where_a_second_core_is_free(program: str, free: bool) -> None:
    assert said(program) == str(free)


def test_a_program_with_threads_reads_alone(tree: Path, monkeypatch: pytest.MonkeyPatch, forks: list[int]) -> None:
    """However many cores are free."""
    monkeypatch.setattr(team, "second_core_is_free", SECOND_CORE_IS_FREE)
    monkeypatch.setattr(team, "_running", lambda: 1)
    monkeypatch.setattr(team, "_allowed_cores", lambda: 8.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert len(Headers(str(tree), X86_64).facts.events) == EVENTS
    finally:
        stop.set()
        thread.join()
    assert not forks


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a/b\n", {"cpu.max": "max 100000\n"}, float("inf")),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("9:name=systemd:/x\n4:cpu,cpuacct:/x\n", {
            "cpu,cpuacct/x/cpu.cfs_quota_us": "50000\n", "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"}, 0.5),
        ("4:cpu:/x\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
    ],
)  # fmt: skip
def test_what_control_groups_allow(
    groups: str, files: dict[str, str], cores: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(groups)
    monkeypatch.setattr(team, "_CGROUPS", str(tmp_path))
    monkeypatch.setattr(team, "_OWN_CGROUPS", str(tmp_path / "own"))
    assert team._allowed_cores() == cores
