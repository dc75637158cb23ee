"""Queries on C types: parts, size, alignment, sign, and whether two sources mean the same type."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tpgen.basics.frozen import replace
from tpgen.basics.typing import assert_never
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
from tpgen.target import Target

_TRANSPARENT = (Qualified, TypeTag, Typedef)


def children(ctype: CType) -> tuple[CType, ...]:
    """The types that `ctype` is directly made of, in the order in which C writes them; () for a name or a number."""
    match ctype:
        case Pointer(target=target) | Qualified(target=target) | TypeTag(target=target):
            return (target,)
        case Array(element=element):
            return (element,)
        case Typedef(target=target):
            return () if target is None else (target,)
        case FuncProto(result=result, params=params):
            return (result, *params)
        case Void() | Int() | Float() | Struct() | Enum():
            return ()
        case _:
            assert_never(ctype)


def mapped(ctype: CType, function: Callable[[CType], CType]) -> CType:
    """`ctype` with `function` applied to each of its `children`."""
    match ctype:
        case Pointer(target=target) | Qualified(target=target) | TypeTag(target=target):
            return replace(ctype, target=function(target))
        case Array(element=element):
            return replace(ctype, element=function(element))
        case Typedef(target=target):
            return ctype if target is None else replace(ctype, target=function(target))
        case FuncProto(result=result, params=params):
            return replace(ctype, result=function(result), params=tuple(map(function, params)))
        case Void() | Int() | Float() | Struct() | Enum():
            return ctype
        case _:
            assert_never(ctype)


def unqualified(ctype: CType) -> CType:
    """The type without the qualifiers and tags of a value itself."""
    while isinstance(ctype, Qualified | TypeTag):
        ctype = ctype.target
    return ctype


def stripped(ctype: CType) -> CType:
    """The type behind typedefs, qualifiers and tags; a `Typedef` where its target is unknown."""
    while isinstance(ctype, _TRANSPARENT) and ctype.target is not None:
        ctype = ctype.target
    return ctype


def size_of(ctype: CType, target: Target) -> int | None:
    """The size in bytes of a value of this type, None where it is unknown."""
    match bare := stripped(ctype):
        case Int() | Float() | Struct() | Enum():
            return bare.size_bytes
        case Pointer():
            return target.pointer_size
        case Array():
            element = size_of(bare.element, target)
            return None if element is None or bare.length is None else element * bare.length
        case Typedef() | Void() | FuncProto():
            return None
        case Qualified() | TypeTag():
            raise AssertionError("stripped() leaves none")
        case _:
            assert_never(bare)


def align_of(ctype: CType, target: Target) -> int | None:
    """The alignment in bytes of a struct member of this type, None where it is unknown."""
    match bare := stripped(ctype):
        case Struct():
            return bare.align_bytes
        case Array():
            return align_of(bare.element, target)
        case _:
            size = size_of(bare, target)
            return None if size is None else target.integer_align(size)


def is_signed(ctype: CType) -> bool | None:
    """Whether a value of this type, or of an array's element, is signed; None where the source does not tell."""
    match bare := stripped(ctype):
        case Int() | Enum():
            return bare.signed
        case Array():
            return is_signed(bare.element)
        case Typedef():
            return None
        case _:
            return False


def has_unknown_length(ctype: CType) -> bool:
    """Whether there is an array in it whose length is a text that nobody has evaluated."""
    match ctype:
        case Array(length=None, length_text=str()):
            return True
        case Typedef() | FuncProto():  # which have a name for it, or take a pointer instead
            return False
        case _:
            return any(map(has_unknown_length, children(ctype)))


def is_only_named(ctype: CType) -> bool:
    """Whether it is a typedef, an enum or a struct of which only the name is known, or an array of these."""
    match stripped(ctype):
        case Typedef(target=None) | Enum(name=str(), size_bytes=None) | Struct(name=str(), size_bytes=None):
            return True
        case Array(element=element):
            return is_only_named(element)
        case _:
            return False


def only_named(ctype: CType, target: Target) -> CType:
    """The type of another kernel as `target` has it: of typedefs, enums and structs only the names are left."""
    match ctype:
        case Typedef():
            return Typedef(ctype.name)
        case Enum(name=str(name)):
            return Enum(name)
        case Struct(name=str(name)):
            return Struct(ctype.keyword, name)
        case Int(name="long" | "unsigned long"):
            return replace(ctype, size_bytes=target.pointer_size)
        case _:
            return mapped(ctype, lambda part: only_named(part, target))


def element_of(ctype: CType) -> CType:
    """The type of an array's elements, through any number of dimensions; any other type itself."""
    while isinstance(array := stripped(ctype), Array):
        ctype = array.element
    return ctype


def kind_of(ctype: CType) -> str | None:
    """The kind of a raw argument of this type: int, ptr, enum, struct or union; None where it is unknown."""
    match bare := stripped(ctype):
        case Int():
            return "int"
        case Pointer() | Array() | FuncProto():  # the latter two decay as parameters
            return "ptr"
        case Enum():
            return "enum"
        case Struct():
            return bare.keyword
        case _:
            return None


def composition_fault(ctype: CType) -> str | None:
    """Why C does not allow a type to be made of these parts; None where it does. The parts' own parts are not asked."""
    match ctype:
        case Array(element=element) if isinstance(stripped(element), Void | FuncProto):
            return "an array of functions, or of void"
        case FuncProto(result=result) if isinstance(stripped(result), Array | FuncProto):
            return "a function that returns an array or a function"
        case FuncProto(params=params) if any(isinstance(stripped(param), Void) for param in params):
            return "void among other parameters"
        case _:
            return None


def is_string(ctype: CType | None) -> bool:
    """Whether elements of this type make a string: the kernel's strings are of plain `char`."""
    return ctype is not None and isinstance(bare := stripped(ctype), Int) and bare.name == "char"


def same_type(left: CType, right: CType) -> bool:
    """Whether two sources mean the same type, as far as both of them tell.

    A typedef's name stands for itself where one side does not know its target. Tags are left out, since only some
    compilers put them into BTF, and so are lengths and sizes that one side does not know.
    """
    if left is right:  # as the types of one BTF are
        return True
    left, right = _untagged(left), _untagged(right)
    match left, right:
        case Typedef(), Typedef() if left.name == right.name:
            return True
        case Typedef(target=None), Typedef(target=inner) if inner is not None:
            return same_type(left, inner)
        case Typedef(target=inner), Typedef(target=None) if inner is not None:
            return same_type(inner, right)
        case Typedef(target=inner), _ if inner is not None:
            return same_type(inner, right)
        case _, Typedef(target=inner) if inner is not None:
            return same_type(left, inner)
        case Int(), Int():
            return left.name == right.name
        case Struct(), Struct():
            return (left.keyword, left.name) == (right.keyword, right.name)
        case Enum(), Enum():
            return left.name == right.name
        case Pointer(), Pointer():
            return same_type(left.target, right.target)
        case Qualified(), Qualified() if left.qualifier == right.qualifier:
            return same_type(left.target, right.target)
        case Array(), Array():
            lengths = {left.length, right.length} - {None}
            return len(lengths) < 2 and same_type(left.element, right.element)
        case FuncProto(), FuncProto():
            pairs = zip((left.result, *left.params), (right.result, *right.params), strict=False)
            alike = len(left.params) == len(right.params) and left.variadic == right.variadic
            return alike and all(same_type(a, b) for a, b in pairs)
        case _:
            return left == right


def _untagged(ctype: CType) -> CType:
    while isinstance(ctype, TypeTag):
        ctype = ctype.target
    return ctype


def renamed(ctype: CType, names: Mapping[str, str]) -> CType:
    """The type that `ctype` is where the compiler takes the words `names` for others."""
    match ctype:
        case Struct(name=str(name)) if name in names:
            return Struct(ctype.keyword, names[name])
        case Enum(name=str(name)) if name in names:
            return Enum(names[name])
        case Typedef(name=name) if name in names:
            return Typedef(names[name])
        case Typedef():
            return ctype
        case _:
            return mapped(ctype, lambda part: renamed(part, names))
