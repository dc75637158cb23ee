"""A driver that is built outside of the kernel's tree: its trace.h alone is enough for headers that compile."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import WARNINGS, Compiler

DRIVER = Path(__file__).parents[2] / "data" / "out_of_tree"
SOURCE = ("--headers", str(DRIVER), "--arch", "x86_64")

# What <linux/types.h> declares for a 64-bit kernel, and the record and the arguments as trace.h of the driver has them,
# in C, so that it is a compiler that lays them out.
BY_HAND = """
#include <stddef.h>
typedef _Bool ferry_bool;
struct by_hand {
	struct { unsigned short type; unsigned char flags; unsigned char preempt_count; int pid; } ent;
	const void *cargo;
	unsigned char port;
	ferry_bool open;
	unsigned short queue;
	long long bytes;
	char name[12];
	unsigned int words[2 + 1];
	unsigned int __data_loc_driver;
	unsigned int __data_loc_stamps;
	unsigned long flags;
};
#define SAME(member) \\
	_Static_assert(offsetof(struct by_hand, member) == offsetof(struct tp_ferry_load_start, member), #member); \\
	_Static_assert(sizeof(((struct by_hand *)0)->member) == sizeof(((struct tp_ferry_load_start *)0)->member), #member)
SAME(cargo);
SAME(port);
SAME(open);
SAME(queue);
SAME(bytes);
SAME(name);
SAME(words);
SAME(__data_loc_driver);
SAME(__data_loc_stamps);
SAME(flags);
_Static_assert(sizeof(struct by_hand) == sizeof(struct tp_ferry_load_start), "the whole record");
_Static_assert(offsetof(struct raw_ferry_load_start, cargo) == 0 * 8, "cargo");
_Static_assert(offsetof(struct raw_ferry_load_start, queue) == 1 * 8, "queue");
_Static_assert(offsetof(struct raw_ferry_load_start, bytes) == 2 * 8, "bytes");
_Static_assert(offsetof(struct raw_ferry_load_start, last) == 3 * 8, "last");
"""

# Each accessor, converted without a cast to the type that the driver declares.
USES = """
unsigned long long use(const void *ctx);
unsigned long long use(const void *ctx)
{
	const struct ferry_cargo *cargo = raw_ferry_load_start_cargo(ctx);
	unsigned short queue = raw_ferry_load_start_queue(ctx);
	long bytes = raw_ferry_load_start_bytes(ctx);
	char text[16];

	bytes += tp_ferry_load_start_name_read(ctx, text, sizeof(text)) + text[0];
	bytes += tp_ferry_load_start_driver_read(ctx, text, sizeof(text)) + text[0];
	bytes += tp_ferry_load_start_bytes(ctx) + tp_ferry_load_start_port(ctx) + tp_ferry_load_start_open(ctx);
	return (unsigned long long)cargo + queue + (unsigned long long)bytes + raw_ferry_load_start_last(ctx);
}
"""


def _header(event: str, *forms: str) -> str:
    """What one command prints for an event."""
    done = tpgen(event, *forms, *SOURCE)
    assert (done.code, done.err) == (0, "")
    return done.out


@pytest.mark.compilers
def test_one_command_makes_a_header_that_compiles(compiler: Compiler, tmp_path: Path) -> None:
    raw, classic = _header("ferry_load_start", "--raw"), _header("ferry_load_start", "--classic")
    compiler.compile(raw + classic + BY_HAND + USES, tmp_path / "ferry.o")


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_gcc_lays_out_the_same(tmp_path: Path) -> None:
    # Nothing calls the accessors, so that gcc does not come to see that their assembly is BPF's.
    unit = _header("ferry_load_start", "--raw") + _header("ferry_load_start", "--classic") + BY_HAND
    (tmp_path / "ferry.c").write_text(unit)
    command = ["gcc", "-m64", "-std=gnu11", *WARNINGS, "-c", "ferry.c", "-o", "ferry.o"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.compilers
@pytest.mark.parametrize("event", ["ferry_load_done", "ferry_unload_start", "ferry_unload_done", "ferry_rescue"])
def test_every_event_compiles(compiler: Compiler, event: str, tmp_path: Path) -> None:
    compiler.compile(_header(event, "--raw") + _header(event, "--classic"), tmp_path / "ferry.o")


@pytest.mark.compilers
def test_a_bare_tracepoint_compiles(compiler: Compiler, tmp_path: Path) -> None:
    compiler.compile(_header("ferry_tide", "--raw"), tmp_path / "ferry.o")


def test_events_of_the_driver() -> None:
    shown = json.loads(tpgen("show", "ferry:*", "--json", *SOURCE).out)
    assert {(event["system"], event["name"], event["class"]) for event in shown} == {
        ("ferry", "ferry_load_start", "ferry_transfer"),
        ("ferry", "ferry_load_done", "ferry_transfer"),
        ("ferry", "ferry_unload_start", "ferry_transfer"),
        ("ferry", "ferry_unload_done", "ferry_transfer"),
        ("ferry", "ferry_rescue", "ferry_rescue"),
        ("ferry", "ferry_tide", "ferry_tide"),
    }
    rescue = next(event for event in shown if event["name"] == "ferry_rescue")
    args = [(arg["name"], arg["type"], arg["kind"], arg["size"]) for arg in rescue["args"]]
    assert args == [
        ("cargo", "struct ferry_cargo *", "ptr", 8),
        ("retry", "int (*)(struct ferry_cargo *, int)", "ptr", 8),
        ("depth", "unsigned char", "int", 1),
    ]


@pytest.mark.parametrize(("config", "found"), [("CONFIG_FERRY_RESCUE=y\n", True), ("# none\n", False)])
def test_with_the_configuration(config: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / ".config").write_text(config)
    listed = tpgen("list", *SOURCE, "--config", tmp_path / ".config").out
    assert ("ferry_rescue" in listed) == found
    assert "ferry_load_start" in listed


COMMON = """
#ifndef FERRY_COMMON_H
#define FERRY_COMMON_H
#define FERRY_FIELDS __field(int, berth) __field(long, tons)
#endif
"""
TIDE = """
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ferry
#include <linux/tracepoint.h>
#include <sys/common.h>
DECLARE_EVENT_CLASS(ferry_moor, TP_PROTO(int berth), TP_ARGS(berth), TP_STRUCT__entry(FERRY_FIELDS),
	TP_fast_assign(), TP_printk("x"));
DEFINE_EVENT(ferry_moor, ferry_moored, TP_PROTO(int berth), TP_ARGS(berth));
"""


def test_fields_of_a_macro_whose_header_the_makefile_finds(tmp_path: Path) -> None:
    """As ZFS has it: `-I$(src)/include/os/linux/zfs`, and `<sys/trace_common.h>` beside the trace header."""
    folder = tmp_path / "include" / "os" / "ferry" / "sys"
    folder.mkdir(parents=True)
    (folder / "common.h").write_text(COMMON)
    (folder / "trace_tide.h").write_text(TIDE)
    (event,) = json.loads(tpgen("show", "ferry_moored", "--json", "--headers", tmp_path, "--arch", "x86_64").out)
    fields = [(field["name"], field["offset"], field["size"]) for field in event["record"]["fields"]]
    # Behind the 8 bytes that all records begin with.
    assert fields == [("berth", 8, 4), ("tons", 16, 8)]
