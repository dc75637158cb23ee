"""The atlas of the shipped kernels and a browser, for all tests here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import browser
from support.browser import Visit
from support.cli import tpgen

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Visitor = Callable[..., Visit]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The atlas of the shipped kernels: the one in the directory that $TPGEN_ATLAS names, or else a new one."""
    if made := os.environ.get("TPGEN_ATLAS"):
        return Path(made)
    folder = tmp_path_factory.mktemp("atlas") / "site"
    done = tpgen("atlas", "-o", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    with browser.served(site) as home:
        yield home


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visitor(chromium: Browser, address: str) -> Iterator[Visitor]:
    """Visits of the served site, or of another `home`. All went well: no fault, and no request to another host."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def visit(home: str = address, **options: Any) -> Visit:
            visits.append(stack.enter_context(browser.visit(chromium, home, **options)))
            return visits[-1]

        yield visit
    assert [fault for visit in visits for fault in visit.faults] == []
    assert [url for visit in visits for url in visit.elsewhere()] == []
