"""`tpgen history` over the shipped kernels, against bpftool's dump of their images' BTF and the field guide.

The judge takes arguments from the prototypes in vmlinux and records from `struct trace_event_raw_*`, and the order of
kernels and which of them follow each other from their names, `debian-RELEASE-FLAVOUR`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from support.debian import Shipped, shipped_names

from corpus.dumped import Image, Layout, Params, without_spaces
from tpgen.catalog.store import shipped_catalogs
from tpgen.diff.changes import What
from tpgen.history.compute import histories
from tpgen.history.facts import EventHistory, History
from tpgen.opening import open_fleet
from tpgen.programs.forms import Form
from tpgen.sources.images import btf_sections


@dataclass(frozen=True)
class Judged:
    """The prototypes and records in the BTF of a kernel's vmlinux."""

    prototypes: Mapping[str, Params]
    records: Mapping[str, Layout]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """What bpftool says of each shipped kernel. A dump takes gigabytes: only this stays."""
    folder, found = tmp_path_factory.mktemp("btf"), {}
    for name in shipped_names():
        btf = folder / "vmlinux.btf"
        btf.write_bytes(btf_sections(Shipped(name).vmlinuz.read_bytes(), name).btf)
        image = Image(btf)
        found[name] = Judged(
            image.events | {n: p for n, p in image.named_events.items() if n in image.events}, image.records
        )
    return found


@pytest.fixture(scope="module")
def history() -> History:
    folder = shipped_catalogs()
    assert folder is not None
    return histories(open_fleet([str(path) for path in Path(folder).glob("*.tpgen")], None, lambda note: None))


def families(names: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The kernels of each flavour that follow each other, by their names."""

    def release(name: str) -> list[int]:
        return [int(number) for number in name.split("-")[1].split(".")]

    flavours: dict[str, list[str]] = {}
    for name in names:
        flavours.setdefault(name.split("-", 2)[2], []).append(name)
    for members in flavours.values():
        yield from pairwise(sorted(members, key=release))


def steps(event: EventHistory, form: Form, pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The steps on which a form changed, but for what the verifier assumes, of which BTF tells little."""
    left_out = (What.ARGUMENT_NULLNESS, What.CLASS_RENAMED)
    return {
        (step.before, step.after)
        for each in event.breaks
        if any(change.what.form is form and change.what not in left_out for change in each.changes)
        for step in each.steps
    } & pairs  # fmt: skip


def plain(params: Params) -> tuple[tuple[str | None, str], ...]:
    """Arguments without blanks and address spaces, and without the suffix that only tells of NULL."""
    return tuple((name and name.removesuffix("__nullable"), without_spaces(ctype)) for name, ctype in params)


# The number of arguments by release, as FIELD_GUIDE section 5 has it, and the class by hand.
GUIDE = {
    "sched_switch": ({"5.10": 3, "6.1": 4}, "sched_switch"),
    "kfree_skb": ({"5.10": 2, "6.1": 3, "6.12": 4}, "kfree_skb"),
    # The request_queue went in 5.11, and in 5.10.137.
    "block_rq_issue": ({"5.10": 1}, "block_rq"),
    "tcp_retransmit_skb": ({"5.10": 2, "7.2": 3}, "tcp_event_sk_skb"),
    "tcp_send_reset": ({"5.10": 2, "6.12": 3}, None),
    "consume_skb": ({"5.10": 1, "6.12": 2}, "consume_skb"),
    "mm_vmscan_direct_reclaim_begin": ({"5.10": 2, "7.2": 3}, None),
}


@pytest.mark.parametrize("name", GUIDE)
def test_the_field_guides_breaks(name: str, judged: dict[str, Judged], history: History) -> None:
    (event,) = (each for each in history.events if each.newest.name == name)
    numbers, cls = GUIDE[name]
    pairs = set(families(judged))
    assert event.kernels == tuple(kernel.name for kernel in history.kernels)
    for kernel, judge in judged.items():
        group = event.raw.group_of(kernel)
        assert group is not None
        assert group.event.args is not None
        assert len(group.event.args) == len(judge.prototypes[name]), kernel
        release = [int(number) for number in re.findall(r"\d+", kernel.split("-")[1])]
        known = {tuple(map(int, since.split("."))): number for since, number in numbers.items()}
        assert len(group.event.args) == known[max(since for since in known if since <= tuple(release))], kernel
    prototypes = {kernel: judge.prototypes[name] for kernel, judge in judged.items()}
    changed = {(old, new) for old, new in pairs if differ(prototypes[old], prototypes[new])}
    assert steps(event, Form.RAW, pairs) == changed
    if cls is None:
        return
    moved = {(old, new) for old, new in pairs if record(judged[old], cls, name) != record(judged[new], cls, name)}
    assert steps(event, Form.CLASSIC, pairs) >= moved


@pytest.mark.parametrize(
    ("name", "form", "what"),
    [
        *((name, Form.RAW, None) for name in (
            "sched_process_exit", "kmem_cache_alloc", "kmalloc", "kmem_cache_free", "rss_stat",
            "sched_stat_runtime",
        )),
        ("mm_vmscan_direct_reclaim_begin", Form.RAW, What.ARGUMENT_MOVED),
        ("sched_process_fork", Form.CLASSIC, What.FIELD_RETYPED),
        ("sched_migrate_task", Form.CLASSIC, What.FIELD_RETYPED),
    ],
)  # fmt: skip
def test_the_field_guides_other_changes(name: str, form: Form, what: What | None, history: History) -> None:
    """But for mark_victim's, which all stable kernels have taken since."""
    (event,) = (each for each in history.events if each.newest.name == name)
    found = {change.what for each in event.breaks for change in each.changes if change.what.form is form}
    assert what in found if what else found


def record(judge: Judged, cls: str, name: str) -> tuple[object, ...]:
    """The members of an event's record: of the class of its own name, else of that which it shares."""
    return judge.records[name if name in judge.records else cls].members


def differ(before: Params, after: Params) -> bool:
    """Whether prototypes differ in a type, or in a name that both have."""
    pairs = list(zip(plain(before), plain(after), strict=False))
    return len(before) != len(after) or any(
        old[1] != new[1] or (None not in (old[0], new[0]) and old[0] != new[0]) for old, new in pairs
    )


def test_every_break_of_vmlinux(judged: dict[str, Judged], history: History) -> None:
    """At each step within a family: another prototype in BTF is a break, and there is no other."""
    of_vmlinux = {
        (known.name, kernel): event
        for event in history.events
        for known in event.known_as
        if known.module is None and known.system != "syscalls"
        for kernel in known.kernels
    }
    compared, wrong = 0, []
    for old, new in families(judged):
        before, after = judged[old].prototypes, judged[new].prototypes
        for name in sorted(before.keys() & after.keys()):
            event = of_vmlinux[name, old]
            assert event is of_vmlinux[name, new]
            told = (old, new) in steps(event, Form.RAW, {(old, new)})
            if told != differ(before[name], after[name]):
                wrong.append((old, new, name, plain(before[name]), plain(after[name])))
            compared += 1
    assert compared > 1000
    assert wrong == []
