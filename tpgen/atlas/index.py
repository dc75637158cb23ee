"""Rows about every event, collected as the events are read: the pages that list events are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tpgen.atlas.facts import Entry, Kernel, Version
from tpgen.atlas.types import named_type
from tpgen.model import Event, Kind
from tpgen.programs.forms import Form, missing
from tpgen.show import field_type_text
from tpgen.spelling import spell


class EventRow(NamedTuple):
    """An event in lists. `kernels` are the numbers of those that have it, oldest first; `arguments` as C has them."""

    path: str
    system: str | None
    name: str
    module: str | None
    kind: Kind
    class_name: str | None
    header: str | None
    arguments: str | None
    kernels: tuple[int, ...]
    versions: int
    modules: tuple[tuple[str | None, tuple[int, ...]], ...]
    call: tuple[tuple[int, int], ...] = ()


class Use(NamedTuple):
    """A use of a type by an argument or a field (`form`) of an event, and the numbers of the kernels where it is so."""

    event: int
    form: Form
    name: str
    declared: str
    kernels: tuple[int, ...]


class Index:
    """Rows about events, in the order in which they are added, and the uses of types and names by event number."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels = tuple(kernels)
        self.events: list[EventRow] = []
        self.types: dict[str, list[Use]] = {}
        self.names: dict[Form, dict[str, list[int]]] = {form: {} for form in Form}

    def add(self, entry: Entry) -> None:
        """Add an event."""
        number = len(self.events)
        self.events.append(_row(entry))
        uses: dict[tuple[str, Form, str, str], list[int]] = {}
        for version in entry.versions:
            for form, name, declared, ctype in _values(version):
                names = self.names[form].setdefault(name, [])
                if not names or names[-1] != number:
                    names.append(number)
                if ctype is not None:
                    uses.setdefault((ctype, form, name, declared), []).extend(_numbers(version))
        for (ctype, form, name, declared), kernels in uses.items():
            self.types.setdefault(ctype, []).append(Use(number, form, name, declared, tuple(sorted(kernels))))

    def extend(self, other: Index) -> None:
        """Add the events of another index of the same kernels, behind those that are here."""
        start = len(self.events)
        self.events += other.events
        for ctype, uses in other.types.items():
            self.types.setdefault(ctype, []).extend(use._replace(event=use.event + start) for use in uses)
        for form, names in other.names.items():
            for name, numbers in names.items():
                self.names[form].setdefault(name, []).extend(number + start for number in numbers)

    def systems(self) -> dict[str, list[EventRow]]:
        """The events of each system, by name."""
        found: dict[str, list[EventRow]] = {}
        for row in self.events:
            if row.system is not None:
                found.setdefault(row.system, []).append(row)
        return dict(sorted(found.items()))

    def modules(self) -> dict[str, list[tuple[EventRow, tuple[int, ...]]]]:
        """The events of each module, by name, each with the numbers of the kernels where it is the module's."""
        found: dict[str, list[tuple[EventRow, tuple[int, ...]]]] = {}
        for row in self.events:
            for module, kernels in row.modules:
                if module is not None:
                    found.setdefault(module, []).append((row, kernels))
        return dict(sorted(found.items()))


def _row(entry: Entry) -> EventRow:
    newest = entry.newest.event
    modules: dict[str | None, list[int]] = {}
    calls = []
    for version in entry.versions:
        for member in version.members:
            modules.setdefault(member.event.module, []).append(member.kernel.number)
            if member.event.syscall is not None and member.event.syscall.number is not None:
                calls.append((member.kernel.number, member.event.syscall.number))
    return EventRow(
        entry.path, newest.system, newest.name, newest.module, newest.kind, newest.class_name,
        newest.header.path if newest.header else None, prototype(newest),
        tuple(sorted(number for version in entry.versions for number in _numbers(version))), len(entry.versions),
        tuple((module, tuple(sorted(numbers))) for module, numbers in modules.items()), tuple(sorted(calls)),
    )  # fmt: skip


def _numbers(version: Version) -> Iterable[int]:
    return (member.kernel.number for member in version.members)


def prototype(event: Event) -> str | None:
    """The raw arguments of an event as C declares them, those of a system call; None where it has none."""
    if event.kind == Kind.SYSCALL:
        fields = event.record.fields[1:] if event.record else ()
        return ", ".join(field.name if field.type is None else spell(field.type, field.name) for field in fields)
    if event.args is None or missing(event, Form.RAW) is not None:
        return None
    return ", ".join(spell(arg.type, arg.name or f"arg{arg.slot}") for arg in event.args) or "void"


def _values(version: Version) -> Iterator[tuple[Form, str, str, str | None]]:
    """The arguments and fields of a version: form, name, declaration, and the type that has a page."""
    event = version.newest.event
    if event.syscall is None and missing(event, Form.RAW) is None:
        for arg in event.args or ():
            name = arg.name or f"arg{arg.slot}"
            yield Form.RAW, name, spell(arg.type, name), named_type(arg.type)
    for field in event.record.fields if event.record else ():
        text = field_type_text(field)
        declared = (
            f"{text or '?[]'} {field.name}" if field.dynamic or field.type is None else spell(field.type, field.name)
        )
        yield Form.CLASSIC, field.name, declared, None if field.type is None else named_type(field.type)
