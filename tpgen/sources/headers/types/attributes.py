"""Attributes that change the size of an enum or the layout of a struct."""

from __future__ import annotations

import re
from collections.abc import Collection

from tpgen.basics.frozen import frozen

_ATTRIBUTE = r"__attribute__\s*\(\(\s*(?:%s)\s*\)\)"
_PACKED = re.compile(r"__packed|" + _ATTRIBUTE % "packed|__packed__")
_BYTE = re.compile(
    r"__mode\s*\(\s*byte\s*\)|" + _ATTRIBUTE % r"(?:__)?mode(?:__)?\s*\(\s*(?:byte|__byte__)\s*\)",
)
_ALIGNED = re.compile(
    r"__aligned\s*\(\s*(\d{1,9})\s*\)|" + _ATTRIBUTE % r"(?:__)?aligned(?:__)?\s*\(\s*(\d{1,9})\s*\)",
)
# Attributes that change nothing about a layout.
_HARMLESS = re.compile(r"__may_alias|__deprecated|" + _ATTRIBUTE % "__may_alias__")


def enum_size(attributes: str, values: Collection[int] | None) -> int | None:
    """Return the size in bytes of an enum with these attributes and values; None where it is unknown.

    `values` is None when they are unknown: then only an attribute that states the size decides.
    """
    text = _HARMLESS.sub("", attributes).strip()
    if _BYTE.fullmatch(text):
        return 1
    if values is None or (text and not _PACKED.fullmatch(text)):
        return None
    lowest, highest = min(values, default=0), max(values, default=0)
    bits = max(highest.bit_length() + (lowest < 0), (-lowest - 1).bit_length() + 1 if lowest < 0 else 0)
    smallest = 1 if text else 4
    return next((size for size in (1, 2, 4, 8) if size >= smallest and bits <= 8 * size), None)


@frozen
class StructAttributes:
    """The attributes of a struct: whether its members have no padding, and its least alignment in bytes."""

    packed: bool
    aligned: int


def struct_attributes(text: str) -> StructAttributes | None:
    """Parse the attributes of a struct; None where one of them is not understood."""
    text = _HARMLESS.sub("", text)
    packed = bool(_PACKED.search(text))
    aligned = [int(one or other) for one, other in _ALIGNED.findall(text)]
    rest = _ALIGNED.sub("", _PACKED.sub("", text))
    known = not rest.strip() and all(0 < value <= 4096 and value & (value - 1) == 0 for value in aligned)
    return StructAttributes(packed, max(aligned, default=1)) if known else None
