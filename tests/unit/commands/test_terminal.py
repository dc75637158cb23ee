"""Output for people fits into their terminal, and what goes into a pipe is what it is."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cli import tpgen
from support.small_kernel import write_btf, write_tracefs

from tpgen.basics.columns import aligned
from tpgen.commands.common.terminal import folded
from tpgen.commands.deliver import COMMANDS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("kernel")
    return ("--btf", str(write_btf(folder / "vmlinux")), "--tracefs", str(write_tracefs(folder / "tracefs")))


def at_terminal(width: int, arguments: Sequence[str], **environment: str) -> str:
    """What tpgen prints on stdout at a terminal of this many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
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
    return max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in text.splitlines())


OUTPUTS: dict[str, tuple[str, ...]] = {
    "list": ("list", "--kernel", "6.1"),
    "list of several": ("list", "--kernel", "6.1", "--kernel", "6.12"),
    "prototypes": ("list", "--args", "--kernel", "6.1"),
    "show": ("show", "*", "--kernel", "6.12"),
    "show of several": ("show", "kmem:*", "--kernel", "6.1", "--kernel", "6.12"),
    "diff": ("diff", "6.1", "6.12", "sched:*", "block:*"),
    "check": ("check", "--kernel", "6.12", "sched:*"),
    "catalog": ("catalog", "list"),
    "backends": ("backends",),
    "explain": ("explain", "not-joined", "header-unbalanced"),
} | {f"help of {command}": ("help", command) for command in COMMANDS}  # fmt: skip


# Narrow ones of what is wide, and the usual one.
WIDTHS = [(name, 80) for name in OUTPUTS] + [(name, 60) for name in ("list", "show", "diff", "help of build")]


@pytest.mark.parametrize(("name", "width"), WIDTHS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    arguments = OUTPUTS[name]
    text = at_terminal(width, arguments)
    assert text
    assert widest(text) <= width


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


def test_columns() -> None:
    rows = [("a", "1", "a long text in here"), ("bcd", "22", "x")]
    assert list(aligned(rows, right=(1,))) == ["a     1  a long text in here", "bcd  22  x"]
    assert list(aligned(rows, right=(1,), width=20)) == ["a     1  a long tex…", "bcd  22  x"]
    assert list(aligned([])) == []
