"""What a fuzz target holds against a run besides that no exception leaves it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

from support.cli import Done, is_line, tpgen

from tpgen.diagnostics import Diagnostic

#: What a terminal acts upon, and what else is no part of a line.
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CLANG = ("clang", "-target", "bpf", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c", "-")


def every(count: int, data: bytes) -> bool:
    """Whether this input is one of those, one of `count`, that are judged at length; always so when seeds are run."""
    return "TPGEN_FUZZ_ALWAYS" in os.environ or zlib.crc32(data) % count == 0


def refused(*diagnostics: Diagnostic) -> None:
    """Hold the lines of diagnostics against what a line may be."""
    for diagnostic in diagnostics:
        assert isinstance(diagnostic, Diagnostic)
        line = str(diagnostic)
        assert line
        assert not _RAW.search(line), repr(line)
        assert len(line) < 10_000, f"{len(line)} characters: {line[:200]!r}"


def command(*words: str | Path) -> Done:
    """Run tpgen with its cache off; its exit status, its lines and its JSON are as documented."""
    done = tpgen(*words)
    assert done.code in (0, 1, 2), done.code
    assert not _RAW.search(done.err), repr(done.err[:2000])
    assert not _RAW.search(done.out), repr(done.out[:2000])
    assert all(is_line(line) or line.startswith(("  ", "usage: ")) for line in done.err.splitlines()), done.err[:2000]
    assert done.code == 0 or done.err or done.out
    if "--json" in words and done.out:
        assert isinstance(json.loads(done.out), list | dict)
    return done


def compiles(text: str) -> None:
    """Hold generated C against clang, where there is one."""
    if text and shutil.which("clang"):
        done = subprocess.run(_CLANG, input=text.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[:2000] + text[:6000]


def described(*words: str | Path) -> None:
    """Run the commands that a kernel described by these options can be asked with, and judge what they make."""
    command("show", "*", "--json", "--no-cache", *words)
    command("check", "--no-cache", *words)
    listed = command("list", "--json", "--no-cache", *words)
    for event in (json.loads(listed.out) if listed.out else [])[:4]:
        name = f"{event['system'] or ''}:{event['name']}"
        for form in ("--raw", "--classic"):
            compiles(command(name, form, "--no-cache", *words).out)
