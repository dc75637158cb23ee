"""`tpgen check`: a kernel whose sources agree, and one finding for each way in which they can differ."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.btf_builder import SIGNED, BtfBuilder, elf
from support.cli import Done, tpgen
from support.small_kernel import FORMATS, Line, small_btf, write_btf, write_tracefs

AGREEING = """\
  raw arguments: BTF typedef, functions and class      5       0               0
  classic record: tracefs and BTF                      4       0               1
  syscall record: tracefs and BTF                      1       0               0
  computed layout: declared types and BTF              5       0               0
"""


def check(folder: Path, builder: BtfBuilder | None = None, *patterns: str) -> Done:
    """`tpgen check` of the small kernel's tracefs in `folder` and some BTF."""
    return tpgen("check", *patterns, "--btf", write_btf(folder / "vmlinux", builder), "--tracefs", folder)


def codes(done: Done) -> list[str]:
    return re.findall(r"^\S+: error: .* \[([a-z-]+)\]", done.out, re.MULTILINE)


def test_struct_in_the_distilled_base_of_a_module(tmp_path: Path) -> None:
    """Its base has structs that are members by name and size alone; their alignment is unknown."""
    base = BtfBuilder()
    number, _ = base.integer("int", 4, SIGNED), base.integer("long unsigned int", 8)
    entry, wire = base.structure("trace_entry", 8), base.structure("wire", 16)
    module = BtfBuilder(base=base)
    module.event("ev", [("x", number)])
    module.event_class("ev", [number], 32, [("ent", entry, 0), ("n", number, 8), ("w", wire, 16)])
    path = tmp_path / "driver.ko"
    path.write_bytes(elf({".BTF": module.blob(), ".BTF.base": base.blob()}))
    done = tpgen("check", "--btf", path)
    assert (done.code, codes(done)) == (0, [])
    assert "the size or the alignment of field w is unknown" in done.out
    assert tpgen("ev", "--btf", path, "-o", tmp_path / "ev.h").code == 0
    assert 'offsetof(struct tp_ev, w) == 16, "w"' in (tmp_path / "ev.h").read_text()


def test_agreement(tmp_path: Path) -> None:
    """Five raw events; four with a record and one bare; one syscall; five classes that an event may have."""
    done = check(write_tracefs(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert AGREEING in done.out
    assert codes(done) == []
    assert "bare tracepoint: it has no record and no format file" in done.out
    assert "pelt_se_tp" in done.out


# --- format files that say something else than BTF

SWITCH = FORMATS["sched/sched_switch"]


def changed(event: str, at: int, **changes: object) -> dict[str, tuple[Line, ...]]:
    """All formats, in one of which field number `at` is changed."""
    lines = list(FORMATS[event])
    lines[at] = replace(lines[at], **changes)  # type: ignore[arg-type]
    return FORMATS | {event: tuple(lines)}


def swapped(event: str, one: int, other: int) -> dict[str, tuple[Line, ...]]:
    """Two fields in each other's line."""
    lines = list(FORMATS[event])
    lines[one], lines[other] = lines[other], lines[one]
    return FORMATS | {event: tuple(lines)}


# What is changed, the finding's code, and what it says behind the path of the format file.
MUTATED = {
    "offset": (
        changed("sched/sched_switch", 1, offset=20),
        "record-offset",
        "sched:sched_switch: field prev_pid: offset 20 in the format file, 24 in BTF",
    ),
    "size": (
        changed("sched/sched_switch", 0, size=15),
        "record-size",
        "sched:sched_switch: field prev_comm: size 15 in the format file, 16 in BTF",
    ),
    "sign of an int": (
        changed("sched/sched_switch", 2, signed=0),
        "record-sign",
        "sched:sched_switch: field prev_prio: unsigned in the format file, signed in BTF",
    ),
    "type of the same size": (
        changed("sched/sched_switch", 2, declaration="unsigned int prev_prio"),
        "record-type",
        "sched:sched_switch: field prev_prio: type `unsigned int` in the format file, `int` in BTF",
    ),
    "typedef": (
        changed("sched/sched_switch", 1, declaration="uid_t prev_pid"),
        "record-type",
        "sched:sched_switch: field prev_pid: type `uid_t` in the format file, `pid_t` in BTF",
    ),
    "array's length": (
        changed("sched/sched_switch", 4, declaration="char next_comm[17]"),
        "record-type",
        "sched:sched_switch: field next_comm: type `char [17]` in the format file, `char [16]` in BTF",
    ),
    "name": (
        changed("sched/sched_switch", 2, declaration="int prev_priority"),
        "record-fields",
        "sched:sched_switch: the fields are prev_comm, prev_pid, prev_priority, prev_state, next_comm, next_pid, "
        "next_prio in the format file, prev_comm, prev_pid, prev_prio, prev_state, next_comm, next_pid, next_prio "
        "in BTF",
    ),
    "a field too few": (
        FORMATS | {"sched/sched_switch": SWITCH[:-1]},
        "record-fields",
        "sched:sched_switch: the fields are prev_comm, prev_pid, prev_prio, prev_state, next_comm, next_pid in the "
        "format file, prev_comm, prev_pid, prev_prio, prev_state, next_comm, next_pid, next_prio in BTF",
    ),
    "order": (
        swapped("sched/sched_wakeup", 0, 1),
        "record-fields",
        "sched:sched_wakeup: the fields are pfn, pid in the format file, pid, pfn in BTF",
    ),
    "offset in a shared class": (
        changed("sched/sched_wakeup", 1, offset=12),
        "record-offset",
        "sched:sched_wakeup: field pfn: offset 12 in the format file, 16 in BTF",
    ),
    "no class of several fits": (
        changed("page_ref/page_ref_mod", 1, offset=24),
        "record-class",
        "page_ref:page_ref_mod: no record in BTF has the fields of the format file",
    ),
    "dynamic field that is none": (
        changed("dma_fence/dma_fence_init", 0, declaration="unsigned int driver"),
        "record-class",
        "dma_fence:dma_fence_init: no record in BTF has the fields of the format file",
    ),
    "syscall's offset": (
        changed("syscalls/sys_enter_close", 1, offset=24),
        "record-offset",
        "syscalls:sys_enter_close: field fd: offset 24 in the format file, 16 in BTF",
    ),
}


@pytest.mark.parametrize(("formats", "code", "message"), MUTATED.values(), ids=MUTATED)
def test_mutated_format(formats: dict[str, tuple[Line, ...]], code: str, message: str, tmp_path: Path) -> None:
    done = check(write_tracefs(tmp_path, formats))
    assert (done.code, done.err) == (1, "")
    assert codes(done) == [code]
    event = re.split(r"[: ]", message)
    path = f"{tmp_path}/events/{event[0]}/{event[1]}/format"
    assert f"{path}: error: {message} [{code}]" in done.out.splitlines()


ALLOWED = {
    "words of an integer in another order": changed("sched/sched_wakeup", 1, declaration="long unsigned int pfn"),
    "textual length": changed("sched/sched_switch", 0, declaration="char prev_comm[TASK_COMM_LEN]"),
    "length as a sum": changed("sched/sched_switch", 0, declaration="char prev_comm[8 + 8]"),
    "sign of plain char": changed("sched/sched_switch", 0, signed=1),
    "no sign": changed("sched/sched_switch", 1, signed=None),
    "sign of a dynamic field's element": changed("dma_fence/dma_fence_init", 0, signed=1),
    "element of a dynamic field": changed("dma_fence/dma_fence_init", 0, declaration="__data_loc u8[] driver"),
    "typedef's own type": changed("sched/sched_switch", 1, declaration="__kernel_pid_t prev_pid"),
    "sign of a syscall's argument": changed("syscalls/sys_enter_close", 1, signed=1),
    "dynamic field of a syscall": FORMATS
    | {"syscalls/sys_enter_close": (*FORMATS["syscalls/sys_enter_close"], Line("__data_loc char[] __name_val", 24, 4))},
}


@pytest.mark.parametrize("formats", ALLOWED.values(), ids=ALLOWED)
def test_allowed_difference(formats: dict[str, tuple[Line, ...]], tmp_path: Path) -> None:
    """What the field guide lists as differing without anything being wrong."""
    done = check(write_tracefs(tmp_path, formats))
    assert codes(done) == []
    assert (done.code, done.err) == (0, "")
    assert AGREEING in done.out


def test_every_finding_is_told(tmp_path: Path) -> None:
    """Three events that differ, one of them twice."""
    lines = list(SWITCH)
    lines[0], lines[6] = replace(lines[0], size=15), replace(lines[6], offset=64)
    formats = changed("sched/sched_wakeup", 1, offset=12) | {"sched/sched_switch": tuple(lines)}
    formats |= {
        "syscalls/sys_enter_close": changed("syscalls/sys_enter_close", 1, offset=24)["syscalls/sys_enter_close"]
    }
    done = check(write_tracefs(tmp_path, formats))
    assert done.code == 1
    assert sorted(codes(done)) == ["record-offset", "record-offset", "record-offset", "record-size"]
    assert "  classic record: tracefs and BTF                      2       2               1\n" in done.out


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    root = write_tracefs(tmp_path, changed("sched/sched_wakeup", 1, offset=12))
    assert check(root, None, "sched_switch").code == 0
    assert check(root, None, "sched:*").code == 1


@pytest.mark.parametrize(
    ("fields", "found"),
    [((), ["record-fields"]), ((Line("int __syscall_nr", 8, 4, 1),), [])],
    ids=["no field at all", "the number alone"],
)
def test_syscall_without_arguments(fields: tuple[Line, ...], found: list[str], tmp_path: Path) -> None:
    """sys_enter_getpid has the number alone, which a record must have."""
    done = check(write_tracefs(tmp_path, FORMATS | {"syscalls/sys_enter_close": fields}))
    assert (done.code, codes(done), done.err) == (len(found), found, "")


# --- BTF that contradicts itself

UINT, INT, UCHAR, FLEXIBLE, ENTRY = 1, 2, 9, 11, 21  # ids in small_btf()


def test_functions_that_disagree(tmp_path: Path) -> None:
    b = small_btf()
    b.event("odd", [("a", INT)], ())
    b.func("__probestub_odd", b.func_proto(0, [("__data", b.ptr(0)), ("a", UINT)]))
    done = check(write_tracefs(tmp_path), b, "odd")
    assert done.code == 1
    assert (
        f"{tmp_path}/vmlinux: error: odd: __probestub_odd has other parameters than btf_trace_odd [raw-names]"
        in done.out
    )


@pytest.mark.parametrize(
    ("params", "code", "difference"),
    [
        ((UINT,), "raw-type", "raw argument 0 is `int` in BTF, `unsigned int` in the class's function"),
        ((INT, INT), "raw-count", "1 raw arguments in btf_trace_odd, 2 in the class's function"),
    ],
)
def test_class_function_that_disagrees(params: tuple[int, ...], code: str, difference: str, tmp_path: Path) -> None:
    """The event `odd` is found by its record to be of a class that takes something else."""
    b = small_btf()
    b.event("odd", [("a", INT)])
    b.event_class("odd", params, 12, [("ent", ENTRY, 0), ("only_here", INT, 8), ("__data", FLEXIBLE, 12)])
    write_tracefs(tmp_path, FORMATS | {"odd/odd": (Line("int only_here", 8, 4, 1),)})
    done = check(tmp_path, b, "odd")
    assert (done.code, codes(done)) == (1, [code])
    assert f"{tmp_path}/vmlinux: error: odd:odd: {difference} [{code}]" in done.out.splitlines()


def test_layout_that_no_compiler_makes(tmp_path: Path) -> None:
    b = small_btf()
    b.event("odd", [("a", INT)])
    b.event_class("odd", [INT], 24, [("ent", ENTRY, 0), ("a", INT, 8), ("b", INT, 16), ("__data", FLEXIBLE, 20)])
    done = tpgen("check", "odd", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert (done.code, codes(done)) == (1, ["record-offset"])
    assert "class odd: field b: offset 12 in the computed layout, 16 in BTF [record-offset]" in done.out


def test_size_that_no_compiler_makes(tmp_path: Path) -> None:
    b = small_btf()
    b.event("odd", [("a", INT)])
    b.event_class("odd", [INT], 20, [("ent", ENTRY, 0), ("a", INT, 8), ("__data", FLEXIBLE, 12)])
    done = tpgen("check", "odd", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert (done.code, codes(done)) == (1, ["record-size"])
    assert "class odd: size 12 in the computed layout, 20 in BTF [record-size]" in done.out


def test_packed_struct_is_a_note(tmp_path: Path) -> None:
    """rxrpc_tx_packet's `struct rxrpc_wire_header` is packed, which BTF does not say: told, and no failure."""
    b = small_btf()
    wire = b.structure("wire_header", 13, [("id", UINT, 0), ("flags", UCHAR, 4), ("cid", UINT, 9)])
    b.event("odd", [("a", INT)])
    b.event_class(
        "odd",
        [INT],
        28,
        [("ent", ENTRY, 0), ("x", UCHAR, 8), ("whdr", wire, 9), ("a", INT, 24), ("__data", FLEXIBLE, 28)],
    )
    done = tpgen("check", "odd", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert (done.code, codes(done)) == (0, [])
    assert "class odd: laid out as the kernel does only if struct wire_header is packed [layout-packed]" in done.out


# --- raw arguments that only the typedef has


@pytest.mark.parametrize("with_class", [True, False])
def test_what_nothing_else_states_is_not_compared(with_class: bool, tmp_path: Path) -> None:
    """Types from the class's function alone can be compared; where there is none, it is said."""
    b = BtfBuilder()
    number = b.integer("int", 4, SIGNED)
    b.event("ev", [("x", number)], names_in=())
    if with_class:
        b.event_class("ev", [number])
    done = check_btf(tmp_path, b)
    assert (done.code, done.err) == (0, "")
    (line,) = re.findall(r"^  raw arguments: BTF typedef, functions and class +(\d.*)$", done.out, re.MULTILINE)
    assert line.split() == (["1", "0", "0"] if with_class else ["0", "0", "1"])
    assert ("BTF has neither __probestub_, __traceiter_ nor the class's function" in done.out) != with_class


def check_btf(folder: Path, builder: BtfBuilder) -> Done:
    return tpgen("check", "--btf", write_btf(folder / "vmlinux", builder))
