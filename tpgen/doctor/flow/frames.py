"""The stack of a function call: what its bytes are known to be.

A frame has values by offset from r10, none of which overlap; bytes without one are unknown. Frames are never changed.
The verifier remembers addresses in 8 bytes only, and numbers other than 0 only where 8 bytes begin; so does this.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tpgen.doctor.flow.arithmetic import U64
from tpgen.doctor.flow.values import (
    NARROW,
    Constant,
    Loaded,
    Narrow,
    Unsure,
    Value,
    covers,
    joined,
    lowest,
    part_of,
)

#: Bytes of the stack of one function call; a power of two.
STACK_BYTES = 512


class Copied(NamedTuple):
    """A copy of the bytes of the context from `offset` on, made by a helper at `at`."""

    offset: int
    at: int
    kind: str = "copied"


class Slot(NamedTuple):
    """The contents of the `size` bytes that begin at the offset of a slot."""

    size: int
    value: Value | Copied


Frame: TypeAlias = dict[int, Slot]
Frames: TypeAlias = tuple[Frame, ...]


def read(frame: Frame, offset: int, size: int, big_endian: bool) -> Value:
    """The value of `size` bytes, as a number without a sign."""
    slot = frame.get(offset)
    if slot is not None and slot.size == size and not isinstance(slot.value, Copied):
        return slot.value
    start = _start_of(frame, offset, size)
    if start is not None:
        return _part(frame[start], offset - start, size, big_endian)
    if _is_zero(frame, offset, size):
        return Constant(0)
    return NARROW if size <= 4 else None


def _start_of(frame: Frame, offset: int, size: int) -> int | None:
    """The offset of the slot that these bytes lie in."""
    for start, slot in frame.items():
        if start <= offset and offset + size <= start + slot.size:
            return start
    return None


def _is_zero(frame: Frame, offset: int, size: int) -> bool:
    """Whether these bytes are 0, of several slots."""
    left = size
    for start, slot in frame.items():
        if start < offset + size and offset < start + slot.size and slot.value == Constant(0):
            left -= min(start + slot.size, offset + size) - max(start, offset)
    return left == 0


def _part(slot: Slot, start: int, size: int, big_endian: bool) -> Value:
    """The value of the bytes [start, start + size) of a slot."""
    value, is_lowest = slot.value, start == (slot.size - size if big_endian else 0)
    match value:
        case Copied():
            return Loaded(value.offset + start, size, value.at)
        case Loaded():
            # The bytes that were loaded are the lowest of the slot.
            begin = start - (slot.size - value.size if big_endian else 0)
            inside = begin >= 0 and begin + size <= value.size
            return part_of(value, begin, size) if inside else (NARROW if size <= 4 else None)
        case Constant(value=number) if is_lowest or number == 0:
            return value._replace(value=number & ((1 << 8 * size) - 1), struct_name=None)
        case Unsure():
            return value
        case _:
            return NARROW if size <= 4 else None


def write(frame: Frame, offset: int, size: int, value: Value | Copied, big_endian: bool) -> Frame:
    """The frame after a store."""
    changed = forget(frame, offset, size)
    kept = value if size == 8 or isinstance(value, Copied) else _stored(value, offset, size, big_endian)
    if kept is not None and -STACK_BYTES <= offset < 0:
        if changed is frame:
            changed = dict(frame)
        changed[offset] = Slot(size, kept)
    return changed


def _stored(value: Value, offset: int, size: int, big_endian: bool) -> Value:
    """The part of a value that is remembered in less than 8 bytes."""
    match value:
        case Constant(value=number):
            cut = number & ((1 << 8 * size) - 1)
            return value._replace(value=cut, struct_name=None) if cut == 0 or offset % 8 == 0 else None
        case Loaded():
            return lowest(value, size, big_endian)
        case Unsure():
            return value
        case _:
            return None


def blur(frame: Frame, offset: int = -STACK_BYTES) -> Frame:
    """The frame after a store somewhere behind `offset`: numbers are forgotten.

    Addresses are not: a compiler keeps them where nothing reaches that is indexed by a variable.
    """
    kept = {start: slot for start, slot in frame.items() if start < offset or not _is_number(slot)}
    return frame if len(kept) == len(frame) else kept


def _is_number(slot: Slot) -> bool:
    return isinstance(slot.value, Constant | Narrow | Unsure)


def forget(frame: Frame, offset: int, size: int) -> Frame:
    """The frame without what [offset, offset + size) may hold."""
    end = offset + size
    hit = [start for start, slot in frame.items() if start < end and offset < start + slot.size]
    if not hit:
        return frame
    changed = dict(frame)
    for start in hit:
        slot = changed.pop(start)
        if isinstance(slot.value, Copied):
            changed |= _left(start, slot, slot.value, offset, end)
    return changed


def _left(start: int, slot: Slot, copied: Copied, begin: int, end: int) -> Frame:
    """The rest of a copy of the context when [begin, end) of the stack is overwritten."""
    found = {}
    if start < begin:
        found[start] = Slot(begin - start, copied)
    if end < start + slot.size:
        found[end] = Slot(start + slot.size - end, copied._replace(offset=copied.offset + end - start))
    return found


def joined_frames(one: Frames, other: Frames) -> Frames:
    """The least that is true of both; frames that only one has are left out."""
    if one is other:
        return one
    return tuple(a if a is b else _joined(a, b) for a, b in zip(one, other, strict=False))


def _joined(one: Frame, other: Frame) -> Frame:
    found = {}
    for offset, slot in one.items():
        there = other.get(offset)
        value = slot.value if there == slot else _joined_value(slot, there)
        if value is not None:
            found[offset] = Slot(slot.size, value)
    return found


def _joined_value(one: Slot, other: Slot | None) -> Value:
    if other is None or other.size != one.size or isinstance(one.value, Copied) or isinstance(other.value, Copied):
        return None
    return joined(one.value, other.value)


def covers_frames(general: Frames, special: Frames) -> bool:
    """Whether whatever a program does with `special` is among what it does with `general`."""
    return general is special or all(map(_covers, general, special))


def _covers(general: Frame, special: Frame) -> bool:
    if general is special:
        return True
    if not general.keys() <= special.keys():
        return False
    for offset, slot in general.items():
        there = special[offset]
        if there is not slot and there != slot and not _covers_value(slot, there):
            return False
    return len(general) == len(special) or all(offset in general or _is_plain(slot) for offset, slot in special.items())


def _covers_value(general: Slot, special: Slot) -> bool:
    if isinstance(general.value, Copied) or isinstance(special.value, Copied) or general.size != special.size:
        return False
    return covers(general.value, special.value)


def _is_plain(slot: Slot) -> bool:
    """Whether nothing is lost if the slot is taken for unknown: there are no more accesses, but more branches."""
    return isinstance(slot.value, Constant | Narrow)


def extended(value: Value, size: int) -> Value:
    """A number of `size` bytes with its sign extended to 64 bits."""
    match value:
        case Constant(value=number) if size < 8 and number >> (8 * size - 1):
            return value._replace(value=(number - (1 << 8 * size)) & U64)
        case Narrow():
            return None
        case _:
            return value
