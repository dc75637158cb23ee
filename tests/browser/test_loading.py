"""The first page on a slow network: how much it is, and how soon it is of use."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from support.browser import Visit

from browser.conftest import Visitor

pytestmark = pytest.mark.browser

# What Lighthouse calls a slow 4G network, and a fast 3G one.
_LATENCY_MS, _DOWN, _UP = 150, 1_638_400 / 8, 750_000 / 8


def test_the_first_page_is_small(visitor: Visitor, record_property: pytest.RecordProperty) -> None:
    """All that it asks for, the index that comes later included: 150 KB, uncompressed."""
    visit = visitor()
    sizes: list[int] = []
    visit.page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page = visit.go("index.html")
    page.wait_for_load_state("networkidle")
    record_property("bytes", sum(sizes))
    assert len(sizes) == len(visit.requests)
    assert sum(sizes) <= 150_000


def test_it_is_of_use_within_a_second(visitor: Visitor, record_property: pytest.RecordProperty) -> None:
    """Until somebody who types at once sees what is found; the best of some times, as other work takes time as well."""
    best = usable(visitor())
    for _ in range(19):
        if best > 1:
            best = min(best, usable(visitor()))
    record_property("seconds", best)
    assert best <= 1


def usable(visit: Visit) -> float:
    client = visit.page.context.new_cdp_session(visit.page)
    client.send("Network.enable")
    client.send("Network.setCacheDisabled", {"cacheDisabled": True})
    throttled = {"latency": _LATENCY_MS, "downloadThroughput": _DOWN, "uploadThroughput": _UP, "offline": False}
    client.send("Network.emulateNetworkConditions", throttled)
    start = time.monotonic()
    visit.page.goto(f"{visit.home}index.html", wait_until="commit")
    box = visit.page.get_by_role("combobox")
    box.press_sequentially("sched_switch")
    visit.page.get_by_role("group", name="Events").wait_for()
    return time.monotonic() - start


def test_a_page_names_every_script_and_style_once(site: Path) -> None:
    page = (site / "index.html").read_text()
    names = re.findall(r'(?:src|href)="(assets/[^"]+)"', page)
    assert sorted(names) == [
        "assets/find.js",
        "assets/icon.svg",
        "assets/page.js",
        "assets/search.js",
        "assets/style.css",
    ]
    assert {path.name for path in (site / "assets").iterdir()} == {name.partition("/")[2] for name in names}
