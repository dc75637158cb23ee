"""Paths of the pages, and the ids of places in them: every name gets one of its own, on any file system.

Names are somebody else's. Two that differ in case alone are two files also where a file system does not tell case, and
no character of a path means anything to a URL, a shell or HTML.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "event", "system", "type", "module", "kernel", "changes", "arguments", "fields", "names"
]  # fmt: skip

_FOLDERS: dict[Kind, str] = {
    "event": "events", "system": "systems", "type": "types", "module": "modules", "kernel": "kernels",
    "changes": "changes", "arguments": "arguments", "fields": "fields", "names": "names",
}  # fmt: skip
# What stands for itself in a path, and in an id, which tells case.
_NOT_IN_PATH, _NOT_IN_ID = re.compile(r"[^a-z0-9_.-]"), re.compile(r"[^A-Za-z0-9_.-]")
# Names that Windows keeps for devices whatever their suffix, and that of a folder's own page.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|index)(?:\..*)?")
# Longer names are cut, and end in their digest.
_LONGEST, _KEPT = 120, 90
#: The folder of events of which no source knows the system: no name is escaped to this.
NO_SYSTEM = "="


def path_of(kind: Kind, *names: str | None) -> str:
    """The path of a page below the root of the site.

    An event's names are its system (None where unknown), its own, and its module where another event of that system has
    the name as well. A type's is its spelling, `struct sock`. Those of changes are both kernels.
    """
    if kind == "event":
        system, *rest = names
        folder = NO_SYSTEM if system is None else file_name(system)
        return f"events/{folder}/{'@'.join(file_name(name or '') for name in rest)}.html"
    if kind == "type":
        names = tuple((name or "").replace("-", "\0").replace(" ", "-") for name in names)
    return f"{_FOLDERS[kind]}/{'@'.join(file_name(name or '') for name in names)}.html"


def file_name(name: str) -> str:
    """A name in the letters that a path may have: `A` as `=a`, other bytes as `=0` with two hexadecimal digits.

    >>> file_name("kvm_Exit*")
    'kvm_=exit=02a'
    """
    escaped = _NOT_IN_PATH.sub(_escaped, name)
    if not escaped or escaped[0] in ".-" or _RESERVED.fullmatch(escaped):
        escaped = f"{_escaped_bytes(escaped[:1])}{escaped[1:]}" or "=0"
    if len(escaped) <= _LONGEST:
        return escaped
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{escaped[:_KEPT].rpartition('=')[0] or escaped[:_KEPT]}=1{digest}"


def fragment(kind: Literal["arg", "field", "kernel"], name: str) -> str:
    """The id of a place in a page: `arg-NAME`, in letters that no URL has to escape."""
    return f"{kind}-{_NOT_IN_ID.sub(lambda found: _escaped_bytes(found.group()), name)}"


def root_of(path: str) -> str:
    """The way from a page to the root of the site: `../../`, or nothing from the first page."""
    return "../" * path.count("/")


def beside(path: str) -> str:
    """The path of the JSON file beside a page."""
    return f"{path.removesuffix('.html')}.json"


def letter_of(name: str) -> str:
    """The letter below which an alphabetical list has a name; `_` for what is none of a to z."""
    first = name[:1].lower()
    return first if first.isascii() and first.isalpha() else "_"


def _escaped(found: re.Match[str]) -> str:
    character = found.group()
    return f"={character.lower()}" if character.isascii() and character.isalpha() else _escaped_bytes(character)


def _escaped_bytes(text: str) -> str:
    return "".join(f"=0{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))
