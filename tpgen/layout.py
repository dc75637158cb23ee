"""Layout: where a compiler for the target puts the members of a classic record and of a raw argument's slot."""

from __future__ import annotations

from tpgen.basics.frozen import replace
from tpgen.model import Field, Record
from tpgen.target import Target
from tpgen.typequery import align_of, size_of

#: The size and alignment in bytes of the u32 that locates a dynamic field.
LOCATOR_BYTES = 4
#: The size in bytes of the slot that holds a raw argument, whatever the argument's own size.
SLOT_BYTES = 8
#: The sizes in bytes of what a slot can hold: __CAST_TO_U64 of the kernel knows no other. None is that of a struct
#: whose definition BTF lacks.
SLOT_SIZES = (1, 2, 4, 8, None)
#: No trace record is larger: a locator has 16 bits for an offset, and PERF_MAX_TRACE_SIZE is 8 KiB.
MAX_RECORD_BYTES = 1 << 16
#: The largest alignment of a member of the common header, `struct trace_entry`: that of its `int pid`.
HEADER_ALIGN = 4


def lay_out(fields: tuple[Field, ...], header_bytes: int, target: Target) -> Record:
    """The record of `fields` behind a common header of `header_bytes`, by the natural alignment of each member.

    From the first field on whose size or alignment is unknown, offsets are None, and so is the record's size.
    """
    offset: int | None = header_bytes
    strictest = HEADER_ALIGN
    placed = []
    for field in fields:
        size, align = _extent(field, target)
        if offset is None or size is None or align is None:
            placed.append(replace(field, offset_bytes=None, size_bytes=size))
            offset = None
            continue
        strictest = max(strictest, align)
        offset = round_up(offset, align)
        is_there = field.offset_bytes == offset and field.size_bytes == size
        placed.append(field if is_there else replace(field, offset_bytes=offset, size_bytes=size))
        offset += size
    return Record(header_bytes, None if offset is None else round_up(offset, strictest), tuple(placed))


def _extent(field: Field, target: Target) -> tuple[int | None, int | None]:
    """The size and alignment in bytes of a field's member in the struct."""
    if field.dynamic:
        return LOCATOR_BYTES, LOCATOR_BYTES
    if field.type is None:
        return None, None
    return size_of(field.type, target), align_of(field.type, target)


def round_up(offset: int, align: int) -> int:
    """The first multiple of `align` from `offset` on."""
    return -(-offset // align) * align
