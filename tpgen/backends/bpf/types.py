"""The C types of generated BPF code: what a header can say without vmlinux.h, in BPF's data model.

BPF is a 64-bit target whatever the kernel's, so a 32-bit kernel's `long` becomes an `int`. A typedef becomes what it
stands for, which is the same type to C; the kernel's own spelling stands in a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property

from tpgen.basics.typing import NamedTuple, assert_never
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
from tpgen.spelling import spell
from tpgen.typequery import children, mapped, stripped, unqualified

_BY_SIZE = {1: "char", 2: "short", 4: "int", 8: "long long"}
#: The size in bytes of a pointer in a BPF program.
POINTER_BYTES = 8


def sized_integer(size_bytes: int, signed: bool) -> Int:
    """The integer type of that size in BPF's data model."""
    sign = "signed " if signed and size_bytes == 1 else "" if signed else "unsigned "
    return Int(f"{sign}{_BY_SIZE[size_bytes]}", size_bytes, signed)


def portable(ctype: CType) -> CType:
    """`ctype` as a header without vmlinux.h can spell it; an incomplete or nameless type becomes `void`."""
    match ctype:
        case Void() | Float():
            return ctype
        case Typedef(name="bool"):
            return Typedef("bool")
        case Typedef(target=None):
            return Void()
        case Typedef(target=target) | TypeTag(target=target):
            assert target is not None
            return portable(target)
        case Int():
            if ctype.is_bool or (ctype.name.endswith("long") and ctype.size_bytes == POINTER_BYTES):
                return ctype
            return sized_integer(ctype.size_bytes, ctype.signed) if ctype.name.endswith("long") else ctype
        case Enum():
            return sized_integer(ctype.size_bytes or 4, bool(ctype.signed))
        case Struct():
            return Struct(ctype.keyword, ctype.name) if ctype.name else Void()
        case Qualified() | Pointer():
            return mapped(ctype, portable)
        case Array():
            element = portable(ctype.element)
            # C has no arrays of incomplete elements.
            return Void() if isinstance(element, Struct | Void) else Array(element, ctype.length)
        case FuncProto():
            # By-value structs are incomplete here, and nobody calls a kernel function through its pointer.
            if any(isinstance(stripped(part), Struct) for part in children(ctype)):
                return Void()
            plain = mapped(ctype, portable)
            assert isinstance(plain, FuncProto)
            return Void() if Void() in plain.params else plain
        case _:
            assert_never(ctype)


def loses_type(ctype: CType) -> bool:
    """Whether `portable` cannot express this type, so that only vmlinux.h can: a nameless or by-value struct."""
    match stripped(ctype):
        case Struct():
            return True
        case Pointer(target=target) as pointer:
            # Nor can a macro stand for a type that C writes around a name.
            return _becomes_void(target) and not wraps_its_name(pointer)
        case _:
            return False


def _becomes_void(ctype: CType) -> bool:
    bare = stripped(ctype)
    if isinstance(bare, Pointer):
        return _becomes_void(bare.target)
    # A typedef of unknown target is nothing that vmlinux.h would have to explain to us.
    return not isinstance(bare, Void | Typedef) and isinstance(portable(bare), Void)


def tags_in(ctype: CType) -> Iterator[str]:
    """The struct and union tags that a spelled type mentions, to be declared in front of it."""
    match ctype:
        case Struct(name=str(name)):
            yield f"{ctype.keyword} {name}"
        case _:
            for part in children(ctype):
                yield from tags_in(part)


def uses_bool(ctype: CType) -> bool:
    """Whether a spelled type mentions `bool`, which a header must then declare."""
    return ctype == Typedef("bool") or any(map(uses_bool, children(ctype)))


def is_bool(ctype: CType) -> bool:
    """Whether a portable type is C's boolean, under whichever of its names."""
    return (isinstance(ctype, Int) and ctype.is_bool) or ctype == Typedef("bool")


def wraps_its_name(ctype: CType) -> bool:
    """Whether C writes a declaration of this type around the name, as it does for pointers to functions."""
    while isinstance(ctype, Pointer | Qualified):
        ctype = ctype.target
    return isinstance(ctype, Array | FuncProto)


class Spelled:
    """A type with its spelling, which is made once: a kernel has few types and many values of each."""

    def __init__(self, ctype: CType) -> None:
        self.ctype = ctype
        self.text = spell(ctype)
        self.wraps_its_name = wraps_its_name(ctype)
        self._prefix = self.text if self.text.endswith("*") else f"{self.text} "

    def declare(self, name: str) -> str:
        """The declaration of `name` with this type."""
        return spell(self.ctype, name) if self.wraps_its_name else self._prefix + name

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The struct and union tags that the spelling mentions, to be declared in front of it."""
        return tuple(tags_in(self.ctype))

    @cached_property
    def uses_bool(self) -> bool:
        return uses_bool(self.ctype)


@cache
def spelled(ctype: CType) -> Spelled:
    """The type with its spelling."""
    return Spelled(ctype)


def declared(ctype: CType, name: str) -> str:
    """The declaration of `name` as the kernel writes it; the bare type where `name` is empty."""
    return spelled(ctype).declare(name) if name else spelled(ctype).text


class ValueType(NamedTuple):
    """The conversion of a value of `size_bytes` in a slot or a record into a value of C type.

    `type` is what the accessor returns. `narrow` is the unsigned integer of the value's size, to which the loaded bits
    are cut first. With `by_bytes` the bits are reinterpreted, as a by-value struct's are. `own` is the type's
    spelling with vmlinux.h, None where `type` is that already.
    """

    type: Spelled
    size_bytes: int
    narrow: str
    is_bool: bool = False
    is_pointer: bool = False
    by_bytes: bool = False
    own: str | None = None


@cache
def value_type(ctype: CType | None, size_bytes: int, signed: bool | None) -> ValueType | None:
    """The C value for a kernel value of `ctype` and `size_bytes`; None where it is no scalar."""
    bare = None if ctype is None else stripped(ctype)
    if size_bytes not in _BY_SIZE:
        return None
    narrow = sized_integer(size_bytes, signed=False).name
    match bare:
        case None | Typedef():
            return ValueType(spelled(sized_integer(size_bytes, bool(signed))), size_bytes, narrow)
        case Pointer() | FuncProto():
            assert ctype is not None
            pointer = ctype if isinstance(bare, Pointer) else Pointer(ctype)
            own = spell(unqualified(pointer)) if loses_type(pointer) else None
            plain = spelled(unqualified(portable(pointer)))
            return ValueType(plain, POINTER_BYTES, narrow, is_pointer=True, own=own)
        case Enum():
            return ValueType(spelled(sized_integer(size_bytes, bool(bare.signed))), size_bytes, narrow)
        case Int():
            assert ctype is not None
            plain_type = unqualified(portable(ctype))
            if plain_type == Int("char", 1, bare.signed):
                # A program's char is signed. The kernel's is not since Linux 3bc753c06dd0 ("kbuild: treat char as
                # always unsigned") (in v6.2), and before it is what the architecture says.
                plain_type = sized_integer(size_bytes, bool(signed))
            return ValueType(spelled(plain_type), size_bytes, narrow, is_bool=is_bool(plain_type))
        case Struct():
            assert ctype is not None
            bits = spelled(sized_integer(size_bytes, signed=False))
            return ValueType(bits, size_bytes, narrow, by_bytes=True, own=spell(unqualified(ctype)))
        case _:
            return None
