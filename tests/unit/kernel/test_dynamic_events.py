"""Dynamic events: probes and synthetic events, which have a record and a format file but no tracepoint of their own.

The format files are as kernel/trace/trace_kprobe.c and its neighbours print them.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from support.cli import line, tpgen
from support.small_kernel import FORMATS, Line, small_btf, write_btf, write_tracefs

PROBE = (Line("unsigned long __probe_ip", 8, 8), Line("u32 flags", 16, 4))
# The kernel leaves out how many there are.
ARRAYS = (Line("unsigned long __probe_ip", 8, 8), Line("u16 words[]", 16, 6), Line("s8 bytes[]", 22, 3, 1))
RETURN = (
    Line("unsigned long __probe_func", 8, 8),
    Line("unsigned long __probe_ret_ip", 16, 8),
    Line("int ret", 24, 4, 1),
)
SYNTHETIC = (Line("u64 lat", 8, 8), Line("__data_loc char[] comm", 16, 8))
# Name, lines, and what stands in dynamic_events; in groups that the user named, and in the kernel's.
DEFINED = {
    "probe/sched_switch": (PROBE, "p:probe/sched_switch _text+1234 flags=%di:u32"),
    "kprobes/r_read": (RETURN, "r64:kprobes/r_read vfs_read ret=$retval:s32"),
    "probe_libc/malloc": (PROBE, "p:probe_libc/malloc /usr/lib/libc.so.6:0x8a0f0 flags=%di:u32"),
    "mine/sched_wakeup": ((Line("s32 pid", 8, 4, 1),), "e:mine/sched_wakeup sched.sched_wakeup pid=$pid:s32"),
    "fprobes/vfs_write__entry": (PROBE, "f:fprobes/vfs_write__entry vfs_write"),
    "tracepoints/sched_migrate": (PROBE, "t:tracepoints/sched_migrate sched_migrate_task"),
    "probe/arrays": (ARRAYS, "p:probe/arrays _text+1234 words=+0(%di):u16[3] bytes=+0(%si):s8[3]"),
    "synthetic/wake_lat": (SYNTHETIC, "s:synthetic/wake_lat u64 lat; char[] comm"),
}


@pytest.fixture(params=["listed", "told by system and fields"])
def sources(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The small kernel with one of each kind. Without the list nothing tells an eprobe in a group of its own."""
    listed = request.param == "listed"
    defined = DEFINED if listed else {name: of for name, of in DEFINED.items() if name != "mine/sched_wakeup"}
    root = write_tracefs(tmp_path / "tracefs", FORMATS | {name: lines for name, (lines, _) in defined.items()})
    if listed:
        (root / "dynamic_events").write_text("".join(f"{text}\n" for _, text in defined.values()))
    return "--tracefs", str(root), "--btf", str(write_btf(tmp_path / "vmlinux", small_btf())), "--arch", "x86_64"


def shown(*words: str) -> list[dict[str, object]]:
    done = tpgen("show", "--json", *words)
    assert (done.code, done.err) == (0, "")
    events: list[dict[str, object]] = json.loads(done.out)
    return events


def test_kind(sources: tuple[str, ...]) -> None:
    events = shown("*", *sources)
    dynamic = {f"{event['system']}/{event['name']}" for event in events if event["kind"] == "dynamic"}
    assert dynamic == set(DEFINED) - (
        set() if (Path(sources[1]) / "dynamic_events").exists() else {"mine/sched_wakeup"}
    )
    for event in events:
        if event["kind"] == "dynamic":
            assert (event["attach_name"], event["module"], event["class"], event["args"]) == (None, None, None, [])


def test_a_probe_of_the_name_of_a_tracepoint(sources: tuple[str, ...], tmp_path: Path) -> None:
    """Whoever says the name alone means the tracepoint, which is what it was before somebody defined the probe."""
    (event,) = shown("sched_switch", *sources)
    assert (event["system"], event["kind"], event["class"]) == ("sched", "trace_event", "sched_switch")
    raw = tpgen("sched_switch", "--raw", *sources)
    assert (raw.code, raw.err) == (0, "")
    plain = tpgen("sched_switch", "--raw", *sources[2:], "--tracefs", str(write_tracefs(tmp_path / "plain")))
    assert raw.out == plain.out
    (probe,) = shown("probe:sched_switch", *sources)
    assert (probe["kind"], [field["name"] for field in probe["record"]["fields"]]) == (  # type: ignore[index]
        "dynamic", ["__probe_ip", "flags"],
    )  # fmt: skip


def test_check(sources: tuple[str, ...]) -> None:
    done = tpgen("check", "-v", *sources)
    assert (done.code, done.err) == (0, "")
    assert "classic record: tracefs and BTF: a dynamic event, of which its format file alone tells" in done.out
    assert "  probe:sched_switch\n" in done.out


def test_show(sources: tuple[str, ...]) -> None:
    text = tpgen("show", "kprobes:r_read", *sources).out
    assert "  kind     dynamic event, which somebody defined\n" in text
    reason = "it is a dynamic event, to which no tp program can be attached; -b python decodes its records"
    assert f"  attach   none: {reason}\n" in text
    assert "raw arguments: none, it is a dynamic event, which has a record alone\n" in text
    assert "int ret @24" in text
    assert "tp/kprobes" not in text


@pytest.mark.parametrize("backend", ["bpf", "bpftrace", "systemtap", "rust", "go"])
def test_no_program_can_be_attached(backend: str, sources: tuple[str, ...]) -> None:
    done = tpgen("synthetic:wake_lat", "-b", backend, "--classic", *sources)
    reason = "it is a dynamic event, to which no tp program can be attached; -b python decodes its records"
    message = f"no classic form of synthetic:wake_lat: {reason} [no-such-form]"
    assert (done.code, done.out, done.err) == (2, "", line(message))


def test_several_alone_are_refused_as_one_is(sources: tuple[str, ...], tmp_path: Path) -> None:
    done = tpgen("synthetic:wake_lat", "probe:arrays", "-o", tmp_path / "out", *sources)
    assert (done.code, done.out, (tmp_path / "out").exists()) == (2, "", False)
    assert re.findall(r"^tpgen: error: no (\w+) form of 2 events .*it is a dynamic event", done.err, re.MULTILINE) == [
        "raw", "classic",
    ]  # fmt: skip


def test_of_many_they_are_left_out(sources: tuple[str, ...], tmp_path: Path) -> None:
    done = tpgen("*", "-o", tmp_path / "out", *sources)
    assert done.code == 0
    counts = re.findall(r"^tpgen: note: no \w+ form of (\d+) events .*it is a dynamic event", done.err, re.MULTILINE)
    assert sum(map(int, counts)) >= 6
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tp_sched_switch.h", "raw_sched_switch.h", "raw_pelt_se_tp.h"} <= names
    assert not any("malloc" in name or "." in name.removesuffix(".h") for name in names)


def test_python_decodes_them(sources: tuple[str, ...], tmp_path: Path) -> None:
    """A record of wake_lat: 7 as u64, and text whose place a locator tells, in the low half of a u64."""
    done = tpgen("synthetic:wake_lat", "probe:arrays", "probe:sched_switch", "sched_switch", "-b", "python", *sources)
    assert (done.code, done.err) == (0, "")
    module: dict[str, object] = {}
    exec(compile(done.out, "tracepoints.py", "exec"), module)
    assert {"tp_sched_switch_probe", "tp_sched_switch_sched"} <= module.keys()
    record = bytes(8) + (7).to_bytes(8, "little") + (24 | 3 << 16).to_bytes(8, "little") + b"ab\0"
    made = module["tp_wake_lat"](record)  # type: ignore[operator]
    assert (made.lat, made.comm) == (7, "ab")
    record = bytes(16) + struct.pack("<3H3b", 7, 65535, 300, -1, 0, 1)
    made = module["tp_arrays"](record)  # type: ignore[operator]
    assert (made.words, made.bytes) == ((7, 65535, 300), (-1, 0, 1))


def test_a_catalog_keeps_the_kind(sources: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "kernel.tpgen"
    assert tpgen("catalog", "add", "mine", *sources).code == 0
    assert tpgen("catalog", "export", "mine", "-o", file).code == 0
    for words in (("sched_switch",), ("*",), ("probe:*",)):
        assert shown(*words, "--kernel", str(file)) == shown(*words, *sources)


def test_a_format_file_that_names_no_system(tmp_path: Path) -> None:
    """An event in a group of the user's is only known by its fields; a tracepoint's record has no such."""
    formats = {"group/a": PROBE, "group/b": RETURN, "sched/c": (Line("unsigned long ip", 8, 8),)}
    root = write_tracefs(tmp_path, formats)
    events = shown("*", "--tracefs", str(root), "--arch", "x86_64")
    assert [(event["name"], event["kind"]) for event in events] == [
        ("a", "dynamic"), ("b", "dynamic"), ("c", "trace_event"),
    ]  # fmt: skip


# --- one name in two systems


def test_one_name_in_two_systems(tmp_path: Path) -> None:
    """As tracing_mark_write in a phone's g2d and dpu: both are written, each under a name that tells its system."""
    formats = {
        "dpu/mark": (Line("int a", 8, 4, 1),),
        "g2d/mark": (Line("u64 b", 8, 8),),
        "g2d/other": (Line("int c", 8, 4),),
    }
    sources = ("--tracefs", str(write_tracefs(tmp_path / "t", formats)), "--arch", "x86_64")
    out = tmp_path / "out"
    done = tpgen("*", "--classic", "-o", out, *sources)
    assert (done.code, done.err) == (0, "")
    assert sorted(path.name for path in out.glob("tp_*")) == ["tp_mark.dpu.h", "tp_mark.g2d.h", "tp_other.h"]
    assert "tp_mark_a(" in (out / "tp_mark.dpu.h").read_text()
    assert "tp_mark_b(" in (out / "tp_mark.g2d.h").read_text()
    assert "tp_mark_b(" in tpgen("g2d:mark", "--classic", *sources).out


def test_the_tracepoint_is_one_of_two(tmp_path: Path) -> None:
    """BTF has one tracepoint of the name; what another system calls so is not given its arguments."""
    formats = FORMATS | {"zoo/sched_switch": (Line("int lion", 8, 4, 1),)}
    sources = ("--tracefs", str(write_tracefs(tmp_path, formats)), "--btf", str(write_btf(tmp_path / "vmlinux")))
    first, second = shown("sched_switch", *sources)
    assert (first["system"], len(first["args"])) == ("sched", 4)  # type: ignore[arg-type]
    assert (second["system"], second["args"], second["attach_name"]) == ("zoo", None, None)
    assert tpgen("check", *sources).code == 0
