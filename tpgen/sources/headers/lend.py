"""Macros that a trace header uses and another header defines.

C sees a whole translation unit. We read trace headers alone, and the few that use a macro of their driver's main header
(hfi1's DD_DEV_ENTRY) borrow it: from the headers that they include, and from those beside them that include them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tpgen.sources.headers.cache import digest
from tpgen.sources.headers.conditions import Names
from tpgen.sources.headers.directives import structure
from tpgen.sources.headers.macros import Macro, closure, parse_define
from tpgen.sources.headers.text import Source, line_matches

_INCLUDE = re.compile(r'#[ \t]*include[ \t]*(["<])([^">\n]+)[">]')
# A main header is big, a generated one is bigger and of no use here.
_BIGGEST = 1 << 20


class Lender:
    """Finds macro definitions in the headers around a trace header. `names` decides their conditions."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._texts: dict[str, str] = {}

    def macros_for(self, source: Source, words: Iterable[str]) -> dict[str, Macro]:
        """The definitions of `words` that `source` can see, and of all that these need in turn."""
        wanted = set(words)
        lent: dict[str, Macro] = {}
        for path in dict.fromkeys((*self._included(source), *self._including(source))):
            text = self._text(path)
            if any(word in text for word in wanted - lent.keys()):
                macros = self._definitions(path, text)
                lent.update(closure(wanted - lent.keys(), macros))
        return lent

    def looked_for(self) -> dict[str, str | None]:
        """What all files held that were read or looked for."""
        return {path: digest(text.encode()) for path, text in self._texts.items()}

    def _included(self, source: Source) -> Iterator[str]:
        directory = os.path.dirname(source.path)
        for quote, name in _includes(source.text):
            if quote == '"':
                yield os.path.normpath(os.path.join(directory, name))
            for parent in Path(directory).parents:
                yield str(parent / "include" / name)

    def _including(self, source: Source) -> Iterator[str]:
        directory, name = os.path.split(source.path)
        try:
            siblings = sorted(entry for entry in os.listdir(directory or ".") if entry.endswith(".h") and entry != name)
        except OSError:
            return
        for sibling in siblings:
            path = os.path.join(directory, sibling)
            if any(os.path.basename(included) == name for _, included in _includes(self._text(path))):
                yield path

    def _text(self, path: str) -> str:
        if path not in self._texts:
            self._texts[path] = _read(path)
        return self._texts[path]

    def _definitions(self, path: str, text: str) -> dict[str, Macro]:
        source = Source(path, text)
        macros: dict[str, Macro] = {}
        for directive in structure(source, self._names).directives:
            if directive.keyword == "define" and directive.place.truth is not False:
                span = (directive.start, directive.end)
                if macro := parse_define(directive.rest, source, span, directive.place):
                    macros.setdefault(macro.name, macro)
        return macros


def _includes(text: str) -> Iterator[tuple[str, str]]:
    return ((match[1], match[2]) for _, match in line_matches(_INCLUDE, text))


def _read(path: str) -> str:
    """The text of a header; empty for what is no readable file of a sensible size."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _BIGGEST:
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
