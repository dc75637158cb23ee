"""Prototypes of functions that are not followed: their arguments, and through which they may write how many bytes."""

from __future__ import annotations

from typing import NamedTuple

from tpgen.diagnostics import TpgenError
from tpgen.doctor.flow.helpers import MOST_ARGUMENTS
from tpgen.sources.bpf_object.facts import BpfObject, Place
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind, Param

_TRANSPARENT = (BtfKind.TYPEDEF, BtfKind.VOLATILE, BtfKind.RESTRICT, BtfKind.TYPE_TAG)


class Written(NamedTuple):
    """An argument through which a function may write `size` bytes; None where its type does not tell how many."""

    argument: int
    size: int | None


class Prototype(NamedTuple):
    """The number of arguments of a function, and those through which it may write."""

    arguments: int
    written: tuple[Written, ...]


#: That of a function which is not declared: it may have any arguments, and write through each.
UNDECLARED = Prototype(MOST_ARGUMENTS, tuple(Written(number, None) for number in range(1, MOST_ARGUMENTS + 1)))


def kernel_function(obj: BpfObject, name: str) -> Prototype:
    """The prototype of a function of the kernel, as the object declares it."""
    if obj.btf is None:
        return UNDECLARED
    found = next(obj.btf.ids_of(BtfKind.FUNC, name), None)
    return UNDECLARED if found is None else _prototype(obj.btf, found)


def global_function(obj: BpfObject, place: Place) -> Prototype:
    """The prototype of a global function of the object."""
    type_id = obj.function_types.get(place)
    return UNDECLARED if obj.btf is None or type_id is None else _prototype(obj.btf, type_id)


def _prototype(btf: Btf, type_id: int) -> Prototype:
    try:
        params = btf.params(type_id)[:MOST_ARGUMENTS]
        sizes = [_size(btf, param) for param in params]
    except TpgenError:
        return UNDECLARED
    written = tuple(Written(number, size) for number, size in enumerate(sizes, 1) if size != 0)
    is_variadic = any(param.type_id == 0 for param in params)
    return Prototype(MOST_ARGUMENTS if is_variadic else len(params), written)


def _size(btf: Btf, param: Param) -> int | None:
    """The bytes that may be written through a parameter: 0 for a number and for a pointer to what is constant."""
    pointer = _behind(btf, param.type_id)
    if btf.kind(pointer) == BtfKind.CONST:
        pointer = btf.strip(pointer)
    if btf.kind(pointer) != BtfKind.PTR:
        return 0
    target = _behind(btf, btf.target_id(pointer))
    if btf.kind(target) == BtfKind.CONST:
        return 0
    try:
        return btf.size(target)
    except TpgenError:
        return None


def _behind(btf: Btf, type_id: int) -> int:
    """The type behind typedefs and tags, but not behind `const`."""
    for _ in range(64):
        if btf.kind(type_id) not in _TRANSPARENT:
            break
        type_id = btf.target_id(type_id)
    return type_id
