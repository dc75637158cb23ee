"""The forms in which an event hands out its data, and why an event lacks one of them."""

from __future__ import annotations

from enum import StrEnum

from tpgen.model import Event, Origin, Syscall
from tpgen.spelling import spell


class Form(StrEnum):
    """The two things a tracepoint hands out: its raw arguments and its classic record."""

    RAW = "raw"
    CLASSIC = "classic"


def missing(event: Event, form: Form) -> str | None:
    """Why `event` cannot be had in `form`, None where it can."""
    if form == Form.RAW:
        if event.syscall is not None:
            return _unidentified(event.syscall)
        if event.attach_name is None:
            return "it has no raw tracepoint of its own"
        return "its raw arguments are unknown: no BTF and no headers" if event.args is None else None
    if event.record is not None:
        return _unplaced(event)
    if event.class_candidates:
        classes = ", ".join(event.class_candidates)
        return f"its record is that of one of the classes {classes}: read tracefs as root or give --headers"
    if event.attach_name is not None and event.kind == "tracepoint":
        return "it is a bare tracepoint, which has no record"
    return "its record is unknown: no tracefs, no BTF and no headers"


def _unidentified(call: Syscall) -> str | None:
    """Why `call` cannot be told from other system calls, or its arguments not be found; None where both can."""
    if call.registers is None:
        return "no BTF tells where the kernel keeps the registers of a system call"
    return "its number is unknown on this architecture" if call.number is None else None


def _unplaced(event: Event) -> str | None:
    """Why the offset or size of a field of the event's record is unknown, None where all are known."""
    assert event.record is not None
    unplaced = [field for field in event.record.fields if field.offset_bytes is None or field.size_bytes is None]
    if unplaced and event.record_origin == Origin.HEADERS and (ctype := unplaced[0].type) is not None:
        what = f"the size of its field {unplaced[0].name}, of type `{spell(ctype)}`, is unknown"
        return f"{what} ({event.header}): give --btf or --tracefs"
    return f"the offset of its field {unplaced[0].name} is unknown: give --btf or --tracefs" if unplaced else None
