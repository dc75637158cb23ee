"""The door that every backend goes through, ours and a third party's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from tpgen.model import Event, Origin
from tpgen.spelling import spell
from tpgen.target import Target


class Form(StrEnum):
    """The two things a tracepoint hands out: its raw arguments and its classic record."""

    RAW = "raw"
    CLASSIC = "classic"


@dataclass(frozen=True, slots=True)
class Request:
    """What to render: one form of one event that passed its checks."""

    event: Event
    form: Form


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A rendered file; `name` is relative to wherever the user wants it."""

    name: str
    text: str


class Backend(Protocol):
    """A backend is pure: it neither reads nor writes files but its own templates."""

    name: str

    def render(self, target: Target, release: str | None, requests: Iterable[Request]) -> list[GeneratedFile]:
        """One file per request, in their order. `release` is the kernel's, None where unknown."""
        ...


def missing(event: Event, form: Form) -> str | None:
    """Why `event` cannot be had in `form`, None where it can."""
    if form == Form.RAW:
        if event.attach_name is None:
            return "it has no raw tracepoint of its own"
        return "its raw arguments are unknown: no BTF and no headers" if event.args is None else None
    if event.record is not None:
        unplaced = [field for field in event.record.fields if field.offset_bytes is None or field.size_bytes is None]
        if unplaced and event.record_origin == Origin.HEADERS and (ctype := unplaced[0].type) is not None:
            what = f"the size of its field {unplaced[0].name}, of type `{spell(ctype)}`, is unknown"
            return f"{what} ({event.header}): give --btf or --tracefs"
        return f"the offset of its field {unplaced[0].name} is unknown: give --btf or --tracefs" if unplaced else None
    if event.class_candidates:
        classes = ", ".join(event.class_candidates)
        return f"its record is that of one of the classes {classes}: read tracefs as root or give --headers"
    if event.attach_name is not None and event.kind == "tracepoint":
        return "it is a bare tracepoint, which has no record"
    return "its record is unknown: no tracefs, no BTF and no headers"
