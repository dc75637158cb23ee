"""The types that have a page; plain numbers have none."""

from __future__ import annotations

import re

from tpgen.atlas.paths import path_of
from tpgen.model import CType, Enum, Float, FuncProto, Int, Struct, Typedef, Void
from tpgen.typequery import children

# Numbers by another name.
_NUMBER = re.compile(r"(?:__)?[us](?:8|16|32|64)|u?int(?:8|16|32|64)_t|bool|u?int|ulong|ushort|s?size_t|uintptr_t")


def named_type(ctype: CType) -> str | None:
    """The spelling of the type that a page is about: what is pointed to, or an element of an array, without qualifiers.

    None for plain numbers, `void`, functions and what has no name.
    """
    while not isinstance(ctype, Struct | Enum | Typedef | Int | Float | Void | FuncProto):
        (ctype,) = children(ctype)
    match ctype:
        case Struct(keyword=keyword, name=str(name)):
            return f"{keyword} {name}"
        case Enum(name=str(name)):
            return f"enum {name}"
        case Typedef(name=name) if not _NUMBER.fullmatch(name):
            return name
        case _:
            return None


def type_of_page(ctype: CType) -> str | None:
    """The path of the page about a type; None where there is none."""
    name = named_type(ctype)
    return None if name is None else path_of("type", name)
