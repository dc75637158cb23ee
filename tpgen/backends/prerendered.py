"""Forms: a template with everything decided but what `%` fills in, for text of which a kernel needs thousands.

A template is asked for in a handful of shapes: with and without a bool, a tag, a size. jinja2 renders it once for each,
with `%(name)s` where the names go, and the rest is Python's `%`. To import jinja2 takes longer than all else that a run
for one event does, so these forms travel with the package: templates/<backend>/forms.txt, which templates/make_forms.py
makes. There they stand under the checksum of their template: who edits one gets what it says, made by jinja2.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import product

from tpgen.backends.templates import template
from tpgen.paths import resource_path

#: Where the forms of a backend lie, beside its templates.
FILE = "forms.txt"
_HEAD = "Made from the templates beside this file by templates/make_forms.py, which is to be run when one changes.\n"
# A form is a page: first a line with its key.
_PAGE = "\f"


@cache
def form(backend: str, name: str, *shape: str) -> str:
    """The template `name` of the backend, with `shape` decided: the words in it that are not empty, in any order."""
    made = _shipped(backend).get(_key(backend, name, shape))
    return _rendered(backend, name, shape) if made is None else made


def forms_text(backend: str, shapes: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """The content of forms.txt: each template, by its name, in every shape that has a word of each of its rows."""
    pages = (
        f"{_key(backend, name, shape)}\n{_rendered(backend, name, shape)}"
        for name, rows in shapes.items()
        for shape in product(*rows)
    )
    return _PAGE.join((_HEAD, *pages))


def _rendered(backend: str, name: str, shape: Iterable[str]) -> str:
    return template(backend, name).render(shape=frozenset(shape))


@cache
def _shipped(backend: str) -> dict[str, str]:
    """The forms that travel with the package, by their keys."""
    pages = _read(backend, FILE).decode().split(_PAGE)[1:]
    return {key: made for key, _, made in (page.partition("\n") for page in pages)}


def _key(backend: str, name: str, shape: Iterable[str]) -> str:
    return " ".join((name, _checksum(backend, name), *sorted(filter(None, shape))))


@cache
def _checksum(backend: str, name: str) -> str:
    return f"{zlib.crc32(_read(backend, f'{name}.j2')):08x}"


def _read(backend: str, name: str) -> bytes:
    with open(os.path.join(resource_path("templates"), backend, name), "rb") as file:
        return file.read()
