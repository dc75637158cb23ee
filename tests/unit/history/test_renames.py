"""Events under other names: which are taken for one, and which are not although they look like it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import tpgen
from support.declared import Declared, kernel
from support.small_kernel import Line, write_tracefs

from tpgen.history.compute import histories
from tpgen.kernel.events import KernelEvents
from tpgen.opening import open_fleet

RECORD = "char[32] name @8, unsigned long index @40"
FORMAT = (Line("char name[32]", 8, 32), Line("unsigned long index", 40, 8))
PAGE, FOLIO = "struct page *page, long at", "struct folio *folio, long at"


@pytest.fixture(autouse=True)
def _own_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("tpgen.catalog.store.shipped_catalogs", lambda: str(tmp_path / "none"))


def store(folder: Path, release: str, **arguments: str) -> None:
    """Keeps a kernel of that release, whose events of the system `mm` have these arguments and one record."""
    events = {name: Declared(args, RECORD, cls=name) for name, args in arguments.items()}
    formats = write_tracefs(folder / f"tracefs-{release}", {f"mm/{name}": FORMAT for name in arguments})
    btf = kernel(folder / f"btf-{release}", **events)
    done = tpgen("catalog", "add", f"k{release}", "--btf", btf, "--tracefs", formats, "--release", release)
    assert done.code == 0, done.err


def stored() -> dict[str, KernelEvents]:
    return open_fleet((), None, lambda note: None)


def names(*patterns: str) -> list[list[str]]:
    """The names of each event over all stored kernels."""
    return [[known.name for known in event.known_as] for event in histories(stored(), patterns).events]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # as in 5.16 to 5.18
        ({"dirty_page": PAGE}, {"dirty_folio": FOLIO}),
        ({"vmscan_writepage": PAGE}, {"vmscan_write_folio": FOLIO}),
        ({"wait_on_page_writeback": PAGE}, {"folio_wait_writeback": FOLIO}),
        # as with btrfs' in 6.16, and kvm_enter_smm
        ({"alloc_extent_state": "int a"}, {"btrfs_alloc_extent_state": "int a"}),
        ({"kvm_enter_smm": "int a"}, {"kvm_smm_transition": "int a"}),
    ],
)
def test_one_event(tmp_path: Path, old: dict[str, str], new: dict[str, str]) -> None:
    store(tmp_path, "5.10", **old)
    store(tmp_path, "6.1", **new)
    both = [[*old, *new]]
    for asked in ((), tuple(old), tuple(new), (*old, *new), ("mm:*",)):
        assert names(*asked) == both
    (event,) = histories(stored()).events
    assert event.known_as[1].because is not None
    assert event.breaks[0].changes[0].what == "event-renamed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # two that would do
        ({"cow_remap": "int a"}, {"cow_remap_from": "int a", "cow_remap_to": "int a"}),
        ({"tag_cow": "int a", "tag_eof": "int a"}, {"tag_inode": "int a"}),
        # read and write stand beside each other elsewhere
        ({"splice_write": "int a", "file_read": "int a", "file_write": "int a"},
         {"splice_read": "int a", "file_read": "int a", "file_write": "int a"}),
        # other arguments
        ({"dirty_page": PAGE}, {"dirty_folio": "long at, struct folio *folio"}),
        ({"alloc_extent_state": "int a"}, {"btrfs_alloc_extent_state": "int a, int b"}),
        # hardly a word in common
        ({"cow_enospc": "int a"}, {"cow_remap_skip": "int a"}),
        # both are there
        ({"dirty_page": PAGE}, {"dirty_folio": FOLIO, "dirty_page": PAGE}),
    ],
)  # fmt: skip
def test_several_events(tmp_path: Path, old: dict[str, str], new: dict[str, str]) -> None:
    store(tmp_path, "5.10", **old)
    store(tmp_path, "6.1", **new)
    found = names()
    assert all(len(each) == 1 for each in found)
    assert sorted(name for each in found for name in each) == sorted({*old, *new})


def test_names_in_a_row(tmp_path: Path) -> None:
    store(tmp_path, "5.10", dirty_page=PAGE)
    store(tmp_path, "6.1", dirty_folio=FOLIO)
    store(tmp_path, "6.9", mm_dirty_folio=FOLIO)
    for asked in ((), ("dirty_page",), ("dirty_folio",), ("mm_dirty_folio",)):
        assert names(*asked) == [["dirty_page", "dirty_folio", "mm_dirty_folio"]]


def test_another_record_is_another_event(tmp_path: Path) -> None:
    store(tmp_path, "5.10", dirty_page=PAGE)
    other = write_tracefs(tmp_path / "other", {"mm/dirty_folio": (Line("unsigned long index", 8, 8),)})
    btf = kernel(tmp_path / "other-btf", dirty_folio=Declared(FOLIO, "unsigned long index @8", cls="dirty_folio"))
    assert tpgen("catalog", "add", "k6.1", "--btf", btf, "--tracefs", other, "--release", "6.1").code == 0
    assert names() == [["dirty_folio"], ["dirty_page"]]
