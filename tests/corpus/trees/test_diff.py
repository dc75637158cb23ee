"""`tpgen diff` of Debian's kernels against a judge that shares nothing with tpgen, and against the field guide.

The judge takes arguments and layouts from bpftool's dump of both images, and which class an event has from `gcc -E` of
the trees' headers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from support.debian import Tree

from corpus.dumped import Image
from corpus.trees.case import Case
from tpgen.diff.changes import Change, Consequence, EventDiff, KernelsDiff, Thing, consequences
from tpgen.diff.compare import diff
from tpgen.kernel.resolve import Kernel
from tpgen.model import Argument, Field
from tpgen.spelling import spell


@dataclass(frozen=True)
class Known:
    """What the judge knows of an event: its arguments' types as C, and the fields of its record, None without one."""

    types: tuple[str, ...]
    fields: tuple[tuple[str, int, int | None], ...] | None


@dataclass(frozen=True)
class Compared:
    """A kernel as the judge sees it, by module (None for vmlinux) and name, and as tpgen does."""

    judged: dict[tuple[str | None, str], Known]
    resolved: Kernel
    version: str


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Compared]:
    """A kernel by its version. The dumps of four at once would take gigabytes: only what is compared stays."""

    @cache
    def of(kernel: str) -> Compared:
        case = Case(kernel, Tree(kernel), tmp_path_factory.mktemp(f"diff-{kernel}-"))
        return Compared(_judged(case), case.resolved, case.tree.version)

    return of


@pytest.fixture(scope="module")
def differences(compared: Callable[[str], Compared]) -> Callable[[str, str], KernelsDiff]:
    """What tpgen says of two kernels."""

    @cache
    def of(old: str, new: str) -> KernelsDiff:
        return diff(compared(old).resolved, compared(new).resolved, (old, new))

    return of


# --- counts


def _judged(case: Case) -> dict[tuple[str | None, str], Known]:
    classes = defaultdict(set)
    for runs in case.gcc.values():
        for event in runs.all_options.events | runs.no_options.events:
            classes[event.name].add(event.class_name)
    return {(image.module, name): known for image in case.images for name, known in _events(image, classes)}


def _events(image: Image, classes: dict[str, set[str]]) -> Iterator[tuple[str, Known]]:
    for name, params in image.events.items():
        types = tuple(ctype for _, ctype in params)
        possible = {cls for cls in classes[name] if cls in image.records}
        if len(possible) > 1:  # of several definitions, that whose class takes these arguments was compiled
            possible = {cls for cls in possible if tuple(t for _, t in image.class_functions[cls]) == types}
        layouts = {image.records[cls].members for cls in possible}
        assert len(layouts) < 2, (image.module, name)
        yield name, Known(types, next(iter(layouts), None))


def _common(old: Compared, new: Compared) -> list[tuple[Known, Known]]:
    """The events that both have, of the same module if there is one, else of the same name."""
    left, right = old.judged, new.judged
    pairs = [(left[key], right[key]) for key in left.keys() & right.keys()]
    moved = {name: right[module, name] for module, name in right.keys() - left.keys()}
    return pairs + [(left[key], moved[key[1]]) for key in left.keys() - right.keys() if key[1] in moved]


# By the versions of the packages: common events, and of these with another number of raw arguments, with as many but
# another type, with another layout. The field guide has 4078, 154, 56 and 413 for 6.1.192 and 6.12.107: since then two
# events of xfs are gone; smb3_open_done and smb3_posix_mkdir_done have one more argument and field, hwmon_attr_show and
# _store a `long long`, and ice_rx_dim_work, ice_tx_dim_work and netfs_sreq other fields.
_COUNTED = {("6.1.192-2", "6.12.117-1"): (4076, 156, 58, 418)}


@pytest.mark.parametrize(("old", "new"), [("6.1", "6.12"), ("6.12", "7.2")])
def test_counts(
    compared: Callable[[str], Compared],
    differences: Callable[[str, str], KernelsDiff],
    report: list[str],
    old: str,
    new: str,
) -> None:
    before, after = compared(old), compared(new)
    pairs = _common(before, after)
    judged = (
        len(pairs),
        sum(len(a.types) != len(b.types) for a, b in pairs),
        sum(len(a.types) == len(b.types) and a.types != b.types for a, b in pairs),
        # gcc sees none of the definitions of a few events, which depend on two options of which one is set.
        sum(None not in (a.fields, b.fields) and a.fields != b.fields for a, b in pairs),
    )
    counts = differences(old, new).counts()
    found = (counts.tracepoints.common, counts.another_number, counts.another_type, counts.another_layout)
    report.append(f"Linux {before.version} and {after.version}: {found} common, other number, type, layout")
    assert found == judged
    assert found == _COUNTED.get((before.version, after.version), found)
    assert counts.unknown_raw == counts.unknown_layout == 0


def test_gone_and_new(compared: Callable[[str], Compared], differences: Callable[[str, str], KernelsDiff]) -> None:
    counts = differences("6.1", "6.12").counts()
    old, new = compared("6.1").judged, compared("6.12").judged
    common = len(_common(compared("6.1"), compared("6.12")))
    assert (counts.tracepoints.gone, counts.tracepoints.new) == (len(old) - common, len(new) - common)


def test_every_event_is_in_one_place(differences: Callable[[str, str], KernelsDiff]) -> None:
    """Raw programs break where, by bpftool's types, the earlier arguments are not those at the front of the later."""
    for event in differences("6.1", "6.12").events:
        if event.before is None or event.after is None:
            continue
        assert event.before.args is not None
        assert event.after.args is not None
        slots = [(arg.name, spell(arg.type)) for arg in event.before.args]
        if slots == [(arg.name, spell(arg.type)) for arg in event.after.args][: len(slots)]:
            assert Consequence.RAW not in consequences(event.breaks), event.event.title


# --- the field guide's table

#: By event and form: the kernels between which it changed, what is said, and the consequence for programs.
_ROWS: dict[tuple[str, str], tuple[str, str, list[str], Consequence]] = {
    ("sched_switch", "raw"): (
        "5.10", "6.1", ["argument-added 3 unsigned int prev_state"], Consequence.HARMLESS,
    ),
    ("sched_switch", "classic"): ("5.10", "6.1", [], Consequence.HARMLESS),
    ("sched_process_exit", "raw"): ("6.12", "7.2", ["argument-added 1 bool group_dead"], Consequence.HARMLESS),
    ("sched_process_fork", "classic"): (
        "6.12", "7.2",
        [
            "field-retyped 8 char parent_comm[16] → 8 data_loc parent_comm",
            "field-moved 24 pid_t parent_pid → 12 pid_t parent_pid",
            "field-moved 28 char child_comm[16] → 16 data_loc child_comm",
            "field-retyped 28 char child_comm[16] → 16 data_loc child_comm",
            "field-moved 44 pid_t child_pid → 20 pid_t child_pid",
        ],
        Consequence.CLASSIC,
    ),
    ("sched_migrate_task", "classic"): (
        "6.12", "7.2",
        [
            "field-retyped 8 char comm[16] → 8 data_loc comm",
            "field-moved 24 pid_t pid → 12 pid_t pid",
            "field-moved 28 int prio → 16 int prio",
            "field-moved 32 int orig_cpu → 20 int orig_cpu",
            "field-moved 36 int dest_cpu → 24 int dest_cpu",
        ],
        Consequence.CLASSIC,
    ),
    # Debian's 5.10 is of a later point release than 5.10.137, which dropped struct request_queue *q. tests/unit has it.
    **{
        (f"block_rq_{act}", "raw"): ("5.10", "6.1", [], Consequence.HARMLESS)
        for act in ("issue", "insert", "requeue", "remap")
    },
    ("kfree_skb", "raw"): ("5.10", "6.1", ["argument-added 2 enum skb_drop_reason reason"], Consequence.HARMLESS),
    ("kfree_skb", "raw, later"): ("6.1", "6.12", ["argument-added 3 struct sock *rx_sk"], Consequence.HARMLESS),
    ("consume_skb", "raw"): ("6.1", "6.12", ["argument-added 1 void *location"], Consequence.HARMLESS),
    ("tcp_retransmit_skb", "raw"): ("6.12", "7.2", ["argument-added 2 int err"], Consequence.HARMLESS),
    ("tcp_send_reset", "raw"): (
        "6.1", "6.12",
        [
            "argument-nullness 0 const struct sock *sk → 0 const struct sock *sk",
            "argument-renamed 1 const struct sk_buff *skb → 1 const struct sk_buff *skb__nullable",
            "argument-nullness 1 const struct sk_buff *skb → 1 const struct sk_buff *skb__nullable",
            "argument-added 2 const enum sk_rst_reason reason",
        ],
        Consequence.TP_BTF,
    ),
    ("kmem_cache_alloc", "raw"): (
        "5.10", "6.1",
        [
            "argument-retyped 2 size_t bytes_req → 2 struct kmem_cache *s",
            "argument-dropped 3 size_t bytes_alloc",
            "argument-moved 4 gfp_t gfp_flags → 3 gfp_t gfp_flags",
            "argument-added 4 int node",
        ],
        Consequence.RAW,
    ),
    ("kmalloc", "raw"): ("5.10", "6.1", ["argument-added 5 int node"], Consequence.HARMLESS),
    ("kmem_cache_free", "raw"): (
        "5.10", "6.1", ["argument-added 2 const struct kmem_cache *s"], Consequence.HARMLESS,
    ),
    ("rss_stat", "raw"): ("6.1", "6.12", ["argument-dropped 2 long count"], Consequence.RAW),
    # int pid became (task, uid) in 6.8 and in the stable releases of which these are. tests/unit has it.
    ("mark_victim", "raw"): ("6.1", "6.12", [], Consequence.HARMLESS),
    ("sched_stat_runtime", "raw"): ("6.1", "6.12", ["argument-dropped 2 u64 vruntime"], Consequence.RAW),
    ("mm_vmscan_direct_reclaim_begin", "raw"): (
        "6.12", "7.2",
        [
            "argument-moved 0 int order → 1 int order",
            "argument-moved 1 gfp_t gfp_flags → 0 gfp_t gfp_flags",
            "argument-added 2 struct mem_cgroup *memcg",
        ],
        Consequence.RAW,
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", _ROWS, ids=" ".join)
def test_the_field_guides_table(differences: Callable[[str, str], KernelsDiff], row: tuple[str, str]) -> None:
    event, form = row
    old, new, expected, consequence = _ROWS[row]
    (found,) = (each for each in differences(old, new).events if each.event.name == event)
    changes = [c for c in found.changes if c.what.form is not None and form.startswith(c.what.form)]
    assert list(map(_said, changes)) == expected
    worst = min(
        (c for change in changes for c in consequences(change.breaks)), key=list(Consequence).index, default=None
    )
    assert worst in (consequence, None)
    assert (worst is None) == (not expected)


def test_events_of_modules_of_another_kernel_are_not_gone(differences: Callable[[str, str], KernelsDiff]) -> None:
    """5.10's modules have no BTF, so that nothing is known of theirs."""
    found = differences("5.10", "6.1")
    assert {_module(event) for event in found.events} == {None}
    assert [note.code for note in found.notes] == ["diff-left-out"]


def _module(found: EventDiff) -> str | None:
    return found.event.module


def _said(change: Change) -> str:
    things = [_thing(thing) for thing in (change.before, change.after) if thing is not None]
    return f"{change.what} {' → '.join(things)}"


def _thing(thing: Thing) -> str:
    match thing:
        case Argument():
            assert thing.name is not None
            return f"{thing.slot} {spell(thing.type, thing.name)}"
        case Field(dynamic=None):
            assert thing.type is not None
            return f"{thing.offset_bytes} {spell(thing.type, thing.name)}"
        case Field():
            return f"{thing.offset_bytes} {thing.dynamic} {thing.name}"
        case _:
            return str(thing)
