"""Formatters and linters, as each language's users run them, have nothing to say of what is generated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.cli import tpgen

from languages.conftest import Odd

pytestmark = pytest.mark.languages

# Long names, long lists of fields, strings, arrays, fields in parts.
EVENTS = ("sched:*", "ext4:*", "kvm:*", "hyperv:*", "mptcp:*", "syscalls:sys_enter_*", "i915:*")
C = {
    "headers": (*EVENTS, "--kernel", "6.12"),
    "headers for several kernels": ("sched:*", "syscalls:sys_enter_*", "--kernel", "6.1", "--kernel", "6.12"),
    "values": ("--values", "kfree_skb", "--kernel", "6.12"),
    "a member": ("--member", "task_struct:__state|state", "--prelude", "shared"),
    "systemtap": ("sched:*", "-b", "systemtap", "--kernel", "6.12"),
    "systemtap for modules": ("sched:*", "-b", "systemtap", "--lkm", "--kernel", "6.12"),
}
RUFF = (sys.executable, "-m", "ruff")
SUFFIXES = {"go": ".go", "rust": ".rs", "python": ".py"}
COMMANDS = {
    "go": [("gofmt", "-l", "-s")],
    "rust": [("rustfmt", "--check", "--edition", "2021")],
    "python": [(*RUFF, "format", "--isolated", "--check", "-q"), (*RUFF, "check", "--isolated", "-q")],
}


def silent(language: str, path: Path) -> None:
    for command in COMMANDS[language]:
        done = subprocess.run((*command, path), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout[:3000], done.stderr) == (0, "", "")


@pytest.mark.parametrize("language", COMMANDS)
def test_shipped_kernel(language: str, tmp_path: Path) -> None:
    path = tmp_path / f"tracepoints{SUFFIXES[language]}"
    assert tpgen(*EVENTS, "-q", "-b", language, "--kernel", "6.12", "-o", path).code == 0
    silent(language, path)


@pytest.mark.parametrize("language", COMMANDS)
def test_odd_kernel(language: str, odd: Odd, tmp_path: Path) -> None:
    """Names that are words of the language, a field in parts, every width."""
    path = tmp_path / f"tracepoints{SUFFIXES[language]}"
    odd(language, path, False)
    silent(language, path)


@pytest.mark.parametrize("words", C.values(), ids=C)
def test_c_in_whatever_style(words: tuple[str, ...], tmp_path: Path) -> None:
    """No style of clang-format has anything to say: a generated header says that it is left alone."""
    assert tpgen(*words, "-q", "-o", tmp_path / "out").code == 0
    made = [str(path) for path in (tmp_path / "out").rglob("*.h")]
    assert made
    for style in ("LLVM", "{BasedOnStyle: Google, ColumnLimit: 60}"):
        command = ("clang-format", "--dry-run", "-Werror", f"--style={style}", *made)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr[:3000]) == (0, "", "")
