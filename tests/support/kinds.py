"""The kinds of arguments and fields that there are, and a small choice of events that has each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import TypeVar

from support.kernel_facts import Field, Param, TracepointImage

_Key = TypeVar("_Key")
# Words of C and C++ that the kernel uses as names of arguments and fields, and macros of vmlinux.h's usual company.
_WORDS = frozenset(
    "and async bool catch class delete export friend namespace new not operator or private public register template "
    "this throw try type typename using virtual xor asm inline typeof loop ref in fn mod NULL SEC".split()
)


def raw_kinds(event: str, params: Sequence[Param], bare: bool) -> frozenset[str]:
    """What there is to see in the raw arguments of an event; `bare` where it has no record."""
    found = {f"{len(params)} arguments"} if len(params) in (0, 1, 12) else set()
    found |= {"bare"} if bare else set()
    for param in params:
        found.add(f"pointer to {param.target}" if param.target else f"{param.kind} {param.scalar}")
    return frozenset(found | _names(event, [param.name or "" for param in params]))


def classic_kinds(event: str, system: str, fields: Sequence[Field], image: TracepointImage) -> frozenset[str]:
    """What there is to see in the record of an event. `image` knows the types of the arguments of system calls."""
    found = set() if fields else {"no fields"}
    if system == "syscalls":
        found.add(event[: len("sys_enter")])
        found |= {f"argument {image.scalar_named(field.type)}" for field in fields if not field.dynamic}
    else:
        found |= set(map(_field_kind, fields))
    return frozenset(found | _names(event, [field.name for field in fields]))


def sample(kinds: Mapping[_Key, Set[str]]) -> tuple[_Key, ...]:
    """A few of the keys, by which each kind is seen at least once: each time the first of those that add most."""
    missing, chosen = set().union(*kinds.values()), []
    while missing:
        best = max(kinds, key=lambda key: len(kinds[key] & missing))
        missing -= kinds[best]
        chosen.append(best)
    return tuple(chosen)


def _field_kind(field: Field) -> str:
    if field.dynamic:
        return field.type
    if field.array:
        return f"array of {field.type}, {_aligned(field)}" if field.size in (2, 4, 8) else f"array of {field.type}"
    if "*" in field.type:
        return "pointer"
    word = next((word for word in ("bool", "char", "enum", "struct", "union") if field.type.startswith(word)), "number")
    return f"{word} of {field.size}, signed {field.signed}, {_aligned(field)}"


def _aligned(field: Field) -> str:
    return "unaligned" if field.offset % field.size else "aligned"


def _names(event: str, names: Sequence[str]) -> set[str]:
    found = {"name with a digit first"} if event[0].isdigit() else set()
    return found | {"keyword as a name" for name in names if name in _WORDS}
