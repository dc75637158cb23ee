"""`tpgen diff` of kernels that differ in one event: what is said of it, and which programs it breaks.

The expectations are read off the two declarations by hand; tests/live/test_diff_core.py has libbpf judge what CO-RE
survives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.cli import line, refusal, tpgen
from support.declared import Declared, Kernel, add, catalog, kernel, with_modules
from support.small_kernel import FORMATS, write_btf, write_tracefs

from tpgen.diff.changes import EventDiff, count
from tpgen.diff.compare import _unknown
from tpgen.model import Enum, Event, Field, Int, Kind, Origin, Pointer, Qualified, Record, Struct, Typedef
from tpgen.programs.compat import Programs, breaks_argument, breaks_field
from tpgen.programs.forms import Form

RAW, CLASSIC = "breaks raw programs", "breaks classic programs"
TP_BTF = "breaks tp_btf programs only"
WITHOUT_CORE, WITH_CORE = f"{CLASSIC} without CO-RE only", f"{CLASSIC} with CO-RE only"
HARMLESS = "harmless"


def said(folder: Path, old: Declared, new: Declared) -> dict[str, list[str]]:
    """What stands below each heading for an event that was `old` and is `new`."""
    done = tpgen("diff", kernel(folder / "old", event=old), kernel(folder / "new", event=new))
    assert (done.code, done.err) == (0, "")
    return sections(done.out)


def sections(out: str) -> dict[str, list[str]]:
    """The lines below each heading, without the names of the events and without the summary."""
    found = {}
    for part in out.split("\n\n")[:-1]:
        heading, *lines = part.splitlines()
        found[heading] = [line.strip() for line in lines if line.startswith("    ")]
    return found


# --- raw arguments: before, after, what is said. The first ones are rows of the field guide.

ARGUMENTS = {
    "block_rq_issue lost its queue": (
        "struct request_queue *q, struct request *rq", "struct request *rq",
        {RAW: ["- ctx[0]  struct request_queue *q", "~ ctx[1] → ctx[0]  struct request *rq"]},
    ),
    "mark_victim got another one": (
        "int pid", "struct task_struct *task, unsigned int uid",
        {RAW: ["~ ctx[0]  int pid → struct task_struct *task", "+ ctx[1]  unsigned int uid"]},
    ),
    "mm_vmscan_direct_reclaim_begin swapped them": (
        "int order, gfp_t gfp_flags", "gfp_t gfp_flags, int order, struct mem_cgroup *memcg",
        {RAW: [
            "~ ctx[0] → ctx[1]  int order", "~ ctx[1] → ctx[0]  gfp_t gfp_flags", "+ ctx[2]  struct mem_cgroup *memcg",
        ]},
    ),
    "sched_switch got one more": (
        "_Bool preempt, struct task_struct *prev, struct task_struct *next",
        "_Bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state",
        {HARMLESS: ["+ ctx[3]  unsigned int prev_state"]},
    ),
    "sched_stat_runtime lost its last": (
        "struct task_struct *tsk, u64 runtime, u64 vruntime", "struct task_struct *tsk, u64 runtime",
        {RAW: ["- ctx[2]  u64 vruntime"]},
    ),
    "the first of none": ("", "int a", {HARMLESS: ["+ ctx[0]  int a"]}),
    "the only one": ("int a", "", {RAW: ["- ctx[0]  int a"]}),
    "swapped, of one type": (
        "int a, int b", "int b, int a",
        {RAW: ["~ ctx[0] → ctx[1]  int a", "~ ctx[1] → ctx[0]  int b"]},
    ),
    "another name": ("int a", "int b", {HARMLESS: ["~ ctx[0]  int a → int b"]}),
    "another name beside a new one": (
        "int a, long c", "int b, long c, int d", {HARMLESS: ["~ ctx[0]  int a → int b", "+ ctx[2]  int d"]},
    ),
    "moved and retyped": (
        "int a, unsigned long n", "unsigned int n",
        {RAW: ["- ctx[0]  int a", "~ ctx[1] → ctx[0]  unsigned long n → unsigned int n"]},
    ),
    "another struct": ("struct page *p", "struct folio *p", {RAW: ["~ ctx[0]  struct page *p → struct folio *p"]}),
    "a struct behind two pointers": ("struct a **p", "struct b **p", {RAW: ["~ ctx[0]  struct a **p → struct b **p"]}),
    "a qualified pointee": (
        "struct page *p", "const struct page *p",
        {HARMLESS: ["~ ctx[0]  struct page *p → const struct page *p"]},
    ),
    "told what it points to": ("void *p", "struct page *p", {HARMLESS: ["~ ctx[0]  void *p → struct page *p"]}),
    "no longer told": ("struct page *p", "void *p", {RAW: ["~ ctx[0]  struct page *p → void *p"]}),
    "another element": ("u64 *p", "unsigned int *p", {RAW: ["~ ctx[0]  u64 *p → unsigned int *p"]}),
    "the same element": ("long *p", "long long *p", {HARMLESS: ["~ ctx[0]  long *p → long long *p"]}),
    "a number for a pointer": (
        "struct page *p", "unsigned long p",
        {RAW: ["~ ctx[0]  struct page *p → unsigned long p"]},
    ),
    "a typedef of it": ("unsigned int a", "gfp_t a", {}),
    "another C type, the same bits": ("long a", "long long a", {HARMLESS: ["~ ctx[0]  long a → long long a"]}),
    "an enum for its int": ("int a", "enum e a", {HARMLESS: ["~ ctx[0]  int a → enum e a"]}),
    "a sign": ("unsigned int a", "int a", {RAW: ["~ ctx[0]  unsigned int a → int a"]}),
    # ctx[0] holds it extended with zeros: 0xffffffff, which is no longer -1 to who takes it for a long.
    "a narrower one with a sign": ("long a", "int a", {RAW: ["~ ctx[0]  long a → int a"]}),
    "a narrower one without": (
        "unsigned long a", "unsigned int a",
        {HARMLESS: ["~ ctx[0]  unsigned long a → unsigned int a"]},
    ),
    "a narrow one that fits a signed one": ("int a", "u8 a", {HARMLESS: ["~ ctx[0]  int a → u8 a"]}),
    "a wider one": ("unsigned int a", "unsigned long a", {RAW: ["~ ctx[0]  unsigned int a → unsigned long a"]}),
    # Of u8, which an int has room for, but no negative number: 10 is BLK_STS_IOERR where it was -EIO.
    "block_rq_complete's errno became a status": (
        "struct request *rq, int error", "struct request *rq, blk_status_t error",
        {RAW: ["~ ctx[1]  int error → blk_status_t error"]},
    ),
    "a status became an errno": ("blk_status_t e", "int e", {RAW: ["~ ctx[0]  blk_status_t e → int e"]}),
    "another kind of value, of the same bits": (
        "sector_t at", "fsblock_t at", {RAW: ["~ ctx[0]  sector_t at → fsblock_t at"]},
    ),
    "another order of bytes": ("__be32 ip", "__le32 ip", {RAW: ["~ ctx[0]  __be32 ip → __le32 ip"]}),
    "an order of bytes": ("__u32 ip", "__be32 ip", {RAW: ["~ ctx[0]  __u32 ip → __be32 ip"]}),
    "no more order of bytes": ("__be32 ip", "unsigned int ip", {RAW: ["~ ctx[0]  __be32 ip → unsigned int ip"]}),
    "another name of the same bits": ("unsigned long n", "size_t n", {}),
    "a kind for a wider number": (
        "unsigned long a", "vm_fault_t a", {RAW: ["~ ctx[0]  unsigned long a → vm_fault_t a"]},
    ),
    "another name and another number": ("int nsegs", "bool is_last", {RAW: ["~ ctx[0]  int nsegs → bool is_last"]}),
    "another name and an enum": ("int usage", "enum why why", {RAW: ["~ ctx[0]  int usage → enum why why"]}),
    "an enum for another": ("enum e a", "enum f a", {HARMLESS: ["~ ctx[0]  enum e a → enum f a"]}),
    "another name, the same bits": ("long a", "long long b", {HARMLESS: ["~ ctx[0]  long a → long long b"]}),
    "through a pointer": ("__be32 *p", "__u32 *p", {RAW: ["~ ctx[0]  __be32 *p → __u32 *p"]}),
}  # fmt: skip


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments(tmp_path: Path, case: str) -> None:
    before, after, expected = ARGUMENTS[case]
    assert said(tmp_path, Declared(before), Declared(after)) == expected


# --- what the verifier assumes about NULL: tests/vm has kernels judge it

SKB, NULLABLE = "struct sk_buff *skb", "struct sk_buff *skb__nullable"
NULL_TABLE = "bpf_raw_tp_null_args"


def test_a_pointer_that_may_be_null_now_breaks_tp_btf_alone(tmp_path: Path) -> None:
    """As with tcp_send_reset: a kernel without table and without suffix holds each pointer for valid."""
    assert said(tmp_path, Declared(SKB), Declared(f"{NULLABLE}, int reason")) == {
        TP_BTF: [
            f"~ ctx[0]  {SKB} → {NULLABLE}", f"~ ctx[0]  {NULLABLE}: never NULL → maybe NULL", "+ ctx[1]  int reason",
        ],
    }  # fmt: skip
    assert said(tmp_path, Declared(NULLABLE), Declared(SKB)) == {
        HARMLESS: [f"~ ctx[0]  {NULLABLE} → {SKB}", f"~ ctx[0]  {SKB}: maybe NULL → never NULL"],
    }


def test_an_argument_is_the_same_with_the_suffix_wherever_it_moves(tmp_path: Path) -> None:
    old, new = Declared(f"{SKB}, int a, int b"), Declared(f"int b, int a, {NULLABLE}")
    assert said(tmp_path, old, new) == {
        RAW: [
            f"~ ctx[0] → ctx[2]  {SKB} → {NULLABLE}", f"~ ctx[2]  {NULLABLE}: never NULL → maybe NULL",
            "~ ctx[2] → ctx[0]  int b",
        ],
    }  # fmt: skip


def test_what_raw_tp_survives_is_told_in_json(tmp_path: Path) -> None:
    old, new = (kernel(tmp_path / arg, event=Declared(arg)) for arg in (SKB, NULLABLE))
    found = json.loads(tpgen("diff", old, new, "--json").out)
    assert found["counts"]["consequences"] == {
        "raw": 0, "tp_btf": 1, "classic": 0, "classic-without-core": 0, "classic-with-core": 0, "harmless": 0,
    }  # fmt: skip
    (event,) = found["events"]
    assert event["consequences"] == ["tp_btf"]
    changes = {change["change"]: change for change in event["changes"]}
    assert changes["argument-renamed"]["consequences"] == ["harmless"]
    assert changes["argument-nullness"]["consequences"] == ["tp_btf"]
    assert [changes["argument-nullness"][side]["nullable"] for side in ("before", "after")] == [False, True]


def test_a_catalog_keeps_the_evidence(tmp_path: Path) -> None:
    old, new = (kernel(tmp_path / arg, event=Declared(arg)) for arg in (SKB, NULLABLE))
    out = tpgen("diff", catalog("old", "--btf", old), catalog("new", "--btf", new)).out
    assert list(sections(out)) == [TP_BTF]


def test_a_verifier_with_a_table_that_nobody_has_is_unknown(tmp_path: Path) -> None:
    """Its BTF has the type of the table, but not what is in it."""
    b = Kernel()
    b.structure("trace_entry", 8)
    b.structure(NULL_TABLE, 16)
    add(b, {"event": Declared(SKB)})
    new, old = write_btf(tmp_path / "new", b), kernel(tmp_path / "old", event=Declared(SKB))
    note = (
        f"tpgen: note: what the verifier of {new} assumes about NULL is not known; it is not compared in 1 of the"
        f" events of which {old} tells [diff-left-out]; run as root for the running kernel; give the source tree of"
        " another one with --headers\n"
    )
    for pair in ((old, new), (new, old)):
        done = tpgen("diff", *pair)
        assert (sections(done.out), done.err) == ({}, note)
    assert tpgen("diff", new, new).err == ""


def test_to_what_no_program_can_follow_nothing_is_assumed(tmp_path: Path) -> None:
    old, new = Declared("void *p, long *n, int a"), Declared("void *p, long *n__nullable, int a")
    assert said(tmp_path, old, new) == {HARMLESS: ["~ ctx[1]  long *n → long *n__nullable"]}


# --- the record

FIELDS = {
    "sched_process_fork's comm became dynamic": (
        "char[16] comm @8, pid_t pid @24", "unsigned int __data_loc_comm @8, pid_t pid @12",
        {CLASSIC: ["~ @8  char comm[16] → __data_loc ? comm[]", "~ @24 → @12  pid_t pid"]},
    ),
    "one moved": (
        "int a @8, int b @12", "int b @8, int a @12",
        {WITHOUT_CORE: ["~ @8 → @12  int a", "~ @12 → @8  int b"]},
    ),
    "one at the end": ("int a @8", "int a @8, int b @12", {HARMLESS: ["+ @12  int b"]}),
    "one in a gap": ("u8 a @8, u64 b @16", "u8 a @8, u8 c @9, u64 b @16", {HARMLESS: ["+ @9  u8 c"]}),
    "one in front": ("u64 a @8", "u64 b @8, u64 a @16", {WITHOUT_CORE: ["~ @8 → @16  u64 a", "+ @8  u64 b"]}),
    "one dropped": ("int a @8, int b @12", "int a @8", {CLASSIC: ["- @12  int b"]}),
    "another name": ("int a @8", "int b @8", {CLASSIC: ["- @8  int a", "+ @8  int b"]}),
    "a wider unsigned one": ("gfp_t a @8", "unsigned long a @8", {WITHOUT_CORE: ["~ @8  gfp_t a → unsigned long a"]}),
    "a wider signed one": ("int a @8", "long a @8", {CLASSIC: ["~ @8  int a → long a"]}),
    "a sign": ("int a @8", "unsigned int a @8", {CLASSIC: ["~ @8  int a → unsigned int a"]}),
    "another C type, the same bits": ("long a @8", "long long a @8", {HARMLESS: ["~ @8  long a → long long a"]}),
    "an enum for its int": ("int a @8", "enum e a @8", {WITH_CORE: ["~ @8  int a → enum e a"]}),
    "an enum of another name": ("enum d a @8", "enum e a @8", {WITH_CORE: ["~ @8  enum d a → enum e a"]}),
    "a longer array": ("char[8] rwbs @8", "char[10] rwbs @8", {WITHOUT_CORE: ["~ @8  char rwbs[8] → char rwbs[10]"]}),
    "a shorter array": ("char[10] rwbs @8", "char[8] rwbs @8", {CLASSIC: ["~ @8  char rwbs[10] → char rwbs[8]"]}),
    "an array of other elements": ("int[4] a @8", "u8[16] a @8", {CLASSIC: ["~ @8  int a[4] → u8 a[16]"]}),
    "an errno that became a status": (
        "int error @8", "blk_status_t error @8", {CLASSIC: ["~ @8  int error → blk_status_t error"]},
    ),
    "another kind of value": ("sector_t at @8", "fsblock_t at @8", {CLASSIC: ["~ @8  sector_t at → fsblock_t at"]}),
    "a kind that lost its name": ("gfp_t a @8", "unsigned int a @8", {}),
    "a qualified pointee": ("void *a @8", "const void *a @8", {HARMLESS: ["~ @8  void *a → const void *a"]}),
    "another struct": (
        "struct page *a @8", "struct folio *a @8",
        {CLASSIC: ["~ @8  struct page *a → struct folio *a"]},
    ),
    "a number for a pointer": ("void *a @8", "u64 a @8", {CLASSIC: ["~ @8  void *a → u64 a"]}),
    "the locator of another kind": (
        "unsigned int __data_loc_a @8", "unsigned int __rel_loc_a @8",
        {CLASSIC: ["~ @8  __data_loc ? a[] → __rel_loc ? a[]"]},
    ),
    "two of a name": (
        "unsigned int __data_loc_type @8, int type @12", "int type @8, unsigned int __data_loc_type @12",
        {WITHOUT_CORE: ["~ @8 → @12  __data_loc ? type[]", "~ @12 → @8  int type"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FIELDS)
def test_fields(tmp_path: Path, case: str) -> None:
    before, after, expected = FIELDS[case]
    assert said(tmp_path, Declared(fields=before), Declared(fields=after)) == expected


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("gfp_t", "unsigned long", "field-resized"),
        ("char[8]", "char[10]", "field-resized"),
        ("unsigned int", "void *", "field-retyped"),
        ("u8[2]", "unsigned int", "field-retyped"),
        ("int", "unsigned long", "field-retyped"),
        ("long", "unsigned long", "field-retyped"),
    ],
)
def test_a_field_is_resized_where_it_stays_of_its_kind_and_sign(
    tmp_path: Path, before: str, after: str, change: str
) -> None:
    declared = (Declared(fields=f"{ctype} a @8") for ctype in (before, after))
    old, new = (kernel(tmp_path / str(at), event=event) for at, event in enumerate(declared))
    (event,) = json.loads(tpgen("diff", old, new, "--json").out)["events"]
    assert [found["change"] for found in event["changes"]] == [change]


def test_both_forms_of_an_event_stand_below_their_own_headings(tmp_path: Path) -> None:
    old, new = (
        Declared("int a, int b", "int a @8, int b @12"),
        Declared("int b, int c", "int z @8, int a @12, int b @16"),
    )
    assert said(tmp_path, old, new) == {
        RAW: ["- ctx[0]  int a", "~ ctx[1] → ctx[0]  int b", "+ ctx[1]  int c"],
        WITHOUT_CORE: ["~ @8 → @12  int a", "~ @12 → @16  int b", "+ @8  int z"],
    }


# --- the class, by which CO-RE finds the record


def test_another_class(tmp_path: Path) -> None:
    old, new = Declared("int a", "int a @8", cls="old"), Declared("int a", "int a @8", cls="new")
    assert said(tmp_path, old, new) == {WITH_CORE: ["~ class: old → new"]}


def test_another_class_and_a_field_that_moved_leave_nothing_whole(tmp_path: Path) -> None:
    old, new = Declared("int a", "int a @8", cls="old"), Declared("int a", "int a @12", cls="new")
    assert said(tmp_path, old, new) == {CLASSIC: ["~ class: old → new", "~ @8 → @12  int a"]}


@pytest.mark.parametrize(("offset", "heading"), [(8, HARMLESS), (16, WITH_CORE)])
def test_the_old_class_with_the_same_record_serves_core_as_well(tmp_path: Path, offset: int, heading: str) -> None:
    """As with dma_fence_init, of class dma_fence up to 6.12 and dma_fence_ops later, both with the same fields."""
    other = Declared("long b", f"int a @{offset}", cls="old")
    old = kernel(tmp_path / "old", event=Declared("int a", "int a @8", cls="old"))
    new = kernel(tmp_path / "new", event=Declared("int a", "int a @8", cls="new"), other=other)
    assert sections(tpgen("diff", old, new, "event").out) == {heading: ["~ class: old → new"]}


# --- whole events


def test_gone_and_new(tmp_path: Path) -> None:
    old = kernel(tmp_path / "old", first=Declared(cls="first"), bare=Declared(fields=None))
    new = kernel(tmp_path / "new", second=Declared(cls="second"), naked=Declared(fields=None))
    assert tpgen("diff", old, new).out.split("\n\n")[:-1] == [
        f"{RAW}\n  bare\n    - gone\n  first\n    - gone",
        f"{CLASSIC}\n  first\n    - gone",
        f"{HARMLESS}\n  naked\n    + new\n  second\n    + new",
    ]


def test_a_bare_tracepoint_that_got_the_suffix(tmp_path: Path) -> None:
    args = "struct rq *rq"
    old = kernel(tmp_path / "old", pelt_cfs=Declared(args, None))
    new = kernel(tmp_path / "new", pelt_cfs_tp=Declared(args, None))
    assert sections(tpgen("diff", old, new).out) == {RAW: ["~ renamed: pelt_cfs → pelt_cfs_tp"]}
    assert sections(tpgen("diff", new, old).out) == {RAW: ["~ renamed: pelt_cfs_tp → pelt_cfs"]}
    other = kernel(tmp_path / "other", pelt_cfs_tp=Declared("struct cfs_rq *rq", None))
    assert sections(tpgen("diff", old, other).out) == {RAW: ["- gone"], HARMLESS: ["+ new"]}


def test_a_pattern_finds_the_event_by_either_name(tmp_path: Path) -> None:
    old = kernel(tmp_path / "old", x=Declared("int a", None), y=Declared("int a", None))
    new = kernel(tmp_path / "new", x_tp=Declared("int a", None))
    for pattern in ("x", "x_tp", "x*"):
        assert sections(tpgen("diff", old, new, pattern).out) == {RAW: ["~ renamed: x → x_tp"]}


def test_a_record_that_came_or_went(tmp_path: Path) -> None:
    bare, traced = Declared("int a", None), Declared("int a", "int a @8")
    assert said(tmp_path, bare, traced) == {HARMLESS: ["+ its classic record"]}
    assert said(tmp_path, traced, bare) == {CLASSIC: ["- its classic record"]}


def test_another_system(tmp_path: Path) -> None:
    """A classic program is attached by system and name."""
    btf = write_btf(tmp_path / "vmlinux")
    kernels = []
    for system in ("sched", "scheduler"):
        events = write_tracefs(tmp_path / system) / "events"
        (events / "sched").rename(events / system)
        kernels.append(catalog(system, "--btf", btf, "--tracefs", tmp_path / system))
    out = tpgen("diff", *kernels, "sched_wakeup").out
    assert sections(out) == {CLASSIC: ["~ system: sched → scheduler"]}


# --- what is not known of a kernel


@pytest.fixture(autouse=True)
def _own_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


EVENT = {"event": Declared("int a", "int a @8")}


def test_another_module(tmp_path: Path) -> None:
    """As with the fscache events, of module fscache up to 6.7 and of netfs later."""
    old = with_modules(tmp_path, "old", {}, fscache=EVENT)
    new = with_modules(tmp_path, "new", {}, netfs=EVENT)
    done = tpgen("diff", old, new)
    assert sections(done.out) == {HARMLESS: ["~ module: fscache → netfs"]}
    for module in ("fscache", "netfs"):
        assert tpgen("diff", old, new, "--module", module).out == done.out
    assert tpgen("diff", old, new, "--module", "ext4").code == 2


def test_of_two_modules_with_the_event_each_is_compared_with_itself(tmp_path: Path) -> None:
    """As with the events of intel_display, of i915 and since 6.8 of xe as well."""
    other = {"event": Declared("long a", "int a @8")}
    old = with_modules(tmp_path, "old", {}, i915=EVENT)
    new = with_modules(tmp_path, "new", {}, i915=EVENT, xe=other)
    out = tpgen("diff", old, new).out
    assert out.splitlines()[:2] == [HARMLESS, "  + 1 event of module xe, of which old has none"]
    assert " 1 common event, 0 changed" in out


def test_nothing_is_said_of_modules_that_were_not_read(tmp_path: Path) -> None:
    old = with_modules(tmp_path, "old", {"first": Declared(cls="first")})
    new = with_modules(tmp_path, "new", {"first": Declared(cls="first")}, m=EVENT)
    note = "no events of modules of old are known, so the 1 that only new has are left out [diff-left-out]"
    for pair in ((old, new), (new, old)):
        done = tpgen("diff", *pair)
        assert done.err == line(note, "note")
        assert done.out == f"{pair[0]} → {pair[1]}: 1 common event, 0 changed {NOTHING}; 0 gone, 0 new\n"


def test_a_driver_that_became_a_module_is_still_the_same(tmp_path: Path) -> None:
    new = with_modules(tmp_path, "new", {}, m=EVENT)
    assert sections(tpgen("diff", with_modules(tmp_path, "old", EVENT), new).out) == {}


def test_nothing_is_said_of_system_calls_that_were_not_read(tmp_path: Path) -> None:
    btf = write_btf(tmp_path / "vmlinux")
    old = catalog("old", "--btf", btf, "--tracefs", write_tracefs(tmp_path / "tracefs"))
    done = tpgen("diff", old, btf)
    assert "no syscalls: events of " in done.err
    assert " 0 gone, 0 new\n" in done.out


def test_system_calls_are_counted_apart(tmp_path: Path) -> None:
    """The number of a call became an int: its record is another, and no program notices."""
    btf, formats = write_btf(tmp_path / "vmlinux"), FORMATS["syscalls/sys_enter_close"]
    first, *rest = formats
    names = ("syscalls/sys_enter_close", "syscalls/sys_exit_close")
    before = write_tracefs(tmp_path / "before", dict.fromkeys(names, (replace(first, size=8), *rest)))
    after = write_tracefs(tmp_path / "after", {names[0]: formats, "syscalls/sys_enter_mseal": formats})
    old = catalog("old", "--btf", btf, "--tracefs", before)
    new = catalog("new", "--btf", btf, "--tracefs", after)
    counts = json.loads(tpgen("diff", old, new, "--json").out)["counts"]
    assert counts["syscalls"] == {"common": 1, "changed": 0, "gone": 1, "new": 1}
    assert (counts["common"], counts["gone"], counts["new"], counts["another_layout"]) == (5, 0, 0, 0)
    assert "\nof system calls: 1 common event, 0 changed; 1 gone, 1 new\n" in tpgen("diff", old, new).out


def test_a_record_of_unknown_class_is_not_compared(tmp_path: Path) -> None:
    """Two classes have the prototype of this event, and their records differ."""
    btf = write_btf(tmp_path / "vmlinux")
    out = tpgen("diff", btf, btf, "page_ref_mod").out
    assert out.splitlines()[-1] == "1 event: layout not compared, unknown in one of the kernels"


# --- the command

NOTHING = "(0 in the number of raw arguments, 0 in a type of one, 0 in layout)"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two kernels of three common events. Of one a raw program breaks, of another a classic one, one is as it was."""
    same = Declared("int a", "int a @8", cls="same")
    old = kernel(tmp_path / "old", same=same, raw=Declared("long a, int b", "int a @8", cls="raw"),
                 classic=Declared("int a, long b", "int a @8, int b @12", cls="classic"))  # fmt: skip
    new = kernel(tmp_path / "new", same=same, raw=Declared("long a", "int a @8", cls="raw"),
                 classic=Declared("int a, long b", "int a @8, int b @16", cls="classic"))  # fmt: skip
    return old, new


def test_text(pair: tuple[Path, Path]) -> None:
    old, new = pair
    assert (
        tpgen("diff", *pair).out
        == f"""\
breaks raw programs
  raw
    - ctx[1]  int b

breaks classic programs without CO-RE only
  classic
    ~ @12 → @16  int b

{old} → {new}: 3 common events, 2 changed (1 in the number of raw arguments, 0 in a type of one, 1 in layout); \
0 gone, 0 new
events that break raw programs: 1, tp_btf ones only: 0, classic ones: 0, those without CO-RE only: 1, \
those with CO-RE only: 0; with harmless changes only: 0
"""
    )


def test_json(pair: tuple[Path, Path]) -> None:
    old, new = map(str, pair)
    done = tpgen("diff", *pair, "--json")
    assert len(done.out.splitlines()) == 5  # an event takes one
    assert json.loads(done.out) == {
        "version": 1,
        "before": {"name": old, "release": None, "arch": "unknown"},
        "after": {"name": new, "release": None, "arch": "unknown"},
        "counts": {
            "common": 3, "changed": 2, "gone": 0, "new": 0, "another_number": 1, "another_type": 0,
            "another_layout": 1, "unknown_raw": 0, "unknown_layout": 0,
            "syscalls": {"common": 0, "changed": 0, "gone": 0, "new": 0},
            "consequences": {
                "raw": 1, "tp_btf": 0, "classic": 0, "classic-without-core": 1, "classic-with-core": 0, "harmless": 0,
            },
        },
        "events": [
            {
                "system": None, "name": "classic", "module": None, "class": "classic",
                "consequences": ["classic-without-core"],
                "changes": [
                    {
                        "change": "field-moved", "consequences": ["classic-without-core"],
                        "before": {
                            "name": "b", "type": "int", "offset": 12, "size": 4, "signed": True, "dynamic": None,
                        },
                        "after": {
                            "name": "b", "type": "int", "offset": 16, "size": 4, "signed": True, "dynamic": None,
                        },
                    },
                ],
            },
            {
                "system": None, "name": "raw", "module": None, "class": "raw", "consequences": ["raw"],
                "changes": [
                    {
                        "change": "argument-dropped", "consequences": ["raw"],
                        "before": {
                            "name": "b", "type": "int", "slot": 1, "size": 4, "signed": True, "kind": "int",
                            "nullable": False,
                        },
                        "after": None,
                    },
                ],
            },
        ],
    }  # fmt: skip


def test_json_without_a_difference(pair: tuple[Path, Path]) -> None:
    assert json.loads(tpgen("diff", pair[0], pair[0], "--json").out)["events"] == []


def test_exit_code(pair: tuple[Path, Path]) -> None:
    old, new = pair
    assert tpgen("diff", old, new).code == 0
    assert tpgen("diff", old, new, "--exit-code").code == 1
    assert tpgen("diff", old, new, "--exit-code", "--json").code == 1
    assert tpgen("diff", old, new, "same", "--exit-code").code == 0
    assert tpgen("diff", old, old, "--exit-code").code == 0


def test_patterns(pair: tuple[Path, Path]) -> None:
    assert sections(tpgen("diff", *pair, "r*", "classic").out).keys() == {RAW, WITHOUT_CORE}
    assert sections(tpgen("diff", *pair, "same", "raw").out).keys() == {RAW}
    assert tpgen("diff", *pair, "sam") == refusal(f"no event 'sam' in {pair[1]} [unknown-event]; did you mean same?")
    assert tpgen("diff", *pair, "") == refusal(
        "no event name in '' [bad-pattern]; write EVENT, SYSTEM:EVENT or 'SYSTEM:*'"
    )


def test_bad_kernels(pair: tuple[Path, Path], tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert tpgen("diff", pair[0], missing) == refusal(f"{missing}: cannot read: No such file or directory [unreadable]")
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    assert tpgen("diff", pair[0], nonsense).code == 2
    assert tpgen("diff", pair[0]).code == 2


@pytest.mark.kernel_btf
def test_the_running_kernel_does_not_differ_from_itself() -> None:
    done = tpgen("diff", "live", "live", "--exit-code")
    assert done.code == 0
    assert done.out.startswith("live → live: ")
    assert NOTHING in done.out


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_on_a_terminal(pair: tuple[Path, Path], variables: dict[str, str], coloured: bool) -> None:
    terminal, screen = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "tpgen", "diff", *map(str, pair)]
    subprocess.run(command, stdout=screen, env=environment | variables, check=True)
    os.close(screen)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert ("\033[31m- ctx[1]  int b\033[m" in shown) is coloured
    assert ("\033" in shown) is coloured


# --- what headers alone leave unknown

UCHAR = Int("unsigned char", 1, False)
KNOWN_U8, UNKNOWN_U8 = Typedef("u8", Typedef("__u8", UCHAR)), Typedef("u8")


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (Pointer(UNKNOWN_U8), Pointer(KNOWN_U8), True),
        (Pointer(KNOWN_U8), Pointer(Qualified("const", UNKNOWN_U8)), True),
        (Pointer(Typedef("__u8")), Pointer(KNOWN_U8), True),
        (Pointer(Pointer(UNKNOWN_U8)), Pointer(Pointer(KNOWN_U8)), True),
        (Pointer(UNKNOWN_U8), Pointer(Typedef("u16", Int("unsigned short", 2, False))), False),
        (Pointer(UNKNOWN_U8), Pointer(Struct("struct", "page")), False),
        (Pointer(UNKNOWN_U8), Pointer(Typedef("s8")), False),
    ],
)
def test_a_type_that_only_has_a_name(old: Pointer, new: Pointer, kept: bool) -> None:
    """It is the same as one of that name, and as no other."""
    assert (breaks_argument(old, new) == Programs.NONE) is kept
    fields = (Field("f", ctype, 8, 8, False) for ctype in (old, new))
    assert (breaks_field(*fields) == Programs.NONE) is kept


def test_an_enum_of_unknown_size() -> None:
    before, after = Field("f", Enum("e"), None, None, None), Field("f", Enum("e", 4, False), 8, 4, False)
    assert breaks_field(before, after) == Programs.NONE


def test_a_record_with_a_field_in_an_unknown_place_is_not_compared() -> None:
    first, placed = Field("a", KNOWN_U8, 8, 1, False), Field("b", KNOWN_U8, 9, 1, False)
    unplaced = replace(placed, type=Typedef("b_t"), offset_bytes=None, size_bytes=None)
    event = Event(
        "sys", "e", "m", Kind.TRACE_EVENT, "e", "e", Origin.HEADERS, (), None, (), Origin.HEADERS, Origin.HEADERS,
        Record(8, None, (unplaced,)), Origin.HEADERS, None,
    )  # fmt: skip
    later = replace(event, record=Record(8, 16, (first, placed)))
    assert set(_unknown(event, later)) == set(_unknown(later, event)) == {Form.CLASSIC}
    counts = count([EventDiff(event, later, (), frozenset({Form.CLASSIC}))])
    assert (counts.tracepoints.common, counts.another_layout, counts.unknown_layout) == (1, 0, 1)


# --- several kernels, each with the one before it


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    monkeypatch.chdir(tmp_path)
    return (
        kernel(tmp_path / "k-1", event=Declared("int a, int b", "int a @8")),
        kernel(tmp_path / "k-2", event=Declared("int b", "int a @8")),
        kernel(tmp_path / "k-3", event=Declared("int b", "int a @12")),
    )


def test_three_kernels(three: tuple[Path, Path, Path]) -> None:
    both = [tpgen("diff", *pair).out for pair in (three[:2], three[1:])]
    assert tpgen("diff", *three) == tpgen("diff", *three, "event")
    assert tpgen("diff", *three).out == "\n".join(both)
    assert [list(sections(out)) for out in both] == [[RAW], [WITHOUT_CORE]]


def test_json_of_three_kernels_has_an_object_for_each_pair(three: tuple[Path, Path, Path]) -> None:
    alone = [json.loads(tpgen("diff", *pair, "--json").out) for pair in (three[:2], three[1:])]
    assert json.loads(tpgen("diff", *three, "--json").out) == alone
    assert json.loads(tpgen("diff", *three, three[2], "--json").out)[2]["events"] == []


def test_exit_code_of_three_kernels(three: tuple[Path, Path, Path]) -> None:
    first, second, _ = three
    assert [tpgen("diff", *words, "--exit-code").code for words in ((first, first, second), (first, first))] == [1, 0]


def test_the_name_of_an_event_is_no_kernel_though_a_file_has_it(three: tuple[Path, Path, Path]) -> None:
    first, second, third = (path.name for path in three)
    assert tpgen("diff", first, second, "event") == tpgen("diff", first, second)
    Path("event").write_bytes(Path(third).read_bytes())
    assert tpgen("diff", first, second, "event") == tpgen("diff", first, second)
    assert tpgen("diff", first, second, "./event") == tpgen("diff", first, second, "./event", "event")
    assert "diff-left-out" not in tpgen("diff", "6.1", "6.12", "debian-7.2-amd64", "sched_switch").err
    assert tpgen("diff", "6.1", "6.12", "7.2", "sched_switch").out.count("→") == 2


def test_what_stands_behind_a_pattern_is_a_pattern(three: tuple[Path, Path, Path]) -> None:
    first, second, _ = three
    assert "no event '6.12'" in tpgen("diff", first, second, "event", "6.12").err
