"""The names that a header defines and those that it includes, found without taking it apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tpgen.sources.headers.preprocessor.source import line_matches
from tpgen.sources.source_tree.files import NO_DIGESTS, Digest, Files

_INCLUDE = re.compile(rb'#[ \t]*include[ \t]*(["<])([^">\n]+)[">]')
# What finds the types that a header defines, each with a word without which there are none. Bounds and classes are such
# that no text makes a search quadratic.
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


class HeaderNames(NamedTuple):
    """The headers that a header includes, each behind its quote, the types that it may define, and its macros and
    enumerators, each in a line of its own: of all headers together there are too many for an object each."""

    includes: bytes
    types: bytes
    constants: bytes

    def may_define(self, name: bytes) -> bool:
        """Whether a name may be one of these."""
        line = b"\n%s\n" % name
        return line in self.types or line in self.constants


def header_names(raw: bytes) -> HeaderNames:
    """The names in the text of a header."""
    includes = [match[1] + match[2] for _, match in line_matches(_INCLUDE, raw)]
    types = {name for word, pattern in _TYPES if word in raw for name in pattern.findall(raw)}
    constants = _MACRO.findall(raw)
    if b"enum" in raw:
        for body in _ENUM.findall(raw):
            constants += _ENUMERATOR.findall(body)
    return HeaderNames(_lines(includes), _lines(types), _lines(constants))


def _lines(names: Iterable[bytes]) -> bytes:
    return b"\n".join((b"", *names, b""))


NO_NAMES: Mapping[str, HeaderNames | None] = {}


class NameTable:
    """The names of headers by path, None for what is no header, and the names of the headers of `folders`.

    Of files that have the contents that they had, what was `known` of them counts.
    """

    def __init__(
        self,
        files: Files,
        known: Mapping[str, HeaderNames | None] = NO_NAMES,
        contents: Mapping[str, Digest] = NO_DIGESTS,
    ) -> None:
        self.found: dict[str, HeaderNames | None] = {}
        self.folders: dict[str, None] = {}
        self._files = files
        self._known = known
        self._contents = contents

    def names(self, path: str) -> HeaderNames | None:
        """The names in the header at `path`; None where there is none, or none of a sensible size."""
        if path not in self.found:
            if path in self._known and self._files.digest(path) == self._contents[path]:
                self.found[path] = self._known[path]
            else:
                raw = self._files.read(path)
                self.found[path] = header_names(raw) if raw else None
        return self.found[path]

    def text(self, path: str) -> str:
        """The text of a header."""
        return self._files.read(path).decode("utf-8", "replace")

    def headers_in(self, directory: str) -> list[str]:
        """The headers right in a directory."""
        self.folders[f"{directory}/"] = None
        return self._files.headers_in(directory)
