"""The forms in which programs get the data of an event, and why an event does not have one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from tpgen.basics.typing import NamedTuple
from tpgen.diagnostics import Diagnostic, Severity
from tpgen.model import Event, Kind, Origin, Syscall
from tpgen.spelling import spell


class Form(StrEnum):
    """The two forms of a tracepoint's data: its raw arguments and its classic record."""

    RAW = "raw"
    CLASSIC = "classic"


def missing(event: Event, form: Form) -> str | None:
    """Return why `event` does not have `form`; None if it has it."""
    if form == Form.RAW:
        if event.syscall is not None:
            return _unidentified(event.syscall)
        if event.args is None:
            return _undecided(event, form) or "its raw arguments are unknown: neither BTF nor headers have them"
        if event.kind == Kind.DYNAMIC:
            return "it is a dynamic event, which has a record alone"
        if event.attach_name is None and event.kind == Kind.TRACEPOINT:
            return "it is a vendor hook or the like: the kernel makes nothing for it that BPF could attach to"
        return "it has no raw tracepoint of its own" if event.attach_name is None else None
    if event.record is not None:
        return _unplaced(event)
    if event.class_candidates:
        classes = ", ".join(event.class_candidates)
        return f"its record is that of one of the classes {classes}: read tracefs as root or give --headers"
    if event.kind == Kind.TRACEPOINT:
        return "it is a bare tracepoint, which has no record"
    if undecided := _undecided(event, form):
        return undecided
    if event.class_origin == Origin.HEADERS:
        return f"no header that could be read has its class {event.class_name}: `tpgen check` lists what could not"
    return "its record is unknown: neither tracefs, BTF nor headers have it"


def unattachable(event: Event, form: Form) -> str | None:
    """Return why no BPF program can be attached for `form`, although the event has it; None if one can.

    The kernel refuses tp programs at the event of a probe or a synthetic one: with EINVAL, and of these with ENODEV.
    """
    if event.kind == Kind.DYNAMIC and form == Form.CLASSIC:
        return "it is a dynamic event, to which no tp program can be attached; -b python decodes its records"
    return None


def lacking(event: Event, form: Form, reason: str, is_stored: bool = False) -> Diagnostic:
    """The note that `event` does not have a form, with a code of its own if headers leave it open.

    With `is_stored` the event is from a catalog, which can only be made again.
    """
    message = f"no {form} form of {event.title}: {reason}"
    if _is_undecided(event, form):
        return Diagnostic("header-alternatives", message, None, _what_decides(event, is_stored), Severity.NOTE)
    return Diagnostic("no-such-form", message, severity=Severity.NOTE)


class Lack(NamedTuple):
    """A form that an event lacks, and why."""

    event: Event
    form: Form
    reason: str


def never_has(event: Event, form: Form) -> bool:
    """Whether events of this kind have no such form on any kernel, which is nothing to note about a single one."""
    if form == Form.CLASSIC:
        return event.kind == Kind.TRACEPOINT
    return event.kind == Kind.DYNAMIC or (event.kind == Kind.SYSCALL and event.syscall is None)


_MOST_NAMES, _MOST_NOTES = 4, 16


def lacking_several(lacks: Iterable[Lack], is_stored: bool = False) -> list[Diagnostic]:
    """The notes of `lacking` about many events: one for all that lack a form for the same reason."""
    groups: dict[tuple[Form, str], list[Event]] = {}
    for event, form, reason in lacks:
        groups.setdefault((form, reason), []).append(event)
    notes = []
    for (form, reason), events in groups.items():
        note = lacking(events[0], form, reason, is_stored)
        if len(events) > 1:
            message = f"no {form} form of {len(events)} events ({_titles(events)}), each since {reason}"
            note = note._replace(message=message)
        notes.append(note)
    rest = list(groups.values())[_MOST_NOTES:]
    if len(rest) > 1:
        message = f"{sum(map(len, rest))} more events do not have a form, for {len(rest)} other reasons"
        hint = "`tpgen show` gives the reason for each"
        notes[_MOST_NOTES:] = [Diagnostic("no-such-form", message, None, hint, Severity.NOTE)]
    return notes


def _titles(events: Sequence[Event]) -> str:
    more = len(events) - _MOST_NAMES
    return ", ".join(event.title for event in events[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _is_undecided(event: Event, form: Form) -> bool:
    """Whether headers define `event` in several ways, and nothing decides which of their `form` this kernel has."""
    known = event.args if form == Form.RAW else event.record
    return known is None and len(event.alternatives) > 1 and event.syscall is None


_MOST_PLACES = 4
_KINDS = {Form.RAW: "raw arguments", Form.CLASSIC: "record"}


def _undecided(event: Event, form: Form) -> str | None:
    """Return why headers do not decide the form of `event`; None if they do, or if there are none."""
    if not _is_undecided(event, form):
        return None
    places = [
        f"{place.position} {f'where {place.condition}' if place.condition else 'in any case'}"
        for place in event.alternatives[:_MOST_PLACES]
    ]
    more = len(event.alternatives) - len(places)
    places += [f"{more} more"] * (more > 0)
    return f"headers define its {_KINDS[form]} differently, and nothing decides which counts: {'; '.join(places)}"


# Of a condition no names, and names that have an option of their own.
_NOT_MACROS = frozenset(
    ("defined", "KERNEL_VERSION", "IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE", "RHEL_RELEASE_VERSION")
)


def _what_decides(event: Event, is_stored: bool) -> str:
    """The options that decide between the definitions of `event` in headers."""
    conditions = " ".join(place.condition or "" for place in event.alternatives)
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in conditions).split())
    macros = sorted(word for word in words - _NOT_MACROS if word.isidentifier())
    others = [name for name in macros if name != "LINUX_VERSION_CODE" and not name.startswith("CONFIG_")]
    options = ["--release"] * ("LINUX_VERSION_CODE" in words)
    options += ["--config"] * any(name.startswith("CONFIG_") for name in macros)
    options += [f"-D {name} or -U {name}" for name in others[:1]]
    if len({place.position.path for place in event.alternatives}) > 1 or not options:
        options.append("the right header as --headers")
    when = "make the catalog again and " if is_stored else ""
    return f"{when}give {', '.join(options)}; or the BTF of the kernel"


def _unidentified(call: Syscall) -> str | None:
    """Return why `call` cannot be identified, or its arguments cannot be found; None if both can."""
    if call.registers is None:
        return "no BTF shows where the kernel has the registers of a system call"
    return "its number is unknown on this architecture" if call.number is None else None


def _unplaced(event: Event) -> str | None:
    """Why the offset or size of a field of the event's record is unknown, None where all are known."""
    assert event.record is not None
    unplaced = [field for field in event.record.fields if field.offset_bytes is None or field.size_bytes is None]
    if unplaced and event.record_origin == Origin.HEADERS and (ctype := unplaced[0].type) is not None:
        what = f"the size of its field {unplaced[0].name}, of type `{spell(ctype)}`, is unknown"
        return f"{what} ({event.header}): give --btf or --tracefs"
    return f"the offset of its field {unplaced[0].name} is unknown: give --btf or --tracefs" if unplaced else None
