"""An atlas as files in a directory: all of them or none, and what an earlier run left behind removed."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import NamedTuple

from tpgen.atlas.pages import File
from tpgen.atlas.site import Atlas, assist, prepare, site
from tpgen.basics.team import Team, shared
from tpgen.diagnostics import fail
from tpgen.output import is_inside, remove_files, write_files

#: The list of all files of a site, by which a later run knows them.
LIST = "files.txt"
_HEAD = "# The files of a tracepoint atlas that tpgen made. A later run removes what it no longer makes.\n"
_BIGGEST_LIST = 1 << 26


class SiteTotal(NamedTuple):
    """The counts of a site's files: all of them and their bytes, those that changed, and those that were removed."""

    files: int
    size_bytes: int
    changed: int
    removed: int


def publish(atlas: Atlas, directory: str) -> SiteTotal:
    """Write the site below `directory`, which is empty, missing, or has one that was written before.

    Every file is written beside its place, and put there once all are: what goes wrong before leaves the old site.
    Files that are not of a site stay. Raises `usage` for a directory with something else, `unwritable`.
    """
    before = _written_before(directory)
    prepared = prepare(atlas)
    gc.freeze()  # what is read stays: no collection looks at it again, and a fork shares its pages

    def work(team: Team) -> tuple[_Made, int]:
        if team.rank:
            assist(prepared, team)
            return _Made(), 0
        made = _Made()
        files = made.listed(site(prepared, team))
        return made, len(write_files(directory, ((file.path, file.data) for file in files)))

    try:
        made, changed = shared(work)
    finally:
        gc.unfreeze()
    left = sorted(before - made.paths.keys())
    remove_files(directory, left)
    return SiteTotal(len(made.paths), sum(made.paths.values()), changed, len(left))


class _Made:
    """The sizes of the files that were made, by their paths."""

    def __init__(self) -> None:
        self.paths: dict[str, int] = {}

    def listed(self, files: Iterator[File]) -> Iterator[File]:
        """The files, and at the end the list of them."""
        for file in files:
            assert file.path not in self.paths, file.path
            self.paths[file.path] = len(file.data)
            yield file
        data = (_HEAD + "".join(f"{path}\n" for path in sorted([*self.paths, LIST]))).encode()
        self.paths[LIST] = len(data)
        yield File(LIST, data)


def _written_before(directory: str) -> set[str]:
    """The files of the site that is there. Raises `usage` where something else is."""
    try:
        if not os.listdir(directory):
            return set()
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise fail("unwritable", f"cannot write: {error.strerror or error}", directory) from None
    try:
        with open(os.path.join(directory, LIST), encoding="utf-8") as file:
            text = file.read(_BIGGEST_LIST)
    except (OSError, ValueError):
        text = ""
    if not text.startswith(_HEAD):
        hint = "give a new directory, or one that `tpgen atlas` wrote"
        raise fail("usage", "the directory has files that do not belong to an atlas", directory, hint)
    return {path for path in text.removeprefix(_HEAD).splitlines() if is_inside(path)}


def checked_url(url: str | None) -> str | None:
    """The address of a site with a slash at its end. Raises `usage` for one that is no http or https address."""
    if url is None:
        return None
    scheme, _, rest = url.partition("://")
    if (
        scheme not in ("http", "https")
        or not rest
        or rest.startswith("/")
        or not (rest.isascii() and rest.isprintable())
        or set(rest) & _NO_URL
    ):
        raise fail("usage", f"--base-url {url!r} is not an address", hint="such as https://example.org/atlas/")
    return url if url.endswith("/") else f"{url}/"


_NO_URL = set(" \"'<>\\^`{|}?#")
