"""The encoding of BTF: the header of a `.BTF` section, the kinds of types, and how long a type is.

Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache

from tpgen.basics.patterns import is_c_name
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import fail
from tpgen.spelling import KEYWORDS
from tpgen.target import canonical_integer

if TYPE_CHECKING:
    from mmap import mmap
    from typing import TypeAlias


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
    #: Any other kind of seven bits. Its types can be skipped where the layout section states their length.
    UNKNOWN = 0x80


_KNOWN = len(BtfKind) - 1
#: The kinds by their numbers.
KINDS = tuple(BtfKind(number) if number < _KNOWN else BtfKind.UNKNOWN for number in range(0x80))
#: The kinds that state a size.
SIZED = frozenset((BtfKind.INT, BtfKind.STRUCT, BtfKind.UNION, BtfKind.ENUM, BtfKind.ENUM64, BtfKind.FLOAT))
#: The sizes in bytes that C has for them; btf_int_check_meta() and btf_enum_check_meta() of the kernel refuse others.
SIZES = dict.fromkeys((BtfKind.ENUM, BtfKind.ENUM64), (1, 2, 4, 8)) | {
    BtfKind.INT: (1, 2, 4, 8, 16),
    BtfKind.FLOAT: (2, 4, 8, 12, 16),
}
#: The kinds that C code can name.
NAMED_KINDS = frozenset((BtfKind.STRUCT, BtfKind.UNION, BtfKind.ENUM, BtfKind.ENUM64, BtfKind.TYPEDEF))
#: The kinds that are no types of C.
NO_TYPES = frozenset((BtfKind.FUNC, BtfKind.VAR, BtfKind.DATASEC, BtfKind.DECL_TAG))
#: The kinds that are names and qualifiers of other types.
TRANSPARENT = frozenset((BtfKind.TYPEDEF, BtfKind.CONST, BtfKind.VOLATILE, BtfKind.RESTRICT, BtfKind.TYPE_TAG))
#: The bits of a type's info word that hold the number of its elements: 16 until Linux 7.2 made them 24; the others were
#: zero.
VLEN = 0xFFFFFF

# What follows the three words of a type, in words: a fixed part and a part per element (vlen).
_FIXED = [0] * _KNOWN
PER_ELEMENT = [0] * _KNOWN
_FIXED[BtfKind.INT] = _FIXED[BtfKind.VAR] = _FIXED[BtfKind.DECL_TAG] = 1
_FIXED[BtfKind.ARRAY] = 3
PER_ELEMENT[BtfKind.ENUM] = PER_ELEMENT[BtfKind.FUNC_PROTO] = 2
PER_ELEMENT[BtfKind.STRUCT] = PER_ELEMENT[BtfKind.UNION] = 3
PER_ELEMENT[BtfKind.DATASEC] = PER_ELEMENT[BtfKind.ENUM64] = 3


_NAMELESS = frozenset(BtfKind) - {BtfKind.INT, BtfKind.FLOAT, BtfKind.FWD, BtfKind.TYPEDEF, BtfKind.TYPE_TAG}
_FLOATS = frozenset(("float", "double", "long double"))


def may_be_named(kind: BtfKind, name: str) -> bool:
    """Whether a type of this kind can have this name in C; "" stands for none."""
    if not name:
        return kind in _NAMELESS
    if kind in (BtfKind.INT, BtfKind.FLOAT) and (canonical_integer(name) or name in _FLOATS):
        return True  # pahole of Linux 5.10 wrote `double` as an INT
    return is_c_name(name) and name not in KEYWORDS


def kind_of(info: int) -> BtfKind:
    """The kind in a type's info word."""
    return KINDS[info >> 24 & 0x7F]


class Member(NamedTuple):
    """A member of a struct or union; `bit_size` is 0 unless it is a bit-field."""

    name: str
    type_id: int
    offset_bits: int
    bit_size: int


class Param(NamedTuple):
    """A parameter of a function; `name` is None where BTF has none."""

    name: str | None
    type_id: int


def references(words: memoryview) -> Iterator[int]:
    """The ids of the types that a type refers to; `words` begin with its own."""
    kind, elements = kind_of(words[1]), words[1] & VLEN
    match kind:
        case BtfKind.ARRAY:
            yield from words[3:5]
        case BtfKind.STRUCT | BtfKind.UNION:
            yield from words[4 : 4 + 3 * elements : 3]
        case BtfKind.FUNC_PROTO:
            yield words[2]
            yield from words[4 : 4 + 2 * elements : 2]
        case BtfKind.DATASEC:
            yield from words[3 : 3 + 3 * elements : 3]
        case BtfKind.INT | BtfKind.ENUM | BtfKind.ENUM64 | BtfKind.FLOAT | BtfKind.FWD | BtfKind.UNKNOWN:
            pass
        case _:
            yield words[2]


def enumerators(words: memoryview) -> Iterator[tuple[int, int]]:
    """The enumerators of an ENUM or ENUM64 in order, offsets of names and values; `words` begin with its own."""
    info = words[1]
    wide = kind_of(info) == BtfKind.ENUM64
    sign = 1 << (63 if wide else 31) if info >> 31 else 0
    step = PER_ELEMENT[kind_of(info)]
    for at in range(3, 3 + step * (info & VLEN), step):
        value = words[at + 1] | words[at + 2] << 32 if wide else words[at + 1]
        yield words[at], (value ^ sign) - sign


class Strides:
    """The lengths in words of types by their info words, of which few occur: the walk looks up those that are `known`.

    `layout` is the layout section, for kinds that are not known. It has four bytes for each kind: the lengths in bytes
    of what follows the three words once and per element, and flags.
    """

    def __init__(self, layout: bytes) -> None:
        self.known: dict[int, int] = {}
        self._layout = layout

    def learn(self, info: int) -> int:
        """The length of a type with this info word, which is known from now on."""
        self.known[info] = stride = self._stride(info >> 24 & 0x7F, info & VLEN)
        return stride

    def _stride(self, kind: int, elements: int) -> int:
        if 0 < kind < _KNOWN:
            return 3 + _FIXED[kind] + PER_ELEMENT[kind] * elements
        once, per_element = (
            self._layout[4 * kind : 4 * kind + 2] if kind and 4 * kind + 4 <= len(self._layout) else (1, 1)
        )
        # A kind of unknown length leads past every end.
        return 1 << 31 if once % 4 or per_element % 4 else 3 + (once + per_element * elements) // 4


@lru_cache(maxsize=4)
def strides_of(layout: bytes) -> Strides:
    """The lengths for BTF with this layout section: a kernel and its modules have the same."""
    return Strides(layout)


#: The contents of a `.BTF` section: read, or mapped into memory.
Blob: TypeAlias = "bytes | mmap"


class BtfSections(NamedTuple):
    """The BTF of one image: its `.BTF` section, and the distilled `.BTF.base` of an out-of-tree module, else None.

    `arch` is the machine that the image is for, as uname calls it, `build_id` the GNU build id of the image in hex;
    either is None where the image does not show it.
    """

    btf: Blob
    base: Blob | None = None
    arch: str | None = None
    build_id: str | None = None


class Sections(NamedTuple):
    """The parts of a `.BTF` section, each from here to there; `order` is "<" or ">", `layout` is empty without one."""

    order: str
    types: tuple[int, int]
    strings: tuple[int, int]
    layout: tuple[int, int]


def is_split(data: Blob, path: str) -> bool:
    """Whether a `.BTF` section continues another: only then does its string section not start with the empty string."""
    start, end = split_sections(data, path).strings
    return data[start : min(start + 1, end)] != b"\0"


def swapped(words: bytes) -> bytes:
    """32-bit words with the bytes of each in the other order."""
    found = array("I", words)
    found.byteswap()
    return found.tobytes()


def split_sections(data: Blob, path: str) -> Sections:
    """The parts of a `.BTF` section. Raises `TpgenError` with a `btf-*` code where they do not lie in it."""
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
        raise fail("btf-truncated", "corrupt BTF: the size of the type section is not a multiple of 4", path)
    layout = _layout_extent(data, order, header)
    if layout[1] % 4:
        raise fail("btf-truncated", "corrupt BTF: the size of the layout section is not a multiple of 4", path)
    sections: list[tuple[int, int]] = []
    parts = (("type", type_offset, type_length), ("string", string_offset, string_length), ("layout", *layout))
    for what, offset, length in parts:
        start = header + offset
        if start + length > len(data):
            missing = start + length - len(data)
            raise fail("btf-truncated", f"corrupt BTF: the {what} section lacks {missing} of {length} bytes", path)
        sections.append((start, start + length))
    start, end = sections[1]
    if start < end and data[end - 1]:
        raise fail("btf-truncated", "corrupt BTF: the string section does not end with a NUL", path)
    return Sections(order, *sections)


def _layout_extent(data: Blob, order: str, header: int) -> tuple[int, int]:
    """Offset behind the header and length of the layout section, which BTF has since its header has 32 bytes."""
    if header < 32 or len(data) < 32:
        return 0, 0
    offset, length = struct.unpack_from(order + "II", data, 24)
    return offset, length


# Magic, version 1 and no flags, in either byte order.
_STARTS = (b"\x9f\xeb\x01\x00", b"\xeb\x9f\x01\x00")
_HEADER_SIZES = (24, 32)


def blob_in(data: bytes) -> bytes | None:
    """The BTF in the middle of a flat image, cut to the length that its header states; None where there is none."""
    for start_bytes, order in zip(_STARTS, "<>", strict=True):
        start = data.find(start_bytes)
        while start >= 0:
            if (end := _blob_end(data, start, order)) is not None:
                return data[start:end]
            start = data.find(start_bytes, start + 1)
    return None


def _blob_end(data: bytes, start: int, order: str) -> int | None:
    """Where the BTF ends that begins at `start`; None where its sections do not fit together or into `data`."""
    header = data[start : start + 32]
    if len(header) < 32:
        return None
    header_bytes, *places, layout_offset, layout_length = struct.unpack_from(order + "7I", header, 4)
    if header_bytes not in _HEADER_SIZES:
        return None
    types, strings = (places[0], places[1]), (places[2], places[3])
    layout = (layout_offset, layout_length) if header_bytes == 32 else (0, 0)
    end = 0
    for offset, length in sorted(part for part in (types, strings, layout) if part[1]):
        if not 0 <= offset - end < 8:  # a gap for the alignment
            return None
        end = offset + length
    behind = start + header_bytes + end
    return behind if types[1] and strings[1] and types[0] == 0 and behind <= len(data) else None
