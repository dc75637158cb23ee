"""What a generated header offers to a program, read from its text: the accessors and how each is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FUNCTION = re.compile(r"^TPGEN_INLINE (?P<result>.*?)(?P<name>\w+)\((?P<parameters>[^)]*)\)$", re.MULTILINE)
_CHECKED = re.compile(r"^#define (?P<name>\w+_if_\w+)\(ctx, pointer\)", re.MULTILINE)
_SECTION = re.compile(r'^#define \w+?_SEC_\w+ "(?P<section>[^"]+)"$', re.MULTILINE)
_FORMS = {"raw": "raw", "tp": "classic"}
_RETURNS, _COPIES = "const void *ctx", "const void *ctx, void *dst, unsigned int size"


@dataclass(frozen=True, slots=True)
class Accessor:
    """A function of a header; `copies` tells a `_read` accessor from one that returns its value."""

    name: str
    copies: bool


@dataclass(frozen=True, slots=True)
class Header:
    """A generated header; `form` is `raw` or `classic`, and `prefix` what its names begin with.

    `checked` are the macros that run a block for a pointer that is not NULL, `sections` the programs that fit.
    """

    path: Path
    prefix: str
    form: str
    event: str
    accessors: tuple[Accessor, ...]
    checked: tuple[str, ...]
    sections: tuple[str, ...]

    @property
    def values(self) -> tuple[Accessor, ...]:
        """The accessors that return a value."""
        return tuple(accessor for accessor in self.accessors if not accessor.copies)


def read_header(path: Path) -> Header:
    """The header at `path`. A function of a shape that is unknown here fails: the tests would not call it."""
    form, _, event = path.stem.partition("_")
    text = path.read_text()
    checked = (macro["name"] for macro in _CHECKED.finditer(text))
    sections = (macro["section"] for macro in _SECTION.finditer(text))
    accessors = _accessors(text, path.stem)
    return Header(path, path.stem, _FORMS[form], event, tuple(accessors), tuple(checked), tuple(sections))


def headers_in(folder: Path) -> list[Path]:
    """The headers of events in a folder, by name, without what they include."""
    return sorted(path for path in folder.glob("*.h") if not path.name.startswith("tpgen_"))


def read_headers(folder: Path) -> tuple[Header, ...]:
    """Every header of a folder, by name."""
    return tuple(map(read_header, headers_in(folder)))


def _accessors(text: str, prefix: str) -> list[Accessor]:
    found = []
    for function in _FUNCTION.finditer(text):
        if function["name"].startswith(prefix + "_"):
            assert function["parameters"] in (_RETURNS, _COPIES), function[0]
            found.append(Accessor(function["name"], function["parameters"] == _COPIES))
    return found
