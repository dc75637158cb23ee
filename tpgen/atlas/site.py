"""The whole site, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, starmap
from typing import NamedTuple
from xml.sax.saxutils import escape

from tpgen.atlas.change_pages import change_pages
from tpgen.atlas.changes import Changes, Compared, pairs
from tpgen.atlas.code import Coder
from tpgen.atlas.collect import entries, known_kernels, located
from tpgen.atlas.facts import Entry, Kernel
from tpgen.atlas.index import Index
from tpgen.atlas.lists import list_pages
from tpgen.atlas.pages import File, Pages
from tpgen.basics.progress import counted, tell
from tpgen.basics.team import ALONE, Team
from tpgen.history.compute import histories
from tpgen.kernel.events import KernelEvents
from tpgen.paths import resource_dir

# Assets that are copied as they are.
_ASSETS = "assets"
_SCHEMA = "atlas.schema.json"
_SCHEMAS_OF_OTHERS = "history.schema.json", "show.schema.json"


class Atlas(NamedTuple):
    """The request for an atlas: kernels by name, oldest first, and the address that it will have, if that is known.

    `base_url` ends in a slash.
    """

    opened: Mapping[str, KernelEvents]
    base_url: str | None = None


class Prepared(NamedTuple):
    """All facts of a site; the kernels are not needed after that."""

    base_url: str | None
    kernels: tuple[Kernel, ...]
    entries: tuple[Entry, ...]
    compared: tuple[Compared, ...]


def prepare(atlas: Atlas) -> Prepared:
    """Read all facts about the kernels of an atlas."""
    history = histories(atlas.opened)
    kernels = known_kernels(history, atlas.opened)
    events = located(history)
    read = entries(events, kernels, atlas.opened)
    changes = Changes(events, atlas.opened)
    return Prepared(
        atlas.base_url,
        kernels,
        read,
        tuple(changes.between(*pair) for pair in counted("comparing kernels", pairs(kernels))),
    )


def site(prepared: Prepared, team: Team = ALONE) -> Iterator[File]:
    """The files of the site, each made when it is consumed; the same kernels give the same bytes.

    The pages of some events are in memory at a time. In a team, its other process is in `assist`.
    """
    addresses = []
    for file in _files(prepared, team):
        if file.path.endswith(".html"):
            addresses.append(file.path)
        yield file
    yield from _assets()
    if (base_url := prepared.base_url) is not None:
        yield File("sitemap.xml", _sitemap(base_url, addresses))
        yield File("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {base_url}sitemap.xml\n".encode())


def assist(prepared: Prepared, team: Team) -> None:
    """Make the share of a fork of the files, for the process that is in `site`."""
    pages, coder = Pages(prepared.kernels, prepared.base_url), Coder()
    for some in _portions(prepared):
        team.gather(_made(pages, coder, _share(some, team)))
    team.gather(sorted(coder.included.items()))
    team.gather([(file.path, file.data) for file in change_pages(pages, prepared.compared)])


def _files(prepared: Prepared, team: Team) -> Iterator[File]:
    pages, coder, index = Pages(prepared.kernels, prepared.base_url), Coder(), Index(prepared.kernels)
    for some in _portions(prepared):
        tell("making pages of events", len(index.events), len(prepared.entries))
        for entry in some:
            index.add(entry)
        for made in team.gather(_made(pages, coder, _share(some, team))):
            yield from starmap(File, made)
    included = dict(chain(*team.gather(sorted(coder.included.items()))))
    for name, text in sorted(included.items()):
        yield File(f"code/{name}", text.encode())
    tell("making lists")
    yield from list_pages(pages, index, prepared.compared)
    if team.size == 1:
        yield from change_pages(pages, prepared.compared)
    else:
        for made in team.gather([]):
            yield from starmap(File, made)


# The events of which pages are made at once, and how much of that the first process does, which writes them all.
_AT_ONCE, _OWN_SHARE = 128, 0.4


def _portions(prepared: Prepared) -> Iterator[tuple[Entry, ...]]:
    for start in range(0, len(prepared.entries), _AT_ONCE):
        yield prepared.entries[start : start + _AT_ONCE]


def _share(some: Sequence[Entry], team: Team) -> Sequence[Entry]:
    """The events of which this process makes the pages."""
    border = len(some) if team.size == 1 else round(len(some) * _OWN_SHARE)
    return some[border:] if team.rank else some[:border]


def _made(pages: Pages, coder: Coder, some: Sequence[Entry]) -> list[tuple[str, bytes]]:
    return [(file.path, file.data) for entry in some for file in pages.event(entry, coder.code(entry))]


def _assets() -> Iterator[File]:
    folder = resource_dir("templates") / "atlas"
    yield File(_SCHEMA, (folder / _SCHEMA).read_bytes())
    for name in _SCHEMAS_OF_OTHERS:  # which it refers to
        yield File(name, (resource_dir("templates") / "schemas" / name).read_bytes())
    if (folder / _ASSETS).is_dir():
        for path in sorted((folder / _ASSETS).iterdir()):
            yield File(f"{_ASSETS}/{path.name}", path.read_bytes())


def _sitemap(base_url: str, paths: list[str]) -> bytes:
    """The addresses of all pages, as https://www.sitemaps.org has it: it takes 50 000."""
    urls = "".join(f"<url><loc>{escape(base_url + path)}</loc></url>\n" for path in sorted(paths))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    return f"{head}{urls}</urlset>\n".encode()
