"""A site as a browser without JavaScript has it: what its pages link to, and what ids they have."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The parts of a page: the values of `href` and `src`, ids, levels of headings, text, all tags with attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        assert len(known) == len(attrs), (tag, attrs)
        self.tags.append((tag, known))
        if known.get("rel") != "canonical":  # the page's own address, where it will be
            self.links += [value for name in ("href", "src", "action") if (value := known.get(name)) is not None]
        if (value := known.get("id")) is not None:
            self.ids.append(value)
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


_VOID = {"meta", "link", "input", "br", "hr", "img"}


def dangling(files: dict[str, bytes]) -> set[tuple[str, str]]:
    """The links of pages that lead nowhere in the site: to no file, or to an id that its page has not."""
    pages = {path: Page(data.decode()) for path, data in files.items() if path.endswith(".html")}
    return {(path, link) for path, page in pages.items() for link in page.links if not _leads(path, link, pages, files)}


def _leads(path: str, link: str, pages: dict[str, Page], files: Iterable[str]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or parts.path.startswith("/"):
        return False
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path))) if parts.path else path
    if target not in files:
        return False
    return not parts.fragment or (target in pages and unquote(parts.fragment) in pages[target].ids)
