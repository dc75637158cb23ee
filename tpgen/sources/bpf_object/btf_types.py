"""Parts of BTF that kernels' tracepoints do not need and programs do: arrays, enumerators, encodings, variables.

Format: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tpgen.diagnostics import fail
from tpgen.sources import btf_encoding
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import VLEN, BtfKind, Member

_SIGNED, _CHAR, _BOOL = 1, 2, 4


class ArrayType(NamedTuple):
    """An array: the type of its elements, and how many it has; 0 for a flexible one."""

    element: int
    length: int


class Enumerator(NamedTuple):
    """An enumerator; `value` is as C has it, negative ones included."""

    name: str
    value: int


class Encoding(NamedTuple):
    """The encoding of an INT: its bits begin `offset` bits into its bytes."""

    signed: bool
    char: bool
    boolean: bool
    offset: int
    bits: int


def array_type(btf: Btf, type_id: int) -> ArrayType:
    """The parts of an ARRAY."""
    words = btf.words(type_id)
    return ArrayType(words[3], words[5])


def is_flag_set(btf: Btf, type_id: int) -> bool:
    """Whether the kind flag of a type is set: signed enumerators, a forward declaration of a union."""
    return bool(btf.words(type_id)[1] >> 31)


def count_of(btf: Btf, type_id: int) -> int:
    """The number of members, parameters or enumerators of a type."""
    return btf.words(type_id)[1] & VLEN


def member(btf: Btf, type_id: int, index: int) -> Member:
    """A member of a STRUCT or UNION, which has so many."""
    words = btf.words(type_id)
    name, member_type, offset = words[3 + 3 * index : 6 + 3 * index]
    if words[1] >> 31:
        return Member(btf.string(name), member_type, offset & 0xFFFFFF, offset >> 24)
    return Member(btf.string(name), member_type, offset, 0)


def encoding(btf: Btf, type_id: int) -> Encoding:
    """The encoding of an INT."""
    word = btf.words(type_id)[3]
    flags = word >> 24 & 15
    return Encoding(bool(flags & _SIGNED), bool(flags & _CHAR), bool(flags & _BOOL), word >> 16 & 0xFF, word & 0xFF)


def enumerators(btf: Btf, type_id: int) -> Iterator[Enumerator]:
    """The enumerators of an ENUM or ENUM64, in their order."""
    return (Enumerator(btf.string(name), value) for name, value in btf_encoding.enumerators(btf.words(type_id)))


def in_section(btf: Btf, section: str) -> Iterator[int]:
    """The variables and functions that the DATASEC of that name has."""
    for type_id in btf.ids_of(BtfKind.DATASEC, section):
        words = btf.words(type_id)
        yield from words[3 : 3 + 3 * (words[1] & VLEN) : 3]


def expected(btf: Btf, type_id: int, *kinds: BtfKind) -> int:
    """`type_id`, which is of one of `kinds`. Raises `btf-bad-kind` for another one."""
    if btf.kind(type_id) not in kinds:
        wanted = " or ".join(kind.name for kind in kinds)
        raise fail("btf-bad-kind", f"corrupt BTF: type {type_id} is not of kind {wanted}", btf.path)
    return type_id
