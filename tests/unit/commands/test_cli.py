"""The command line: what it takes, what it says, what it returns; stdout carries only the product."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.cli import Done, refusal, tpgen
from support.live import VMLINUX_BTF
from support.small_kernel import FORMATS, Line, small_btf, write_btf, write_tracefs

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """tpgen in a process of its own."""
    command = (sys.executable, "-m", "tpgen", *map(str, arguments))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


# --- finding events

WHERE = "in {btf}, {tracefs}"
UNKNOWN = {
    "a typo": ("sched_swich", f"no event 'sched_swich' {WHERE} [unknown-event]; did you mean sched_switch?"),
    "two near misses": (
        "sched_wakeu_switch",
        f"no event 'sched_wakeu_switch' {WHERE} [unknown-event]; did you mean sched_switch or sched_wakeup?",
    ),
    "a typo with its system": (
        "sched:sched_swich", f"no event 'sched:sched_swich' {WHERE} [unknown-event]; did you mean sched_switch?",
    ),
    "nothing like it": (
        "zzzzzzzz", f"no event 'zzzzzzzz' {WHERE} [unknown-event]; `tpgen list` lists all events",
    ),
    "unknown system": (
        "shced:sched_switch",
        f"no event 'shced:sched_switch' {WHERE} [unknown-event]; did you mean sched:sched_switch?",
    ),
    "system and event of different ones": (
        "page_ref:sched_wakeup",
        f"no event 'page_ref:sched_wakeup' {WHERE} [unknown-event]; did you mean sched:sched_wakeup?",
    ),
    "pattern that matches nothing": (
        "nothing:*", f"no event 'nothing:*' {WHERE} [unknown-event]; `tpgen list` lists all events",
    ),
    "ftrace's own": ("ftrace:function", f"no event 'ftrace:function' {WHERE} [unknown-event]; "),
    "upper case": ("SCHED_SWITCH", f"no event 'SCHED_SWITCH' {WHERE} [unknown-event]; did you mean sched_switch?"),
    "control characters": (
        "a\nb\x1b[1m", f"no event 'a\\nb\\x1b[1m' {WHERE} [unknown-event]; `tpgen list` lists all events",
    ),
    "empty": ("", "no event name in '' [bad-pattern]; write EVENT, SYSTEM:EVENT or 'SYSTEM:*'"),
    "empty name": ("sched:", "no event name in 'sched:' [bad-pattern]; write EVENT, SYSTEM:EVENT or 'SYSTEM:*'"),
    "empty name of an unknown system": (
        "bla:", "no event name in 'bla:' [bad-pattern]; write EVENT, SYSTEM:EVENT or 'SYSTEM:*'",
    ),
    "colon alone": (":", "no event name in ':' [bad-pattern]; write EVENT, SYSTEM:EVENT or 'SYSTEM:*'"),
}  # fmt: skip


@pytest.mark.parametrize("command", [[], ["show"], ["list"], ["check"]], ids=["generate", "show", "list", "check"])
@pytest.mark.parametrize(("event", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_event(event: str, message: str, command: list[str], btf: Path, tracefs_copy: Path) -> None:
    done = tpgen(*command, event, "--btf", btf, "--tracefs", tracefs_copy)
    expected = refusal(message.format(btf=btf, tracefs=tracefs_copy))
    if message.endswith("; "):  # the hint is a near miss of no importance
        assert done.err.startswith(expected.err.rstrip("\n"))
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    else:
        assert done == expected


@pytest.mark.parametrize(
    "pattern", ["sched_switch", "sched:sched_switch", "*:sched_switch", "sche?:sched_switc?", ":sched_switch"]
)
def test_patterns_of_systemtaps_testsuite(pattern: str, btf: Path, tracefs_copy: Path) -> None:
    done = tpgen("list", pattern, "--json", "--btf", btf, "--tracefs", tracefs_copy)
    assert (done.code, done.err) == (0, "")
    assert [(event["system"], event["name"]) for event in json.loads(done.out)] == [("sched", "sched_switch")]


def test_system_without_a_source_that_tells_it(btf: Path, no_shipped_catalog: None) -> None:
    assert tpgen("show", "sched:sched_switch", "--btf", btf) == refusal(
        f"no event 'sched:sched_switch' in {btf} [unknown-event]; "
        "only tracefs, headers and catalogs have the system: give only 'sched_switch'"
    )


PATTERNS = {
    "sched_switch": ["sched:sched_switch"],
    "sched:sched_switch": ["sched:sched_switch"],
    "*:sched_switch": ["sched:sched_switch"],
    "sched:*": ["sched:sched_switch", "sched:sched_wakeup"],
    "sche?:sched_switc[hk]": ["sched:sched_switch"],
    "sched_*": ["sched:sched_switch", "sched:sched_wakeup"],
    "*": [
        "pelt_se_tp", "dma_fence:dma_fence_init", "page_ref:page_ref_mod", "sched:sched_switch", "sched:sched_wakeup",
        "syscalls:sys_enter_close",
    ],
    "*_tp": ["pelt_se_tp"],
    "sys*:*": ["syscalls:sys_enter_close"],
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS.items(), ids=PATTERNS)
def test_pattern(pattern: str, expected: list[str], btf: Path, tracefs_copy: Path) -> None:
    done = tpgen("list", pattern, "--btf", btf, "--tracefs", tracefs_copy)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()] == expected


def test_events_are_named_once(btf: Path, tracefs_copy: Path) -> None:
    """However often patterns meet, in the order in which they are given."""
    done = tpgen("list", "sched_wakeup", "sched:*", "*_switch", "--btf", btf, "--tracefs", tracefs_copy)
    assert [line.split()[0] for line in done.out.splitlines()] == ["sched:sched_wakeup", "sched:sched_switch"]


class TestModules:
    """The key is (module, event): two modules can have an event of the same name."""

    @pytest.fixture
    def sources(self, btf: Path, tmp_path: Path) -> list[str]:
        arguments = ["--btf", str(btf)]
        for module in ("i915", "xe"):
            builder = BtfBuilder(base=small_btf())
            builder.event("intel_pipe", [("a", 2)] if module == "xe" else [("a", 2), ("b", 2)])
            arguments += ["--btf", str(write_btf(tmp_path / f"{module}.ko", builder))]
        return arguments

    def test_both(self, sources: list[str]) -> None:
        shown = json.loads(tpgen("show", "intel_pipe", "--json", *sources).out)
        assert [(event["module"], len(event["args"])) for event in shown] == [("i915", 2), ("xe", 1)]

    @pytest.mark.parametrize(("module", "count"), [("i915", 2), ("xe", 1)])
    def test_one(self, module: str, count: int, sources: list[str]) -> None:
        (event,) = json.loads(tpgen("show", "intel_pipe", "--json", "--module", module, *sources).out)
        assert (event["module"], len(event["args"])) == (module, count)

    def test_of_another_module(self, sources: list[str]) -> None:
        done = tpgen("show", "intel_pipe", "--module", "amdgpu", *sources)
        assert done.code == 2
        assert " [unknown-event]; it is of i915 or xe\n" in done.err
        done = tpgen("show", "sched_switch", "--module", "xe", *sources)
        assert " [unknown-event]; it is of vmlinux\n" in done.err

    def test_two_headers_of_one_name(self, sources: list[str], tmp_path: Path) -> None:
        """Each is told by its module, and the one of an event alone is called as ever."""
        out = tmp_path / "out"
        done = tpgen("intel_pipe", "--raw", "-o", out, *sources)
        assert (done.code, done.out, done.err) == (0, "", "")
        assert sorted(path.name for path in out.glob("raw_*")) == ["raw_intel_pipe.i915.h", "raw_intel_pipe.xe.h"]
        assert "raw_intel_pipe_b(" in (out / "raw_intel_pipe.i915.h").read_text()
        assert "raw_intel_pipe_b(" not in (out / "raw_intel_pipe.xe.h").read_text()
        every = tmp_path / "every"
        assert tpgen("*", "-o", every, *sources).code == 0
        assert {path.name for path in out.iterdir()} < {path.name for path in every.iterdir()}
        alone = tmp_path / "alone"
        assert tpgen("intel_pipe", "--raw", "--module", "xe", "-o", f"{alone}/", *sources).code == 0
        assert [path.name for path in alone.iterdir()] == ["raw_intel_pipe.h"]

    def test_two_structs_of_systemtap(self, sources: list[str], tmp_path: Path) -> None:
        out = tmp_path / "out"
        assert tpgen("intel_pipe", "--raw", "-b", "systemtap", "-o", out, *sources).code == 0
        names = ["stapprobe_intel_pipe.i915.h", "stapprobe_intel_pipe.xe.h"]
        assert sorted(path.name for path in out.iterdir()) == names


# --- usage

USAGE = {
    "unknown option": (["sched_switch", "--rwa"], "unrecognized arguments: --rwa [usage]; did you mean --raw?"),
    "option cut short": (["list", "--verb"], "unrecognized arguments: --verb [usage]; `tpgen list --help` explains"),
    "no event": (["show"], "the following arguments are required: EVENT [usage]; `tpgen show --help` explains"),
    "no event to generate": (["--raw"], "the following arguments are required: EVENT [usage]; `tpgen --help` explains"),
    "no value": (["check", "--btf"], "argument --btf: expected one argument [usage]; `tpgen check --help` explains"),
    "option of another command": (
        ["list", "--raw"], "unrecognized arguments: --raw [usage]; `tpgen list --help` explains",
    ),
    "unknown backend": (
        ["sched_switch", "-b", "cobol"],
        "no backend 'cobol' [unknown-backend]; there is bpf, bpftrace, go, json, python, rust, systemtap",
    ),
    "live and files": (
        ["list", "--kernel", "live", "--btf", "x"],
        "--kernel live has its own BTF and tracefs [usage]; leave out --btf and --tracefs",
    ),
    "configuration of nothing": (
        ["list", "--config", "x"], "--config only affects --headers [usage]; give --headers as well",
    ),
    "empty output": (
        ["sched_switch", "-o", ""], "-o with an empty path [usage]; give a file or a directory",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_usage(arguments: list[str], message: str) -> None:
    assert tpgen(*arguments) == refusal(message)


def test_no_arguments() -> None:
    done = tpgen()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: tpgen EVENT... ")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help(arguments: list[str]) -> None:
    done = tpgen(*arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("usage: tpgen EVENT... ")


@pytest.mark.parametrize("command", ["show", "list", "check", "probe"])
def test_help_of_a_command(command: str) -> None:
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: tpgen {command} ")


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"tpgen \d+\.\d+.*\n", done.stdout)


# --- generating


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder with its contents, hidden ones too, and every other directory."""
    return {str(p.relative_to(folder)): "" if p.is_dir() else p.read_text() for p in sorted(folder.rglob("*"))}


class TestGenerate:
    def test_one_event_to_stdout(self, btf: Path) -> None:
        done = tpgen("sched_switch", "--btf", btf)
        assert (done.code, done.err) == (0, "")
        assert "struct raw_sched_switch {" in done.out
        assert "struct tp_sched_switch {" in done.out

    @pytest.mark.parametrize(("option", "there", "not_there"), [("--raw", "raw", "tp"), ("--classic", "tp", "raw")])
    def test_one_form(self, option: str, there: str, not_there: str, btf: Path) -> None:
        out = tpgen("sched_switch", option, "--btf", btf).out
        assert f"struct {there}_sched_switch {{" in out
        assert f"{not_there}_sched_switch" not in out

    def test_same_input_same_bytes(self, btf: Path, tracefs_copy: Path) -> None:
        arguments = ("sched_switch", "--btf", btf, "--tracefs", tracefs_copy)
        environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2")]
        outputs = {run(*arguments, env=environment).stdout for environment in environments}
        assert len(outputs) == 1
        assert outputs.pop().count("#ifndef TPGEN_") == 4

    def test_several_events_need_a_directory(self, btf: Path) -> None:
        assert tpgen("sched_*", "--btf", btf) == refusal(
            "stdout takes one event, not 2 [usage]; give -o DIR for the 4 files"
        )

    def test_several_events_in_one_file_need_none(self, btf: Path) -> None:
        done = tpgen("sched_*", "--raw", "--btf", btf, "-b", "json")
        assert (done.code, done.err) == (0, "")
        assert [event["name"] for event in json.loads(done.out)["events"]] == ["sched_switch", "sched_wakeup"]

    def test_several_events(self, btf: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        done = tpgen("sched_*", "--btf", btf, "-o", out)
        assert (done.code, done.out, done.err) == (0, "", "")
        assert sorted(files(out)) == [
            "raw_sched_switch.h", "raw_sched_wakeup.h", "tp_sched_switch.h", "tp_sched_wakeup.h", "tpgen_prelude_1.h",
        ]  # fmt: skip

    def test_into_a_file(self, btf: Path, tmp_path: Path) -> None:
        done = tpgen("sched_switch", "--raw", "--btf", btf, "-o", tmp_path / "x.h")
        assert (done.code, done.out, done.err) == (0, "", "")
        assert (tmp_path / "x.h").read_text() == tpgen("sched_switch", "--raw", "--btf", btf).out

    def test_into_a_directory(self, btf: Path, tmp_path: Path) -> None:
        """An existing one, or one that a slash tells."""
        assert tpgen("sched_switch", "--raw", "--btf", btf, "-o", tmp_path).code == 0
        assert tpgen("sched_switch", "--raw", "--btf", btf, "-o", f"{tmp_path}/new/").code == 0
        assert sorted(files(tmp_path)) == ["new", "new/raw_sched_switch.h", "raw_sched_switch.h"]

    def test_unchanged_files_keep_their_time(self, btf: Path, tmp_path: Path) -> None:
        for _ in range(2):
            assert tpgen("sched_*", "--raw", "--btf", btf, "-o", tmp_path).code == 0
            times = [path.stat().st_mtime for path in tmp_path.iterdir()]
            for path in tmp_path.iterdir():
                os.utime(path, (1_000_000_000, 1_000_000_000))
        assert tpgen("sched_*", "--raw", "--btf", btf, "-o", tmp_path).code == 0
        assert times == [1_000_000_000] * 3
        assert [path.stat().st_mtime for path in tmp_path.iterdir()] == [1_000_000_000] * 3

    def test_form_that_is_not_there(self, btf: Path, tracefs_copy: Path) -> None:
        sources = ("--btf", btf, "--tracefs", tracefs_copy)
        assert tpgen("pelt_se_tp", "--classic", *sources) == refusal(
            "no classic form of pelt_se_tp: it is a bare tracepoint, which has no record [no-such-form]"
        )
        assert tpgen("sys_enter_close", "--raw", *sources) == refusal(
            "no raw form of syscalls:sys_enter_close: no BTF shows where the kernel has the registers of a system"
            " call [no-such-form]"
        )

    def test_form_that_only_some_have(self, btf: Path, tracefs_copy: Path, tmp_path: Path) -> None:
        done = tpgen("*", "--classic", "--btf", btf, "--tracefs", tracefs_copy, "-o", tmp_path)
        assert (done.code, done.out) == (0, "")
        assert done.err == (
            "tpgen: note: no classic form of pelt_se_tp: it is a bare tracepoint, which has no record [no-such-form]\n"
        )
        assert len(list(tmp_path.glob("tp_*.h"))) == 5

    def test_class_that_could_be_two(self, tmp_path: Path) -> None:
        """Without tracefs the record of page_ref_mod is that of one of two classes: nothing is guessed."""
        assert tpgen("page_ref_mod", "--classic", "--btf", write_btf(tmp_path / "vmlinux")) == refusal(
            "no classic form of page_ref_mod: its record is that of one of the classes page_ref_mod_template, "
            "page_ref_mod_and_test_template: read tracefs as root or give --headers [no-such-form]"
        )

    def test_what_fails_its_check_is_not_generated(self, btf: Path, tmp_path: Path) -> None:
        lines = [Line("char prev_comm[16]", 8, 16), Line("pid_t prev_pid", 24, 4, 1)]
        root = write_tracefs(tmp_path / "tracefs", FORMATS | {"sched/sched_switch": tuple(lines)})
        done = tpgen("sched_switch", "--btf", btf, "--tracefs", root, "-o", tmp_path / "out")
        assert (done.code, done.out) == (1, "")
        assert re.findall(r"\[([a-z-]+)\]", done.err) == ["record-fields"]
        assert not (tmp_path / "out").exists()

    def test_of_a_pattern_what_fails_its_check_costs_itself(self, btf: Path, tmp_path: Path) -> None:
        lines = [Line("char prev_comm[16]", 8, 16), Line("pid_t prev_pid", 24, 4, 1)]
        root = write_tracefs(tmp_path / "tracefs", FORMATS | {"sched/sched_switch": tuple(lines)})
        sources = ("--btf", btf, "--tracefs", root)
        for _ in range(2):  # the second time as the first: nothing of it is kept
            done = tpgen("sched:*", "--classic", *sources, "-o", tmp_path / "out")
            assert (done.code, done.out) == (1, "")
            assert re.findall(r"(\w+:\w+): .*\[([a-z-]+)\]", done.err) == [("sched:sched_switch", "record-fields")]
        others = {path.rpartition("/")[2] for path in FORMATS if path.startswith("sched/")} - {"sched_switch"}
        assert others
        assert {path.name for path in (tmp_path / "out").iterdir()} == {f"tp_{event}.h" for event in others}

    def test_raw_alone_does_not_read_the_format(self, btf: Path, tmp_path: Path) -> None:
        root = write_tracefs(tmp_path)
        (root / "events/sched/sched_switch/format").write_text("garbage")
        assert tpgen("sched_switch", "--raw", "--btf", btf, "--tracefs", root).code == 0


class TestUnwritable:
    """Nothing half-written: the directory is what it was, hidden files included."""

    def test_file_for_a_directory(self, btf: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("old")
        done = tpgen("sched_*", "--btf", btf, "-o", tmp_path / "file")
        assert done == refusal(f"-o {tmp_path}/file is one file, but several are made [usage]; name a directory")
        done = tpgen("sched_*", "--btf", btf, "-o", tmp_path / "file" / "sub")
        assert done == refusal(f"{tmp_path}/file/sub: cannot write: Not a directory [unwritable]")
        assert files(tmp_path) == {"file": "old"}

    def test_directory_that_cannot_be_made(self, btf: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("old")
        done = tpgen("sched_switch", "--btf", btf, "-o", tmp_path / "file" / "no" / "x.h")
        assert done == refusal(f"{tmp_path}/file/no: cannot write: Not a directory [unwritable]")
        assert files(tmp_path) == {"file": "old"}

    def test_directory_for_a_header(self, btf: Path, tmp_path: Path) -> None:
        """The last of four files cannot be written: the others stay what they were, or do not come to be."""
        (tmp_path / "raw_sched_switch.h").write_text("old")
        (tmp_path / "tp_sched_wakeup.h").mkdir()
        done = tpgen("sched_*", "--btf", btf, "-o", tmp_path)
        assert done == refusal(f"{tmp_path}/tp_sched_wakeup.h: cannot write: Is a directory [unwritable]")
        assert files(tmp_path) == {"raw_sched_switch.h": "old", "tp_sched_wakeup.h": ""}

    def test_no_permission(self, btf: Path, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("not root, and so not able to become nobody")
        # pytest's own directories are closed to others.
        with tempfile.TemporaryDirectory(prefix="tpgen-") as name:
            folder = Path(name)
            write_btf(folder / "vmlinux")
            folder.chmod(0o755)
            done = as_nobody("sched_switch", "--raw", "--btf", folder / "vmlinux", "-o", folder / "x.h")
            assert done == refusal(f"{folder}/x.h: cannot write: Permission denied [unwritable]")
            assert [path.name for path in folder.iterdir()] == ["vmlinux"]

    def test_stdout_is_full(self, btf: Path) -> None:
        with open("/dev/full", "w") as full:
            command = (sys.executable, "-m", "tpgen", "sched_switch", "--btf", str(btf))
            done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr == "stdout: error: cannot write: No space left on device [unwritable]\n"


def as_nobody(*arguments: str | Path) -> Done:
    """tpgen run by a user without privileges.

    The interpreter need not be readable to that user, so a first run loads all modules that the second needs; only then
    are the privileges given up. Neither finds anything in a cache.
    """
    script = """
import contextlib, io, os, sys
import tpgen.output
from tpgen.cli import main
arguments = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    main(arguments[: arguments.index("-o")] if "-o" in arguments else arguments)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
assert os.geteuid() == 65534
sys.exit(main(arguments))
"""
    command = (sys.executable, "-c", script, *map(str, arguments))
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_CACHE_HOME": cache}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


# --- the process


class TestProcess:
    def test_broken_pipe(self, btf: Path, tracefs_copy: Path) -> None:
        """`tpgen show … | head -1`: the reader goes, and nobody complains."""
        arguments = ("show", "*", "--btf", str(btf), "--tracefs", str(tracefs_copy))
        read, write = os.pipe()
        os.close(read)
        command = (sys.executable, "-m", "tpgen", *arguments)
        done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
        os.close(write)
        assert (done.returncode, done.stderr) == (0, "")

    def test_closed_stdout(self, btf: Path) -> None:
        """`tpgen … >&-`: there is nowhere to write to, which is no reason for a traceback."""
        command = f"{sys.executable} -m tpgen sched_switch --raw --btf {btf} >&-"
        done = subprocess.run(command, cwd=ROOT, shell=True, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    def test_error_in_a_process(self, btf: Path) -> None:
        done = run("nonsense", "--btf", btf)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"tpgen: error: no event 'nonsense' in {btf} [unknown-event]; `tpgen list` lists all events\n"
        )

    def test_arguments_that_are_not_utf8(self, btf: Path) -> None:
        command = (sys.executable, "-m", "tpgen", "show", b"caf\xe9", "--btf", str(btf))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    @pytest.mark.parametrize("command", [["check"], ["show", "*"], ["show", "*", "--json"], ["pelt_se_tp", "--raw"]])
    def test_any_encoding_of_stdout(self, command: list[str], encoding: str, btf: Path, tracefs_copy: Path) -> None:
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = run(*command, "--btf", btf, "--tracefs", tracefs_copy, env=environment, encoding=encoding)
        assert (done.returncode, done.stderr) == (0, "")


# --- show --json


def contract(items: object, path: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every object of a JSON text: where it is, and its keys in their order."""
    if isinstance(items, list):
        for item in items:
            yield from contract(item, f"{path}[]")
    elif isinstance(items, dict):
        yield path, tuple(items)
        for key, value in items.items():
            yield from contract(value, f"{path}.{key}")


# DESIGN §3
KEYS = {
    "[]": ("system", "name", "attach_name", "module", "class", "kind", "header", "args", "record", "version"),
    "[].args[]": ("name", "type", "slot", "size", "signed", "kind", "nullable"),
    "[].record": ("size", "fields"),
    "[].record.fields[]": ("name", "type", "offset", "size", "signed", "dynamic"),
}
# Arguments and fields of which values have names have these as well.
VALUES = {
    ("[].args[]", (*KEYS["[].args[]"], "values")),
    ("[].record.fields[]", (*KEYS["[].record.fields[]"], "values")),
    *((f"{of}.values", ("enum", "flags", "mask", "names", "left_out")) for of in ("[].args[]", "[].record.fields[]")),
    *((f"{of}.values.names[]", ("value", "name", "text")) for of in ("[].args[]", "[].record.fields[]")),
}


def argument(name: str, ctype: str, slot: int, size: int, kind: str) -> dict[str, object]:
    """An unsigned argument. Nothing tells whether a pointer may be NULL, and nothing else can be."""
    known = {"name": name, "type": ctype, "slot": slot, "size": size, "signed": False, "kind": kind}
    return known | {"nullable": None if kind == "ptr" else False}


SCHED_SWITCH = {
    "system": "sched", "name": "sched_switch", "attach_name": "sched_switch", "module": None, "class": "sched_switch",
    "kind": "trace_event", "header": None,
    "args": [
        argument("preempt", "bool", 0, 1, "int"),
        argument("prev", "struct task_struct *", 1, 8, "ptr"),
        argument("next", "struct task_struct *", 2, 8, "ptr"),
        argument("prev_state", "unsigned int", 3, 4, "int"),
    ],
    "record": {
        "size": 64,
        "fields": [
            {"name": "prev_comm", "type": "char[16]", "offset": 8, "size": 16, "signed": False, "dynamic": None},
            {"name": "prev_pid", "type": "pid_t", "offset": 24, "size": 4, "signed": True, "dynamic": None},
            {"name": "prev_prio", "type": "int", "offset": 28, "size": 4, "signed": True, "dynamic": None},
            {"name": "prev_state", "type": "long", "offset": 32, "size": 8, "signed": True, "dynamic": None},
            {"name": "next_comm", "type": "char[16]", "offset": 40, "size": 16, "signed": False, "dynamic": None},
            {"name": "next_pid", "type": "pid_t", "offset": 56, "size": 4, "signed": True, "dynamic": None},
            {"name": "next_prio", "type": "int", "offset": 60, "size": 4, "signed": True, "dynamic": None},
        ],
    },
}  # fmt: skip
DMA_FENCE_INIT = {
    "system": "dma_fence", "name": "dma_fence_init", "attach_name": "dma_fence_init", "module": None, "class": None,
    "kind": "trace_event", "header": None,
    "args": [argument("fence", "struct dma_fence *", 0, 8, "ptr")],
    "record": {
        "size": 16,
        "fields": [
            {"name": "driver", "type": "char[]", "offset": 8, "size": 4, "signed": False, "dynamic": "data_loc"},
            {"name": "seqno", "type": "unsigned int", "offset": 12, "size": 4, "signed": False, "dynamic": None},
        ],
    },
}  # fmt: skip
PELT_SE_TP = {
    "system": None, "name": "pelt_se_tp", "attach_name": "pelt_se_tp", "module": None, "class": "pelt_se_tp",
    "kind": "tracepoint", "header": None,
    "args": [argument("se", "struct sched_entity *", 0, 8, "ptr")],
    "record": None,
}  # fmt: skip
SYS_ENTER_CLOSE: dict[str, object] = {
    "system": "syscalls", "name": "sys_enter_close", "attach_name": None, "module": None, "class": None,
    "kind": "syscall", "header": None, "args": [],
    "record": {
        "size": 24,
        "fields": [
            {"name": "__syscall_nr", "type": "int", "offset": 8, "size": 4, "signed": True, "dynamic": None},
            {"name": "fd", "type": "unsigned int", "offset": 16, "size": 8, "signed": False, "dynamic": None},
        ],
    },
}  # fmt: skip


class TestJson:
    @pytest.mark.parametrize(
        "expected", [SCHED_SWITCH, DMA_FENCE_INIT, PELT_SE_TP, SYS_ENTER_CLOSE], ids=lambda event: event["name"]
    )
    def test_event(self, expected: dict[str, object], btf: Path, tracefs_copy: Path) -> None:
        done = tpgen("show", str(expected["name"]), "--json", "--btf", btf, "--tracefs", tracefs_copy)
        assert (done.code, done.err) == (0, "")
        assert json.loads(done.out) == [expected | {"version": 1}]

    def test_keys(self, btf: Path, tracefs_copy: Path) -> None:
        done = tpgen("show", "*", "--json", "--btf", btf, "--tracefs", tracefs_copy)
        found = set(contract(json.loads(done.out)))
        assert found == set(KEYS.items())

    def test_without_tracefs(self, btf: Path, no_shipped_catalog: None) -> None:
        """What BTF does not tell is null: the systems, and the element of a dynamic field."""
        shown = json.loads(tpgen("show", "*", "--json", "--btf", btf).out)
        assert {event["system"] for event in shown} == {None}
        by_name = {event["name"]: event for event in shown}
        driver = by_name["dma_fence_init"]["record"]["fields"][0]
        assert driver == {
            "name": "driver", "type": None, "offset": 8, "size": 4, "signed": None, "dynamic": "data_loc",
        }  # fmt: skip
        assert by_name["page_ref_mod"]["record"] is None
        assert by_name["sched_switch"]["record"] == SCHED_SWITCH["record"]

    def test_without_btf(self, tracefs_copy: Path) -> None:
        """tracefs alone knows no arguments, nor where a record ends."""
        (event,) = json.loads(tpgen("show", "sched_switch", "--json", "--tracefs", tracefs_copy).out)
        assert (event["args"], event["attach_name"], event["class"]) == (None, None, None)
        assert event["record"]["size"] is None
        assert [field["offset"] for field in event["record"]["fields"]] == [8, 24, 28, 32, 40, 56, 60]

    def test_big_endian_and_32_bits(self, tmp_path: Path) -> None:
        path = write_btf(tmp_path / "vmlinux", small_btf(big_endian=True, pointer_size=4))
        (event,) = json.loads(tpgen("show", "sched_switch", "--json", "--btf", path).out)
        assert [arg["size"] for arg in event["args"]] == [1, 4, 4, 4]


# --- the running kernel


@pytest.mark.live
class TestRunningKernel:
    def test_show_covers_everything(self, tracefs: Path) -> None:
        """Every btf_trace_* that bpftool lists, and every event directory of tracefs but ftrace's own."""
        done = run("show", "*", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        shown = json.loads(done.stdout)
        dump = [
            subprocess.run(("bpftool", "btf", "dump", "file", str(path)), capture_output=True, text=True, check=True)
            for path in VMLINUX_BTF.parent.iterdir()
            if path.name == "vmlinux"
        ]
        raw = set(re.findall(r"TYPEDEF 'btf_trace_(\w+)'", dump[0].stdout))
        classic = {f"{path.parent.parent.name}:{path.parent.name}" for path in tracefs.glob("events/*/*/format")}
        assert {event["attach_name"] for event in shown if event["module"] is None} - {None} == raw
        titles = {f"{event['system']}:{event['name']}" for event in shown if event["system"]}
        assert titles == {title for title in classic if not title.startswith("ftrace:")}
        assert len(raw) > 500
        assert set(contract(shown)) == set(KEYS.items()) | VALUES

    def test_check_finds_nothing(self, tracefs: Path) -> None:
        """Every prototype is compared, and every record but those of bare tracepoints."""
        done = run("check")
        assert (done.returncode, done.stderr) == (0, "")
        shown = json.loads(run("show", "*", "--json").stdout)
        found = re.finditer(r"^  (\S.*?)((?:\s+\d+){3})$", done.stdout, re.MULTILINE)
        rows = {match[1]: match[2].split() for match in found}
        attachable = [event for event in shown if event["attach_name"]]
        bare = [event for event in attachable if event["kind"] == "tracepoint"]
        syscalls = [path for path in (tracefs / "events/syscalls").iterdir() if path.is_dir()]
        count, none = str(len(attachable)), str(len(bare))
        records = str(len(attachable) - len(bare))
        assert rows["raw arguments: BTF typedef, functions and class"] == [count, "0", "0"]
        assert rows["classic record: tracefs and BTF"] == [records, "0", none]
        assert rows["syscall record: tracefs and BTF"] == [str(len(syscalls)), "0", "0"]

    def test_sched_switch(self) -> None:
        done = run("sched_switch", "--raw")
        assert (done.returncode, done.stderr) == (0, "")
        for declared in ("preempt", "struct task_struct *prev", "struct task_struct *next", "unsigned int prev_state"):
            assert f"{declared}" in done.stdout
        classic = run("sched_switch", "--classic")
        assert "_Static_assert(sizeof(struct tp_sched_switch) == 64" in classic.stdout

    @pytest.mark.parametrize(("option", "struct"), [("--raw", "raw_sched_switch"), ("--classic", "tp_sched_switch")])
    def test_unprivileged(self, option: str, struct: str) -> None:
        """Who cannot read tracefs still gets both from BTF alone, the same struct that root gets."""
        done = as_nobody("sched_switch", option)
        assert (done.code, done.err) == (0, "")
        privileged = run("sched_switch", option).stdout
        assert struct_text(done.out, struct) == struct_text(privileged, struct)

    def test_unprivileged_cannot_read_tracefs(self, tracefs: Path) -> None:
        """Else the test above would show nothing."""
        done = as_nobody("list", "--tracefs", tracefs)
        assert done.code == 2
        assert done.err.startswith(f"{tracefs}")
        assert "Permission denied [unreadable]; tracefs is readable for root only\n" in done.err


def struct_text(text: str, name: str) -> str:
    """The definition of a struct in a header."""
    start = text.index(f"struct {name} {{")
    return text[start : text.index("\n}", start)]
