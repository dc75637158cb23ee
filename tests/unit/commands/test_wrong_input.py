"""Wrong values of every option, and wrong files behind every path: a line says what is wrong, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.catalogs import small_catalog
from support.cli import is_line, refusal, tpgen
from support.small_kernel import write_btf

from tpgen.commands.common.all_commands import parsers, subcommands
from tpgen.commands.common.parsing import Parser
from tpgen.kernel.options import KERNEL as KERNEL_NAME
from tpgen.kernel.options import PATH, WORD, options_of

# What stands for the required arguments of a command, the first of which is replaced.
ARGUMENTS = {
    "": ["sched_switch"],
    "show": ["sched_switch"],
    "diff": ["small.tpgen", "small.tpgen", "sched_switch"],
    "history": ["sched_switch"],
    "doctor": ["vmlinux"],
    "catalog show": ["small.tpgen"],
    "catalog add": ["mine"],
    "catalog remove": ["mine"],
    "catalog export": ["small.tpgen", "-o", "out.tpgen"],
    "catalog merge": ["out.tpgen", "small.tpgen"],
    "atlas": ["-o", "site", "--kernel", "small.tpgen"],
}
# The kernel of commands that read one: their default is all that are on hand, or the running one.
KERNEL = ["--kernel", "small.tpgen"]
READ_A_KERNEL = ("", "show", "list", "check", "history", "doctor", "build", "probe")
# The options that are for a kernel in files, and `--kernel` itself.
ABOUT_FILES = {option.name for option in options_of(KERNEL_NAME, PATH, WORD)}
WRONG = ("", "--", "nothing", "file/below", "directory", "empty", "bytes", "loop", "a\nb\x1b[31m\udcff", "[")


def commands() -> Iterator[tuple[str, Parser]]:
    """Every command with its parser, and instead of one that has several acts each of these."""
    for name, parser in parsers().items():
        acts = subcommands(name) if name else {}
        yield from ((f"{name} {act}", made) for act, made in acts.items()) if acts else [(name, parser)]


def words_of(name: str, parser: Parser) -> Iterator[list[str]]:
    """The words of the command, with `@` in the place of each value in turn."""
    given = ARGUMENTS.get(name, [])
    kernel = KERNEL if name in READ_A_KERNEL else []
    for action in parser._actions:
        if action.option_strings and action.nargs != 0:
            own = ["--btf", "vmlinux"] * bool(kernel) if action.dest in ABOUT_FILES else kernel
            flag = action.option_strings[-1]
            yield [*name.split(), *given, *own, f"{flag}=@" if flag.startswith("--") else f"{flag}@"]
    yield [*name.split(), "@", *given[1:], *kernel]


CASES = [words for name, parser in commands() for words in words_of(name, parser)]


@pytest.fixture
def _inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    small_catalog(tmp_path)
    write_btf(tmp_path / "vmlinux")
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_text("hello\n")
    (tmp_path / "empty").touch()
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 8)
    os.symlink("loop", tmp_path / "loop")


@pytest.mark.usefixtures("_inputs")
@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_every_value(words: list[str]) -> None:
    """It is taken, or refused with exit status 2 and lines as compilers write them; `tpgen` fails on [internal]."""
    for wrong in WRONG:
        done = tpgen(*(word.replace("@", wrong) for word in words))
        assert done.code in (0, 1, 2, 3), wrong
        if done.code == 2:
            lines = done.err.splitlines()
            assert all(map(is_line, lines)), (wrong, lines)
            assert 1 <= len(lines) <= 3, (wrong, lines)
            assert ": error: " in done.err, wrong
            assert done.out == "", wrong


def test_words_that_are_blank_are_seen() -> None:
    assert tpgen("backends", "", " ", "x y") == refusal(
        "unrecognized arguments: '' ' ' 'x y' [usage]; `tpgen backends --help` explains"
    )


@pytest.mark.parametrize("release", ["odd", "6", "6.1 x", "6.1\n", "v6.1"])
def test_a_release_that_is_none(release: str, btf: Path) -> None:
    said = f"{release!r} is not the release of a kernel [usage]; as `uname -r` prints it: 6.12.107+deb13-amd64"
    for command in (["sched_switch"], ["show", "sched_switch"], ["list"], ["check"], ["probe"]):
        assert tpgen(*command, "--btf", btf, "--release", release) == refusal(said)
