"""Parts of a stapprobe_ struct or function, whether it becomes C or DWARF."""

from __future__ import annotations

from enum import StrEnum

from tpgen.basics.frozen import frozen
from tpgen.layout import SLOT_BYTES
from tpgen.model import Array, CType, Event, Int, Typedef
from tpgen.target import Target
from tpgen.values import Value, classic_values, raw_values, value_names


class ProbeKind(StrEnum):
    """Kinds of probes: for BPF a struct of raw arguments or of the record, for kernel modules a function."""

    RAW = "raw"
    CLASSIC = "classic"
    LKM = "lkm"


@frozen
class Stapprobe:
    """`name` is that of the struct or function, `pad_bytes` the size of what lies before the values.

    `names` are those of the values, each another one.
    """

    name: str
    event: Event
    pad_bytes: int
    values: tuple[Value, ...]
    names: tuple[str, ...]


def stapprobe(event: Event, kind: ProbeKind, target: Target) -> Stapprobe:
    """The probe of that kind for `event`, which has the form that it is made of."""
    name = f"stapprobe_{event.attach_name or event.name}"
    if kind == ProbeKind.CLASSIC:
        assert event.record is not None
        values = classic_values(event, target)
        return Stapprobe(name, event, event.record.header_bytes, values, value_names(values))
    values = raw_values(event, target)
    return Stapprobe(name, event, 0, values, value_names(values))


# --- types

_UNSIGNED = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}
# The locator of a dynamic field, as the macros of trace headers declare it.
_LOCATOR = Typedef("u32", Typedef("__u32", Int(_UNSIGNED[4], 4, False)))


def member_type(value: Value) -> CType:
    """The type of the value's member of a struct; one of unknown type is a number of its size, or its bytes."""
    if value.dynamic:
        return _LOCATOR
    if value.type is not None and value.size_bytes is not None:
        return value.type
    return plain_type(SLOT_BYTES if value.size_bytes is None else value.size_bytes)


def parameter_type(value: Value) -> CType:
    """The type of the value as a parameter, whose size the caller knows."""
    return member_type(value) if value.type is None else value.type


def pad_type(size_bytes: int) -> CType:
    """The type of the common header. It ends where its int pid can: real-time kernels have 12 bytes and more."""
    unit = SLOT_BYTES if size_bytes % SLOT_BYTES == 0 else 4
    return plain_type(size_bytes) if size_bytes == SLOT_BYTES else Array(plain_type(unit), size_bytes // unit)


def plain_type(size_bytes: int) -> CType:
    """A number of that size, or that many bytes."""
    if size_bytes in _UNSIGNED:
        return Int(_UNSIGNED[size_bytes], size_bytes, False)
    return Array(plain_type(1), size_bytes)
