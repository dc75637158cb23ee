"""The encoding of BTF: the header of a `.BTF` section, the kinds of types, and how long a type is.

Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from array import array
from enum import IntEnum

from tpgen.diagnostics import fail


class BtfKind(IntEnum):
    """BTF_KIND_* of include/uapi/linux/btf.h."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


KINDS = tuple(BtfKind)

# What follows the three words of a type, in words: a fixed part and a part per element (vlen).
_FIXED = [0] * 20
PER_ELEMENT = [0] * 20
_FIXED[BtfKind.INT] = _FIXED[BtfKind.VAR] = _FIXED[BtfKind.DECL_TAG] = 1
_FIXED[BtfKind.ARRAY] = 3
PER_ELEMENT[BtfKind.ENUM] = PER_ELEMENT[BtfKind.FUNC_PROTO] = 2
PER_ELEMENT[BtfKind.STRUCT] = PER_ELEMENT[BtfKind.UNION] = 3
PER_ELEMENT[BtfKind.DATASEC] = PER_ELEMENT[BtfKind.ENUM64] = 3


class Strides(dict[int, int]):
    """The length in words of a type by its info word. Few distinct info words occur, so the walk looks them up."""

    def __missing__(self, info: int) -> int:
        kind = info >> 24 & 31
        # An unknown kind leads past every end.
        known = 0 < kind < len(_FIXED)
        self[info] = stride = 3 + _FIXED[kind] + PER_ELEMENT[kind] * (info & 0xFFFF) if known else 1 << 40
        return stride


def is_split(data: bytes, path: str) -> bool:
    """Whether a `.BTF` section continues another: only then does its string section not start with the empty string."""
    _, _, strings = split_sections(data, path)
    return bytes(strings[:1]) != b"\0"


def native(section: memoryview, swapped: bool) -> bytes:
    """A section of 32-bit words with the bytes of each in this machine's order."""
    if not swapped:
        return section.tobytes()
    words = array("I", section.tobytes())
    words.byteswap()
    return words.tobytes()


def split_sections(data: bytes, path: str) -> tuple[str, memoryview, memoryview]:
    """The byte order ("<" or ">"), the type section and the string section of a `.BTF` section."""
    order = {b"\x9f\xeb": "<", b"\xeb\x9f": ">"}.get(bytes(data[:2]))
    if order is None:
        raise fail("btf-bad-magic", "corrupt BTF: it does not start with the magic 0xeb9f", path)
    try:
        version, _, header, type_offset, type_length, string_offset, string_length = struct.unpack_from(
            order + "BBIIIII", data, 2
        )
    except struct.error:
        raise fail("btf-truncated", f"corrupt BTF: the header ends after {len(data)} of 24 bytes", path) from None
    if version != 1:
        raise fail("btf-bad-version", f"BTF version {version} is not known", path, "tpgen reads version 1")
    if type_length % 4 or type_offset % 4:
        raise fail("btf-truncated", "corrupt BTF: the type section is not made of whole words", path)
    sections: list[memoryview] = []
    for what, offset, length in (("type", type_offset, type_length), ("string", string_offset, string_length)):
        start = header + offset
        if start + length > len(data):
            missing = start + length - len(data)
            raise fail("btf-truncated", f"corrupt BTF: the {what} section lacks {missing} of {length} bytes", path)
        sections.append(memoryview(data)[start : start + length])
    if sections[1] and sections[1][-1]:
        raise fail("btf-truncated", "corrupt BTF: the string section does not end with a NUL", path)
    return order, sections[0], sections[1]
