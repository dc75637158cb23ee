"""The site of three kernels that are told: pages, links, JSON."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from support.sites import Page, dangling
from support.told_kernel import INT, ToldKernel, event, number, pointer

from tpgen.atlas.publish import publish
from tpgen.atlas.site import Atlas, prepare, site
from tpgen.basics.frozen import replace
from tpgen.kernel.events import KernelEvents
from tpgen.model import Array, Field, Int, Nullness, Pointer, Record, Void
from tpgen.target import target_named

SOCK = pointer("sock")


def kernels() -> dict[str, KernelEvents]:
    """Three kernels: an event that all have alike, one that changed, one that is new, and one of another byte order."""
    alike = event("alike", {"sk": SOCK}, [number("family", 8)])
    old = event("changed", {"sk": SOCK}, [number("family", 8), number("gone", 12)])
    new = event("changed", {"sk": SOCK, "reason": INT}, [number("family", 12), number("came", 8)])
    fresh = event("fresh", {"dev": pointer("device")}, system="other", module="mod")
    return {
        "one": ToldKernel([alike, old], "5.10.0-1-amd64"),
        "two": ToldKernel([alike, new, fresh], "6.1.0-2-amd64"),
        "big": ToldKernel([alike, new], "6.1.0-2-s390x", target_named("s390x")),
    }


@cache
def files() -> dict[str, bytes]:
    found = list(site(prepare(Atlas(kernels(), "https://example.org/atlas/"))))
    assert len({file.path.lower() for file in found}) == len(found)
    return {file.path: file.data for file in found}


def page(path: str) -> Page:
    return Page(files()[path].decode())


def test_all_kinds_of_pages_are_there() -> None:
    wanted = """index.html events/sys/changed.html events/other/fresh.html systems/sys.html types/struct-sock.html
    modules/mod.html kernels/one.html changes/one@two.html changes/two@big.html syscalls/index.html names/a.html
    arguments/s.html fields/f.html sitemap.xml robots.txt atlas.schema.json"""
    assert set(wanted.split()) <= files().keys()


def test_links_lead_somewhere() -> None:
    assert dangling(files()) == set()


def test_ids_are_unique() -> None:
    for path in files():
        if path.endswith(".html"):
            ids = page(path).ids
            assert sorted(ids) == sorted(set(ids)), path


def test_headings_are_in_order() -> None:
    for path in files():
        if path.endswith(".html"):
            levels = page(path).headings
            assert levels[0] == 1, path
            assert levels.count(1) == 1, path
            assert all(after <= before + 1 for before, after in pairwise(levels)), path


def test_tables_have_captions_and_heads() -> None:
    for path in files():
        if path.endswith(".html"):
            tags = [tag for tag, _ in page(path).tags]
            assert tags.count("table") == tags.count("caption"), path
            assert all("scope" in attributes for tag, attributes in page(path).tags if tag == "th"), path


def test_an_event_that_changed_has_a_version_each() -> None:
    found = json.loads(files()["events/sys/changed.json"])
    assert [each["kernels"] for each in found["history"]["raw"]["groups"]] == [["one"], ["big", "two"]]
    assert [arg["name"] for arg in found["history"]["raw"]["groups"][1]["args"]] == ["sk", "reason"]
    assert [each["kernels"] for each in found["history"]["classic"]["groups"]] == [["one"], ["big", "two"]]
    text = page("events/sys/changed.html").text
    assert "gone removed" in text
    assert "came added" in text
    assert "family changed" in text


def test_what_changed_was_otherwise() -> None:
    """That nothing was known of a value is told where nothing else changed."""
    text, made = Array(Int("char", 1, False), 4), event("e", {"a": SOCK, "b": Pointer(Void())})
    asked = [replace(arg, nullness=Nullness.NEVER) for arg in event("e", {"a": SOCK, "b": SOCK}).args or ()]
    old = replace(made, record=Record(8, 16, (Field("why", text, 8, 4, False), Field("n", INT, 12, 4, None))))
    new = replace(made, record=Record(8, 16, (Field("why", INT, 8, 4, True), number("n", 12))), args=tuple(asked))
    opened = {"one": ToldKernel([old], "5.10.0-1-amd64"), "two": ToldKernel([new], "6.1.0-2-amd64")}
    found = {file.path: file.data for file in site(prepare(Atlas(opened)))}["events/sys/e.html"].decode()
    assert re.findall(r'<div class="was">was (.*?)</div>', found) == [
        "NULL-ness unknown", "void *b", "char why[4]", "sign unknown",
    ]  # fmt: skip


def test_an_event_that_is_alike_has_one_version() -> None:
    found = json.loads(files()["events/sys/alike.json"])
    assert [each["kernels"] for each in found["history"]["raw"]["groups"]] == [["one", "big", "two"]]
    assert found["history"]["absent"] == []


def test_a_type_has_those_who_hand_it_out() -> None:
    found = json.loads(files()["types/struct-sock.json"])
    assert [(use["event"], use["name"], use["kernels"]) for use in found["uses"]] == [
        ("events/sys/alike.html", "sk", ["one", "big", "two"]),
        ("events/sys/changed.html", "sk", ["one", "big", "two"]),
    ]


def test_events_of_modules_alone_are_searched_later() -> None:
    first, later = (files()[f"search/{name}.js"].decode() for name in ("events", "modules"))
    assert [("alike" in text, "changed" in text, "fresh" in text) for text in (first, later)] == [
        (True, True, False), (False, False, True),
    ]  # fmt: skip


@pytest.mark.parametrize("place", ["kernel-one", "kernel-big", "arg-reason", "field-gone"])
def test_places_can_be_linked_to(place: str) -> None:
    assert place in page("events/sys/changed.html").ids


def test_the_same_kernels_give_the_same_bytes() -> None:
    again = {file.path: file.data for file in site(prepare(Atlas(kernels(), "https://example.org/atlas/")))}
    assert again == files()


def test_two_processes_make_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for free in (False, True):
        monkeypatch.setattr("tpgen.basics.team.second_core_is_free", lambda free=free: free)
        folder = tmp_path / str(free)
        publish(Atlas(kernels(), "https://example.org/atlas/"), str(folder))
        paths = [path for path in folder.rglob("*") if path.is_file()]
        made[free] = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    assert made[True] == made[False]
    assert made[True].pop("files.txt").decode().splitlines()[1:] == sorted([*files(), "files.txt"])
    assert made[True] == files()


def test_each_page_has_a_title_and_a_description_of_its_own() -> None:
    titles: dict[str, str] = {}
    for path in files():
        if path.endswith(".html"):
            found = page(path)
            (described,) = [
                at["content"] for tag, at in found.tags if tag == "meta" and at.get("name") == "description"
            ]
            assert described, path
            head = files()[path].decode().partition("<title>")[2].partition("</title>")[0]
            assert titles.setdefault(head, path) == path


def test_what_is_made_says_so_and_its_licence() -> None:
    for path, content in files().items():
        if path.endswith((".html", ".css", ".js")) and not path.startswith("search/"):
            assert "SPDX-License-Identifier: 0BSD" in "".join(content.decode().splitlines()[:2]), path
        if path.endswith(".html"):
            assert ("meta", {"name": "generator", "content": "tpgen"}) in page(path).tags


def test_the_sitemap_has_all_pages() -> None:
    text = files()["sitemap.xml"].decode()
    pages = {path for path in files() if path.endswith(".html")}
    assert text.count("<loc>") == len(pages)
    assert all(f"<loc>https://example.org/atlas/{path}</loc>" in text for path in pages)
