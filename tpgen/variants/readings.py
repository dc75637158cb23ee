"""Readings: the C type in which the values of all kernels fit, and how each kernel's value is read into it.

A raw argument is a u64 whose upper bytes are zero, so a narrower value without a sign is read rightly as a wider one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tpgen.model import CType, Enum, FuncProto, Int, Pointer, Struct, Typedef, Void
from tpgen.spelling import spell
from tpgen.typequery import same_type, stripped, unqualified


class Reading(NamedTuple):
    """A value of several kernels as one accessor returns it, as `type`.

    `through` has the type through which it is read on each kernel that it is for; `struct` tells the readings of one
    name apart, by the tag of what they point to.
    """

    type: CType
    through: Mapping[str, CType]
    struct: str | None = None


class Number(NamedTuple):
    """An integer as it is loaded: its size in bytes and its sign."""

    size_bytes: int
    signed: bool

    @property
    def type(self) -> Int:
        """The plain C type of this integer."""
        return Int(_NAMES[self], *self)


def readings(types: Mapping[str, CType]) -> list[Reading] | str:
    """The readings of a value that has these types, by kernel, oldest first; the reason where no C type holds them."""
    bare = {kernel: stripped(ctype) for kernel, ctype in types.items()}
    newest = list(types.values())[-1]
    if all(isinstance(each, Int | Enum) for each in bare.values()):
        return _of_numbers(types)
    if all(isinstance(each, Pointer | FuncProto) for each in bare.values()):
        return _of_pointers(types)
    if all(same_type(newest, ctype) and _same_size(newest, ctype) for ctype in types.values()):
        return [Reading(newest, dict.fromkeys(types, newest))]
    return "no C type holds " + _listed(types)


def _same_size(one: CType, other: CType) -> bool:
    one, other = stripped(one), stripped(other)
    return not (isinstance(one, Struct) and isinstance(other, Struct)) or one.size_bytes == other.size_bytes


def _listed(types: Mapping[str, CType]) -> str:
    """The types with the kernels that have them: `int (5.10, 6.1) and void * (7.2)`."""
    kernels: dict[str, list[str]] = {}
    for kernel, ctype in types.items():
        kernels.setdefault(f"`{spell(unqualified(ctype))}`", []).append(kernel)
    return " and ".join(f"{ctype} ({', '.join(names)})" for ctype, names in kernels.items())


# --- numbers


def number_of(ctype: CType) -> Number:
    """The integer that a number is loaded as; the sign of a plain char is that of no kernel, and of a program none."""
    bare = stripped(ctype)
    assert isinstance(bare, Int | Enum)
    if isinstance(bare, Int) and bare.name == "char":
        return Number(1, False)
    return Number(bare.size_bytes or 4, bool(bare.signed))


def _of_numbers(types: Mapping[str, CType]) -> list[Reading] | str:
    # The sign of an enum tells whether an enumerator is negative: a kernel that has none has no such value either.
    numbers = {kernel: number_of(ctype) for kernel, ctype in types.items()}
    integers = {numbers[kernel] for kernel, ctype in types.items() if isinstance(stripped(ctype), Int)}
    for kernel, ctype in types.items():
        number = numbers[kernel]
        if isinstance(stripped(ctype), Enum) and number not in integers and integers:
            other = number._replace(signed=not number.signed)
            numbers[kernel] = other if other in integers else number
    if not integers and len({number.size_bytes for number in numbers.values()}) == 1:
        newest = list(types.values())[-1]
        return [Reading(newest, dict.fromkeys(types, newest))]
    holder = holding(set(numbers.values()))
    if holder is None:
        return "no C type holds " + _listed(types)
    held = _type_of(holder, types)
    through = {kernel: held if _reads_as(numbers[kernel], holder) else ctype for kernel, ctype in types.items()}
    return [Reading(held, through)]


def holding(numbers: set[Number]) -> Number | None:
    """The smallest integer that holds all values of these; None where there is none of 64 bits."""
    signed = max((number.size_bytes for number in numbers if number.signed), default=0)
    unsigned = max((number.size_bytes for number in numbers if not number.signed), default=0)
    if not signed:
        return Number(unsigned, False)
    size = max(signed, 2 * unsigned)
    return Number(size, True) if size <= 8 else None


def _reads_as(number: Number, holder: Number) -> bool:
    """Whether a u64 that holds `number` is read rightly as `holder`."""
    return number == holder or (number.size_bytes < holder.size_bytes and not number.signed)


def _type_of(holder: Number, types: Mapping[str, CType]) -> CType:
    """The type of the newest kernel that has this integer, as a boolean only where all are; else a plain one."""
    fitting = [ctype for ctype in types.values() if number_of(ctype) == holder]
    plain = [ctype for ctype in fitting if isinstance(stripped(ctype), Int) and not _is_bool(ctype)]
    if fitting and (plain or all(map(_is_bool, types.values())) or not any(map(_is_bool, fitting))):
        return (plain or fitting)[-1]
    return holder.type


def _is_bool(ctype: CType) -> bool:
    bare = stripped(ctype)
    return isinstance(bare, Int) and bare.is_bool


_NAMES = {
    Number(1, True): "signed char",
    Number(1, False): "unsigned char",
    Number(2, True): "short",
    Number(2, False): "unsigned short",
    Number(4, True): "int",
    Number(4, False): "unsigned int",
    Number(8, True): "long long",
    Number(8, False): "unsigned long long",
}

# --- pointers


def _of_pointers(types: Mapping[str, CType]) -> list[Reading]:
    """One reading, or one for each struct that the name points to.

    The newest kernel's qualifiers count. A pointer to void says less than one to a struct, which is taken then.
    """
    pointees = {kernel: _pointee(ctype) for kernel, ctype in types.items()}
    known = [kernel for kernel in types if not isinstance(stripped(pointees[kernel]), Void)]
    best = types[known[-1] if known else list(types)[-1]]
    if all(_are_same(_pointee(best), pointees[kernel]) for kernel in known):
        return [Reading(best, dict.fromkeys(types, best))]
    tags = {kernel: _tag(pointee) for kernel, pointee in pointees.items()}
    if None not in tags.values():
        by_tag: dict[str, dict[str, CType]] = {}
        for kernel, tag in tags.items():
            by_tag.setdefault(str(tag), {})[kernel] = types[kernel]
        newest = {tag: list(of.values())[-1] for tag, of in by_tag.items()}
        return [Reading(newest[tag], dict.fromkeys(by_tag[tag], newest[tag]), tag) for tag in reversed(by_tag)]
    anything = Pointer(Void())
    return [Reading(anything, dict.fromkeys(types, anything))]


def _pointee(ctype: CType) -> CType:
    bare = stripped(ctype)
    return bare.target if isinstance(bare, Pointer) else bare


def _are_same(one: CType, other: CType) -> bool:
    """Whether two pointees are of one type. A struct without a tag is that of its typedef."""
    bare = stripped(one)
    if isinstance(bare, Struct) and bare.name is None:
        names = [each.name if isinstance(each := unqualified(ctype), Typedef) else None for ctype in (one, other)]
        return names[0] == names[1] is not None
    return same_type(bare, stripped(other))


def _tag(pointee: CType) -> str | None:
    """The tag of a struct or union, by which `_as_` accessors are named; None for anything else."""
    bare = stripped(pointee)
    return bare.name if isinstance(bare, Struct) else None
