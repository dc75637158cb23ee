"""Families of macros beside the kernel's own: vendor hooks, LTTng's, a driver's in a header that it includes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import refusal, tpgen

REST = 'TP_fast_assign(), TP_printk("x")'
ARCH = ("--arch", "x86_64", "--no-cache")

HOOKS = """
#undef TRACE_SYSTEM
#define TRACE_SYSTEM sched
#include <trace/hooks/vendor_hooks.h>
struct task_struct;
DECLARE_HOOK(android_vh_tick, TP_PROTO(int cpu), TP_ARGS(cpu));
DECLARE_RESTRICTED_HOOK(android_rvh_pick,
	TP_PROTO(struct task_struct *p, int *cpu), TP_ARGS(p, cpu), 1);
"""


def shown(*words: str | Path) -> dict[str, dict[str, object]]:
    done = tpgen("show", "*", "--json", *words, *ARCH)
    assert done.code == 0, done.err
    return {event["name"]: event for event in json.loads(done.out)}


def test_vendor_hooks(tmp_path: Path) -> None:
    (tmp_path / "sched.h").write_text(HOOKS)
    for where in (tmp_path, tmp_path / "sched.h"):
        found = shown("--headers", where)
        assert {name: (e["kind"], e["attach_name"], e["record"]) for name, e in found.items()} == {
            "android_vh_tick": ("tracepoint", None, None),
            "android_rvh_pick": ("tracepoint", None, None),
        }
        args = found["android_rvh_pick"]["args"]
        assert [arg["type"] for arg in args] == ["struct task_struct *", "int *"]  # type: ignore[attr-defined]
    assert "  attach " not in tpgen("show", "android_vh_tick", "--headers", tmp_path, *ARCH).out
    why = "it is a vendor hook or the like: the kernel makes nothing for it that BPF could attach to"
    done = tpgen("android_vh_tick", "--raw", "--headers", tmp_path, *ARCH)
    assert done == refusal(f"no raw form of sched:android_vh_tick: {why} [no-such-form]")


def test_events_of_lttng_are_named(tmp_path: Path) -> None:
    event = "(ferry_{}, TP_PROTO(int a), TP_ARGS(a), TP_FIELDS(ctf_integer(int, a, a)))\n"
    words = ["", "_MAP", "_CODE", "_CLASS"]
    text = "".join(f"LTTNG_TRACEPOINT_EVENT{word}{event.format(word.lower())}" for word in words)
    text += "LTTNG_TRACEPOINT_EVENT_INSTANCE(ferry_class, ferry_one, TP_PROTO(int a), TP_ARGS(a))\n"
    (tmp_path / "ferry.h").write_text(text)
    (tmp_path / "trace.h").write_text(HOOKS)
    done = tpgen("check", "--headers", tmp_path, *ARCH)
    for line, word in enumerate([*words, "_INSTANCE"], 1):
        assert f"ferry.h:{line}:1: note: LTTNG_TRACEPOINT_EVENT{word} ferry_" in done.out
    assert "5 header-other-event" in done.out


@pytest.mark.parametrize("include", ['"wrap.h"', "<wrap.h>"])
def test_all_macros_are_of_an_included_header(tmp_path: Path, include: str) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "trace.h").write_text(f"#define TRACE_SYSTEM mine\n#include {include}\nSAY(one, u32)\nSAY(two, u16)\n")
    proto = "TP_PROTO(type a), TP_ARGS(a), TP_STRUCT__entry(__field(type, a))"
    text = f"#define SAY(name, type) TRACE_EVENT(name, {proto}, {REST});\n"
    (tmp_path / ("wrap.h" if '"' in include else "include/wrap.h")).write_text(text)
    args = {name: event["args"] for name, event in shown("--headers", tmp_path).items()}
    assert {name: arg["size"] for name, (arg,) in args.items()} == {"one": 4, "two": 2}  # type: ignore[misc]


def test_words_of_another_age(tmp_path: Path) -> None:
    entry = f"TP_STRUCT__entry(__field(int, a)), {REST}"
    (tmp_path / "trace.h").write_text(
        "#define TRACE_SYSTEM mine\n"
        "#define E(name, a, ...) TRACE_EVENT(name, TP_PROTO(int a __VA_OPT__(,) __VA_ARGS__), \\\n"
        f"\tTP_ARGS(a __VA_OPT__(, b)), {entry});\n"
        "E(one, a)\nE(two, a, long b)\n"
        f"TRACE_EVENT(old, TPPROTO(int z), TPARGS(z), {entry});\n"
        "DECLARE_TRACE(bare, TPPROTO(char c, int d), TPARGS(c, d));\n"
    )
    args = {name: event["args"] for name, event in shown("--headers", tmp_path).items()}
    found = {name: [(arg["name"], arg["size"]) for arg in given] for name, given in args.items()}  # type: ignore[attr-defined]
    assert found == {
        "one": [("a", 4)], "two": [("a", 4), ("b", 8)], "old": [("z", 4)], "bare": [("c", 1), ("d", 4)],
    }  # fmt: skip


def test_a_first_event_that_comes_late(tmp_path: Path) -> None:
    text = "#include <linux/tracepoint.h>\n" + "/* nothing */\n" * 40_000 + "#define TRACE_SYSTEM late\n"
    proto = f"TP_PROTO(int z), TP_ARGS(z), TP_STRUCT__entry(__field(int, a)), {REST}"
    (tmp_path / "trace.h").write_text(f"{text}TRACE_EVENT(at_last, {proto});\n")
    assert list(shown("--headers", tmp_path)) == ["at_last"]


BIG_HOOKS = """
#define TRACE_SYSTEM futex
union futex_key { u64 all[3]; };
DECLARE_HOOK(android_vh_wake, TP_PROTO(union futex_key key, int nr), TP_ARGS(key, nr));
DECLARE_RESTRICTED_HOOK(android_rvh_wake, TP_PROTO(struct elsewhere by_value), TP_ARGS(by_value), 1);
"""


def test_a_vendor_hook_may_take_a_large_union_by_value(tmp_path: Path) -> None:
    """Nothing of it is handed out to BPF, so nothing of it can be wrong for BPF."""
    header = tmp_path / "futex.h"
    header.write_text(BIG_HOOKS)
    checked = tpgen("check", "--headers", header, "--arch", "x86_64")
    assert (checked.code, "invalid-fact" in checked.out) == (0, False)
    (shown,) = json.loads(tpgen("show", "android_vh_wake", "--json", "--headers", header, "--arch", "x86_64").out)
    assert shown["attach_name"] is None
    assert [(arg["type"], arg["size"]) for arg in shown["args"]] == [("union futex_key", 24), ("int", 4)]
    # A tracepoint that programs are given is another matter: the kernel itself would not compile.
    header.write_text(BIG_HOOKS.replace("DECLARE_HOOK", "DECLARE_TRACE"))
    checked = tpgen("check", "--headers", header, "--arch", "x86_64")
    assert (checked.code, "`union futex_key` is no type of a raw argument" in checked.out) == (1, True)


def test_a_catalog_keeps_the_arguments_of_a_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "futex.h").write_text(BIG_HOOKS)
    tpgen("catalog", "add", "mine", "--headers", tmp_path / "futex.h", "--arch", "x86_64")
    (shown,) = json.loads(tpgen("show", "android_vh_wake", "--json", "--kernel", "mine").out)
    assert [arg["size"] for arg in shown["args"]] == [24, 4]
