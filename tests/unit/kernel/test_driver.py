"""Headers that come without their kernel's tree: their events are there with the driver, `check` is about them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.btf_builder import elf
from support.catalogs import small_catalog
from support.cli import Done, refusal, tpgen
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


# --- with a kernel from a catalog


@pytest.fixture
def stored(tmp_path: Path) -> tuple[str, str]:
    """The same kernel as a catalog."""
    return "--kernel", str(small_catalog(tmp_path))


@pytest.mark.parametrize("command", ["show", "list"])
def test_a_catalog_tells_the_types_as_btf_does(
    driver: Path, stored: tuple[str, str], tmp_path: Path, command: str
) -> None:
    own = "--btf", write_btf(tmp_path / "vmlinux"), "--tracefs", tmp_path / "tracefs"
    said = [tpgen(command, "*", "--json", *kernel, "--headers", driver) for kernel in (own, stored)]
    by_btf, by_catalog = ([dict(event, header=None) for event in json.loads(done.out)] for done in said)
    assert "punt_push" in {event["name"] for event in by_btf}
    assert by_catalog == by_btf


def test_check_with_a_catalog(driver: Path, stored: tuple[str, str]) -> None:
    """sched_switch is in both, and of punt_push nothing can be compared."""
    done = tpgen("check", *stored, "--headers", driver)
    assert done.code == 0, done.out
    assert re.search("^  raw arguments: headers and BTF +1 +0 +1$", done.out, re.MULTILINE)
    assert re.search("^  classic record: headers and the kernel +1 +0 +1$", done.out, re.MULTILINE)
    assert "sched_wakeup" not in done.out
    (driver / "trace.h").write_text(TRACE.replace("__field(long, prev_state)", "__field(int, prev_state)"))
    done = tpgen("check", *stored, "--headers", driver)
    assert done.code == 1
    assert "field prev_state: type `int` in the headers, `long` in the catalog [record-type]" in done.out
    assert tpgen("sched_switch", "--classic", *stored, "--headers", driver).code == 1


# What the kernels' sources say of these types, and clang makes of them.
JUDGE = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef int pid_t; typedef u64 dma_addr_t; typedef unsigned int gfp_t; typedef u64 sector_t; typedef _Bool bool;
typedef struct { unsigned long pte; } pte_t; enum zone_type { ZONE_NORMAL };
struct record { u64 header; %s } __attribute__((unused));
"""
RIDE = {
    "pid": "pid_t pid;", "fast": "bool fast;", "at": "dma_addr_t at;", "comm": "char comm[16];",
    "flags": "gfp_t flags;", "zone": "enum zone_type zone;", "where": "sector_t where;",
    "__data_loc_why": "u32 __data_loc_why;", "last": "u16 last;", "state": "long state;",
    "tail": "char tail[sizeof(pid_t) * 3];",
}  # fmt: skip
RIDE_TRACE = f"""
#define TRACE_SYSTEM ride
TRACE_EVENT(ride_on, TP_PROTO(struct task_struct *task, gfp_t flags, dma_addr_t at), TP_ARGS(task, flags, at),
	TP_STRUCT__entry(__field(pid_t, pid) __field(bool, fast) __field(dma_addr_t, at) __array(char, comm, TASK_COMM_LEN)
		__field(gfp_t, flags) __field(enum zone_type, zone) __field(sector_t, where) __string(why, why)
		__field(u16, last) __field(long, state) __array(char, tail, sizeof(pid_t) * 3)), {T});
"""
TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "s390x": "s390x-linux-gnu"}


@pytest.mark.compilers
@pytest.mark.parametrize("kernel", ["5.10-amd64", "6.1-amd64", "6.12-amd64", "6.12-arm64", "6.12-s390x", "7.2-amd64"])
def test_a_record_as_clang_lays_it_out(kernel: str, tmp_path: Path) -> None:
    clang = shutil.which("clang")
    if clang is None:
        pytest.skip("clang is not installed")
    (tmp_path / "ride.h").write_text(RIDE_TRACE)
    done = tpgen("show", "ride_on", "--json", "--kernel", f"debian-{kernel}", "--headers", tmp_path / "ride.h")
    (event,) = json.loads(done.out)
    assert [arg["size"] for arg in event["args"]] == [8, 4, 8]
    asserts = [f'_Static_assert(sizeof(struct record) == {event["record"]["size"]}, "size");']
    for field, member in zip(event["record"]["fields"], RIDE, strict=True):
        place = f"__builtin_offsetof(struct record, {member}) == {field['offset']}"
        size = f"sizeof(((struct record *)0)->{member}) == {field['size']}"
        asserts.append(f'_Static_assert({place} && {size}, "{member}");')
    unit = tmp_path / "judge.c"
    unit.write_text(JUDGE % " ".join(RIDE.values()) + "\n".join(asserts))
    command = (
        clang,
        f"--target={TRIPLES[kernel.rpartition('-')[2]]}",
        "-std=gnu11",
        "-fsyntax-only",
        "-Werror",
        str(unit),
    )
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr
    # Before Linux 6.2 a char has the sign that the architecture gives it; that BTF of 5.10 has no signs of chars.
    signed = {field["name"]: field["signed"] for field in event["record"]["fields"]}
    assert signed["tail"] == (kernel == "6.1-amd64")


def test_what_a_catalog_does_not_tell(tmp_path: Path) -> None:
    """The length of an array, a type that none of its events is made of, or that only a module's are made of."""
    unknown = ("__array(char, name, RIDE_LEN)", "__field(struct ride_seat, seat)", "__field(ride_t, ride)")
    for field in (*unknown, "__field(ext4_lblk_t, block)"):
        (tmp_path / "ride.h").write_text(RIDE_TRACE.replace("__field(u16, last)", field))
        done = tpgen("ride_on", "--classic", "--kernel", "6.12", "--headers", tmp_path / "ride.h")
        assert done.code == 2
        assert "is unknown" in done.err


def test_a_catalog_of_both(
    driver: Path, stored: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    added = tpgen("catalog", "add", "with-punt", *stored, "--headers", driver)
    assert added == Done(0, "", "")
    shown = [
        json.loads(tpgen("show", "*", "--json", *kernel).out)
        for kernel in (("--kernel", "with-punt"), (*stored, "--headers", str(driver)))
    ]
    assert [dict(event, header=None) for event in shown[0]] == [dict(event, header=None) for event in shown[1]]


def test_a_project_of_a_driver(driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tpgen.toml names a stored kernel with the headers, and both are inputs of the build."""
    catalog, toml = small_catalog(tmp_path), tmp_path / "tpgen.toml"
    toml.write_text(
        f'[kernel.k]\nkernel = "{catalog.name}"\nheaders = "punt/trace.h"\n'
        '[[generate]]\nkernel = "k"\nevents = ["punt_push", "sched_wakeup"]\n'
    )
    monkeypatch.chdir(tmp_path)
    assert tpgen("build", "--depfile", "deps") == Done(0, "", "")
    made = tmp_path / "tp_punt_push.h"
    assert "Field pid_t pid" in made.read_text()
    assert (tmp_path / "raw_sched_wakeup.h").exists()
    words = (tmp_path / "deps").read_text().split()
    assert {str(tmp_path / name) for name in ("punt/trace.h", "punt/os/linux/punt/types.h", catalog.name)} <= set(words)
    (driver / "trace.h").write_text(TRACE.replace("__field(pid_t, pid)", "__field(pid_t, who)"))
    assert tpgen("build", "--check").code == 1
    assert tpgen("build", "--depfile", "deps") == Done(0, "", "")
    assert "Field pid_t who" in made.read_text()


def test_the_trees_of_kernels_do_not_go_with_a_catalog(driver: Path, stored: tuple[str, str]) -> None:
    (driver / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nEXTRAVERSION =\n")
    assert tpgen("list", *stored, "--headers", driver) == refusal(
        f"--kernel and the headers of a kernel, {driver}: a catalog has its own [usage]; "
        "give one or the other; a driver's headers go with either"
    )
    assert tpgen("list", *stored, "--headers", driver / "trace.h", "--btf", driver / "vmlinux").code == 2


def test_the_release_of_the_catalog_decides(driver: Path, stored: tuple[str, str]) -> None:
    """6.18.1, unless another is given."""
    newer = "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 18, 0)\ntypedef long long punt_depth_t;\n#else\n"
    (driver / "os/linux/punt/types.h").write_text(f"{newer}typedef short punt_depth_t;\n#endif\n")
    for options, size in (([], 8), (["--release", "6.17.9"], 2)):
        done = tpgen("show", "punt_push", "--json", *stored, *options, "--headers", driver)
        assert json.loads(done.out)[0]["args"][1]["size"] == size
    assert tpgen("list", *stored, "--release", "6.17.9").code == 2  # without headers it decides nothing


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
    assert re.search("^  raw arguments: headers and BTF +1 +0 +1$", done.out, re.MULTILINE)
    assert "  classic record: headers and the kernel               1       0               1\n" in done.out
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
    assert line.startswith(f"{driver / 'trace.h'}:")


def test_the_reason_is_the_true_one(driver: Path, kernel: tuple[str, str]) -> None:
    (driver / "trace.h").write_text(TRACE.replace("__field(pid_t, pid)", "__feild(pid_t, pid)"))
    done = tpgen("punt_push", "--classic", *kernel, "--headers", driver)
    assert done.code == 2
    assert "no header that could be read has its class punt_push: `tpgen check` lists what could not" in done.err
