"""The atlas without JavaScript: all that it knows can be read, and every page reached by links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from browser.conftest import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def follow(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("link", name=re.compile(rf"^{re.escape(name)}(?!\w)")).first.click()


def test_an_event_by_its_letter(visitor: Visitor) -> None:
    visit = visitor(java_script_enabled=False)
    page = visit.go("index.html")
    follow(page, "s", "sched_switch")
    assert page.url == f"{visit.home}events/sched/sched_switch.html"
    text = page.locator("main").inner_text()
    for said in ("prev_state", "struct task_struct *prev", 'SEC("tp_btf/sched_switch")', "debian-5.10", "ctx[3]"):
        assert said in text
    assert page.get_by_role("button").count() == 0


@pytest.mark.parametrize(
    ("links", "shown"),
    [
        (("Arguments from A to Z", "g", "group_dead"), "group_dead"),
        (("Fields from A to Z", "p", "prev_state"), "prev_state"),
        (("Types", "struct sock"), "tcp_retransmit_skb"),
        (("Systems", "sched"), "sched_switch"),
        (("Modules", "cfg80211"), "rdev_scan"),
        (("Kernels", "debian-6.12-amd64"), "little-endian"),
        (("Changes",), "debian-6.12-amd64"),
        (("System calls",), "openat2"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_all_else_by_links(links: tuple[str, ...], shown: str, visitor: Visitor) -> None:
    page = visitor(java_script_enabled=False).go("index.html")
    follow(page, *links)
    assert shown in page.locator("main").inner_text()


def test_the_search_says_where_the_names_are(visitor: Visitor) -> None:
    visit = visitor(java_script_enabled=False)
    page = visit.go("index.html")
    page.get_by_role("combobox").fill("sched_switch")
    page.get_by_role("combobox").press("Enter")
    page.wait_for_url(f"{visit.home}search.html?q=sched_switch")
    assert "needs JavaScript" in page.locator("main").inner_text()
    follow(page, "Events from A to Z", "s", "sched_switch")
    assert page.url == f"{visit.home}events/sched/sched_switch.html"


def test_folded_code_is_read_without_script(visitor: Visitor) -> None:
    page = visitor(java_script_enabled=False).go("events/sched/sched_switch.html")
    fold = page.locator("details").first
    fold.locator("summary").click()
    assert "raw_sched_switch_prev_state" in fold.inner_text()
