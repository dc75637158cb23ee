"""Parts of a header of backend `bpf`: a tree of operations that builders decide and templates print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from tpgen.backends.bpf.types import Spelled, ValueType
from tpgen.backends.naming import distinct, member_declarator
from tpgen.basics.typing import NamedTuple
from tpgen.diagnostics import fail
from tpgen.model import Dynamic, Event, Nullness


class Load(NamedTuple):
    """One aligned load from the context: `width` is `u8` to `u64`, the shifts are bits in the value it is part of."""

    width: str
    offset: int
    shift_little: int
    shift_big: int


def loads_of(offset: int, size: int) -> tuple[Load, ...]:
    """The loads that make up a value: one, or as few as the verifier's rule (offset % size == 0) allows."""
    width = size
    while offset % width:
        width //= 2
    parts = range(0, size, width)
    return tuple(Load(f"u{8 * width}", offset + at, 8 * at, 8 * (size - width - at)) for at in parts)


@cache
def bits_at(offset: int, size: int) -> str:
    """The expression of the bits of a value at `offset` of the context, both in bytes."""
    loads = loads_of(offset, size)
    terms = [f"TPGEN_LOAD({load.width}, ctx, {load.offset})" for load in loads]
    if len(terms) == 1:
        return terms[0]
    shifts = (f" << TPGEN_SHIFT({load.shift_little}, {load.shift_big})" for load in loads)
    return f"({' | '.join(term + shift for term, shift in zip(terms, shifts, strict=True))})"


class Choice(NamedTuple):
    """The expression `bits` of a value on the kernels where `condition`, which is C, holds."""

    condition: str
    bits: str


class Accessor(NamedTuple):
    """The accessor `name`, which returns `bits` as a value of `type`; with `choices` those of the first that holds.

    `if_name` is the macro that hands out a pointer where it is one, None for what is no pointer. With `errors` it
    tells pointers from errors as well as from NULL.
    """

    name: str
    comment: str
    type: ValueType
    bits: str
    if_name: str | None = None
    errors: bool = False
    choices: tuple[Choice, ...] = ()


#: The functions of the prelude that copy: bytes, a string, and a string where any buffer on the stack will do.
READ_BYTES, READ_STRING, COPY_STRING = "tpgen_read_bytes", "tpgen_read_string", "tpgen_copy_string"


class CopyChoice(NamedTuple):
    """The bytes of the member of the local struct `record` on the kernels where `condition` holds, on all without one.

    They are `length` bytes, which is C, or those that the member locates where it is `dynamic`.
    """

    condition: str | None
    record: str
    member: str
    length: str
    dynamic: Dynamic | None


class Copy(NamedTuple):
    """An accessor that copies bytes: fixed ones at `offset`, or those that the locator at `offset` points to.

    `function` of the prelude copies them. With `choices` it copies those of the first that holds.
    """

    name: str
    comment: str
    offset: int
    size_bytes: int | None
    relative: bool
    function: str
    choices: tuple[CopyChoice, ...] = ()


class Presence(NamedTuple):
    """The function that tells whether the kernel has a value, by a `condition` that is C."""

    name: str
    condition: str


class Test(NamedTuple):
    """A predicate `name` of the context: the conjunction of `conditions`, which are C."""

    name: str
    comment: str
    conditions: tuple[str, ...]


class ContextMember(NamedTuple):
    """A member of the generated struct. `slot_bytes` is the size of a value that lies in a u64 slot, else None."""

    declaration: str
    name: str
    offset: int
    size_bytes: int
    slot_bytes: int | None = None


class ContextStruct(NamedTuple):
    """The context as C sees it. `size_bytes` is None where the kernel does not tell it; `align` is in bytes."""

    members: tuple[ContextMember, ...]
    size_bytes: int | None
    packed: bool
    align: int


class SectionMacro(NamedTuple):
    """A macro `name` for what `SEC()` takes."""

    name: str
    text: str


class Header(NamedTuple):
    """A header. `tag` is its struct's and the file's name, `heading` and `context` comment on the file and the struct.

    `release` is the kernel's with the event's module, None where unknown. `from_registers` is set where accessors read
    the registers of a system call. `tags` are the struct and union tags that the types mention. A header for `several`
    kernels has no struct, but `local_types`, and its first lines have `notes`.
    """

    tag: str
    heading: str
    release: str | None
    sections: tuple[SectionMacro, ...]
    context: str
    struct: ContextStruct
    tests: tuple[Test, ...]
    accessors: tuple[Accessor, ...]
    copies: tuple[Copy, ...]
    presence: tuple[Presence, ...]
    from_registers: bool
    tags: tuple[str, ...]
    uses_bool: bool
    several: bool
    local_types: str
    notes: tuple[str, ...]


def header(
    event: Event,
    release: str | None,
    tag: str,
    *,
    heading: str,
    sections: Iterable[SectionMacro],
    context: str,
    struct: ContextStruct,
    accessors: Sequence[Accessor],
    values: Iterable[str],
    copies: Sequence[Copy] = (),
    tests: Sequence[Test] = (),
    types: Iterable[Spelled] = (),
    from_registers: bool = False,
    conditions: Mapping[str, str] | None = None,
    local_types: str = "",
    notes: Iterable[str] = (),
) -> Header:
    """The header of `event`. `values` are the names of its arguments or fields, `types` those that it mentions beside
    the accessors'. It is for several kernels with `conditions`, by which a value is there that not all of them have.

    Raises `TpgenError` `name-clash` where two of its accessors would have one name.
    """
    names = [accessor.name for accessor in accessors] + [copy.name for copy in copies] + [test.name for test in tests]
    names += [accessor.if_name for accessor in accessors if accessor.if_name]
    if len(taken := set(names)) < len(names):
        doubled = min(name for name in names if names.count(name) > 1)
        raise fail("name-clash", f"{event.title}: two of its fields make an accessor {doubled}")
    mentioned = {*types, *(accessor.type.type for accessor in accessors)}
    return Header(
        tag,
        f"{event.title}: {heading}",
        f"{release}, module {event.module}" if release and event.module else release,
        tuple(sections),
        context,
        struct,
        tuple(tests),
        tuple(accessors),
        tuple(copies),
        tuple(_presence(tag, values, taken, conditions or {})),
        from_registers,
        tuple(sorted({tag for ctype in mentioned for tag in ctype.tags})),
        any(ctype.uses_bool for ctype in mentioned),
        conditions is not None,
        local_types,
        tuple(notes),
    )


def _presence(prefix: str, values: Iterable[str], taken: set[str], conditions: Mapping[str, str]) -> Iterator[Presence]:
    values = list(dict.fromkeys(values))
    for value, name in zip(values, presence_names(prefix, values, taken), strict=True):
        yield Presence(name, conditions.get(value, "1"))


def presence_names(prefix: str, values: Iterable[str], taken: set[str]) -> list[str]:
    """The names of the functions that tell whether a kernel has a value, a `_` behind one that an accessor has."""
    names = [f"{prefix}_has_{name}" for name in dict.fromkeys(values)]
    return names if taken.isdisjoint(names) else distinct(names, taken)


def argument_accessor(
    prefix: str, name: str, comment: str, value: ValueType, bits: str, null: Nullness | None
) -> Accessor:
    """The accessor of a raw argument; of a pointer also the macro that tests it.

    There is no such macro for a pointer of 32 bits that may be an error: the numbers of errors are those of 64 bits.
    """
    errors = null == Nullness.ERROR
    tested = value.is_pointer and not (errors and value.narrow == "unsigned int")
    return Accessor(f"{prefix}_{name}", comment, value, bits, f"{prefix}_if_{name}" if tested else None, errors)


def slot_member(value: ValueType, name: str, offset: int) -> ContextMember:
    """The member for a value that lies in a u64."""
    return ContextMember(
        value.type.declare(member_declarator(name)), name, offset, value.size_bytes, slot_bytes=value.size_bytes
    )
