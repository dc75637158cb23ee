"""Every kind of page: for whoever sees little, on narrow and wide screens, in light and dark, on paper."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from support.browser import NARROW, WIDE

from browser.conftest import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

#: By kind, a page that has all that such pages may have.
PAGES = {
    "first": "index.html",
    "search": "search.html?q=skb",
    "events by letter": "names/s.html",
    "arguments by letter": "arguments/q.html",
    "fields by letter": "fields/z.html",
    "an event that changed": "events/sched/sched_switch.html",
    "an event with names of values": "events/skb/kfree_skb.html",
    "a system call": "events/syscalls/sys_enter_openat2.html",
    "a bare tracepoint": "events/sched/sched_cpu_capacity_tp.html",
    "systems": "systems/index.html",
    "a system": "systems/sched.html",
    "types": "types/index.html",
    "a type": "types/struct-sock.html",
    "modules": "modules/index.html",
    "a module": "modules/cfg80211.html",
    "kernels": "kernels/index.html",
    "a kernel": "kernels/debian-6.12-amd64.html",
    "changes": "changes/index.html",
    "changes of two kernels": "changes/debian-6.12-amd64@debian-6.12-arm64.html",
    "system calls": "syscalls/index.html",
}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# Best practices too, beside WCAG 2.2 A and AA.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> Iterator[str]:
    """What axe finds wrong with the page as it is shown now: the rule, the place, and why."""
    from axe_playwright_python.sync_playwright import Axe

    options: Mapping[str, Any] = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": _RULES}}
    for violation in Axe().run(page, options=options).response["violations"]:
        for node in violation["nodes"][:3]:
            yield f"{violation['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"


def test_all_kinds_are_here(site: Path) -> None:
    """Each folder of the site has its pages above, and its index where it has one."""
    pages = [path.relative_to(site).as_posix() for path in site.rglob("*.html")]
    kinds = {(page.partition("/")[0], page.endswith("/index.html")) for page in pages}
    shown = {(page.partition("/")[0], page.endswith("/index.html")) for page in map(path_of, PAGES.values())}
    assert kinds - shown <= {(folder, True) for folder in ("names", "arguments", "fields", "events")}


def path_of(page: str) -> str:
    return page.partition("?")[0]


@pytest.mark.parametrize("kind", PAGES)
def test_a_page(kind: str, visitor: Visitor, site: Path) -> None:
    """Nothing is wrong with the page, whichever way it is looked at; opened once, as to open it takes longest."""
    page = visitor(reduced_motion="reduce").go(PAGES[kind])
    if kind == "search":
        page.get_by_role("heading", name="Events").wait_for()
    found = {"form": list(malformed(page)), "links": list(dangling(page, site)), "focus": list(unseen_focus(page))}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found[f"axe, {scheme}"] = list(violations(page))
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for width in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": 900})
        found[f"width {width}"] = list(too_wide(page, width))
    assert {check: faults for check, faults in found.items() if faults} == {}


def malformed(page: Page) -> Iterator[str]:
    if page.locator("h1").count() != 1:
        yield "not one h1"
    if not page.title().endswith("Tracepoint atlas"):
        yield f"title {page.title()}"
    ids: list[str] = page.evaluate("[...document.querySelectorAll('[id]')].map((node) => node.id)")
    yield from (f"id {one} of several" for one, count in Counter(ids).items() if count > 1)


def dangling(page: Page, site: Path) -> Iterator[str]:
    """The links to no page of the site, and of some the places that their pages lack."""
    home = page.url.removesuffix(page.evaluate("location.pathname + location.search + location.hash"))
    links: set[str] = set(page.evaluate("[...document.links].map((link) => link.href)"))
    for link in sorted(links):
        path = path_of(link.removeprefix(f"{home}/")).partition("#")[0] or "index.html"
        if not (site / path).is_file():
            yield link
    for link in sorted(link for link in links if "#" in link)[:50]:
        path, _, place = link.removeprefix(f"{home}/").partition("#")
        if not re.search(rf"\bid=\"?{re.escape(place)}[\"\s>]", (site / path_of(path)).read_text()):
            yield link


def unseen_focus(page: Page) -> Iterator[str]:
    for _ in range(25):
        page.keyboard.press("Tab")
        seen, described = page.evaluate(_FOCUS)
        if not described:
            break
        if not seen:
            yield described
    page.evaluate("document.activeElement.blur()")


_FOCUS = """() => {
  const [node, style] = [document.activeElement, getComputedStyle(document.activeElement)];
  const seen = style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
  return [seen, node === document.body ? "" : node.outerHTML.slice(0, 120)];
}"""


def too_wide(page: Page, width: int) -> Iterator[str]:
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
        yield f"{wide} pixels"
    yield from page.evaluate(_BEYOND)


# What lies beyond the edge of the window and in no box that scrolls; boxes that scroll must take the focus.
_BEYOND = """() => {
  const scrolls = (node) => ["auto", "scroll"].includes(getComputedStyle(node).overflowX);
  const seen = (node) => node.checkVisibility() && node.getBoundingClientRect().width > 1;
  const boxed = (node) => node && (scrolls(node) || boxed(node.parentElement));
  const described = (node) => node.outerHTML.slice(0, 120);
  const all = [...document.body.querySelectorAll("*")].filter(seen);
  const beyond = all.filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !boxed(node));
  const locked = all.filter((node) => scrolls(node) && node.scrollWidth > node.clientWidth && node.tabIndex < 0);
  return [...beyond, ...locked].slice(0, 10).map(described);
}"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_where_something_is_open(scheme: Scheme, visitor: Visitor) -> None:
    page = visitor(color_scheme=scheme, reduced_motion="reduce").go("events/sched/sched_switch.html#arg-prev_state")
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert list(violations(page)) == []
    page.keyboard.press("/")
    page.keyboard.type("skb")
    page.get_by_role("group", name="Types").wait_for()
    assert list(violations(page)) == []


def test_nothing_moves_for_who_wants_that(visitor: Visitor) -> None:
    page = visitor(reduced_motion="reduce").go("events/sched/sched_switch.html")
    moving = "[...document.querySelectorAll('*')].filter((node) => getComputedStyle(node).transitionDuration !== '0s')"
    assert page.evaluate(f"{moving}.length") == 0


def test_on_paper_there_is_all_of_it_and_no_more(visitor: Visitor) -> None:
    page = visitor().go("events/sched/sched_switch.html")
    page.emulate_media(media="print")
    assert not page.get_by_role("combobox").is_visible()
    assert page.get_by_role("heading", level=1).is_visible()
    clipped = "[...document.querySelectorAll('.scroll')].filter((box) => getComputedStyle(box).overflowX !== 'visible')"
    assert page.evaluate(f"{clipped}.length") == 0
