"""Writing DWARF 4: the DIEs of one compile unit, and a line table that only names files. Nothing is to be relocated."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Literal, TypeAlias, assert_never

from tpgen.backends.systemtap.elf_writer import Section
from tpgen.basics.frozen import frozen
from tpgen.target import Target

_VERSION = 4


class Tag(IntEnum):
    """Tags of DIEs: DW_TAG_*."""

    ARRAY_TYPE = 0x01
    ENUMERATION_TYPE = 0x04
    FORMAL_PARAMETER = 0x05
    MEMBER = 0x0D
    POINTER_TYPE = 0x0F
    COMPILE_UNIT = 0x11
    STRUCTURE_TYPE = 0x13
    SUBROUTINE_TYPE = 0x15
    TYPEDEF = 0x16
    UNION_TYPE = 0x17
    UNSPECIFIED_PARAMETERS = 0x18
    SUBRANGE_TYPE = 0x21
    BASE_TYPE = 0x24
    CONST_TYPE = 0x26
    SUBPROGRAM = 0x2E
    VARIABLE = 0x34
    VOLATILE_TYPE = 0x35
    RESTRICT_TYPE = 0x37


class Encoding(IntEnum):
    """Encodings of base types: DW_ATE_*."""

    BOOLEAN = 0x02
    FLOAT = 0x04
    SIGNED = 0x05
    SIGNED_CHAR = 0x06
    UNSIGNED = 0x07
    UNSIGNED_CHAR = 0x08


class At(IntEnum):
    """An attribute: DW_AT_*."""

    NAME = 0x03
    BYTE_SIZE = 0x0B
    STMT_LIST = 0x10
    LANGUAGE = 0x13
    PRODUCER = 0x25
    PROTOTYPED = 0x27
    COUNT = 0x37
    DATA_MEMBER_LOCATION = 0x38
    DECL_FILE = 0x3A
    DECL_LINE = 0x3B
    DECLARATION = 0x3C
    ENCODING = 0x3E
    EXTERNAL = 0x3F
    TYPE = 0x49


_DW_LANG_C99 = 0x0C
_STRING, _UDATA, _REF4, _SEC_OFFSET, _FLAG_PRESENT = 0x08, 0x0F, 0x13, 0x17, 0x19
_FORMS = {At.TYPE: _REF4, At.STMT_LIST: _SEC_OFFSET}

_Value: TypeAlias = str | int | None
#: A flag is True, a type the number that `Unit.add` returned; an attribute of the value None is left out.
Attribute: TypeAlias = tuple[At, _Value]


@frozen
class Die:
    """A debugging information entry."""

    tag: Tag
    attributes: Sequence[Attribute]
    children: Sequence[Die] = ()


class Unit:
    """The compile unit of an object, DIE by DIE: what one refers to was added before it."""

    def __init__(self, target: Target, producer: str) -> None:
        self._order: Literal["big", "little"] = "big" if target.big_endian else "little"
        self._address_bytes = target.pointer_size
        self._abbreviations: dict[tuple[Tag, bool, tuple[tuple[At, int], ...]], int] = {}
        self._files: dict[str, int] = {}
        self._data = bytearray(self._unit_header(0))
        attributes = ((At.PRODUCER, producer), (At.LANGUAGE, _DW_LANG_C99), (At.STMT_LIST, 0))
        self._begin(Tag.COMPILE_UNIT, attributes, has_children=True)

    def add(self, die: Die) -> int:
        """Add the DIE; return its offset, for others to refer to it."""
        at = len(self._data)
        self._begin(die.tag, die.attributes, bool(die.children))
        for child in die.children:
            self.add(child)
        if die.children:
            self._data.append(0)
        return at

    def file(self, name: str) -> int:
        """The number of a file, for DECL_FILE."""
        return self._files.setdefault(name, len(self._files) + 1)

    def sections(self) -> list[Section]:
        """The sections that hold the finished unit."""
        info = self._data + b"\0"
        info[: len(self._unit_header(0))] = self._unit_header(len(info) - 4)
        return [
            Section(".debug_info", bytes(info)),
            Section(".debug_abbrev", self._abbreviation_table()),
            Section(".debug_line", self._line_table()),
        ]

    def _unit_header(self, length: int) -> bytes:
        return self._u32(length) + self._u16(_VERSION) + self._u32(0) + bytes((self._address_bytes,))

    def _begin(self, tag: Tag, attributes: Sequence[Attribute], has_children: bool) -> None:
        known = [(at, value) for at, value in attributes if value is not None]
        abbreviation = (tag, has_children, tuple((at, _form(at, value)) for at, value in known))
        self._data += _uleb(self._abbreviations.setdefault(abbreviation, len(self._abbreviations) + 1))
        for at, value in known:
            self._data += self._encoded(_form(at, value), value)

    def _encoded(self, form: int, value: _Value) -> bytes:
        match value:
            case True | None:
                return b""
            case str():
                return value.encode() + b"\0"
            case int():
                return _uleb(value) if form == _UDATA else self._u32(value)
            case _:
                assert_never(value)

    def _abbreviation_table(self) -> bytes:
        table = bytearray()
        for (tag, has_children, attributes), number in self._abbreviations.items():
            table += _uleb(number) + _uleb(tag) + bytes((has_children,))
            for attribute in (*attributes, (0, 0)):
                table += _uleb(attribute[0]) + _uleb(attribute[1])
        return bytes(table) + b"\0"

    def _line_table(self) -> bytes:
        """A table without lines: no directories, the files, no program."""
        names = b"".join(name.encode() + bytes(4) for name in self._files)
        # min_inst_length, max_ops_per_inst, default_is_stmt, line_base, line_range, opcode_base: no opcodes of ours.
        after = bytes((1, 1, 1, 0, 1, 1)) + b"\0" + names + b"\0"
        rest = self._u16(_VERSION) + self._u32(len(after)) + after
        return self._u32(len(rest)) + rest

    def _u16(self, value: int) -> bytes:
        return value.to_bytes(2, self._order)

    def _u32(self, value: int) -> bytes:
        return value.to_bytes(4, self._order)


def _form(at: At, value: _Value) -> int:
    if value is True:
        return _FLAG_PRESENT
    return _STRING if isinstance(value, str) else _FORMS.get(at, _UDATA)


def _uleb(value: int) -> bytes:
    """An unsigned LEB128."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
