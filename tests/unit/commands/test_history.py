"""`tpgen history` of small kernels in catalogs: which are meant, who shares an event, under which names it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli import Done, line, refusal, tpgen
from support.declared import Declared, Kernel, add, catalog, kernel, with_modules
from support.small_kernel import write_btf

TWO, THREE = Declared("int a, int b", "int a @8"), Declared("int a, int b, int c", "int a @8")


@pytest.fixture(autouse=True)
def _own_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("tpgen.catalog.store.shipped_catalogs", lambda: str(tmp_path / "none"))


def stored(folder: Path, name: str, release: str | None, *options: str, **events: Declared) -> str:
    """The name of a stored kernel of that release with these events."""
    more = () if release is None else ("--release", release)
    return catalog(name, "--btf", kernel(folder / f"{name}.btf", **events), *more, *options)


def history(*arguments: str) -> dict[str, Any]:
    done = tpgen("history", *arguments, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_text(tmp_path: Path) -> None:
    stored(tmp_path, "old", "5.10.3", event=TWO, other=TWO)
    stored(tmp_path, "mid", "6.1.0", event=TWO)
    stored(tmp_path, "new", "6.12.5", event=THREE)
    assert tpgen("history", "event") == Done(0, """\
event
  raw arguments
    old, mid
      int a, int b
    new
      int a, int b, int c
  classic record
    all 3 kernels, old … new
      class event, 128 bytes: int a @8
  mid → new: harmless
    + ctx[2]  int c
""", "")  # fmt: skip
    assert (
        tpgen("history", "other").out
        == """\
other
  not there: mid, new
  raw arguments
    old
      int a, int b
  classic record
    old
      class event, 128 bytes: int a @8
  old → mid: breaks raw programs, breaks classic programs
    - gone
"""
    )


def test_which_kernels_are_meant(tmp_path: Path) -> None:
    for number in (9, 10, 11):
        stored(tmp_path, f"lab-{number}", f"5.{number}", event=TWO)
    stored(tmp_path, "field", "5.12", event=TWO)
    assert [each["name"] for each in history("event")["kernels"]] == ["lab-9", "lab-10", "lab-11", "field"]
    chosen = history("event", "--kernel", "lab-1*", "--kernel", "lab-9", "--kernel", "lab-10")
    assert [each["name"] for each in chosen["kernels"]] == ["lab-9", "lab-10", "lab-11"]
    assert tpgen("history", "event", "--arch", "s390x") == refusal(
        "no kernel is stored for s390x [unknown-kernel]; give --kernel"
    )
    assert tpgen("history", "event", "--kernel", "none-*").code == 2


def test_what_no_kernel_has(tmp_path: Path) -> None:
    stored(tmp_path, "old", "5.10", event=TWO)
    stored(tmp_path, "new", "6.1", event=TWO)
    assert tpgen("history", "evnt") == refusal("no event 'evnt' in new [unknown-event]; did you mean event?")
    assert tpgen("history").code == 2


def test_a_kernel_of_unknown_release_stands_last(tmp_path: Path) -> None:
    stored(tmp_path, "a", None, event=TWO)
    stored(tmp_path, "b", "6.1", event=TWO)
    done = tpgen("history", "event")
    assert "    all 2 kernels, b … a\n" in done.out
    assert line("the releases of a are unknown, so they stand last [history-order]", "note") in done.err


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    stored(tmp_path, "old", "5.10", event=TWO)
    (tmp_path / "data/tpgen/catalog/broken.tpgen").write_text("nonsense")
    done = tpgen("history", "event")
    assert done.code == 0
    assert done.out.startswith("event\n  raw arguments\n    old\n")
    assert "broken.tpgen: error: not a catalog [catalog-foreign]" in done.err


# --- what is not known


def test_a_kernel_of_which_only_vmlinux_was_read_may_have_a_modules_event(tmp_path: Path) -> None:
    stored(tmp_path, "old", "5.10", builtin=TWO)
    with_modules(tmp_path, "new", {"builtin": TWO}, "--release", "6.1", m={"event": TWO})
    (event,) = history("event")["events"]
    assert (event["kernels"], event["absent"], event["unknown"], event["breaks"]) == (["new"], [], ["old"], [])
    assert "  unknown whether there: old\n" in tpgen("history", "event").out


def test_a_record_that_is_unknown_is_no_break(tmp_path: Path) -> None:
    """Of two classes with the event's prototype, no BTF tells which is its own."""
    one, other = Declared("int a, int b", "int a @8", cls="one"), Declared("int a, int b", "int a @16", cls="two")
    stored(tmp_path, "old", "5.10", event=TWO)
    stored(tmp_path, "mid", "5.11", event=one, another=other)
    stored(tmp_path, "new", "5.12", event=Declared("int a, int b", "int a @16"))
    (event,) = history("event")["events"]
    assert [group["kernels"] for group in event["classic"]["groups"]] == [["old"], ["new"]]
    assert event["classic"]["unknown"] == ["mid"]
    assert [group["kernels"] for group in event["raw"]["groups"]] == [["old", "mid", "new"]]
    (found,) = event["breaks"]
    assert found["steps"] == [{"before": "old", "after": "new"}]
    assert [change["change"] for change in found["changes"]] == ["field-moved"]
    assert "    unknown: mid\n" in tpgen("history", "event").out


# --- moves and renames


def test_another_module_is_the_same_event(tmp_path: Path) -> None:
    with_modules(tmp_path, "old", {}, "--release", "6.7", fscache={"event": TWO})
    with_modules(tmp_path, "new", {}, "--release", "6.8", netfs={"event": TWO})
    (event,) = history("event")["events"]
    assert [(known["module"], known["kernels"]) for known in event["known_as"]] == [
        ("fscache", ["old"]), ("netfs", ["new"]),
    ]  # fmt: skip
    assert [change["change"] for each in event["breaks"] for change in each["changes"]] == ["event-module"]


def test_two_modules_with_an_event_of_one_name_are_two_events(tmp_path: Path) -> None:
    with_modules(tmp_path, "old", {}, "--release", "6.7", i915={"event": TWO})
    with_modules(tmp_path, "new", {}, "--release", "6.8", i915={"event": TWO}, xe={"event": THREE})
    found = {event["module"]: event["kernels"] for event in history("event")["events"]}
    assert found == {"i915": ["old", "new"], "xe": ["new"]}


def test_what_one_kernel_assumes_is_not_taken_for_another_of_the_same_facts(tmp_path: Path) -> None:
    """In one file both have one row: the older has no table of such arguments, and of the newer nothing tells it."""
    b = Kernel()
    b.structure("trace_entry", 8)
    b.structure("bpf_raw_tp_null_args", 16)
    add(b, {"event": Declared("struct sk_buff *skb"), "told": Declared("struct sk_buff *skb__nullable")})
    stored(tmp_path, "old", "5.10", event=Declared("struct sk_buff *skb"))
    catalog("new", "--btf", write_btf(tmp_path / "new.btf", b), "--release", "6.13")
    apart = history("event")
    files = [str(tmp_path / f"data/tpgen/catalog/{name}.tpgen") for name in ("old", "new")]
    assert tpgen("catalog", "merge", tmp_path / "both.tpgen", *files).code == 0
    together = history("event", "--kernel", str(tmp_path / "both.tpgen"))
    assert together == apart
    ((group,),) = (event["raw"]["groups"] for event in apart["events"])
    assert (group["of"], group["unsure"], group["args"][0]["nullable"]) == ("old", ["new"], False)
