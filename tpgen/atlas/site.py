"""The whole site, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

from tpgen.atlas.changes import pairs
from tpgen.atlas.code import Coder
from tpgen.atlas.collect import entries, groups, known_kernels
from tpgen.atlas.facts import Kernel
from tpgen.atlas.index import Index
from tpgen.atlas.lists import list_pages
from tpgen.atlas.pages import File, KernelLink, Pages
from tpgen.atlas.paths import path_of
from tpgen.diff.changes import KernelsDiff
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

    A few hundred events are in memory at a time.
    """
    kernels = known_kernels(atlas.opened)
    pages = Pages(kernels, atlas.base_url)
    index, addresses = Index(kernels), []
    for file in _files(atlas, pages, index, kernels, progress):
        if file.path.endswith(".html"):
            addresses.append(file.path)
        yield file
    yield from _assets()
    if atlas.base_url is not None:
        yield File("sitemap.xml", _sitemap(atlas.base_url, addresses))
        yield File("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {atlas.base_url}sitemap.xml\n".encode())


def _files(atlas: Atlas, pages: Pages, index: Index, kernels: tuple[Kernel, ...], progress: Progress) -> Iterator[File]:
    found = groups(kernels, atlas.opened)
    coder = Coder(atlas.opened)
    for number, entry in enumerate(entries(found, kernels, atlas.opened)):
        progress("events", number, len(found))
        index.add(entry)
        yield from pages.event(entry, coder.code(entry))
    compared = [
        (pages.links[old.number], pages.links[new.number], path_of("changes", old.name, new.name))
        for old, new in pairs(kernels)
    ]
    yield from list_pages(pages, index, compared)
    yield from _changes(atlas, pages, index, compared, progress)


def _changes(
    atlas: Atlas, pages: Pages, index: Index, compared: list[tuple[KernelLink, KernelLink, str]], progress: Progress
) -> Iterator[File]:
    from tpgen.diff.compare import diff

    paths = {(row.system, row.name): row.path for row in index.events}
    rows = []
    for number, (old, new, path) in enumerate(compared):
        progress("changes", number, len(compared))
        found = diff(atlas.opened[old.name], atlas.opened[new.name], (old.name, new.name))
        counts = found.counts()
        tally = counts.tracepoints
        rows.append(
            {
                "before": old.name, "after": new.name, "path": path,
                "changed": tally.changed, "gone": tally.gone, "new": tally.new,
            }
        )  # fmt: skip
        yield from _change(pages, found, paths, (old, new, path))
    yield from pages.page(
        "changes/index.html", "changes_index", "changes",
        "What changed for BPF programs from one kernel to another.", {"pairs": rows}, pairs=rows,
    )  # fmt: skip


def _change(
    pages: Pages,
    found: KernelsDiff,
    paths: Mapping[tuple[str | None, str], str],
    compared: tuple[KernelLink, KernelLink, str],
) -> Iterator[File]:
    from tpgen.diff.render import by_heading, diff_json

    old, new, path = compared
    head, events = diff_json(found)
    parts = []
    for heading, changed in by_heading(found):
        rows = [(each.event.title, paths.get((each.event.system, each.event.name)), lines) for each, lines in changed]
        parts.append((heading[:1].upper() + heading[1:], f"{len(rows)} events.", rows))
    tally = found.counts().tracepoints
    description = (
        f"{old.name} to {new.name}: of {tally.common} common events {tally.changed} changed; {tally.gone} are gone,"
        f" {tally.new} are new."
    )
    yield from pages.page(
        path, "changes", "changes", description, {**head, "events": events},
        before=old, after=new, parts=parts, notes=[note.message for note in found.notes],
    )  # fmt: skip


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
