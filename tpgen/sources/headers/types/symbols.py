"""The symbols that a header defines and the headers that it includes, found without parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tpgen.sources.headers.preprocessor.source import line_matches
from tpgen.sources.source_tree.files import NO_DIGESTS, Digest, Files

_INCLUDE = re.compile(rb'#[ \t]*include[ \t]*(["<])([^">\n]{1,255}+)[">]')
# Patterns for the types that a header defines, each with a word without which there are none. No text makes a search
# quadratic: see the bounds and classes.
_TYPES = (
    (b"struct", re.compile(rb"struct\s++(?:__\w++\s++)?(\w++)\s*+\{")),
    (b"union", re.compile(rb"union\s++(?:__\w++\s++)?(\w++)\s*+\{")),
    (b"enum", re.compile(rb"enum\s++(?:__\w++\s++)?(\w++)\s*+\{")),
    (b"typedef", re.compile(rb"typedef\b[^;{}]{0,120}?\b(\w{1,80})\s*(?:\[[^;\]]{0,80}\]\s*)?;")),
    (b"typedef", re.compile(rb"typedef\b[^;{}()]{0,120}\(\s*\*\s*(\w{1,80})\s*\)")),
    (b"typedef", re.compile(rb"\}[^;{}()\n]{0,80}?\b(\w{1,80})\s*;")),
)
_MACRO = re.compile(rb"#[ \t]*define[ \t]+(\w+)")
_ENUM = re.compile(rb"enum\b[^;{}()]{0,200}\{([^{}]*)\}")
# A name at the start of a line or behind a comma; comments between the braces hold words as well.
_ENUMERATOR = re.compile(rb"(?:^|,)[ \t]*([A-Za-z_]\w*)(?=\s*(?:[=,/]|$))", re.MULTILINE)


class HeaderSymbols(NamedTuple):
    """The headers that a header includes, each behind its quote, the types that it may define, and its macros and
    enumerators. Each stands in a line of its own: all headers together have too many for an object each."""

    includes: bytes
    types: bytes
    constants: bytes

    def may_define(self, name: bytes) -> bool:
        """Return whether the header may define a type, macro or enumerator of that name."""
        line = b"\n%s\n" % name
        return line in self.types or line in self.constants


def header_symbols(raw: bytes) -> HeaderSymbols:
    """Find the symbols in the text of a header."""
    includes = [match[1] + match[2] for _, match in line_matches(_INCLUDE, raw)]
    types = {name for word, pattern in _TYPES if word in raw for name in pattern.findall(raw)}
    constants = _MACRO.findall(raw)
    if b"enum" in raw:
        for body in _ENUM.findall(raw):
            constants += _ENUMERATOR.findall(body)
    return HeaderSymbols(_lines(includes), _lines(types), _lines(constants))


def _lines(names: Iterable[bytes]) -> bytes:
    return b"\n".join((b"", *names, b""))


#: For each header the digest of its file and the fields of its symbols; None where there is no file.
SymbolRows = Mapping[str, tuple[Digest, tuple[bytes, bytes, bytes] | None]]

NO_SYMBOLS: Mapping[str, HeaderSymbols | None] = {}


class SymbolTable:
    """The symbols of headers by path, None for what is no header. `folders` are the directories that were listed.

    The `previous` symbols are reused for files whose digest is still the one in `previous_digests`.
    """

    def __init__(
        self,
        files: Files,
        previous: Mapping[str, HeaderSymbols | None] = NO_SYMBOLS,
        previous_digests: Mapping[str, Digest] = NO_DIGESTS,
    ) -> None:
        self.found: dict[str, HeaderSymbols | None] = {}
        self.folders: dict[str, None] = {}
        self._files = files
        self._previous = previous
        self._previous_digests = previous_digests
        self._rows: SymbolRows = {}

    def rows(self) -> SymbolRows:
        """Return what was found, as marshal takes it."""
        return {path: (self._files.digest(path), names and (*names,)) for path, names in self.found.items()}

    def take_rows(self, rows: SymbolRows) -> None:
        """Take from the rows of another table what is asked for from here on, instead of reading the header."""
        self._rows = rows

    def symbols(self, path: str) -> HeaderSymbols | None:
        """Return the symbols of the header at `path`; None where there is no file of a sensible size."""
        if path not in self.found:
            if path in self._previous and self._files.digest(path) == self._previous_digests[path]:
                self.found[path] = self._previous[path]
            elif path in self._rows:
                digest, row = self._rows[path]
                self._files.record_digest(path, digest)
                self.found[path] = row and HeaderSymbols(*row)
            else:
                raw = self._files.read(path)
                self.found[path] = header_symbols(raw) if raw else None
        return self.found[path]

    def text(self, path: str) -> str:
        """Return the text of a header."""
        return self._files.read(path).decode("utf-8", "replace")

    def headers_in(self, directory: str) -> list[str]:
        """Return the headers directly in a directory."""
        self.folders[f"{directory}/"] = None
        return self._files.headers_in(directory)
