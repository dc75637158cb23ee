"""The whole site, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

from tpgen.atlas.change_pages import change_pages
from tpgen.atlas.changes import Changes, pairs
from tpgen.atlas.code import Coder
from tpgen.atlas.collect import Located, entries, known_kernels, located
from tpgen.atlas.index import Index
from tpgen.atlas.lists import list_pages
from tpgen.atlas.pages import File, Pages
from tpgen.atlas.paths import path_of
from tpgen.history.compute import histories
from tpgen.kernel.events import KernelEvents
from tpgen.paths import resource_dir

#: Told of the progress: what is done, how many of how many.
Progress = Callable[[str, int, int], None]

# Assets that are copied as they are.
_ASSETS = "assets"
_SCHEMA = "atlas.schema.json"


class Atlas(NamedTuple):
    """The request for an atlas: kernels by name, oldest first, and the address that it will have, if that is known.

    `base_url` ends in a slash.
    """

    opened: Mapping[str, KernelEvents]
    base_url: str | None = None


def site(atlas: Atlas, progress: Progress = lambda what, done, of: None) -> Iterator[File]:
    """The files of the site, each made when it is consumed; the same kernels give the same bytes.

    The pages of one event are in memory at a time, and the facts of some thousands.
    """
    progress("histories", 0, 1)
    history = histories(atlas.opened)
    kernels = known_kernels(history, atlas.opened)
    pages = Pages(kernels, atlas.base_url)
    addresses = []
    for file in _files(atlas, pages, located(history), Index(kernels), progress):
        if file.path.endswith(".html"):
            addresses.append(file.path)
        yield file
    yield from _assets()
    if atlas.base_url is not None:
        yield File("sitemap.xml", _sitemap(atlas.base_url, addresses))
        yield File("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {atlas.base_url}sitemap.xml\n".encode())


def _files(atlas: Atlas, pages: Pages, events: list[Located], index: Index, progress: Progress) -> Iterator[File]:
    coder = Coder(atlas.opened)
    for number, entry in enumerate(entries(events, pages.kernels, atlas.opened)):
        progress("events", number, len(events))
        index.add(entry)
        yield from pages.event(entry, coder.code(entry))
    for name, text in sorted(coder.included.items()):
        yield File(f"code/{name}", text.encode())
    compared = [
        (pages.links[old.number], pages.links[new.number], path_of("changes", old.name, new.name))
        for old, new in pairs(pages.kernels)
    ]
    yield from list_pages(pages, index, compared)
    yield from change_pages(pages, Changes(events, atlas.opened), compared, progress)


def _assets() -> Iterator[File]:
    folder = resource_dir("templates") / "atlas"
    yield File(_SCHEMA, (folder / _SCHEMA).read_bytes())
    if (folder / _ASSETS).is_dir():
        for path in sorted((folder / _ASSETS).iterdir()):
            yield File(f"{_ASSETS}/{path.name}", path.read_bytes())


def _sitemap(base_url: str, paths: list[str]) -> bytes:
    """The addresses of all pages, as https://www.sitemaps.org has it: it takes 50 000."""
    urls = "".join(f"<url><loc>{escape(base_url + path)}</loc></url>\n" for path in sorted(paths))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{urls}</urlset>\n".encode()
