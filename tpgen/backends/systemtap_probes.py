"""What a stapprobe_ struct or function consists of, whether it becomes C or DWARF."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from tpgen.model import Event
from tpgen.target import Target
from tpgen.values import Value, classic_values, raw_values


class Shape(StrEnum):
    """What SystemTap makes of an event: a struct of raw arguments or of the record for BPF, a function for modules."""

    RAW = "raw"
    CLASSIC = "classic"
    LKM = "lkm"


@dataclass(frozen=True, slots=True)
class Stapprobe:
    """`name` is that of the struct or function, `pad_bytes` the size of what lies before the values.

    `names` are those of the values, each another one.
    """

    name: str
    event: Event
    pad_bytes: int
    values: tuple[Value, ...]
    names: tuple[str, ...]


def stapprobe(event: Event, shape: Shape, target: Target) -> Stapprobe:
    """The probe of an event that has what the shape needs."""
    name = f"stapprobe_{event.attach_name or event.name}"
    if shape == Shape.CLASSIC:
        assert event.record is not None
        values = classic_values(event, target)
        return Stapprobe(name, event, event.record.header_bytes, values, _names(values))
    values = raw_values(event, target)
    return Stapprobe(name, event, 0, values, _names(values))


def _names(values: tuple[Value, ...]) -> tuple[str, ...]:
    """SystemTap's names: a dynamic field has a prefix only where a plain one has its name, as `type` in Linux 5.10."""
    count = Counter(value.name for value in values)
    return tuple(
        f"__{value.dynamic}_{value.name}"
        if value.dynamic and count[value.name] > 1
        else value.name or f"arg{value.slot}"
        for value in values
    )
