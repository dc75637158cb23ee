"""`tpgen show` for people: the whole text of an event, and drawings of records of any shape."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.cli import tpgen
from support.small_kernel import FORMATS, Line, small_btf, write_btf, write_tracefs

from tpgen.model import Argument, Nullness, Pointer, Struct
from tpgen.show import arg_json
from tpgen.target import target_named

SCHED_SWITCH = """\
sched:sched_switch
  kind     trace event
  class    sched_switch (from btf: class of the same name)
  attach   raw_tp/sched_switch, tp_btf/sched_switch, tp/sched/sched_switch
  checked  raw arguments: BTF typedef, functions and class: agree
  checked  classic record: tracefs and BTF: agree
  checked  computed layout: declared types and BTF: agree

raw arguments: 4, a u64 each (types from btf, names from btf:__probestub)
  ctx[0]   |#.......|  bool preempt
  ctx[1]   |########|  struct task_struct *prev
  ctx[2]   |########|  struct task_struct *next
  ctx[3]   |####....|  unsigned int prev_state

classic record: 64 bytes (from btf); `-` is the pad, `.` a hole
       0  |--------|  the common header, which programs may not read
       8  |aaaaaaaa|  a char prev_comm[16] @8
      16  |aaaaaaaa|
      24  |bbbbcccc|  b pid_t prev_pid @24; c int prev_prio @28
      32  |dddddddd|  d long prev_state @32
      40  |eeeeeeee|  e char next_comm[16] @40
      48  |eeeeeeee|
      56  |ffffgggg|  f pid_t next_pid @56; g int next_prio @60
"""


def test_sched_switch(tmp_path: Path) -> None:
    done = tpgen("show", "sched_switch", "--btf", write_btf(tmp_path / "b"), "--tracefs", write_tracefs(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert done.out == SCHED_SWITCH


def test_big_endian_slots(tmp_path: Path) -> None:
    """A narrow value lies in the last bytes of its slot."""
    done = tpgen("show", "sched_switch", "--btf", write_btf(tmp_path / "b", small_btf(big_endian=True)))
    assert "  ctx[0]   |.......#|  bool preempt\n" in done.out
    assert "  ctx[3]   |....####|  unsigned int prev_state\n" in done.out


CLASSES = {
    True: "  class    one of page_ref_mod_template, page_ref_mod_and_test_template: same prototype\n",
    False: "  class    page_ref_mod_template (from equal layout)\n",
}


@pytest.mark.parametrize("alone", CLASSES, ids=["BTF alone", "with tracefs"])
def test_class_that_could_be_two(alone: bool, tmp_path: Path) -> None:
    sources: list[str | Path] = ["--btf", write_btf(tmp_path / "b")]
    sources += [] if alone else ["--tracefs", write_tracefs(tmp_path)]
    done = tpgen("show", "page_ref_mod", *sources)
    assert CLASSES[alone] in done.out
    assert ("classic record: none, its record is that of one of the classes " in done.out) is alone


def test_classes_of_one_record(tmp_path: Path) -> None:
    """Whichever of them it is, the record is known."""
    sources = ("--btf", write_btf(tmp_path / "b"), "--tracefs", write_tracefs(tmp_path))
    out = tpgen("show", "dma_fence_init", *sources).out
    assert "  class    one of dma_fence, dma_fence_unsignaled: same prototype and record\n" in out
    legend = "a __data_loc_driver @8: where char driver[] lies, from the record's start; b unsigned int seqno @12"
    assert f"       8  |aaaabbbb|  {legend}\n" in out


def test_bare_tracepoint(tmp_path: Path) -> None:
    sources = ("--btf", write_btf(tmp_path / "b"), "--tracefs", write_tracefs(tmp_path))
    out = tpgen("show", "pelt_se_tp", *sources).out
    assert out.startswith("pelt_se_tp\n  kind     bare tracepoint\n  attach   raw_tp/pelt_se_tp, tp_btf/pelt_se_tp\n")
    assert out.endswith("\nclassic record: none, it is a bare tracepoint, which has no record\n")


def test_syscall(tmp_path: Path) -> None:
    sources = ("--btf", write_btf(tmp_path / "b"), "--tracefs", write_tracefs(tmp_path))
    out = tpgen("show", "sys_enter_close", *sources).out
    assert "  attach   raw_tp/sys_enter, tp_btf/sys_enter, tp/syscalls/sys_enter_close\n" in out
    assert "\nraw arguments: none, no BTF shows where the kernel has the registers of a system call\n" in out
    assert "       8  |aaaa....|  a int __syscall_nr @8\n      16  |bbbbbbbb|  b unsigned int fd @16\n" in out


def test_finding_is_shown(tmp_path: Path) -> None:
    lines = (Line("pid_t pid", 8, 4, 1), Line("unsigned long pfn", 12, 8))
    root = write_tracefs(tmp_path, FORMATS | {"sched/sched_wakeup": lines})
    out = tpgen("show", "sched_wakeup", "--btf", write_btf(tmp_path / "b"), "--tracefs", root).out
    expected = "sched:sched_wakeup: field pfn: offset 12 in the format file, 16 in BTF [record-offset]"
    assert f"  checked  classic record: tracefs and BTF: {root}/events/sched/sched_wakeup/format: {expected}\n" in out


def test_disagreement_on_names(tmp_path: Path) -> None:
    """An argument that nothing names is shown by its slot."""
    b = BtfBuilder()
    b.event("e", [("", b.integer("int", 4, 1))], ())
    assert "  ctx[0]   |####....|  int arg0\n" in tpgen("show", "e", "--btf", write_btf(tmp_path / "b", b)).out


# --- drawings: the fields as (declaration, offset, size) of a format file, and the drawing from byte 8 on

DRAWINGS = {
    "hole inside and none behind": (
        [("u8 a", 8, 1), ("u64 b", 16, 8)],
        """\
       8  |a.......|  a u8 a @8
      16  |bbbbbbbb|  b u64 b @16
""",
    ),
    "field over three rows": (
        [("u8 a[20]", 10, 20), ("u16 b", 30, 2)],
        """\
       8  |..aaaaaa|  a u8 a[20] @10
      16  |aaaaaaaa|
      24  |aaaaaabb|  b u16 b @30
""",
    ),
    "long field": (
        [("char a[64]", 8, 64), ("int b", 72, 4)],
        """\
       8  |aaaaaaaa|  a char a[64] @8
          :        :
      64  |aaaaaaaa|
      72  |bbbb    |  b int b @72
""",
    ),
    "the longest that is drawn whole": (
        [("char a[32]", 8, 32)],
        """\
       8  |aaaaaaaa|  a char a[32] @8
      16  |aaaaaaaa|
      24  |aaaaaaaa|
      32  |aaaaaaaa|
""",
    ),
    "relative locator": (
        [("int a", 8, 4), ("__rel_loc char[] b", 12, 4)],
        """\
       8  |aaaabbbb|  a int a @8; b __rel_loc_b @12: where char b[] lies, from byte 16
""",
    ),
    "relative locator at the front": (
        [("__rel_loc u32[] b", 8, 4)],
        """\
       8  |aaaa    |  a __rel_loc_b @8: where u32 b[] lies, from byte 12
""",
    ),
    "largest record": (
        [("char a[65528]", 8, 65528)],
        """\
       8  |aaaaaaaa|  a char a[65528] @8
          :        :
   65528  |aaaaaaaa|
""",
    ),
    "field without bytes": (
        [("int a", 8, 4), ("char b[0]", 12, 0)],
        """\
       8  |aaaa    |  a int a @8; b char b[0] @12
""",
    ),
    "more fields than letters": (
        [(f"u8 f{number}", 8 + number, 1) for number in range(53)],
        None,
    ),
}


@pytest.mark.parametrize(("fields", "drawing"), DRAWINGS.values(), ids=DRAWINGS)
def test_drawing(fields: list[tuple[str, int, int]], drawing: str | None, tmp_path: Path) -> None:
    """Every byte of the record once: the pad, the fields in turn, the holes. tracefs does not tell the size."""
    lines = tuple(Line(*field) for field in fields)
    done = tpgen("show", "e", "--tracefs", write_tracefs(tmp_path, {"s/e": lines}))
    assert (done.code, done.err) == (0, "")
    head, _, drawn = done.out.partition("       0  |--------|  the common header, which programs may not read\n")
    assert head.endswith("classic record: size unknown (from tracefs); `-` is the pad, `.` a hole\n")
    if drawing is not None:
        assert drawn == drawing
    else:
        rows = [line.split("|")[1] for line in drawn.splitlines()]
        assert "".join(rows) == "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZa" + " " * 3


def test_list(tmp_path: Path) -> None:
    """Name, how many raw arguments, class, module."""
    done = tpgen("list", "--btf", write_btf(tmp_path / "b"), "--tracefs", write_tracefs(tmp_path))
    assert [line.split() for line in done.out.splitlines()] == [
        ["pelt_se_tp", "1", "pelt_se_tp", "vmlinux"],
        ["dma_fence:dma_fence_init", "1", "dma_fence|dma_fence_unsignaled", "vmlinux"],
        ["page_ref:page_ref_mod", "2", "page_ref_mod_template", "vmlinux"],
        ["sched:sched_switch", "4", "sched_switch", "vmlinux"],
        ["sched:sched_wakeup", "1", "sched_wakeup_template", "vmlinux"],
        ["syscalls:sys_enter_close", "-", "-", "vmlinux"],
    ]


def test_only_btf_tells_the_module(tmp_path: Path) -> None:
    """Headers of a driver, and format files, are not of vmlinux for want of a word about it."""
    (tmp_path / "trace.h").write_text(
        "#define TRACE_SYSTEM mine\n"
        "TRACE_EVENT(mine, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(), TP_fast_assign(), 1);\n"
    )
    (tmp_path / "Makefile").write_text("obj-m += mine.o\n")
    headers = tpgen("list", "--headers", tmp_path / "trace.h")
    assert headers.out.split() == ["mine:mine", "1", "mine", "?"]
    formats = tpgen("list", "--tracefs", write_tracefs(tmp_path))
    modules = {line.split()[0]: line.split()[-1] for line in formats.out.splitlines()}
    assert (modules["sched:sched_switch"], modules["syscalls:sys_enter_close"]) == ("?", "vmlinux")
    refused = tpgen("show", "mine", "--headers", tmp_path / "trace.h", "--module", "yours")
    assert refused.err.endswith("; only BTF has the module of an event: omit --module\n")


@pytest.mark.parametrize(("said", "nullable"), [(None, None), (Nullness.MAYBE, True), (Nullness.NEVER, False)])
def test_what_json_says_of_null(said: Nullness | None, nullable: bool | None) -> None:
    argument = Argument("p", Pointer(Struct("struct", "page")), 0, said)
    assert arg_json(argument, target_named("x86_64"))["nullable"] is nullable
