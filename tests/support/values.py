"""Whether accessors return the right values: contexts to try, what to expect of them, and the accessors' code, run.

The judge of a value is where the kernel says that it lies, how many bytes it has, and whether it has a sign.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.accessors import Header
from support.bpf_asm import Insn, Machine, functions
from support.compilers import disassembly
from support.kernel_facts import Field, Param, Scalar
from support.programs import includes

SLOT_BYTES = 8
# The kernel hands out at most 12 arguments.
MOST_SLOTS = 12
_U64 = (1 << 64) - 1
_BYTE_ORDERS = {"bpfel": "little", "bpfeb": "big"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the value of an accessor lies in its context: it is the low part of the number in `held_bytes` at `offset`.

    An argument is held by a u64, on either byte order; a field of a record by itself.
    """

    accessor: str
    offset: int
    held_bytes: int
    scalar: Scalar

    def value(self, context: bytes, target: str) -> int:
        """What the accessor is to return, as an unsigned 64-bit integer."""
        held = context[self.offset : self.offset + self.held_bytes]
        bits = 8 * self.scalar.size
        number = int.from_bytes(held, _order(target)) & ((1 << bits) - 1)
        if self.scalar.is_bool:
            return int(number != 0)
        negative = self.scalar.signed and number >> (bits - 1)
        return (number - (1 << bits) if negative else number) & _U64


def argument_places(header: Header, params: Sequence[Param]) -> tuple[Place, ...]:
    """Argument i is the u64 number i."""
    names = (param.name or f"arg{slot}" for slot, param in enumerate(params))
    return tuple(
        Place(f"{header.prefix}_{name}", slot * SLOT_BYTES, SLOT_BYTES, param.scalar)
        for slot, (name, param) in enumerate(zip(names, params, strict=True))
    )


def field_places(header: Header, fields: Iterable[Field]) -> tuple[Place, ...]:
    """The scalar fields of a record, as the format file describes them."""
    return tuple(
        Place(f"{header.prefix}_{field.name}", field.offset, field.size, Scalar(field.size, field.signed, _bool(field)))
        for field in fields
        if not field.array and not field.dynamic
    )


def _bool(field: Field) -> bool:
    return field.type == "bool"


def contexts(size_bytes: int, target: str) -> Iterator[bytes]:
    """Contents of a context: negative numbers, all ones, dirt above narrow ones, and neighbours that differ."""
    count = -(-size_bytes // SLOT_BYTES)
    patterns = (
        [_U64] * count,
        # -EAGAIN in an int, as the kernel hands it out: zero-extended.
        [0xFFFF_FFF5] * count,
        # What a bool is not made of, and where one ends.
        [0xFFFF_FFFF_FFFF_FF00] * count,
        [0x00FF_00FF_00FF_00FF] * count,
        [at & 1 for at in range(count)],
        [~at & 1 for at in range(count)],
        # Negative in each width, then positive in each.
        [(0xDEAD_BEEF_80F0_8081 + at * 0x0101_0101_0101_0101) & _U64 for at in range(count)],
        [(0xFEDC_BA98_7654_3210 + at * 0x0101_0101_0101_0101) & _U64 for at in range(count)],
    )
    for numbers in patterns:
        yield struct.pack(f"{'<' if _order(target) == 'little' else '>'}{count}Q", *numbers)


def _order(target: str) -> str:
    return _BYTE_ORDERS[target]


# --- the accessors' code

FUNCTION = """
unsigned long long value_{accessor}(const void *ctx);
unsigned long long value_{accessor}(const void *ctx) {{ return (unsigned long long)(long long){accessor}(ctx); }}
"""


def source(places: Mapping[Header, Sequence[Place]]) -> str:
    """A unit with a function for every accessor; without vmlinux.h, where a struct by value is an integer."""
    calls = (FUNCTION.format(accessor=place.accessor) for each in places.values() for place in each)
    return includes(places) + "".join(calls)


def wrong_values(obj: Path, target: str, places: Iterable[Place]) -> dict[str, str]:
    """By accessor that returns something else than its place holds, what it returned of which context.

    The instructions are interpreted: it is the same for an object of either byte order, and for raw and classic.
    """
    code = functions(disassembly(obj))
    found = ((place.accessor, _wrong(place, code[f"value_{place.accessor}"], target)) for place in places)
    return {accessor: wrong for accessor, wrong in found if wrong is not None}


def _wrong(place: Place, insns: Sequence[Insn], target: str) -> str | None:
    for context in contexts(place.offset + place.held_bytes, target):
        expected, found = place.value(context, target), _run(insns, context, target)
        if found != expected:
            return f"{found:#x} instead of {expected:#x}, {target}, of {context.hex()}"
    return None


def _run(insns: Sequence[Insn], context: bytes, target: str) -> int:
    # What lies around the context is there too, for whoever reads it by mistake.
    room = context + bytes(range(16))
    return Machine(insns, room, big_endian=target == "bpfeb").run()


# --- the accessors in programs, for the kernel to run

PROLOGUE = """
unsigned long long out[12];
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
"""
PROGRAM = """
__attribute__((section("raw_tp/{event}"), used)) int run_{event}(void *ctx)
{{
	(void)ctx;
{stores}	return 0;
}}
"""


def program_source(places: Mapping[Header, Sequence[Place]]) -> str:
    """A unit with a program for every header of raw arguments, which stores all of them."""
    text = [includes(places), PROLOGUE]
    for header, each in places.items():
        calls = enumerate(place.accessor for place in each)
        stores = "".join(f"\tout[{at}] = (unsigned long long)(long long){name}(ctx);\n" for at, name in calls)
        text.append(PROGRAM.format(event=header.event, stores=stores))
    return "".join(text)
