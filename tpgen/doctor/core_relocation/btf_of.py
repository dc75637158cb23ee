"""BTF of single types that are known otherwise, so that one set of rules compares all types.

Format: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import assert_never

from tpgen.model import (
    Array,
    CType,
    Enum,
    Float,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Record,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.target import Target

_HEADER = struct.Struct("<HBBIIIII")
_HEADER_BYTES, _MAGIC, _VERSION = 24, 0xEB9F, 1
_SIGNED, _BOOL = 1, 4
_FLAG = 1 << 31
#: The id of the type that is asked for.
ROOT = 1

Entry = tuple[str, int, int]


class TypeWriter:
    """Types in little-endian BTF, for targets of any byte order.

    The first type is the requested one. A type that is unknown is void.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._strings = bytearray(1)
        self._types: list[bytes] = []
        self._ids: dict[CType, int] = {}

    def record(self, name: str, record: Record) -> None:
        """Write the struct of a record, whose size is known: the header, its fields, and what follows these."""
        assert record.size_bytes is not None
        self._types.append(b"")
        header = Struct("struct", "trace_entry", record.header_bytes, None)
        members = [("ent", self._id(header), 0)]
        end = record.header_bytes
        for field in record.fields:
            if field.offset_bytes is None or field.size_bytes is None:
                continue
            locator = Int("unsigned int", 4, False)
            ctype: CType = locator if field.dynamic else field.type or Void()
            members.append((field.member_name, self._id(ctype), 8 * field.offset_bytes))
            end = max(end, field.offset_bytes + field.size_bytes)
        members.append(("__data", self._id(Array(Int("char", 1, True), 0)), 8 * end))
        self._types[0] = self._struct(BtfKind.STRUCT, name, record.size_bytes, members)

    def struct(self, name: str, record: Record) -> None:
        """Write the struct of a record that has its fields alone, the last of which may be a flexible array."""
        self._types.append(b"")
        placed = [(field, field.offset_bytes) for field in record.fields]
        members = [(field.name, self._id(field.type or Void()), 8 * at) for field, at in placed if at is not None]
        self._types[0] = self._struct(BtfKind.STRUCT, name, record.size_bytes or 0, members)

    def typedef(self, name: str, ctype: CType) -> None:
        """Write a typedef of that name."""
        self._types.append(b"")
        self._types[0] = self._type(BtfKind.TYPEDEF, name, self._id(ctype))

    def btf(self, path: str) -> Btf:
        """The BTF of the types that were written."""
        # An integer of the target's word size, by which pointers are known.
        self._id(Int("unsigned long", self._target.pointer_size, False))
        types = b"".join(self._types)
        header = _HEADER.pack(_MAGIC, _VERSION, 0, _HEADER_BYTES, 0, len(types), len(types), len(self._strings))
        return Btf(header + types + bytes(self._strings), path)

    def _id(self, ctype: CType) -> int:
        found = self._ids.get(ctype)
        if found is None:
            found = self._ids[ctype] = self._written(ctype)
        return found

    def _written(self, ctype: CType) -> int:
        match ctype:
            case Void() | Typedef(target=None) | Array(length=None):
                return 0
            case Typedef(target=target) | Qualified(target=target) | TypeTag(target=target) if target is not None:
                return self._id(target)
            case Int():
                return self._add(self._int(ctype))
            case Float():
                return self._add(self._type(BtfKind.FLOAT, ctype.name, ctype.size_bytes))
            case Pointer():
                return self._add(self._type(BtfKind.PTR, "", self._id(ctype.target)))
            case Array(length=int(length)):
                # The type of the index is not looked at.
                parts = struct.pack("<3I", self._id(ctype.element), 0, length)
                return self._add(self._type(BtfKind.ARRAY, "", 0) + parts)
            case Struct(forward=True):
                flag = _FLAG if ctype.keyword == "union" else 0
                return self._add(self._type(BtfKind.FWD, ctype.name, 0, flag))
            case Struct():
                kind = BtfKind.UNION if ctype.keyword == "union" else BtfKind.STRUCT
                return self._add(self._struct(kind, ctype.name, ctype.size_bytes or 0, ()))
            case Enum():
                flag = _FLAG if ctype.signed else 0
                return self._add(self._type(BtfKind.ENUM, ctype.name, ctype.size_bytes or 0, flag))
            case FuncProto():
                return self._add(self._prototype(ctype))
            case Typedef() | Qualified() | TypeTag() | Array():
                raise AssertionError(ctype)
            case _:
                assert_never(ctype)

    def _add(self, written: bytes) -> int:
        self._types.append(written)
        return len(self._types)

    def _prototype(self, ctype: FuncProto) -> bytes:
        params = [*map(self._id, ctype.params), *([0] if ctype.variadic else [])]
        words = b"".join(struct.pack("<II", 0, each) for each in params)
        return self._type(BtfKind.FUNC_PROTO, "", self._id(ctype.result), len(params)) + words

    def _int(self, ctype: Int) -> bytes:
        flags = (_SIGNED if ctype.signed else 0) | (_BOOL if ctype.is_bool else 0)
        encoding = struct.pack("<I", flags << 24 | 8 * ctype.size_bytes)
        return self._type(BtfKind.INT, ctype.name, ctype.size_bytes) + encoding

    def _struct(self, kind: BtfKind, name: str | None, size: int, members: Sequence[Entry]) -> bytes:
        words = b"".join(struct.pack("<3I", self._string(each), *numbers) for each, *numbers in members)
        return self._type(kind, name, size, len(members)) + words

    def _type(self, kind: BtfKind, name: str | None, third: int, low: int = 0) -> bytes:
        return struct.pack("<3I", self._string(name or ""), kind << 24 | low, third)

    def _string(self, text: str) -> int:
        if not text:
            return 0
        offset = len(self._strings)
        self._strings += text.encode("ascii") + b"\0"
        return offset
