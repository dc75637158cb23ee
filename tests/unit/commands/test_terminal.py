"""Output for people fits into their terminal, and what goes into a pipe is what it is."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli import Done, Terminal, tpgen
from support.doctor_cases import compiled
from support.small_kernel import write_btf, write_tracefs

from tpgen.basics.columns import aligned, in_blocks
from tpgen.cache.outputs import CachedOutput
from tpgen.commands.common.all_commands import subcommands
from tpgen.commands.common.terminal import folded
from tpgen.commands.deliver import COMMANDS

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.compilers


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("kernel")
    return ("--btf", str(write_btf(folder / "vmlinux")), "--tracefs", str(write_tracefs(folder / "tracefs")))


def at_terminal(width: int, arguments: Sequence[str], without: Sequence[str] = (), **environment: str) -> str:
    """What tpgen prints on stdout at a terminal of this many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM", *without)}
    command = (sys.executable, "-m", "tpgen", *arguments)
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=theirs, stderr=subprocess.DEVNULL, env=clean | {"TERM": "xterm"} | environment
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # EIO: nobody has the other end open any more
            break
        if not part:
            break
        parts.append(part)
    os.close(ours)
    process.wait()
    return b"".join(parts).decode().replace("\r\n", "\n")


def widest(text: str) -> int:
    return max((len(re.sub(r"\x1b\[[0-9;]*[mK]", "", line)) for line in text.splitlines()), default=0)


AMD64 = ("5.10", "6.1", "6.12", "7.2")
OUTPUTS: dict[str, tuple[str, ...]] = {
    "overview": ("help",),
    "list": ("list", "--kernel", "6.1", "s*:*"),
    "list of several": ("list", "--kernel", "6.1", "--kernel", "6.12", "sched:*"),
    "list of all": ("list", "--kernel", "debian-*", "sched:*"),
    "prototypes": ("list", "--args", "--kernel", "6.1", "sched:*"),
    "show": ("show", "sched:*", "signal:*", "sys_enter_openat", "xhci_handle_event", "--kernel", "6.12"),
    "show of several": ("show", "kmem:*", "--kernel", "6.1", "--kernel", "6.12"),
    "show of all": ("show", "block_rq_complete", "sched_switch", "rpc_task_begin", "--kernel", "debian-*"),
    "diff": ("diff", "6.1", "6.12", "sched:*", "block:*"),
    "history": ("history", "sched_switch", "block_rq_complete", "kfree_skb"),
    "check": ("check", "--kernel", "6.12", "sched:*", "-v"),
    "check of several": ("check", "--kernel", "6.12", "--kernel", "6.1", "block:*"),
    "check of a broken header": ("check", "--headers", "broken.h", "--arch", "x86_64"),
    "doctor": ("doctor", "records.bpf.o", "pointers.bpf.o", *(word for one in AMD64 for word in ("--kernel", one))),
    "doctor of one": ("doctor", "records.bpf.o", "--kernel", "6.1", "--kernel", "6.12"),
    "build": ("build", "-v"),
    "backends": ("backends",),
    "probe": ("probe",),
    "atlas": ("atlas", "-o", "site", "--kernel", "small.tpgen"),
    "explain": ("explain", "not-joined", "header-unbalanced", "layout-packed"),
    "all codes": ("explain",),
    "catalog list": ("catalog", "list"),
    "catalog show": ("catalog", "show", "6.12", "7.2-arm64"),
    "catalog add": ("catalog", "add", "small.tpgen", "--distribution", "d"),
    "catalog remove": ("catalog", "remove", "debian-6.1-cloud-amd64"),
    "catalog export": ("catalog", "export", "debian-99", "-o", "out.tpgen"),
    "catalog merge": ("catalog", "merge", "out.tpgen", "tpgen.toml"),
    "a misspelt event": ("show", "sched_swich", "--kernel", "6.12"),
    "an unknown kernel": ("show", "sched_switch", "--kernel", "6.99"),
    "an unknown backend": ("sched_switch", "-b", "pascal"),
    "an unknown option": ("list", "--arg"),
    "a header for all": ("block:*", "--kernel", "debian-*-amd64", "-o", "headers", "-v"),
} | {f"help of {command}": ("help", command) for command in COMMANDS}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the commands of `OUTPUTS` name: objects, a catalog, a project, and a broken header."""
    folder = tmp_path_factory.mktemp("home")
    compiled(folder)
    small = ("--btf", str(write_btf(folder / "vmlinux")), "--tracefs", str(write_tracefs(folder / "tracefs")))
    assert tpgen("catalog", "add", "small", *small, "-o", folder / "small.tpgen").code == 0
    (folder / "tpgen.toml").write_text(
        '[[generate]]\ndirectory = "made"\nevents = ["sched:sched_w*"]\nkernel = "6.12"\n'
    )
    (folder / "broken.h").write_text(
        f"#include <linux/tracepoint.h>\n/* {'far ' * 30}*/ TRACE_EVENT(open, TP_PROTO(int a, {'int b, ' * 20}\n"
    )
    return folder


def screen(name: str, width: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Done:
    """What one of the `OUTPUTS` shows at a terminal."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / f"data-{width}"))
    monkeypatch.setenv("COLUMNS", str(width))
    shutil.rmtree(folder / "headers", ignore_errors=True)  # of files that do not change nothing is reported
    done = tpgen(*OUTPUTS[name], stream=Terminal)
    assert done.out + done.err, "nothing to look at"
    return done


def test_every_command_is_looked_at() -> None:
    looked_at = {words[0] for words in OUTPUTS.values()}
    assert looked_at >= set(COMMANDS)
    assert {words[1] for words in OUTPUTS.values() if words[0] == "catalog"} >= set(subcommands("catalog"))


@pytest.mark.parametrize("width", [40, 200])
@pytest.mark.parametrize("name", OUTPUTS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = screen(name, width, home, monkeypatch)
    assert widest(done.out + done.err) <= width


@pytest.mark.parametrize("name", OUTPUTS)
def test_of_the_usual_width_with_another_locale(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the locale does not say that a terminal takes UTF-8, it is given ASCII, in which some lines are longer."""
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LC_CTYPE", "C.UTF-8")  # as Python itself does where LANG is C
    monkeypatch.setenv("LANG", "C")
    done = screen(name, 80, home, monkeypatch)
    assert (done.out + done.err).isascii()
    assert widest(done.out + done.err) <= 80


@pytest.mark.parametrize(
    ("variables", "utf8"),
    [
        ({"LANG": "C.UTF-8"}, True), ({"LANG": "en_US.utf8"}, True), ({"LANG": "C"}, False), ({}, False),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, False), ({"LANG": "C", "LC_ALL": "de_DE.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
    ],
)  # fmt: skip
def test_locales(variables: dict[str, str], utf8: bool) -> None:
    """Each with a Python that sets LC_CTYPE by itself."""
    shown = at_terminal(
        80, ("diff", "6.1", "6.12", "sched:sched_swap_numa"), without=("LANG", "LC_ALL", "LC_CTYPE"), **variables
    )
    assert ("→" if utf8 else "->") in shown


DATA = [
    ("sched_switch", "--kernel", "6.12"), ("show", "sched_switch", "--json", "--kernel", "6.12"),
    ("list", "sched:*", "--json", "--kernel", "6.12"), ("diff", "6.1", "6.12", "sched:*", "--json"),
]  # fmt: skip


@pytest.mark.parametrize("words", DATA)
def test_what_programs_read_is_the_same_at_a_terminal(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LANG", "C")
    assert tpgen(*words, stream=Terminal).out == tpgen(*words).out


@pytest.mark.parametrize("name", ["list", "explain", "diff", "history", "show of all"])
def test_a_pipe_knows_no_width_and_no_locale(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tpgen(*OUTPUTS[name])
    assert widest(expected.out) > 80
    monkeypatch.setenv("COLUMNS", "40")
    for variable in ("LANG", "LC_ALL"):
        monkeypatch.setenv(variable, "C")
    assert tpgen(*OUTPUTS[name]) == expected


def test_the_overview_fits_into_the_usual_width() -> None:
    assert widest(tpgen("help").out) <= 80


def test_colours_do_not_count_and_are_not_lost() -> None:
    words = ("diff", "6.1", "6.12", "sched:*")
    coloured, plain = at_terminal(60, words), at_terminal(60, words, NO_COLOR="1")
    assert "\x1b[" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        ((), {}, False),
        ((), {"CLICOLOR_FORCE": "1"}, True),
        ((), {"CLICOLOR_FORCE": "0"}, False),
        ((), {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_colours_in_a_pipe(
    words: tuple[str, ...], environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in tpgen("diff", "6.1", "6.12", "sched:*", *words).out) is expected


RED = "\x1b[1;31merror:\x1b[m"


@pytest.mark.parametrize(
    ("words", "environment", "stream", "expected"),
    [
        ((), {}, Terminal, True),
        ((), {}, io.StringIO, False),
        ((), {"TERM": "dumb"}, Terminal, False),
        ((), {"NO_COLOR": "1"}, Terminal, False),
        ((), {"NO_COLOR": ""}, Terminal, True),
        ((), {"CLICOLOR_FORCE": "1"}, io.StringIO, True),
        (("--color", "always"), {"NO_COLOR": "1"}, io.StringIO, True),
        (("--color=never",), {"CLICOLOR_FORCE": "1"}, Terminal, False),
        (("--color", "auto"), {}, Terminal, True),
    ],
)
def test_colours_of_messages(
    words: tuple[str, ...],
    environment: dict[str, str],
    stream: type[io.StringIO],
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same before and behind the command, and of a command without one."""
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm", "COLUMNS": "200"} | environment).items():
        monkeypatch.setenv(name, value)
    nope = ("nope", "--kernel", "6.1")
    for done in (
        tpgen("show", *nope, *words, stream=stream),
        tpgen(*words, "show", *nope, stream=stream),
        tpgen(*nope, *words, stream=stream),
    ):
        head = f"tpgen: {RED if expected else 'error:'} no event 'nope' in debian-6.1-amd64"
        assert (done.code, done.err[: len(head)]) == (2, head)


def test_options_are_those_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a run ends before its command is known."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    assert tpgen("explain", "usage", "--color", "never").code == 0
    assert tpgen("help", "shwo", stream=Terminal).err.startswith("tpgen: \x1b[1;31merror:\x1b[m no command")


def test_notes_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that finds its output in the cache says the notes that are there as any other, whatever ran before."""
    assert tpgen("explain", "usage", "--color", "never").code == 0
    note = f"tpgen: note: {'a word ' * 20}[layout-packed]"
    found = CachedOutput([("header.h", "/* text */\n")], [note], False)
    monkeypatch.setattr("tpgen.cache.outputs.CachedInvocation.lookup", lambda _: found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    words = ("sched_switch", "--kernel", "6.12")
    assert tpgen(*words) == Done(0, "/* text */\n", f"{note}\n")
    done = tpgen(*words, stream=Terminal)
    assert done.err.startswith("tpgen: \x1b[1;36mnote:\x1b[m a word")
    assert 70 < widest(done.err) <= 80


def test_headings_are_for_a_terminal(kernel: tuple[str, ...]) -> None:
    assert at_terminal(80, ("list", *kernel)).splitlines()[0].split() == ["event", "args", "class", "module"]
    assert tpgen("list", *kernel).out.splitlines()[0].split()[0] != "event"


# --- the parts


@given(st.text(st.sampled_from("ab ."), max_size=200), st.integers(20, 60))
def test_folding_loses_nothing_but_blanks(line: str, width: int) -> None:
    text = folded(f"{line}\n", width)
    assert all(len(part) <= width for part in text.splitlines())
    assert text.replace(" ", "").replace("\n", "") == line.replace(" ", "")


def test_a_folded_line_goes_on_further_right() -> None:
    assert folded("  one two three four five\n", 20) == "  one two three four\n    five\n"
    assert folded("  \x1b[31m- one two three four five\x1b[m\n", 20) == (
        "  \x1b[31m- one two three\x1b[m\n    \x1b[31mfour five\x1b[m\n"
    )
    assert folded("as it is, however long that may be\n", None) == "as it is, however long that may be\n"


def test_a_folded_line_keeps_to_its_column() -> None:
    assert folded("  word  what it means in a few words\n", 24) == ("  word  what it means in\n        a few words\n")
    assert folded("  word  a\n", 24) == "  word  a\n"


def test_a_declaration_is_folded_behind_a_comma() -> None:
    assert folded("sys:event(struct task_struct *p, unsigned int number)\n", 44) == (
        "sys:event(struct task_struct *p,\n  unsigned int number)\n"
    )
    # Unless most of the line would be empty.
    assert (
        folded("a, and so many other words that are behind\n", 30) == "a, and so many other words\n  that are behind\n"
    )


def test_columns() -> None:
    rows = [("a", "1", "a long text in here"), ("bcd", "22", "x")]
    assert list(aligned(rows, right=(1,))) == ["a     1  a long text in here", "bcd  22  x"]
    assert list(aligned(rows, right=(1,), width=20)) == ["a     1  a long tex…", "bcd  22  x"]
    assert list(aligned(rows, right=(1,), width=20, cut="...")) == ["a     1  a long t...", "bcd  22  x"]
    assert list(aligned([])) == []


def test_the_name_of_a_row_is_cut_last() -> None:
    rows = [("sched:sched_switch", "sched_switch_class", "1")]
    assert list(aligned(rows, width=32)) == ["sched:sched_switch  sched_sw…  1"]
    assert list(aligned(rows, width=24)) == ["sched:sched…  sched_s…", "", "sched:sched…  1"]


def test_columns_below_each_other() -> None:
    rows = [("name", "first", "second", "third"), ("a", "1", "2", "3")]
    assert list(in_blocks(rows)) == ["name  first  second  third", "a     1      2       3"]
    assert list(in_blocks(rows, 26)) == list(in_blocks(rows))
    assert list(in_blocks(rows, 25)) == ["name  first  second", "a     1      2", "", "name  third", "a     3"]
    assert list(in_blocks(rows, 5))[:3] == ["name  first", "a     1", ""]
    assert list(in_blocks([], 5)) == []


def test_tables_of_check_keep_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a narrow terminal the subjects are cut, and what has no room is a table below: no row is folded."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    lines = tpgen("check", "sched:sched_switch", "--kernel", "6.12", stream=Terminal).out.splitlines()
    at = lines.index("                      agree  differ")
    assert lines[at + 1] == "  raw arguments: BT…      1       0"
    assert lines[at + 6 : at + 8] == ["                      not comparable", "  raw arguments: BT…               0"]


def test_a_word_that_is_too_long_is_folded_behind_its_bracket() -> None:
    assert folded("sched:sched_kthread_work_execute_end(struct kthread_work *work)\n", 40) == (
        "sched:sched_kthread_work_execute_end(\n  struct kthread_work *work)\n"
    )
    assert folded(f"{'x' * 30}\n", 20) == f"{'x' * 20}\n  {'x' * 10}\n"
