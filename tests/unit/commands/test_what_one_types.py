"""Words as people type them: help where it is looked for, slips told with the right word, -o that means one thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import Done, refusal, tpgen

from tpgen.commands.deliver import COMMANDS


@pytest.fixture
def kernel(btf: Path, tracefs_copy: Path) -> tuple[str, ...]:
    return ("--btf", str(btf), "--tracefs", str(tracefs_copy))


# --- help


def test_the_version_and_the_help_have_short_names() -> None:
    assert tpgen("-V") == tpgen("--version") != Done(2, "", "")
    assert tpgen("help") == tpgen("--help") == tpgen("-h")
    assert tpgen("help").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str) -> None:
    done = tpgen("help", command)
    assert done == tpgen(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: tpgen {command} ")


@pytest.mark.parametrize("command", [*COMMANDS, "sched_switch", "catalog add"])
def test_each_command_has_the_version(command: str) -> None:
    for flag in ("-V", "--version"):
        assert tpgen(*command.split(), flag) == tpgen("-V")


def test_help_of_an_act() -> None:
    assert tpgen("help", "catalog", "add") == tpgen("catalog", "add", "--help")
    assert tpgen("help", "catalog", "add").out.startswith("usage: tpgen catalog add ")
    assert tpgen("help", "help") == tpgen("help")


def test_help_of_what_is_no_command() -> None:
    assert tpgen("help", "shwo") == refusal("no command 'shwo' [usage]; did you mean show?")
    assert tpgen("help", "sched_switch").err.startswith(
        "tpgen: error: no command 'sched_switch' [usage]; there is show, list, check, "
    )


def test_the_options_of_a_backend_show_their_defaults() -> None:
    assert "(default: tracepoints)" in " ".join(tpgen("sched_switch", "-b", "go", "--help").out.split())


# --- slips


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("shwo", "show"), ("lsit", "list"), ("chek", "check"), ("dif", "diff"), ("helpp", "help"), ("ls", "list"),
        ("version", "--version"), ("generate", "EVENT"),
    ],
)  # fmt: skip
def test_a_misspelt_command(word: str, command: str, kernel: tuple[str, ...]) -> None:
    done = tpgen(word, "sched_switch", *kernel)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f" [unknown-event]; did you mean `tpgen {command}`?\n")


@pytest.mark.parametrize(
    ("words", "option"), [(("x", "--rwa"), "--raw"), (("show", "x", "--jsno"), "--json"), (("x", "--btff=y"), "--btf")]
)
def test_a_misspelt_option(words: tuple[str, ...], option: str) -> None:
    done = tpgen(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f" [usage]; did you mean {option}?\n")


def test_an_option_like_none() -> None:
    assert tpgen("x", "--zzz") == refusal("unrecognized arguments: --zzz [usage]; `tpgen --help` explains")


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["check"]])
@pytest.mark.parametrize("pattern", ["sched", "shced", "SCHED", "shced:*"])
def test_a_system_alone_and_a_misspelt_one_lead_to_its_events(
    pattern: str, command: list[str], kernel: tuple[str, ...]
) -> None:
    done = tpgen(*command, pattern, *kernel)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(" [unknown-event]; did you mean 'sched:*'?\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("catalog", "lst"), "no 'lst' for `tpgen catalog` [usage]; did you mean list?"),
        (("check", "--format", "xml"), "no 'xml' for --format [usage]; there is github, sarif"),
        (("x", "-b", "rsut"), "no backend 'rsut' [unknown-backend]; did you mean rust?"),
        (
            ("x", "-b", "cobol"),
            "no backend 'cobol' [unknown-backend]; there is bpf, bpftrace, go, json, python, rust, systemtap",
        ),
        (
            ("x", "-b", "rust", "--package", "p"),
            "unrecognized arguments: --package p [usage]; it is an option of -b go",
        ),
        (("x", "--kernel", "debain-6.12-amd64"), "no kernel 'debain-6.12-amd64' [unknown-kernel]; "
         "did you mean debian-6.12-amd64?"),
        (("x", "--kernel", "9.99"), "no kernel '9.99' [unknown-kernel]; live is the running one, "
         "and `tpgen catalog list` lists the others"),
    ],
)  # fmt: skip
def test_a_misspelt_value(words: tuple[str, ...], message: str) -> None:
    assert tpgen(*words) == refusal(message)


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (("catalog",), "list|show|add|remove|export|merge"),
        ((), "EVENT"),
        (("show",), "EVENT"),
        (("diff", "6.1"), "K2"),
        (("diff",), "K1, K2"),
    ],
)
def test_only_what_is_missing_is_named(words: tuple[str, ...], missing: str, kernel: tuple[str, ...]) -> None:
    done = tpgen(*words, *(kernel if not {"diff", "catalog"} & {*words} else ()))
    assert f"the following arguments are required: {missing} [usage]" in done.err


@pytest.mark.parametrize("before", [("--json",), ("--kernel", "6.12"), ("--kernel=6.12", "--json")])
def test_options_before_the_command(before: tuple[str, ...]) -> None:
    assert tpgen(*before, "list", "sched_switch") == tpgen("list", "sched_switch", *before)


def test_the_value_of_an_option_is_no_command(btf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tpgen("-o", "list", "sched_switch", "--raw", "--btf", btf).code == 0
    assert [path.name for path in tmp_path.rglob("*.h")] == ["raw_sched_switch.h"]


# --- where to


def test_a_dash_is_stdout(btf: Path) -> None:
    plain = tpgen("sched_switch", "--raw", "--btf", btf)
    assert plain.code == 0
    assert plain.out
    assert tpgen("sched_switch", "--raw", "--btf", btf, "-o", "-") == plain
    done = tpgen("sched_*", "--raw", "--btf", btf, "-o", "-")
    assert done == tpgen("sched_*", "--raw", "--btf", btf)
    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize("events", [("sched_switch",), ("sched_switch", "sched_wakeup")], ids=["one", "two"])
@pytest.mark.parametrize("path", ["out", "out/", "a/b/c", "a/b/c/"])
def test_a_name_without_a_suffix_is_a_directory(path: str, events: tuple[str, ...], btf: Path, tmp_path: Path) -> None:
    assert tpgen(*events, "--raw", "--btf", btf, "-o", f"{tmp_path}/{path}") == Done(0, "", "")
    assert {file.name for file in (tmp_path / path).glob("raw_*")} == {f"raw_{event}.h" for event in events}


@pytest.mark.parametrize("path", ["out.h", "a/b/out.h"])
def test_a_name_with_a_suffix_is_a_file(path: str, btf: Path, tmp_path: Path) -> None:
    file = tmp_path / path
    assert tpgen("sched_switch", "--raw", "--btf", btf, "-o", file) == Done(0, "", "")
    assert file.read_text() == tpgen("sched_switch", "--raw", "--btf", btf).out
    file.unlink()
    assert tpgen("sched_*", "--raw", "--btf", btf, "-o", file) == refusal(
        f"-o {file} is one file, but several are made [usage]; -o {file}/ is a directory"
    )
    assert not file.exists()


def test_what_is_there_is_what_it_is(btf: Path, tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "dir.d"
    file.touch()
    directory.mkdir()
    for path in (file, directory):
        assert tpgen("sched_switch", "--raw", "--btf", btf, "-o", path) == Done(0, "", "")
    assert tpgen("sched_switch", "--btf", btf, "-o", f"{file}/") == refusal(
        f"{file}/: cannot write: Not a directory [unwritable]"
    )
    assert tpgen("sched_*", "--raw", "--btf", btf, "-o", file) == refusal(
        f"-o {file} is one file, but several are made [usage]; name a directory"
    )
    assert file.read_text() == (directory / "raw_sched_switch.h").read_text() != ""


def test_no_directory_stays_of_a_run_that_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert tpgen("sched_switch", "--raw", "--kernel", "6.12", "-o", tmp_path / "file" / "x" / "y.h").code == 2
    assert tpgen("catalog", "export", "6.12", "-o", tmp_path / "new" / "board.tpgen").code == 0
    assert tpgen("catalog", "export", "nothing-like-it", "-o", tmp_path / "other" / "board.tpgen").code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new"]


# --- -q and -v


def test_quiet_leaves_notes_away_and_errors_stay(tmp_path: Path) -> None:
    """sched_switch has a record, and pelt_se_tp none: that is a note."""
    words = ("sched_switch", "pelt_se_tp", "--classic", "--kernel", "6.12", "-o", tmp_path / "out")
    loud = tpgen(*words)
    assert loud.err.startswith("tpgen: note: ")
    for quiet in (("-q", *words), (*words, "-q"), (*words, "--quiet")):
        assert tpgen(*quiet) == Done(0, "", "")
    assert tpgen("list", "-q", "no_such_event", "--kernel", "6.12").err.startswith("tpgen: error: ")
    assert tpgen(*words) == loud


def test_verbose_tells_what_was_written(tmp_path: Path) -> None:
    words = ("sched_switch", "--raw", "-v", "--kernel", "6.12", "-o", tmp_path / "a.h")
    assert tpgen(*words) == Done(0, "", f"tpgen: wrote {tmp_path / 'a.h'}\n")
    assert tpgen(*words) == Done(0, "", "")
