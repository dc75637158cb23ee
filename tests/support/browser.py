"""A real browser, Debian's chromium driven by Playwright, and the sites that it is shown."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
#: Narrow is the narrowest telephone, and 1280 pixels enlarged to 400 %.
NARROW, WIDE = 320, 1600


@functools.cache
def missing_browser() -> str | None:
    """Which of the browser and what drives it is not there, None when all are."""
    missing = [] if CHROMIUM.exists() else [f"{CHROMIUM} is not installed"]
    missing += [f"{name} is not installed" for name in ("playwright", "axe_playwright_python") if not find_spec(name)]
    return "; ".join(missing) or None


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for one or many pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root it has no sandbox; a container's /dev/shm may be small.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """A site as `python -m http.server -d SITE` serves it, at a port of its own; its address ends in a slash."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(site))

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Visit:
    """A page in a browser, with what went wrong there and what it asked for."""

    page: Page
    home: str
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(15_000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda said: self._console(said.type, said.text))
        self.page.on("requestfailed", self._failed)

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before all of it was there
            self.faults.append(f"failed: {request.url}: {request.failure}")

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"{kind}: {text}")

    def go(self, path: str) -> Page:
        """The page of that path below the site's root, loaded."""
        self.page.goto(self.home + path)
        return self.page

    def elsewhere(self) -> list[str]:
        """The requests to another host than the site's own."""
        own = urlsplit(self.home)[:2]
        return [url for url in self.requests if urlsplit(url)[:2] != own and not url.startswith(("blob:", "data:"))]


@contextlib.contextmanager
def visit(browser: Browser, home: str, width: int = 1280, **context: Any) -> Iterator[Visit]:
    """A page of its own, without anything that another left behind; `context` as Playwright's new_context takes it."""
    with contextlib.closing(browser.new_context(viewport={"width": width, "height": 900}, **context)) as own:
        yield Visit(own.new_page(), home)
