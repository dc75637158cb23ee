"""Macros that a trace header uses and another header defines.

A compiler sees a whole translation unit, tpgen one trace header. The few that use a macro of their driver's main header
(hfi1's DD_DEV_ENTRY) borrow it: from the headers that they include, and from those beside them that include them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment
from tpgen.sources.headers.preprocessor.macros import Macro, closure, parse_define
from tpgen.sources.headers.preprocessor.source import Source, line_matches
from tpgen.sources.source_tree.files import Files

_INCLUDE = re.compile(r'#[ \t]*include[ \t]*(["<])([^">\n]{1,255}+)[">]')


class MacroLookup:
    """A lookup of macro definitions in the headers around a trace header. `environment` decides their conditions."""

    def __init__(self, environment: MacroEnvironment, files: Files) -> None:
        self._environment = environment
        self._files = files
        self._texts: dict[str, str] = {}
        self._dependencies: list[str] = []

    def take_dependencies(self) -> list[str]:
        """Return and reset the paths consulted since the last call, with missing ones: dependencies of the unit."""
        found, self._dependencies = self._dependencies, []
        return found

    def macros_for(self, source: Source, words: Iterable[str]) -> dict[str, Macro]:
        """Return the definitions of `words` that `source` can see, and of all macros that these use in turn."""
        wanted = set(words)
        borrowed: dict[str, Macro] = {}
        for path in dict.fromkeys((*self._included(source), *self._including(source))):
            text = self._text(path)
            if any(word in text for word in wanted - borrowed.keys()):
                macros = self._definitions(path, text)
                borrowed.update(closure(wanted - borrowed.keys(), macros))
        return borrowed

    def _included(self, source: Source) -> Iterator[str]:
        directory = os.path.dirname(source.path)
        for quote, name in _includes(source.text):
            if quote == '"':
                yield os.path.normpath(os.path.join(directory, name))
            parents = Path(directory).parents
            for parent in parents:
                yield str(parent / "include" / name)
            if quote == "<":
                # Of a driver, whose Makefile says where its headers are.
                yield from (str(parent / name) for parent in parents)

    def _including(self, source: Source) -> Iterator[str]:
        directory, name = os.path.split(source.path)
        self._dependencies.append(f"{directory}/")
        for path in self._files.headers_in(directory):
            if path != source.path and any(
                os.path.basename(included) == name for _, included in _includes(self._text(path))
            ):
                yield path

    def _text(self, path: str) -> str:
        self._dependencies.append(path)
        if path not in self._texts:
            self._texts[path] = self._files.read(path).decode("utf-8", "replace")
        return self._texts[path]

    def _definitions(self, path: str, text: str) -> dict[str, Macro]:
        source = Source(path, text)
        macros: dict[str, Macro] = {}
        for directive in structure(source, self._environment).directives:
            if directive.keyword == "define" and directive.presence.value is not False:
                span = (directive.start, directive.end)
                if macro := parse_define(directive.rest, source, span, directive.presence):
                    macros.setdefault(macro.name, macro)
        return macros


def _includes(text: str) -> Iterator[tuple[str, str]]:
    return ((match[1], match[2]) for _, match in line_matches(_INCLUDE, text))
