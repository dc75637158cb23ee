"""A form that is left out of what a pattern makes is told: once for each reason, however many events lack it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from support.cli import tpgen
from support.small_kernel import Line, format_text, small_btf, write_btf, write_tracefs

from tpgen.model import Event, Kind, Origin
from tpgen.programs.forms import Form, Lack, lacking_several

BARE = ("pelt_a_tp", "pelt_b_tp", "pelt_c_tp", "pelt_d_tp", "pelt_e_tp")


def bare_tracepoints(path: Path, *names: str) -> Path:
    """The BTF of a kernel with an event that has a record, and with bare tracepoints."""
    b = small_btf()
    for name in names:
        params = [("cfs", b.ptr(b.fwd("cfs_rq")))]
        b.event(name, params)
        b.event_class(name, [ctype for _, ctype in params])
    return write_btf(path, b)


def test_both_forms_into_a_directory(tmp_path: Path) -> None:
    btf, tracefs = bare_tracepoints(tmp_path / "vmlinux", *BARE), write_tracefs(tmp_path / "tracefs")
    for forms in ((), ("--classic",)):
        done = tpgen("pelt_*", "sched_switch", *forms, "--btf", btf, "--tracefs", tracefs, "-o", tmp_path / "out")
        assert (done.code, done.out) == (0, "")
        assert done.err == (
            "tpgen: note: no classic form of 6 events (pelt_a_tp, pelt_b_tp, pelt_c_tp, pelt_d_tp and 2 more), "
            "each since it is a bare tracepoint, which has no record [no-such-form]\n"
        )
    two = tpgen("pelt_a_tp", "sched_switch", "--btf", btf, "--tracefs", tracefs, "-o", tmp_path / "out")
    assert two.err == (
        "tpgen: note: no classic form of pelt_a_tp: it is a bare tracepoint, which has no record [no-such-form]\n"
    )


def test_one_event_lacks_what_its_kind_never_has(tmp_path: Path) -> None:
    btf, tracefs = bare_tracepoints(tmp_path / "vmlinux", "pelt_a_tp"), write_tracefs(tmp_path / "tracefs")
    done = tpgen("pelt_a_tp", "--btf", btf, "--tracefs", tracefs)
    assert (done.code, done.err) == (0, "")
    assert "struct raw_pelt_a_tp" in done.out


def test_one_event_lacks_what_is_unknown(tmp_path: Path) -> None:
    done = tpgen("page_ref_mod", "--btf", write_btf(tmp_path / "vmlinux"))
    assert done.code == 0
    assert "struct raw_page_ref_mod" in done.out
    assert re.findall(r"^tpgen: note: no classic form of page_ref_mod: .*\[no-such-form\]$", done.err, re.MULTILINE)


def test_several_reasons(tmp_path: Path) -> None:
    """Without tracefs it is not known of which of two classes page_ref_mod is."""
    btf = write_btf(tmp_path / "vmlinux")
    for others, code, severity in ((["sched_switch"], 0, "note"), ([], 2, "error")):
        events = ["page_ref_mod", "pelt_se_tp", *others]
        done = tpgen(*events, "--classic", "--btf", btf, "-o", tmp_path / "out")
        assert (done.code, done.out) == (code, "")
        pattern = rf"^tpgen: {severity}: no classic form of (?:sched:)?(\w+): .*\[no-such-form\]$"
        assert re.findall(pattern, done.err, re.MULTILINE) == events[:2]


def test_many_reasons() -> None:
    event = Event(
        "s", "e", None, Kind.TRACE_EVENT, "e", None, None, (), None, (), Origin.BTF, Origin.BTF, None, None, None
    )
    lacks = [Lack(replace(event, name=f"e{n}"), Form.CLASSIC, f"reason {n // 2}") for n in range(60)]
    notes = lacking_several(lacks)
    assert [note.message for note in notes[:2]] == [
        "no classic form of 2 events (s:e0, s:e1), each since reason 0",
        "no classic form of 2 events (s:e2, s:e3), each since reason 1",
    ]
    assert [note.message for note in notes[16:]] == ["28 more events do not have a form, for 14 other reasons"]


def test_the_same_doubt_about_many_system_calls(tmp_path: Path) -> None:
    """Formats with a longer common header, as RHEL has them, and no BTF."""
    lines = (Line("int __syscall_nr", 12, 4, 1), Line("unsigned int fd", 16, 8, 0))
    root = tmp_path / "tracefs" / "events" / "syscalls"
    for number, name in enumerate(("sys_enter_a", "sys_enter_b", "sys_enter_c")):
        (root / name).mkdir(parents=True)
        text = format_text(name, lines, event_id=number).replace(
            "\n\n", "\n\tfield:unsigned char common_preempt_lazy_count;\toffset:8;\tsize:1;\tsigned:0;\n\n", 1
        )
        (root / name / "format").write_text(text)
    sources = ("--tracefs", tmp_path / "tracefs", "--arch", "x86_64")
    done = tpgen("sys_enter_*", "--classic", *sources, "-o", tmp_path / "out")
    assert (done.code, done.err.count("[syscall-context]"), done.err.count("\n")) == (0, 1, 1)
    assert "; so it is with 2 more events [syscall-context]; give --btf" in done.err
    assert "so it is" not in tpgen("sys_enter_a", "--classic", *sources).err
