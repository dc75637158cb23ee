"""Reading BTF: every kind, either byte order, split BTF on its base.

A kernel holds some hundred thousand types of which a tracepoint needs a handful, and a hundred modules of which it
needs one. So nothing is copied, the type section is walked only as far as a type is asked for, and only to learn where
each type starts; everything else is decoded on demand.
Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain

from tpgen.basics.memo import memoised
from tpgen.diagnostics import TpgenError, fail
from tpgen.model import (
    Array,
    CType,
    Enum,
    Float,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.sources.btf_encoding import (
    KINDS,
    NAMED_KINDS,
    NO_TYPES,
    SIZED,
    SIZES,
    TRANSPARENT,
    VLEN,
    Blob,
    BtfKind,
    Member,
    Param,
    enumerators,
    kind_of,
    may_be_named,
    references,
    split_sections,
    strides_of,
    swapped,
)
from tpgen.sources.btf_types import StringSection, TypeSection, kind_and_name
from tpgen.target import Target, canonical_integer, target_like
from tpgen.typequery import element_of, mapped, size_of, stripped

_QUALIFIERS = {BtfKind.CONST: "const", BtfKind.VOLATILE: "volatile", BtfKind.RESTRICT: "restrict"}
_INT_SIGNED, _INT_BOOL = 1, 4
# No chain of typedefs and qualifiers in a kernel is longer than a dozen.
_DEEP = 1000
_LONGEST_TEXT = 4096
# As compilers call it.
_LONG = ("long unsigned int", "unsigned long")
# Words of a type on average, words that are walked over at least, and types that are no effort to look at.
_WORDS, _LEAST, _FIRST = 8, 1 << 12, 512
# Bounds in a type as it is written out, where a struct is a name: of the 800 000 types of seven kernels the longest has
# 76 parts, 12 within each other. The largest object has 12 MiB.
_MOST_PARTS, _DEEPEST = 4096, 64
_MOST_BYTES = 1 << 30


class Btf:
    """The types of one kernel image or module.

    `data` is a raw `.BTF` section; `base` is what split BTF continues, both in type ids and in strings. `names` is a
    regular expression for the names (all ASCII) that `ids_of` and `named` will be asked for.

    Raises `TpgenError` with a `btf-*` code for sections that do not lie in it; methods raise it for a type, a name or
    an id that is corrupt, or behind a type that is, when it is asked for.
    """

    def __init__(
        self, data: Blob, path: str, base: Btf | None = None, names: str = "", arch: str | None = None
    ) -> None:
        self.path = path
        self.base = base
        self._arch = arch
        sections = split_sections(data, path)
        self.big_endian = sections.order == ">"
        self._names = names
        self._strings: StringSection = StringSection(data, *sections.strings, base._strings if base else None)
        strides = strides_of(bytes(data[slice(*sections.layout)]))
        if self.big_endian == (sys.byteorder == "big"):
            self._types = TypeSection(data, *sections.types, strides)
        else:
            words = swapped(data[slice(*sections.types)])
            self._types = TypeSection(words, 0, len(words), strides)
        self._words, self._noted = self._types.words, self._types.starts
        self._ctypes: dict[tuple[int, bool], tuple[CType, int, int]] = {}
        self._parts = self._depth = 0  # of the types that the type in the making is made of
        self._pending: set[int] = set()
        self._aligns: dict[int, int | None] = {}
        self._decoded: dict[int, str] = {}

    # --- the walk

    @property
    def _starts(self) -> array[int]:
        """Where each type starts, in words."""
        self._walk(len(self._words))
        return self._noted

    def _walk(self, limit: int) -> None:
        """Note each type that starts before this word. Raises `btf-truncated` or `btf-bad-kind`."""
        if not self._types.walk(limit):
            raise self._cut_short()

    def _walk_to(self, index: int) -> bool:
        """Walk as far as the type of that number in this BTF; return whether there is one."""
        while index >= len(self._noted) and self._types.next < len(self._words):
            far = max(_LEAST, _WORDS * (index + 1 - len(self._noted)))
            if not self._types.walk(self._types.next + far) and index >= len(self._noted):
                raise self._cut_short()
        return index < len(self._noted)

    def _cut_short(self) -> TpgenError:
        """The error where a type has no proper end."""
        at, type_id = self._types.next, self._first_id + len(self._noted)
        if at + 1 < len(self._words) and kind_of(info := self._words[at + 1]) in (BtfKind.VOID, BtfKind.UNKNOWN):
            return self._bad("btf-bad-kind", f"type {type_id} has unknown kind {info >> 24 & 0x7F}")
        return self._bad("btf-truncated", f"the type section ends inside type {type_id}")

    @cached_property
    def _first_id(self) -> int:
        return self.base.count if self.base else 1

    # --- names to ids

    @cached_property
    def named(self) -> dict[str, list[int]]:
        """The names that the pattern `names` matches, with the ids of their types in this BTF, in the order of BTF."""
        return self.named_like(self._names)

    @property
    def is_indexed(self) -> bool:
        """Whether all names that the pattern `names` matches are known. Until then one is looked for by itself."""
        return "named" in self.__dict__

    def named_like(self, names: str) -> dict[str, list[int]]:
        """The names that any pattern matches, as `named` has them."""
        self._walk(len(self._words))
        return self._types.by_name(self._strings.matching(names), self._first_id)

    def ids_of(self, kind: BtfKind, name: str) -> Iterator[int]:
        """The types of that kind and name in this BTF, in its order. The pattern `names` matches the name.

        The first of a few names are found long before all types are looked at.
        """
        ids: Iterable[int] = self.named.get(name, ()) if self.is_indexed else self._ids_at(self._offset_of(name))
        return (type_id for type_id in ids if self.kind(type_id) == kind)

    def ids_with_name(self, name: str) -> list[int]:
        """The types that have a name, those of the base too, whether the pattern `names` matches it or not."""
        inherited = self.base.ids_with_name(name) if self.base else []
        return [*inherited, *self._ids_at(self._offset_of(name))]

    def ids_naming(self, name: str) -> Iterator[int]:
        """The types of this BTF of that name or with it inside, as that of a member; some only have its number."""
        return (type_id for type_id, _ in self._types_at(self._offset_of(name)))

    def _ids_at(self, offset: int | None) -> Iterator[int]:
        """The types whose name is at `offset`, if there is one."""
        return (type_id for type_id, is_name in self._types_at(offset) if is_name)

    def _types_at(self, number: int | None) -> Iterator[tuple[int, bool]]:
        """The types that have this number in a word of theirs, and whether it is in the first, that of the name."""
        for word in self._types.places_of(number) if number else ():
            self._walk(word + 1)
            index = bisect_right(self._noted, word) - 1
            yield self._first_id + index, self._noted[index] == word

    def own_ids_of(self, name: str) -> tuple[int, ...]:
        """The ids of the types of that name in this BTF alone, in their order; any number of names may be asked for."""
        offset = self._offset_of(name)
        if not offset:
            return ()
        low, high = (bisect_left(self._by_name, each << 32) for each in (offset, offset + 1))
        return tuple(entry & 0xFFFFFFFF for entry in self._by_name[low:high])

    @cached_property
    def _by_name(self) -> array[int]:
        """The types in the order of their names' offsets, which are the high halves; the low ones are ids."""
        words = self._words
        return array("Q", sorted(words[at] << 32 | number for number, at in enumerate(self._starts, self._first_id)))

    def names_with(self, part: str) -> Iterator[str]:
        """The strings of this BTF alone, names or not, that have `part` in them."""
        return self._strings.containing(part)

    def _offset_of(self, name: str) -> int | None:
        return self._strings.offset_of(name)

    def names_fit_base(self) -> bool:
        """Whether the names of this split BTF begin where strings do, in its base and behind it.

        On the base of another build half of them do not. A few hundred names are looked at.
        """
        self._walk_to(255)
        return all(map(self._strings.begins, {self._words[at] for at in self._noted[:256]}))

    # --- raw access

    @property
    def count(self) -> int:
        """The number of type ids, void and those of the base included."""
        return self._first_id + len(self._starts)

    def own_ids(self) -> range:
        """The type ids that this BTF adds to its base."""
        return range(self._first_id, self.count)

    def _bad(self, code: str, message: str) -> TpgenError:
        return fail(code, f"corrupt BTF: {message}", self.path)

    def _at(self, type_id: int) -> tuple[Btf, int]:
        """The BTF that holds a type and the index of its first word there; never called for void."""
        index = type_id - self._first_id
        if index < 0:
            assert self.base is not None
            return self.base._at(type_id)
        if index >= len(self._noted) and not self._walk_to(index):
            raise self._bad("btf-bad-id", f"type id {type_id} is out of range, there are {self.count} types")
        return self, self._noted[index]

    def string(self, offset: int) -> str:
        """The string at a name offset. Raises `btf-bad-name` for an offset outside of the string section."""
        known = self._decoded.get(offset)
        if known is None:
            known = self._decoded[offset] = self._decode(offset)
        return known

    def _decode(self, offset: int) -> str:
        found = self._strings.at(offset)
        if found is None:
            raise self._bad("btf-bad-name", f"name offset {offset} is outside of the string section")
        try:
            return found.decode("ascii")
        except UnicodeDecodeError:
            raise self._bad("btf-bad-name", f"the name at offset {offset} is not ASCII") from None

    def text(self, offset: int) -> str:
        """The string at an offset that need not be a name: a line of source, in whatever encoding, cut where long."""
        return (self._strings.at(offset) or b"")[:_LONGEST_TEXT].decode("utf-8", "replace")

    def words(self, type_id: int) -> memoryview:
        """The words of a type and of all that follow in its BTF, from the offset of its name on; not for void."""
        btf, at = self._at(type_id)
        return btf._words[at:]

    def has_string(self, text: str) -> bool:
        """Whether the string section has `text` as a name of something: a type, a member, an enumerator."""
        return self._offset_of(text) is not None

    def kind(self, type_id: int) -> BtfKind:
        """The kind of a type; VOID for id 0."""
        if type_id == 0:
            return BtfKind.VOID
        btf, at = self._at(type_id)
        return KINDS[btf._words[at + 1] >> 24 & 0x7F]

    def name(self, type_id: int) -> str:
        """The name of a type, "" for a nameless one."""
        if type_id == 0:
            return "void"
        btf, at = self._at(type_id)
        # A name that only the base has is looked up from the split side, which knows both string sections.
        return self.string(btf._words[at])

    def target_id(self, type_id: int) -> int:
        """The type that a pointer, qualifier, typedef, function, variable or tag refers to."""
        btf, at = self._at(type_id)
        return btf._words[at + 2]

    def members(self, type_id: int) -> tuple[Member, ...]:
        """The members of a struct or union in order."""
        btf, at = self._at(type_id)
        words = btf._words
        info = words[at + 1]
        bit_fields = info >> 31
        found = []
        for index in range(at + 3, at + 3 + 3 * (info & VLEN), 3):
            name, member_type, offset = words[index], words[index + 1], words[index + 2]
            bits = offset >> 24 if bit_fields else 0
            found.append(Member(self.string(name), member_type, offset & 0xFFFFFF if bit_fields else offset, bits))
        return tuple(found)

    def params(self, type_id: int) -> tuple[Param, ...]:
        """The parameters of a FUNC or FUNC_PROTO; a trailing `...` has type id 0 and no name."""
        if self.kind(type_id) == BtfKind.FUNC:
            type_id = self.target_id(type_id)
        if self.kind(type_id) != BtfKind.FUNC_PROTO:
            raise self._bad("btf-bad-kind", f"type {type_id} is not a function prototype")
        btf, at = self._at(type_id)
        words = btf._words
        count = words[at + 1] & VLEN
        slots = range(at + 3, at + 3 + 2 * count, 2)
        return tuple([Param(self.string(words[i]) or None, words[i + 1]) for i in slots])

    def strip(self, type_id: int) -> int:
        """The type behind typedefs, qualifiers and tags. Raises `btf-cycle` where there is no end to them."""
        seen = 0
        while self.kind(type_id) in TRANSPARENT:
            type_id = self.target_id(type_id)
            seen += 1
            if seen > _DEEP:
                raise self._bad("btf-cycle", f"type {type_id} refers to itself")
        return type_id

    def size(self, type_id: int) -> int:
        """The size in bytes of a type. Raises `btf-bad-kind` for one that has none."""
        elements, dimensions, type_id = 1, 0, self.strip(type_id)
        while self.kind(type_id) == BtfKind.ARRAY:
            btf, at = self._at(type_id)
            elements, dimensions = elements * btf._words[at + 5], dimensions + 1
            if dimensions > _DEEPEST:
                raise self._bad("btf-cycle", f"type {type_id} nests too deeply")
            if elements > _MOST_BYTES:
                raise self._bad("btf-bad-size", f"type {type_id} is an array of {elements} elements")
            type_id = self.strip(btf._words[at + 3])
        kind = self.kind(type_id)
        if kind == BtfKind.PTR:
            return elements * self.target.pointer_size
        btf, at = self._at(type_id) if type_id else (self, 0)
        if kind in SIZED:
            return elements * btf._words[at + 2]
        raise self._bad("btf-bad-kind", f"type {type_id} has no size")

    def align(self, type_id: int) -> int | None:
        """The alignment in bytes that a member of this type gets.

        BTF does not state it. A struct is taken to have its strictest member's: one that was packed or aligned by an
        attribute cannot be told from one that was not. None for a struct whose members are left out, as those in the
        distilled base of a module are.
        """
        return self._align(self.strip(type_id), 0)

    def _align(self, type_id: int, depth: int) -> int | None:
        if type_id not in self._aligns:
            if depth > _DEEPEST:
                raise self._bad("btf-cycle", f"type {type_id} nests too deeply")
            self._aligns[type_id] = self._strictest(type_id, depth + 1)
        return self._aligns[type_id]

    def _strictest(self, type_id: int, depth: int) -> int | None:
        kind = self.kind(type_id)
        if kind == BtfKind.ARRAY:
            btf, at = self._at(type_id)
            return self._align(self.strip(btf._words[at + 3]), depth)
        if kind not in (BtfKind.STRUCT, BtfKind.UNION):
            return self.target.integer_align(self.size(type_id))
        members = self.members(type_id)
        if not members and self.size(type_id):
            return None
        aligns = [self._align(self.strip(member.type_id), depth) for member in members]
        return None if None in aligns else max((align for align in aligns if align is not None), default=1)

    # --- types that another source only names

    def completed(self, ctype: CType, by_value: bool = True) -> CType:
        """`ctype` with the types that it only names resolved in this BTF, as far as BTF has them."""
        match ctype:
            case Typedef(target=None):
                return self._named_type(ctype.name, (BtfKind.TYPEDEF,), ctype, by_value)
            case Enum(name=str(name), size_bytes=None):
                return self._named_type(name, (BtfKind.ENUM, BtfKind.ENUM64), ctype, by_value)
            case Struct(name=str(name), size_bytes=None) if by_value:
                kind = BtfKind.STRUCT if ctype.keyword == "struct" else BtfKind.UNION
                return self._named_type(name, (kind,), ctype, by_value)
            case Pointer():
                return Pointer(self.completed(ctype.target, by_value=False))
            case Array() | Qualified() | TypeTag():
                return mapped(ctype, lambda part: self.completed(part, by_value))
            case _:
                return ctype

    def _named_type(self, name: str, kinds: tuple[BtfKind, ...], unknown: CType, by_value: bool) -> CType:
        type_id = self._id_of(name, kinds)
        if type_id is not None:
            return self.ctype(type_id, by_value)
        return self.base.completed(unknown, by_value) if self.base else unknown

    @memoised
    def _id_of(self, name: str, kinds: tuple[BtfKind, ...]) -> int | None:
        """The type of that name and one of the kinds; its name may stand in the base's strings."""
        offset = self._offset_of(name)
        found = (self._ids_by_name.get(kind_and_name(kind, offset)) for kind in kinds if offset is not None)
        return next((type_id for type_id in found if type_id is not None), None)

    @cached_property
    def _ids_by_name(self) -> dict[int, int]:
        """The types that C code can name: of several (static ones) the first."""
        self._walk(len(self._words))
        return self._types.first_by_name(NAMED_KINDS, self._first_id)

    # --- enumerators

    def enumerator(self, name: str) -> int | None:
        """The value of the enumerator of that name; None where no enum has it, or two have it with different values."""
        offset = self._offset_of(name)
        values = set() if offset is None else self._values_at(offset)
        return values.pop() if len(values) == 1 else None

    def _values_at(self, offset: int) -> set[int]:
        own = self._enumerators.get(offset, set())
        return own | self.base._values_at(offset) if self.base else set(own)

    @cached_property
    def _enumerators(self) -> dict[int, set[int]]:
        """The values of all enumerators of this BTF, by their names' offsets."""
        found: dict[int, set[int]] = {}
        for at in self._starts:
            if KINDS[self._words[at + 1] >> 24 & 0x7F] in (BtfKind.ENUM, BtfKind.ENUM64):
                for name, value in enumerators(self._words[at:]):
                    found.setdefault(name, set()).add(value)
        return found

    # --- the target

    @property
    def target(self) -> Target:
        """The ABI of this BTF, from its byte order and the size of `unsigned long`."""
        if self.base is not None:
            return self.base.target
        if self._target is None:
            self._target = target_like(self._long_size(), self.big_endian, self._arch)
        return self._target

    _target: Target | None = None

    def _long_size(self) -> int:
        # Not by way of ctype(), which asks for the target.
        type_id = self._long_id()
        if type_id is None:
            return 8
        size = self.size(type_id)
        if size not in (4, 8):
            raise self._bad("btf-bad-size", f"type {type_id} of kind INT has {size} bytes")
        return size

    def _long_id(self) -> int | None:
        """The first `unsigned long`: one of the first types of a kernel, or found by name where types are sorted."""
        first = self._first_id
        if self._walk_to(_FIRST):
            near = next(filter(self._is_long, range(first, first + _FIRST)), None)
            named = (self._ids_at(offset) for name in _LONG if near is None and (offset := self._offset_of(name)))
            found = near or min(filter(self._is_long, chain.from_iterable(named)), default=None)
            if found is not None:
                return found
        return next(filter(self._is_long, self.own_ids()), None)

    def _is_long(self, type_id: int) -> bool:
        return self.kind(type_id) == BtfKind.INT and canonical_integer(self.name(type_id)) == "unsigned long"

    # --- C types

    def ctype(self, type_id: int, by_value: bool = True) -> CType:
        """The C type of a type id. Structs are opaque; those passed `by_value` carry size and alignment.

        Raises `btf-cycle` for a type that contains itself other than through a struct, which C does not allow.
        """
        key = (type_id, by_value)
        found = self._ctypes.get(key)
        if found is None:
            found = self._ctypes[key] = self._bounded_ctype(key)
        ctype, parts, depth = found
        self._parts += parts
        self._depth = max(self._depth, depth)
        return ctype

    def _bounded_ctype(self, key: tuple[int, bool]) -> tuple[CType, int, int]:
        """The C type with the number of its parts and of those within each other, the type itself included."""
        type_id, by_value = key
        if type_id in self._pending:
            raise self._bad("btf-cycle", f"type {type_id} refers to itself")
        around = self._parts, self._depth
        self._parts, self._depth = 1, 0
        self._pending.add(type_id)
        try:
            ctype = self._ctype(type_id, by_value) if len(self._pending) <= _DEEPEST else None
            parts, depth = self._parts, self._depth + 1
        finally:
            self._pending.discard(type_id)
            self._parts, self._depth = around
        if ctype is None or depth > _DEEPEST:
            raise self._bad("btf-cycle", f"type {type_id} nests too deeply")
        if parts > _MOST_PARTS:
            raise self._bad("btf-bad-size", f"type {type_id} has more than {_MOST_PARTS} parts when it is written out")
        return ctype, parts, depth

    def _ctype(self, type_id: int, by_value: bool) -> CType:
        kind = self.kind(type_id)
        if kind == BtfKind.VOID:
            return Void()
        btf, at = self._at(type_id)
        name, info, third = self.string(btf._words[at]), btf._words[at + 1], btf._words[at + 2]
        attribute = kind == BtfKind.TYPE_TAG and info >> 31
        if kind not in NO_TYPES and not attribute and not may_be_named(kind, name):
            raise self._bad("btf-bad-name", f"type {type_id} of kind {kind.name} has the name {name!r}")
        if third not in SIZES.get(kind, (third,)):
            raise self._bad("btf-bad-size", f"type {type_id} of kind {kind.name} has {third} bytes")
        match kind:
            case BtfKind.INT:
                return self._int(type_id, name, third, btf._words[at + 3])
            case BtfKind.FLOAT:
                return Float(name, third)
            case BtfKind.PTR:
                return Pointer(self.ctype(third, by_value=False))
            case BtfKind.ARRAY:
                return self._array(type_id, Array(self.ctype(btf._words[at + 3], by_value), btf._words[at + 5]))
            case BtfKind.STRUCT | BtfKind.UNION:
                sized = (third, self.align(type_id)) if by_value else (None, None)
                return Struct("struct" if kind == BtfKind.STRUCT else "union", name or None, *sized)
            case BtfKind.FWD:
                return Struct("union" if info >> 31 else "struct", name or None, forward=True)
            case BtfKind.ENUM | BtfKind.ENUM64:
                return Enum(name or None, third, bool(info >> 31))
            case BtfKind.TYPEDEF:
                return Typedef(name, self.ctype(third, by_value))
            case BtfKind.CONST | BtfKind.VOLATILE | BtfKind.RESTRICT:
                return Qualified(_QUALIFIERS[kind], self.ctype(third, by_value))
            case BtfKind.TYPE_TAG if info >> 31:  # an attribute of another kind, address_space(1) for one
                return self.ctype(third, by_value)
            case BtfKind.TYPE_TAG:
                return TypeTag(name, self.ctype(third, by_value))
            case BtfKind.FUNC_PROTO:
                return self._func_proto(type_id, third)
            case BtfKind.UNKNOWN:
                hint = "this BTF is newer than tpgen"
                raise fail("btf-unknown-kind", f"type {type_id} is of kind {info >> 24 & 0x7F}", self.path, hint)
            case _:
                raise self._bad("btf-bad-kind", f"type {type_id} of kind {kind.name} is used as a type")

    def _array(self, type_id: int, array: Array) -> Array:
        inner: CType = array
        size = size_of(element_of(array), self.target) or 1
        while isinstance(inner := stripped(inner), Array):
            size, inner = size * (inner.length or 0), inner.element
        if size > _MOST_BYTES:
            raise self._bad("btf-bad-size", f"type {type_id} is an array of {size} bytes")
        return array

    def _int(self, type_id: int, name: str, size_bytes: int, encoding: int) -> Int:
        flags = encoding >> 24 & 0xF
        known = self.target.integer(name)
        if known is None:
            return Int(name, size_bytes, bool(flags & _INT_SIGNED), bool(flags & _INT_BOOL))
        if size_bytes != known.size_bytes:
            raise self._bad("btf-bad-size", f"type {type_id} of kind INT has {size_bytes} bytes")
        # Old pahole marks no char type as signed, not even `signed char`: the name tells, but for plain char.
        signed = bool(flags & _INT_SIGNED) if known.name == "char" else known.signed
        return Int(known.name, size_bytes, signed, known.is_bool)

    def _func_proto(self, type_id: int, result: int) -> FuncProto:
        params = self.params(type_id)
        variadic = bool(params) and params[-1].type_id == 0
        types = params[:-1] if variadic else params
        return FuncProto(
            self.ctype(result, by_value=False), tuple(self.ctype(p.type_id, by_value=False) for p in types), variadic
        )

    # --- all of it

    def validate(self) -> None:
        """Check every type once, those too that no tracepoint uses. Raises what reading a corrupt type raises."""
        self._walk(len(self._words))
        if self._types.is_sound(self._first_id, self._strings.last) and self._is_plain:
            return
        count = self.count
        for type_id in self.own_ids():  # to name what is wrong, if anything is
            for referred in references(self.words(type_id)):
                if referred >= count:
                    raise self._bad("btf-bad-id", f"type {type_id} refers to type {referred}, there are {count}")
            self.name(type_id)
            match self.kind(type_id):
                case BtfKind.STRUCT | BtfKind.UNION:
                    self.members(type_id)
                case BtfKind.FUNC_PROTO:
                    self.params(type_id)
                case kind if kind in TRANSPARENT:
                    self.strip(type_id)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether strings are ASCII, and chains of typedefs and qualifiers have an end, in the base as well."""
        is_plain = self._strings.is_ascii and self._types.chains_end(self._first_id)
        return is_plain and (self.base is None or self.base._is_plain)
