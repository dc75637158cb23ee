"""The shipped catalog against the BTF of the very packages that its recipe names, as bpftool dumps it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import pytest
from support.debian import Shipped, shipped_names

from corpus.dumped import Image, Layout, Params, images, without_spaces
from tpgen.catalog.read import CatalogKernel
from tpgen.catalog.store import open_named
from tpgen.diff.compare import diff
from tpgen.model import Event, Kind
from tpgen.sources.images import btf_sections
from tpgen.spelling import spell

# The events that the field guide counts in vmlinux and modules. The modules of 5.10 have no BTF, and it is later than
# the guide's: its vmlinux has 587 by `bpftool btf dump | grep -c "TYPEDEF 'btf_trace_"`, as the last three have theirs.
_COUNTS = {
    "debian-5.10-amd64": 587,
    "debian-6.1-amd64": 639 + 3504,
    "debian-6.12-amd64": 772 + 4030,
    "debian-7.2-amd64": 858 + 4385,
    "debian-6.1-cloud-amd64": 693 + 1807,
    "debian-6.1-rt-amd64": 635 + 3481,
    "debian-6.12-cloud-amd64": 830 + 2061,
}


@dataclass(frozen=True)
class Dumped:
    """What bpftool says of a kernel, by module (None for vmlinux) and name."""

    events: Mapping[tuple[str | None, str], Params]
    named: Mapping[tuple[str | None, str], Params]
    records: Mapping[tuple[str | None, str], Layout]


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Dumped]:
    """What bpftool says of a kernel by its name. The dumps themselves would take gigabytes: only this stays."""

    @cache
    def of(name: str) -> Dumped:
        vmlinux, *modules = Shipped(name).btf
        blob = btf_sections(vmlinux.read_bytes(), str(vmlinux)).btf
        found = images(blob, modules, tmp_path_factory.mktemp(name), Image)
        return Dumped(
            {(image.module, event): params for image in found for event, params in image.events.items()},
            {(image.module, event): params for image in found for event, params in image.named_events.items()},
            {(image.module, cls): layout for image in found for cls, layout in image.records.items()},
        )

    return of


@pytest.fixture(scope="module", params=shipped_names())
def name(request: pytest.FixtureRequest) -> str:
    """Each kernel in turn."""
    found: str = request.param
    return found


def events_of(kernel: CatalogKernel) -> list[Event]:
    """The events that have a tracepoint."""
    return [event for event in kernel.events(kernel.keys()) if event.kind != Kind.SYSCALL]


def test_every_event(name: str, dumped: Callable[[str], Dumped]) -> None:
    """No event more, none less; of 5.10's modules the tracepoints are compared below."""
    known = {(event.module, event.name) for event in events_of(open_named(name))}
    expected = set(dumped(name).events)
    if name.startswith("debian-5.10-"):
        known = {key for key in known if key[0] is None}
    assert known == expected
    assert len(expected) == _COUNTS.get(name, len(expected)) > 500


def test_every_argument(name: str, dumped: Callable[[str], Dumped]) -> None:
    """Slot by slot the type that bpftool spells, and the name where BTF has one."""
    judge, named = dumped(name), 0
    for event in events_of(open_named(name)):
        key = event.module, event.name
        if key not in judge.events:
            continue
        assert event.args is not None
        said = [(arg.name, without_spaces(spell(arg.type))) for arg in event.args]
        types = [without_spaces(ctype) for _, ctype in judge.events[key]]
        if key in judge.named and event.name not in _OTHER_ORDER:
            assert said == [(label, without_spaces(ctype)) for label, ctype in judge.named[key]], key
            named += 1
        assert sorted(ctype for _, ctype in said) == sorted(types), key
        assert [arg.slot for arg in event.args] == list(range(len(event.args)))
    assert named > 500


# TP_ARGS is in another order than TP_PROTO, so BTF's is wrong: FIELD_GUIDE section 3.
_OTHER_ORDER = {"btrfs__prelim_ref"}


def test_every_offset_and_size(name: str, dumped: Callable[[str], Dumped]) -> None:
    """Of each event's record, by its class."""
    judge, compared = dumped(name), 0
    for event in events_of(open_named(name)):
        if (event.module, event.name) not in judge.events or event.kind == Kind.TRACEPOINT:
            continue
        assert event.record is not None, event.title
        layout = judge.records[event.module, event.class_name or event.class_candidates[0]]
        members = tuple((field.member_name, field.offset_bytes, field.size_bytes) for field in event.record.fields)
        assert (members, event.record.size_bytes) == (layout.members, layout.size), event.title
        compared += 1
    assert compared > 0.9 * len(judge.events)


def test_the_field_guides_figures(dumped: Callable[[str], Dumped]) -> None:
    """Of the events that 6.1 and 6.12 have in common: those with another number of arguments, type, layout."""
    old, new = "debian-6.1-amd64", "debian-6.12-amd64"
    counts = diff(open_named(old), open_named(new), (old, new)).counts()
    found = counts.tracepoints.common, counts.another_number, counts.another_type, counts.another_layout
    assert found == (4078, 154, 56, 413)
    before, after = dumped(old).events, dumped(new).events
    pairs = [(before[key], after[key]) for key in before.keys() & after.keys()]
    moved = {name: after[module, name] for module, name in after.keys() - before.keys()}
    pairs += [(before[key], moved[key[1]]) for key in before.keys() - after.keys() if key[1] in moved]
    types = [tuple(tuple(ctype for _, ctype in params) for params in pair) for pair in pairs]
    assert found[:3] == (
        len(types),
        sum(len(a) != len(b) for a, b in types),
        sum(len(a) == len(b) and a != b for a, b in types),
    )


def test_modules_without_btf() -> None:
    """nm judges: every `struct tracepoint` that one of 5.10's modules defines."""
    shipped, expected = Shipped("debian-5.10-amd64"), set()
    for path in shipped.traced_modules:
        symbols = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        names = re.findall(r"^\w+ [BDd] __tracepoint_(\w+)$", symbols, re.MULTILINE)
        expected |= {(path.stem.replace("-", "_"), name) for name in names}
    events = [event for event in events_of(open_named("debian-5.10-amd64")) if event.module is not None]
    assert {(event.module, event.name) for event in events} == expected
    assert len(expected) > 3000
    assert all(event.args is not None and event.class_name and event.header for event in events)
    # A handful of fields are of types that the modules keep to themselves.
    unplaced = [event for event in events if event.record is None or event.record.size_bytes is None]
    assert len(unplaced) < 10
