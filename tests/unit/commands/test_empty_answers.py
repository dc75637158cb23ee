"""An answer without events says what was looked at, and what there looks like an event or is left out as none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.cli import Done, line, refusal, tpgen
from support.small_kernel import write_btf

EVENT = """\
TRACE_EVENT(first, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), TP_fast_assign(), TP_printk("x"));
"""
LTTNG = """\
LTTNG_TRACEPOINT_EVENT(sched_kthread_stop,
	TP_PROTO(struct task_struct *t), TP_ARGS(t), TP_FIELDS(ctf_integer(pid_t, tid, t->pid))
)
"""
UNKNOWN = """\
#define TRACE_SYSTEM mine
MY_EVENT(mine, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), TP_fast_assign(), TP_printk("x"));
"""
NOT_TAKEN = "sched_kthread_stop is not a tracepoint, so it is left out"


def headers(**texts: str) -> tuple[str, ...]:
    """The options of a directory with these headers, by their names."""
    directory = Path("headers")
    directory.mkdir()
    for name, text in texts.items():
        (directory / f"{name}.h").write_text(text)
    return ("--headers", "headers", "--arch", "x86_64")


@pytest.fixture(autouse=True)
def _in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


COMMANDS = (["list"], ["list", "--json"], ["show", "*"], ["*", "-o", "out"], ["check"], ["list", "fir*"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_how_many_headers_were_looked_at(command: list[str]) -> None:
    sources = headers(a="int a;\n", b="", c="struct c { int c; };\n")
    expected = refusal("no events in headers [unknown-event]; looked at: 3 headers")
    assert tpgen(*command, *sources) == expected
    one = refusal("no events in headers/a.h [unknown-event]; looked at: 1 header")
    assert tpgen(*command, "--headers", "headers/a.h", *sources[2:]) == one


def test_which_words_look_like_events() -> None:
    sources = headers(a="", b=UNKNOWN)
    where = "headers/b.h:2:1: MY_EVENT is not defined here; it may make events"
    for command in (["list"], ["mine"], ["show", "m*"]):
        assert tpgen(*command, *sources) == refusal(
            f"no events in headers [unknown-event]; looked at: 2 headers; {where}"
        )
    done = tpgen("check", *sources)  # where it is an error, since it is what is checked
    assert done.code == 1
    assert line(f"{where} [header-unknown-macro]") in done.out


def test_what_is_no_tracepoint_is_named() -> None:
    sources = headers(lttng=LTTNG)
    said = refusal(f"no events in headers [unknown-event]; looked at: 1 header; headers/lttng.h:1:1: "
                   f"LTTNG_TRACEPOINT_EVENT {NOT_TAKEN}")  # fmt: skip
    for command in (*COMMANDS, ["sched_kthread_stop"], ["show", "sched:sched_kthread_stop"]):
        assert tpgen(*command, *sources) == said


def test_beside_other_events() -> None:
    """A list of all says once what it leaves out; who names an event hears no more than what concerns it."""
    again = LTTNG.replace("kthread_stop", "kthread_stop_ret")
    ftrace = "FTRACE_ENTRY(function, ftrace_entry, TRACE_FN, F_STRUCT(), F_printk());\n"
    sources = headers(a=EVENT, b=UNKNOWN + UNKNOWN.replace("MY_", "YOUR_"), lttng=LTTNG + again, other=ftrace)
    notes = (
        "tpgen: note: 2 LTTNG_TRACEPOINT_EVENT, 1 FTRACE_ENTRY are no tracepoints and left out [header-other-event]; "
        "`tpgen check` tells each\n"
        "headers/b.h:2:1: note: MY_EVENT, YOUR_EVENT are not defined here; they may make events, in 2 places "
        "[header-unknown-macro]; `tpgen check` tells each\n"
    )
    listed = "first  1  first  ?\n"
    assert tpgen("list", *sources) == tpgen("list", "*", *sources) == Done(0, listed, notes)
    assert tpgen("list", "first", *sources) == Done(0, listed, "")
    assert tpgen("sched_kthread_stop", *sources) == refusal(
        "no event 'sched_kthread_stop' in headers [unknown-event]; "
        f"headers/lttng.h:1:1: LTTNG_TRACEPOINT_EVENT {NOT_TAKEN}"
    )
    may = "headers/b.h:2:1: MY_EVENT, YOUR_EVENT are not defined here; they may make events, in 2 places"
    assert tpgen("furst", *sources) == refusal(
        f"no event 'furst' in headers [unknown-event]; did you mean first?; {may}"
    )


def test_a_word_in_many_places_is_named_once() -> None:
    sources = headers(a=EVENT, b=UNKNOWN, c=UNKNOWN)
    assert tpgen("list", *sources).err == (
        "headers/b.h:2:1: note: MY_EVENT is not defined here; it may make events, in 2 places "
        "[header-unknown-macro]; `tpgen check` tells each\n"
    )


def test_many_words() -> None:
    texts = {f"h{n}": UNKNOWN.replace("MY_", f"MY_{n}_") for n in range(7)}
    done = tpgen("list", *headers(a=EVENT, **texts))
    assert "MY_0_EVENT, MY_1_EVENT, MY_2_EVENT, MY_3_EVENT and 3 more are not defined here" in done.err


def test_btf_without_events(tmp_path: Path) -> None:
    b = BtfBuilder()
    b.structure("trace_entry", 8)
    path = write_btf(tmp_path / "vmlinux", b)
    for command in COMMANDS[:4]:
        done = tpgen(*command, "--btf", path)
        assert done == refusal(f"no events in {path} [unknown-event]; looked at: 1 file with BTF")


def test_an_event_that_is_unknown_among_others(tmp_path: Path) -> None:
    assert tpgen("nonesuch", "--btf", write_btf(tmp_path / "vmlinux")) == refusal(
        f"no event 'nonesuch' in {tmp_path}/vmlinux [unknown-event]; `tpgen list` lists all events"
    )
