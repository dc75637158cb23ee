"""Prototypes of functions that are not followed: through which arguments they may write, and how many bytes."""

from __future__ import annotations

from typing import NamedTuple

from tpgen.diagnostics import TpgenError
from tpgen.sources.bpf_object.facts import BpfObject, Place
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind, Param

_TRANSPARENT = (BtfKind.TYPEDEF, BtfKind.VOLATILE, BtfKind.RESTRICT, BtfKind.TYPE_TAG)


class Written(NamedTuple):
    """An argument through which a function may write `size` bytes; None where its type does not tell how many."""

    argument: int
    size: int | None


def kernel_function(obj: BpfObject, name: str) -> tuple[Written, ...] | None:
    """Of a function of the kernel; None where the object does not declare it."""
    if obj.btf is None:
        return None
    ids = obj.btf.ids_of(name).get(name, ())
    found = next((type_id for type_id in ids if obj.btf.kind(type_id) == BtfKind.FUNC), None)
    return None if found is None else _written(obj.btf, found)


def global_function(obj: BpfObject, place: Place) -> tuple[Written, ...] | None:
    """Of a global function of the object; None where its type is not known."""
    type_id = obj.function_types.get(place)
    return None if obj.btf is None or type_id is None else _written(obj.btf, type_id)


def _written(btf: Btf, type_id: int) -> tuple[Written, ...] | None:
    try:
        params = btf.params(type_id)
        sizes = [_size(btf, param) for param in params]
    except TpgenError:
        return None
    return tuple(Written(number, size) for number, size in enumerate(sizes, 1) if size != 0)


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
