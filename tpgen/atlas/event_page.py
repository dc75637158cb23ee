"""The page of an event: what its templates print, computed from the versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tpgen.atlas.code import Code
from tpgen.atlas.drawing import Row, drawn
from tpgen.atlas.facts import Entry, Kernel, Version
from tpgen.atlas.paths import fragment
from tpgen.atlas.types import type_of_page
from tpgen.kernel.symbols.facts import Symbols
from tpgen.model import Argument, Field, Nullness
from tpgen.programs.forms import Form, missing
from tpgen.programs.sections import sections_of
from tpgen.show import arg_json, event_json, field_type_text, value_text
from tpgen.spelling import spell


class Value(NamedTuple):
    """A row of a table of arguments or fields. `mark` is "added", "changed" or "removed" beside the version before."""

    id: str
    name: str
    declared: str
    place: str
    size: int | None
    about: str
    type_path: str | None
    mark: str = ""
    was: str = ""


class VersionView(NamedTuple):
    """A version as its section shows it. Without arguments or record the reason is there in their place."""

    letter: str
    kernels: tuple[Kernel, ...]
    is_newest: bool
    before: str | None
    sections: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    args: tuple[Value, ...]
    no_args: str | None
    fields: tuple[Value, ...]
    no_record: str | None
    record_size: int | None
    drawing: tuple[Row, ...]


class Names(NamedTuple):
    """The names of values of some arguments and fields, as the newest kernel that tells them has them."""

    places: str
    enum: str | None
    is_flags: bool
    mask: int | None
    rows: tuple[tuple[str, str, str], ...]


class EventPage(NamedTuple):
    """The page of an event: its versions, names of values and code, and the kernels that lack it."""

    entry: Entry
    versions: tuple[VersionView, ...]
    names: tuple[Names, ...]
    left_out: tuple[tuple[str, str], ...]
    codes: tuple[Code, ...]
    older: tuple[Kernel, ...]
    newer: tuple[Kernel, ...]
    between: tuple[Kernel, ...]


def event_page(entry: Entry, codes: Sequence[Code]) -> EventPage:
    """The page of an event, its newest version first."""
    newest_first = sorted(entry.versions, key=lambda version: -version.newest.kernel.number)
    taken: set[str] = set()
    views = tuple(
        _version(version, entry.versions[at - 1] if (at := entry.versions.index(version)) else None, taken)
        for version in newest_first
    )
    numbers = [member.kernel.number for version in entry.versions for member in version.members]
    first, last = min(numbers), max(numbers)
    newest = entry.newest
    return EventPage(
        entry,
        (views[0]._replace(is_newest=True), *views[1:]),
        tuple(_names(newest.symbols.args, newest.symbols.fields, entry)),
        newest.symbols.left_out,
        tuple(codes),
        tuple(kernel for kernel in entry.lacking if kernel.number < first),
        tuple(kernel for kernel in entry.lacking if kernel.number > last),
        tuple(kernel for kernel in entry.lacking if first < kernel.number < last),
    )


def event_document(entry: Entry) -> dict[str, Any]:
    """The JSON beside the page of an event: each version as `tpgen show --json` has it on its newest kernel."""
    newest = entry.newest
    return {
        "system": newest.event.system,
        "name": newest.event.name,
        "module": newest.event.module,
        "lacking": [kernel.name for kernel in entry.lacking],
        "versions": [
            {
                "letter": version.letter,
                "kernels": [kernel.name for kernel in version.kernels],
                "sections": [section.name for section in sections_of(version.newest.event)],
                "event": event_json(version.newest.event, version.newest.kernel.target, version.newest.symbols),
            }
            for version in entry.versions
        ],
    }


# --- versions


def _version(version: Version, before: Version | None, taken: set[str]) -> VersionView:
    newest = version.newest
    event = newest.event
    no_args = "its arguments are those of the system call" if event.syscall else missing(event, Form.RAW)
    no_record = missing(event, Form.CLASSIC)
    args, fields = _args(version), _fields(version)
    if before is not None:
        args, fields = _marked(args, _args(before)), _marked(fields, _fields(before))
    letter = version.letter
    return VersionView(
        letter,
        version.kernels,
        False,
        before.letter if before else None,
        tuple(section.name for section in sections_of(event)),
        tuple(_headers(version)),
        tuple(_identified(args, "arg", letter, taken)),
        no_args,
        tuple(_identified(fields, "field", letter, taken)),
        no_record,
        event.record.size_bytes if event.record else None,
        drawn(event.record) if event.record is not None and no_record is None else (),
    )


def _headers(version: Version) -> Iterator[tuple[str, str]]:
    """The headers that define the event, and the kernels by which they do; one line for all of the same place."""
    places: dict[str, list[str]] = {}
    for member in version.members:
        if member.event.header is not None:
            places.setdefault(str(member.event.header), []).append(member.kernel.name)
        for other in member.event.alternatives:
            where = f"{other.position}{f' where {other.condition}' if other.condition else ''}"
            places.setdefault(where, []).append(member.kernel.name)
    for place, kernels in places.items():
        yield place, ", ".join(dict.fromkeys(kernels))


def _args(version: Version) -> list[Value]:
    event = version.newest.event
    if event.args is None or event.syscall is not None or missing(event, Form.RAW) is not None:
        return []
    return [_arg(arg, version) for arg in event.args]


def _arg(arg: Argument, version: Version) -> Value:
    name = arg.name or f"arg{arg.slot}"
    size = arg_json(arg, version.newest.kernel.target)["size"]
    told = _nullness(arg.slot, version)
    return Value("", name, spell(arg.type, name), f"ctx[{arg.slot}]", size, told, type_of_page(arg.type))


def _nullness(slot: int, version: Version) -> str:
    """The assumption of verifiers about the pointer: alike everywhere, or by the kernels that tell."""
    told: dict[Nullness | None, list[str]] = {}
    for member in version.members:
        told.setdefault((member.event.args or ())[slot].nullness, []).append(member.kernel.name)
    known = {nullness: kernels for nullness, kernels in told.items() if nullness is not None}
    if len(told) == 1:
        return "".join(map(str, known))
    return "; ".join(f"{nullness} on {', '.join(kernels)}" for nullness, kernels in known.items())


def _fields(version: Version) -> list[Value]:
    event = version.newest.event
    if event.record is None or missing(event, Form.CLASSIC) is not None:
        return []
    return [_field(field) for field in event.record.fields]


def _field(field: Field) -> Value:
    kind = field_type_text(field)
    if field.dynamic:
        declared = f"__{field.dynamic} {kind or '?[]'} {field.name}"
    else:
        declared = field.name if field.type is None else spell(field.type, field.name)
    signed = "" if field.signed is None or field.dynamic else "signed" if field.signed else "unsigned"
    path = None if field.type is None else type_of_page(field.type)
    return Value("", field.name, declared, f"@{field.offset_bytes}", field.size_bytes, signed, path)


def _marked(now: Sequence[Value], before: Sequence[Value]) -> list[Value]:
    """The rows with their marks, then those that are no longer there."""
    old = {value.name: value for value in before}
    marked = []
    for value in now:
        was = old.pop(value.name, None)
        if was is None:
            marked.append(value._replace(mark="added"))
        elif (value.declared, value.place, value.size) != (was.declared, was.place, was.size):
            size = "" if was.size == value.size else f", {was.size} bytes"
            marked.append(value._replace(mark="changed", was=f"{was.declared} {was.place}{size}"))
        else:
            marked.append(value)
    return [*marked, *(value._replace(mark="removed") for value in old.values())]


def _identified(values: Iterable[Value], kind: Any, letter: str, taken: set[str]) -> Iterator[Value]:
    """The rows with ids: `arg-NAME` in the newest version that has it, `arg-NAME-A` in others."""
    for value in values:
        plain = fragment(kind, value.name)
        found = plain if plain not in taken and value.mark != "removed" else f"{plain}-{letter}"
        while found in taken:
            found += "-"
        taken.add(found)
        yield value._replace(id=found)


# --- names of values


def _names(args: Iterable[tuple[int, Symbols]], fields: Iterable[tuple[str, Symbols]], entry: Entry) -> Iterator[Names]:
    """The names of values of the newest kernel, each list once."""
    event = entry.newest.event
    called = {arg.slot: arg.name or f"arg{arg.slot}" for arg in event.args or ()}
    lists: dict[Symbols, list[str]] = {}
    for slot, symbols in args:
        lists.setdefault(symbols, []).append(called[slot])
    for name, symbols in fields:
        if name not in lists.get(symbols, ()):
            lists.setdefault(symbols, []).append(name)
    for symbols, places in lists.items():
        rows = tuple((value_text(symbols, each), each.name or "", each.text or "") for each in symbols.symbols)
        yield Names(", ".join(places), symbols.enum, symbols.is_flags, symbols.mask, rows)
