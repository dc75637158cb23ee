"""Headers that come without their kernel's tree: their events are there with the driver, `check` is about them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.btf_builder import elf
from support.cli import tpgen
from support.small_kernel import small_btf, write_btf

T = 'TP_fast_assign(), TP_printk("x")'
TRACE = f"""
#undef TRACE_SYSTEM
#define TRACE_SYSTEM punt
#include <linux/tracepoint.h>
#include <punt/types.h>
TRACE_EVENT(punt_push, TP_PROTO(struct task_struct *task, punt_depth_t depth), TP_ARGS(task, depth),
	TP_STRUCT__entry(__field(pid_t, pid) __field(punt_depth_t, depth)), {T});
TRACE_EVENT(sched_switch, TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next,
		unsigned int prev_state),
	TP_ARGS(preempt, prev, next, prev_state),
	TP_STRUCT__entry(__array(char, prev_comm, 16) __field(pid_t, prev_pid) __field(int, prev_prio)
		__field(long, prev_state) __array(char, next_comm, 16) __field(pid_t, next_pid) __field(int, next_prio)), {T});
"""


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """A driver with a trace header and, in a directory that its Makefile would name, one of its types."""
    folder = tmp_path / "punt"
    (folder / "os" / "linux" / "punt").mkdir(parents=True)
    (folder / "os" / "linux" / "punt" / "types.h").write_text("typedef short punt_depth_t;\n")
    (folder / "trace.h").write_text(TRACE)
    return folder


@pytest.fixture
def kernel(tmp_path: Path) -> tuple[str, str]:
    builder = small_btf()
    return "--btf", str(write_btf(tmp_path / "vmlinux", builder))


@pytest.mark.parametrize("name", ["", "trace.h"])
def test_events_of_a_driver(driver: Path, kernel: tuple[str, str], name: str) -> None:
    """pid_t is the kernel's, punt_depth_t is in a header that is found by the tail of its path."""
    done = tpgen("show", "punt_push", "--json", *kernel, "--headers", driver / name)
    (event,) = json.loads(done.out)
    assert [(arg["type"], arg["size"]) for arg in event["args"]] == [("struct task_struct *", 8), ("punt_depth_t", 2)]
    fields = [(field["name"], field["offset"], field["size"], field["signed"]) for field in event["record"]["fields"]]
    assert fields == [("pid", 8, 4, True), ("depth", 12, 2, True)]
    assert "sched_wakeup" in tpgen("list", *kernel, "--headers", driver / name).out


def test_a_tail_that_two_headers_have_decides_nothing(driver: Path, kernel: tuple[str, str]) -> None:
    other = driver / "os" / "bsd" / "punt"
    other.mkdir(parents=True)
    (other / "types.h").write_text("typedef long punt_depth_t;\n")
    done = tpgen("punt_push", "--classic", *kernel, "--headers", driver / "trace.h")
    assert done.code == 2
    assert "the size of its field depth, of type `punt_depth_t`, is unknown" in done.err


def test_a_kernel_tree_tells_of_what_a_kernel_could_have(driver: Path, kernel: tuple[str, str]) -> None:
    (driver / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nEXTRAVERSION =\n")
    done = tpgen("show", "punt_push", *kernel, "--headers", driver)
    assert (done.code, "no event 'punt_push'" in done.err) == (2, True)


def test_a_module_without_btf_has_the_tracepoints_that_it_names(
    driver: Path, kernel: tuple[str, str], tmp_path: Path
) -> None:
    module = tmp_path / "punt-core.ko"
    module.write_bytes(elf({"__tracepoints_strings": b"punt_push\0punt_pull\0"}))
    done = tpgen("show", "punt_push", "--json", *kernel, "--btf", module, "--headers", driver)
    (event,) = json.loads(done.out)
    assert (event["module"], event["attach_name"]) == ("punt_core", "punt_push")
    # Of one that no header has, nothing is known but that it is there.
    done = tpgen("show", "punt_pull", "--json", *kernel, "--btf", module, "--headers", driver)
    (event,) = json.loads(done.out)
    assert (event["module"], event["args"], event["record"]) == ("punt_core", None, None)


def test_a_module_with_neither_is_refused(kernel: tuple[str, str], tmp_path: Path) -> None:
    module = tmp_path / "punt.ko"
    module.write_bytes(elf({".text": b"\x90"}))
    done = tpgen("list", *kernel, "--btf", module)
    assert (done.code, "ELF file without a .BTF section" in done.err) == (2, True)


# --- check


def test_check_is_about_the_headers(driver: Path, kernel: tuple[str, str]) -> None:
    """What the kernel has of their events is compared, and no other event is."""
    done = tpgen("check", *kernel, "--headers", driver)
    assert done.code == 0, done.out
    assert "  raw arguments: headers and BTF                          1       1       0               1\n" in done.out
    assert "  classic record: headers and the kernel                  1       1       0               1\n" in done.out
    assert "sched_wakeup" not in done.out


def test_check_of_headers_that_differ(driver: Path, kernel: tuple[str, str]) -> None:
    (driver / "trace.h").write_text(TRACE.replace("__field(long, prev_state)", "__field(int, prev_state)"))
    done = tpgen("check", *kernel, "--headers", driver)
    assert done.code == 1
    assert "error: " in done.out


BROKEN = {
    "a field": ("__field(pid_t, pid)", "__feild(pid_t, pid)", "[header-field]"),
    "an argument": ("TP_ARGS(task, depth)", "TP_ARGS(task)", "[header-args-order]"),
    "a parameter": ("punt_depth_t depth)", "punt_depth_t depth = 1)", "[header-parameter]"),
}


@pytest.mark.parametrize(("right", "wrong", "code"), BROKEN.values(), ids=BROKEN)
def test_check_of_what_cannot_be_read(driver: Path, kernel: tuple[str, str], right: str, wrong: str, code: str) -> None:
    assert right in TRACE
    (driver / "trace.h").write_text(TRACE.replace(right, wrong))
    done = tpgen("check", *kernel, "--headers", driver)
    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if code in line]
    assert line.startswith(f"error: {driver / 'trace.h'}:")


def test_the_reason_is_the_true_one(driver: Path, kernel: tuple[str, str]) -> None:
    (driver / "trace.h").write_text(TRACE.replace("__field(pid_t, pid)", "__feild(pid_t, pid)"))
    done = tpgen("punt_push", "--classic", *kernel, "--headers", driver)
    assert done.code == 2
    assert "no header that could be read has its class punt_push: `tpgen check` tells what could not" in done.err
