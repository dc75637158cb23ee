"""The page of an event: each of its versions, deep links, and code to take along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from browser.conftest import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

#: Raw arguments by kernel, as the kernels' own history has them.
CHANGED = {
    "events/sched/sched_switch.html": {
        "debian-5.10-amd64": ["preempt", "prev", "next"],
        "debian-6.1-amd64": ["preempt", "prev", "next", "prev_state"],
        "debian-7.2-amd64": ["preempt", "prev", "next", "prev_state"],
    },
    "events/skb/kfree_skb.html": {
        "debian-5.10-amd64": ["skb", "location"],
        "debian-6.1-amd64": ["skb", "location", "reason"],
        "debian-6.12-amd64": ["skb", "location", "reason", "rx_sk"],
    },
}


@pytest.mark.parametrize("path", CHANGED)
def test_each_version_is_shown(path: str, visitor: Visitor) -> None:
    page = visitor().go(path)
    for kernel, names in CHANGED[path].items():
        assert arguments(page, kernel) == names


def arguments(page: Page, kernel: str) -> list[str]:
    """The names of the raw arguments that the page shows for a kernel, without those that are gone."""
    raw = page.locator("section[aria-labelledby=raw]")
    version = raw.locator("section.version").filter(has=page.locator(f"[id='kernel-{kernel}']"))
    assert version.count() == 1
    return version.locator("tbody tr:not(.is-removed) th a").all_inner_texts()


def test_what_is_new_is_said_in_words(visitor: Visitor) -> None:
    page = visitor().go("events/sched/sched_switch.html")
    row = page.locator("[id='arg-prev_state']")
    assert "added" in row.inner_text()
    assert row.locator("ins").count() == 1


# How much of the window the head of the page takes, below which all else scrolls.
_HEAD = """() => {
  const head = document.querySelector("header");
  return getComputedStyle(head).position === "sticky" ? head.offsetHeight : 0;
}"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("events/sched/sched_switch.html", "arg-prev_state"),
        ("events/sched/sched_switch.html", "field-next_comm"),
        ("events/skb/kfree_skb.html", "field-reason"),
        ("arguments/p.html", "arg-prev_state"),
        ("events/skb/kfree_skb.html", "kernel-debian-5.10-amd64"),
    ],
)
@pytest.mark.parametrize("width", [320, 1280])
def test_a_deep_link_lands(path: str, place: str, width: int, visitor: Visitor) -> None:
    page = visitor(width=width).go(f"{path}#{place}")
    page.wait_for_function("scrollY > 0 || document.documentElement.scrollHeight <= innerHeight * 1.5")
    top = page.evaluate("(id) => document.getElementById(id).getBoundingClientRect().top", place)
    below = page.evaluate(_HEAD)
    assert below <= top < 900


def test_code_is_copied_and_downloaded(visitor: Visitor) -> None:
    visit = visitor(permissions=["clipboard-read", "clipboard-write"])
    page = visit.go("events/sched/sched_switch.html")
    fold = page.locator("details").first
    fold.locator("summary").click()
    code = fold.locator("pre").inner_text()
    assert "sched_switch" in code
    fold.get_by_role("button", name="Copy").click()
    fold.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").strip() == code.strip()
    with page.expect_download() as started:
        fold.get_by_role("button", name="Download").click()
    assert started.value.path().read_text().strip() == code.strip()
    assert started.value.suggested_filename == fold.locator("button.download").get_attribute("data-name")
