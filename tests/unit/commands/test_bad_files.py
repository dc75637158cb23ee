"""A bad file costs itself: whatever else a kernel's sources hold is there, the fault is told once, and the exit is 1.

Where one event is named in full and is sound, faults of other files are no more than a note.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.cli import Done, refusal, tpgen
from support.small_kernel import FORMATS, write_btf, write_tracefs

from tpgen import api
from tpgen.diagnostics import Severity
from tpgen.sources.formats import BadFormat, Format
from tpgen.sources.tracefs import TraceFs

#: What a format file may hold instead, and the code of the fault.
FORMAT_FAULTS = {
    "truncated": ("name: sched_wakeup\nID: 301\nformat:\n\tfield:unsigned short common_type;\toff", "format-malformed"),
    "empty": ("", "format-malformed"),
    "of no known format": ("event sched_wakeup {\n  pid_t pid;\n}\n", "format-malformed"),
    "bytes": ("\ufffd\0\0\n", "format-malformed"),
}
OTHERS = {event.rpartition("/")[2] for event in FORMATS} - {"sched_wakeup"}


@pytest.fixture(autouse=True)
def _own_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def codes(done: Done) -> list[str]:
    """The codes of the errors on stderr."""
    return re.findall(r"^\S+: error: .*\[([a-z-]+)\]", done.err, re.MULTILINE)


# --- a format file


@pytest.fixture(params=FORMAT_FAULTS)
def formats(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], str]:
    """The options of a kernel one of whose format files is bad, and the code of its fault."""
    text, code = FORMAT_FAULTS[request.param]
    root = write_tracefs(tmp_path / "tracefs")
    (root / "events/sched/sched_wakeup/format").write_text(text)
    return ["--btf", str(write_btf(tmp_path / "vmlinux")), "--tracefs", str(root)], code


def test_a_format_is_listed_and_shown(formats: tuple[list[str], str]) -> None:
    sources, code = formats
    for command in (["list"], ["list", "sched*"], ["list", "--json"], ["show", "*"], ["show", "--json", "*"]):
        done = tpgen(*command, *sources)
        assert (done.code, codes(done)) == (1, [code])
        assert all(name in done.out for name in ("sched_switch", "sched_wakeup"))
    for command in ("list", "show"):
        assert codes(tpgen(command, *sources, "sched_wakeup")) == [code]
        assert tpgen(command, *sources, "sched_switch").code == 0


def test_a_format_is_checked(formats: tuple[list[str], str]) -> None:
    sources, code = formats
    done = tpgen("check", *sources)
    assert done.code == 1
    assert re.findall(r"^\S+: error: .*\[([a-z-]+)\]$", done.out, re.MULTILINE) == [code]
    assert tpgen("check", *sources, "sched_switch").code == 0


def test_a_format_is_left_out_of_headers(formats: tuple[list[str], str], tmp_path: Path) -> None:
    sources, code = formats
    done = tpgen("*", "--classic", *sources, "-o", tmp_path / "out")
    assert (done.code, codes(done)) == (1, [code])
    assert {path.name for path in (tmp_path / "out").glob("tp_*.h")} == {f"tp_{event}.h" for event in OTHERS}
    assert codes(tpgen("sched_wakeup", "--classic", *sources)) == [code]
    assert tpgen("sched_wakeup", "--raw", *sources).code == 0


def test_a_format_is_left_out_of_a_catalog(formats: tuple[list[str], str], tmp_path: Path) -> None:
    """And whoever reads the catalog is told as well."""
    sources, code = formats
    done = tpgen("catalog", "add", "board", *sources)
    assert (done.code, done.out, codes(done)) == (1, "", [code])
    done = tpgen("catalog", "export", "board", "-o", "copy.tpgen")
    assert (done.code, codes(done)) == (1, [code])
    for kernel in ("board", "copy.tpgen"):
        done = tpgen("list", "--kernel", kernel)
        assert (done.code, codes(done)) == (1, [code])
        assert done.out == tpgen("list", *sources).out
        assert tpgen("sched_switch", "--classic", "--kernel", kernel).code == 0
        assert codes(tpgen("sched_wakeup", "--classic", "--kernel", kernel)) == [code]


def test_an_event_that_goes_away_while_it_is_read_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a probe that somebody removes; a directory without a format file is one."""
    sources = ("--btf", write_btf(tmp_path / "vmlinux"), "--tracefs", write_tracefs(tmp_path / "tracefs"))
    formats = TraceFs.formats

    def late(self: TraceFs, events: Iterable[tuple[str, str]]) -> list[Format | BadFormat]:
        shutil.rmtree(tmp_path / "tracefs/events/sched/sched_wakeup", ignore_errors=True)
        return formats(self, events)

    monkeypatch.setattr(TraceFs, "formats", late)
    done = tpgen("list", *sources)
    assert (done.code, done.err) == (0, "")
    (tmp_path / "tracefs/events/sched/sched_switch/format").unlink()
    assert codes(tpgen("list", *sources)) == ["unreadable"]


# --- a header

EVENT = """\
#undef TRACE_SYSTEM
#define TRACE_SYSTEM {0}
TRACE_EVENT({0}_event, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)),
	TP_fast_assign(__entry->a = a;), TP_printk("%d", __entry->a));
"""
HEADER_FAULTS = {
    "cut off": ("TRACE_EVENT(lost, TP_PROTO(int a), TP_ARGS(a", "header-unbalanced"),
    "one argument short": ("TRACE_EVENT(lost, TP_PROTO(int a), TP_ARGS(a), TP_fast_assign());", "header-arguments"),
    "an open comment": ("/* TRACE_EVENT(lost,", "header-open-comment"),
}


@pytest.fixture(params=HEADER_FAULTS)
def headers(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], str, str]:
    """The options of a directory of headers one of which is bad, where the fault is, and its code."""
    text, code = HEADER_FAULTS[request.param]
    directory = tmp_path / "headers"
    directory.mkdir()
    for name in ("bad", "good", "other"):
        (directory / f"{name}.h").write_text(EVENT.format(name))
    with (directory / "bad.h").open("a") as file:
        file.write(text)
    return ["--headers", str(directory), "--arch", "x86_64"], f"{directory}/bad.h:5:1: ", code


NAMES = ["bad:bad_event", "good:good_event", "other:other_event"]


def test_of_a_header_everything_else_is_listed(headers: tuple[list[str], str, str]) -> None:
    sources, where, code = headers
    done = tpgen("list", *sources)
    assert (done.code, codes(done)) == (1, [code])
    assert done.err.startswith(f"{where}error: ")
    assert [line.split()[0] for line in done.out.splitlines()] == NAMES
    assert codes(tpgen("list", "good*", *sources)) == codes(tpgen("show", "good*", *sources)) == [code]


def test_a_header_is_checked(headers: tuple[list[str], str, str]) -> None:
    sources, where, code = headers
    done = tpgen("check", *sources, "--btf", write_btf(Path("vmlinux")))
    assert done.code == 1
    assert f"{where}error: " in done.out
    assert f"[{code}]" in done.out


def test_another_event_only_comes_with_a_note(headers: tuple[list[str], str, str]) -> None:
    sources, where, code = headers
    for command in (["good_event", "--raw"], ["show", "good_event"], ["list", "good_event"]):
        done = tpgen(*command, *sources)
        assert (done.code, codes(done)) == (0, [])
        assert done.err.startswith(f"{where}note: ")
        assert f"[{code}]" in done.err
        assert done.err.count("\n") == 1
        assert "good_event" in done.out


def test_an_event_that_is_not_found_may_be_in_it(headers: tuple[list[str], str, str]) -> None:
    sources, where, _ = headers
    done = tpgen("lost", *sources)
    assert (done.code, done.out, codes(done)) == (2, "", ["unknown-event"])
    assert done.err.startswith(f"{where}note: ")


def test_a_pattern_generates_all_others(headers: tuple[list[str], str, str], tmp_path: Path) -> None:
    sources, _, code = headers
    for _ in range(2):
        done = tpgen("*", "--raw", *sources, "-o", tmp_path / "out")
        assert (done.code, codes(done)) == (1, [code])
        assert {path.name for path in (tmp_path / "out").glob("raw_*.h")} == {
            f"raw_{name.partition(':')[2]}.h" for name in NAMES
        }


def test_a_catalog_has_all_others(headers: tuple[list[str], str, str]) -> None:
    sources, _, code = headers
    done = tpgen("catalog", "add", "board", *sources)
    assert (done.code, codes(done)) == (1, [code])
    assert [line.split()[0] for line in tpgen("list", "--kernel", "board").out.splitlines()] == NAMES


def test_a_build_makes_all_others(headers: tuple[list[str], str, str], tmp_path: Path) -> None:
    code = headers[2]
    (tmp_path / "tpgen.toml").write_text("""\
[kernel.board]
headers = "headers"
arch = "x86_64"
[[generate]]
events = "*"
kernel = "board"
forms = "raw"
directory = "all"
[[generate]]
events = "good_event"
kernel = "board"
forms = "raw"
directory = "one"
""")
    for _ in range(2):
        done = tpgen("build")
        assert (done.code, codes(done)) == (1, [code])
        assert len(list((tmp_path / "all").glob("raw_*.h"))) == 3
        assert [path.name for path in (tmp_path / "one").iterdir()] == ["raw_good_event.h"]


def test_the_api_goes_on(headers: tuple[list[str], str, str]) -> None:
    sources, where, code = headers
    kernel = api.open_kernel(headers=sources[1], arch="x86_64")
    assert [(note.code, note.severity) for note in kernel.notes] == [(code, Severity.ERROR)]
    assert str(kernel.notes[0]).startswith(where)
    assert [tracepoint.event.title for tracepoint in kernel.query()] == NAMES
    assert [note.code for note in kernel.generate(forms=[api.Form.RAW]).notes] == [code]


def test_several_faults_are_one_note(tmp_path: Path) -> None:
    (tmp_path / "good.h").write_text(EVENT.format("good"))
    for name in ("a.h", "b.h", "c.h"):
        (tmp_path / name).write_text("TRACE_EVENT(a,")
    done = tpgen("good_event", "--raw", "--headers", tmp_path, "--arch", "x86_64")
    assert (done.code, done.err) == (
        0,
        f"{tmp_path}/a.h:1:1: note: the parentheses of this TRACE_EVENT do not close [header-unbalanced]; "
        "2 more faults in headers: `tpgen check` lists them\n",
    )


def test_of_a_header_that_has_nothing_else_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "trace.h").write_text("TRACE_EVENT(a,")
    done = tpgen("list", "--headers", tmp_path / "trace.h")
    assert (done.code, done.out, codes(done)) == (2, "", ["header-unbalanced", "unknown-event"])


# --- a build whose sources contradict each other about some events


@pytest.fixture
def contradicted(tmp_path: Path) -> Path:
    """A project of two events; what tracefs says of sched_wakeup is not what BTF says."""
    lines = [line for line in FORMATS["sched/sched_wakeup"] if line.declaration != "pid_t pid"]
    write_tracefs(tmp_path / "tracefs", FORMATS | {"sched/sched_wakeup": tuple(lines)})
    write_btf(tmp_path / "vmlinux")
    (tmp_path / "tpgen.toml").write_text("""\
[kernel.board]
btf = "vmlinux"
tracefs = "tracefs"
[[generate]]
events = ["sched_switch", "sched_wakeup"]
kernel = "board"
directory = "include"
[[generate]]
events = "sched_wakeup"
kernel = "board"
backend = "json"
file = "wakeup.json"
[[generate]]
events = "sched_*"
kernel = "board"
forms = "raw"
directory = "raw"
""")
    return tmp_path


SOUND = ["include/raw_sched_switch.h", "include/tp_sched_switch.h", "raw/raw_sched_switch.h", "raw/raw_sched_wakeup.h"]


def made(folder: Path) -> list[str]:
    found = (path for name in ("include", "raw") for path in (folder / name).glob("*_sched_*"))
    return sorted(str(path.relative_to(folder)) for path in found)


def test_a_build_writes_what_is_sound(contradicted: Path) -> None:
    for _ in range(2):  # there is something to do until all is as it should be
        done = tpgen("build", "--stamp", "stamp", "--depfile", "depfile")
        assert (done.code, done.out, codes(done)) == (1, "", ["record-fields"])
        assert "sched:sched_wakeup" in done.err
        assert made(contradicted) == SOUND
        for name in ("wakeup.json", "stamp", "depfile"):
            assert not (contradicted / name).exists()


def test_a_build_recovers_and_falls_ill(contradicted: Path) -> None:
    """A stamp of before stays as it was, older than what it depends on; a header that is not proven is not left."""
    sound, ill = (contradicted / name for name in ("sound", "tracefs"))
    write_tracefs(sound)
    ill.rename(contradicted / "ill")
    sound.rename(ill)
    assert tpgen("build", "--stamp", "stamp") == Done(0, "", "")
    assert (contradicted / "wakeup.json").exists()
    assert made(contradicted) == sorted([*SOUND, "include/raw_sched_wakeup.h", "include/tp_sched_wakeup.h"])
    stamp = (contradicted / "stamp").read_text()
    ill.rename(sound)
    (contradicted / "ill").rename(ill)
    done = tpgen("build", "--check")
    assert (done.code, codes(done)) == (1, ["record-fields"])
    assert re.findall(r"^--- (.*)\n\+\+\+ /dev/null$", done.out, re.MULTILINE) == [
        "a/include/raw_sched_wakeup.h", "a/include/tp_sched_wakeup.h", "a/wakeup.json",
    ]  # fmt: skip
    assert tpgen("build", "--stamp", "stamp").code == 1
    assert made(contradicted) == SOUND
    assert (contradicted / "stamp").read_text() == stamp


def test_a_mistake_in_tpgen_toml_still_writes_nothing(contradicted: Path) -> None:
    toml = contradicted / "tpgen.toml"
    toml.write_text(toml.read_text().replace('"sched_*"', '"sched_swich"'))
    done = tpgen("build")
    assert (done.code, codes(done)) == (2, ["unknown-event"])
    assert not (contradicted / "include").exists()


def test_the_api_leaves_out_what_a_pattern_means_as_well(contradicted: Path) -> None:
    kernel = api.open_kernel(btf=["vmlinux"], tracefs="tracefs")
    files = kernel.generate("sched:*", forms=[api.Form.CLASSIC])
    assert [file.name for file in files] == ["tp_sched_switch.h"]
    assert [(note.code, note.severity) for note in files.notes] == [("record-fields", Severity.ERROR)]
    for patterns in (["sched_wakeup"], ["sched_switch", "sched:sched_wakeup"], ["sched:*", "sched_wakeup"]):
        with pytest.raises(api.CheckFailed):
            kernel.generate(*patterns, forms=[api.Form.CLASSIC])
    with pytest.raises(api.CheckFailed):
        kernel.generate("*_wakeup", forms=[api.Form.CLASSIC])
    assert not kernel.generate("sched_wakeup", forms=[api.Form.RAW]).notes


def test_of_two_events_the_one_that_is_left_may_lack_a_form(contradicted: Path) -> None:
    """Both are told."""
    done = tpgen("sched_wakeup", "pelt_se_tp", "--classic", "--btf", "vmlinux", "--tracefs", "tracefs", "-o", "out")
    assert (done.code, codes(done)) == (1, ["record-fields", "no-such-form"])
    alone = tpgen("pelt_se_tp", "--classic", "--btf", "vmlinux", "--tracefs", "tracefs", "-o", "out")
    reason = "it is a bare tracepoint, which has no record"
    assert alone == refusal(f"no classic form of pelt_se_tp: {reason} [no-such-form]")
