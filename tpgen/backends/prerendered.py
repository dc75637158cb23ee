"""Templates rendered ahead of time, once for each set of flags, for text of which a kernel needs thousands.

A template has flags, `{% if "packed" in flags %}`, and values, `{{ name }}`. jinja2 renders it once for each set of
flags, with placeholders for the values, and Python's `%` fills these in. To import jinja2 takes longer than all else
that a run for one event does, so what it makes travels with the package: templates/<backend>/prerendered.txt, which
templates/prerender.py makes. Each page there has the checksum of its template: a template that was edited is rendered
when it is needed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import product
from operator import itemgetter

from tpgen.backends.templates import with_placeholders
from tpgen.paths import resource_path

#: The file of a backend's prerendered templates, beside these.
FILE = "prerendered.txt"
_HEAD = "Made from the templates beside this file by templates/prerender.py, which is to be run when one changes.\n"
# A page is a template with one set of flags; its first line is its key.
_PAGE = "\f"


def fill(backend: str, template: str, flags: Sequence[str] = (), /, **values: object) -> str:
    """The template of the backend, rendered with these flags, of which "" is none, and these values."""
    page, values_of = _page(backend, template, *flags)
    return page if values_of is None else page % values_of(values)


@cache
def _page(backend: str, template: str, *flags: str) -> tuple[str, Callable[[Mapping[str, object]], object] | None]:
    """The template with these flags as a text for `%`, and what puts values in the order of their places there.

    To find each by its name takes twice as long, thousands of times. A template without values is filled already.
    """
    page = prerendered(backend, template, *flags)
    asked = _Asked()
    by_place = page.replace("%%", "%%%%") % asked
    return (by_place, itemgetter(*asked.names)) if asked.names else (page % (), None)


class _Asked(dict[str, str]):
    """The names of the values that a text for `%` asks for, in its order; it gets `%s` for each."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __missing__(self, name: str) -> str:
        self.names.append(name)
        return "%s"


@cache
def prerendered(backend: str, name: str, *flags: str) -> str:
    """The template `name` of the backend with these flags, in any order, and a `%(value)s` for each value."""
    made = _shipped(backend).get(_key(backend, name, flags))
    return _rendered(backend, name, flags) if made is None else made


def prerendered_text(backend: str, flag_sets: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """The content of `FILE`: each template, by its name, with every set that has a flag of each of its rows."""
    pages = (
        f"{_key(backend, name, flags)}\n{_rendered(backend, name, flags)}"
        for name, rows in flag_sets.items()
        for flags in product(*rows)
    )
    return _PAGE.join((_HEAD, *pages))


def _rendered(backend: str, name: str, flags: Iterable[str]) -> str:
    return with_placeholders(backend, name, flags=frozenset(flags))


@cache
def _shipped(backend: str) -> dict[str, str]:
    """The pages that travel with the package, by their keys."""
    pages = _read(backend, FILE).decode().split(_PAGE)[1:]
    return {key: made for key, _, made in (page.partition("\n") for page in pages)}


def _key(backend: str, name: str, flags: Iterable[str]) -> str:
    return " ".join((name, _checksum(backend, name), *sorted(filter(None, flags))))


@cache
def _checksum(backend: str, name: str) -> str:
    return f"{zlib.crc32(_read(backend, f'{name}.j2')):08x}"


def _read(backend: str, name: str) -> bytes:
    with open(os.path.join(resource_path("templates"), backend, name), "rb") as file:
        return file.read()
