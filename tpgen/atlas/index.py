"""Rows about every event, collected as the events are read: the pages that list events are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tpgen.atlas.facts import Entry, Kernel
from tpgen.atlas.types import named_type
from tpgen.history.facts import Group
from tpgen.model import Event, Kind
from tpgen.programs.forms import Form, missing
from tpgen.show import field_type_text
from tpgen.spelling import spell


class EventRow(NamedTuple):
    """An event in lists. `kernels` are the numbers of those that have it, oldest first; `arguments` as C has them.

    `modules` are those of which it is, each with the kernels where it is so; `calls` are the numbers of a system call
    by architecture.
    """

    path: str
    system: str | None
    name: str
    module: str | None
    kind: Kind
    arguments: str | None
    kernels: tuple[int, ...]
    versions: int
    modules: tuple[tuple[str, tuple[int, ...]], ...]
    calls: tuple[tuple[str, int], ...] = ()


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
        self._numbers = {kernel.name: kernel.number for kernel in kernels}

    def add(self, entry: Entry) -> None:
        """Add an event."""
        event = len(self.events)
        self.events.append(self._row(entry))
        uses: dict[tuple[str, Form, str, str], list[int]] = {}
        for form, group in _groups(entry):
            kernels = self._of(group.kernels)
            for name, declared, ctype in _values(form, group.event):
                names = self.names[form].setdefault(name, [])
                if not names or names[-1] != event:
                    names.append(event)
                if ctype is not None:
                    uses.setdefault((ctype, form, name, declared), []).extend(kernels)
        for (ctype, form, name, declared), numbers in uses.items():
            self.types.setdefault(ctype, []).append(Use(event, form, name, declared, tuple(sorted(set(numbers)))))

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
                found.setdefault(module, []).append((row, kernels))
        return dict(sorted(found.items()))

    def _of(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(self._numbers[name] for name in names)

    def _row(self, entry: Entry) -> EventRow:
        history, newest = entry.history, entry.newest.event
        modules: dict[str, list[int]] = {}
        for known in history.known_as:
            if known.module is not None:
                modules.setdefault(known.module, []).extend(self._of(known.kernels))
        owned = tuple((module, tuple(sorted(numbers))) for module, numbers in modules.items())
        return EventRow(
            entry.path, newest.system, newest.name, newest.module, newest.kind, prototype(newest),
            self._of(history.kernels), max(len(history.raw.groups), len(history.classic.groups)), owned,
            tuple(entry.call_numbers.items()),
        )  # fmt: skip


def prototype(event: Event) -> str | None:
    """The raw arguments of an event as C declares them, those of a system call; None where it has none."""
    if event.kind == Kind.SYSCALL:
        fields = event.record.fields[1:] if event.record else ()
        return ", ".join(field.name if field.type is None else spell(field.type, field.name) for field in fields)
    if event.args is None or missing(event, Form.RAW) is not None:
        return None
    return ", ".join(spell(arg.type, arg.name or f"arg{arg.slot}") for arg in event.args) or "void"


def _groups(entry: Entry) -> Iterator[tuple[Form, Group]]:
    for group in entry.history.raw.groups:
        yield Form.RAW, group
    for group in entry.history.classic.groups:
        yield Form.CLASSIC, group


def _values(form: Form, event: Event) -> Iterator[tuple[str, str, str | None]]:
    """The arguments or fields of an event: name, declaration, and the type that has a page."""
    if form is Form.RAW:
        for arg in (event.args or ()) if event.syscall is None else ():
            name = arg.name or f"arg{arg.slot}"
            yield name, spell(arg.type, name), named_type(arg.type)
        return
    for field in event.record.fields if event.record else ():
        text = field_type_text(field) or "?"
        declared = f"{text} {field.name}" if field.dynamic or field.type is None else spell(field.type, field.name)
        yield field.name, declared, None if field.type is None else named_type(field.type)
