"""The page of an event: what its template prints, computed from its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tpgen.atlas.drawing import Row, drawn
from tpgen.atlas.facts import Entry, Kernel
from tpgen.atlas.paths import fragment
from tpgen.atlas.types import named_type, type_of_page
from tpgen.history.facts import FormHistory, Group
from tpgen.kernel.symbols.facts import Symbols
from tpgen.model import Argument, Array, CType, Field, Nullness
from tpgen.programs.forms import Form, missing
from tpgen.programs.sections import sections_of
from tpgen.show import arg_json, field_type_text, value_text
from tpgen.spelling import spell
from tpgen.target import Target


class Value(NamedTuple):
    """A row of a table of arguments or fields.

    `declared` is cut into what stands before the name of its type, that name where `type_path` is its page, and the
    rest. `mark` is "added", "changed" or "removed" beside the version before, in which a changed one `was` otherwise.
    """

    id: str
    name: str
    declared: tuple[str, str, str]
    place: str
    size: int | None
    about: str
    type_path: str | None
    mark: str = ""
    was: str = ""


class Version(NamedTuple):
    """A version of a form: the kernels that share it, and its rows; what differs from the version `before` is marked.

    `ids` are those of its kernels. `header` is the place of its definition as the kernel `of` has it.
    """

    letter: str
    kernels: tuple[str, ...]
    ids: tuple[str, ...]
    unsure: tuple[str, ...]
    of: str
    before: str | None
    header: str | None
    values: tuple[Value, ...]
    size: int | None
    drawing: tuple[Row, ...]


class FormView(NamedTuple):
    """A form of an event: its versions, the newest first, and the kernels that have none or of which it is unknown.

    `reason` is why the newest kernel that has the event has no such form; None where it has.
    """

    form: str
    versions: tuple[Version, ...]
    reason: str | None
    none: tuple[str, ...]
    unknown: tuple[str, ...]


class Names(NamedTuple):
    """The names of values of some arguments and fields, as the newest kernel has them."""

    places: str
    enum: str | None
    is_flags: bool
    mask: int | None
    rows: tuple[tuple[str, str, str], ...]


class EventPage(NamedTuple):
    """The page of an event: both forms, SEC() strings and names of values as the newest kernel has them."""

    forms: tuple[FormView, ...]
    sections: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    names: tuple[Names, ...]
    left_out: tuple[tuple[str, str], ...]


def event_page(entry: Entry, kernels: Sequence[Kernel]) -> EventPage:
    """The page of an event."""
    newest = entry.newest
    by_name = {kernel.name: kernel for kernel in kernels}
    ids = _Ids()
    reasons = {form: missing(newest.event, form) for form in Form}
    if newest.event.syscall is not None:
        reasons[Form.RAW] = "its arguments are in the registers of the system call, as its record names them"
    forms = tuple(
        _form(form, entry.history.raw if form is Form.RAW else entry.history.classic, reasons[form], by_name, ids)
        for form in Form
    )
    return EventPage(
        forms,
        tuple(section.name for section in sections_of(newest.event)),
        tuple(_headers(entry)),
        tuple(_names(newest.symbols.args, newest.symbols.fields, entry)),
        newest.symbols.left_out,
    )


class _Ids:
    """The ids of a page, each given once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, wanted: str, else_wanted: str) -> str:
        """The id that is wanted where it is free, else the other one, or one like it."""
        found = else_wanted if wanted in self._taken else wanted
        while found in self._taken:
            found += "-"
        self._taken.add(found)
        return found


def letter_of(number: int) -> str:
    """The letters of a version: A to Z, then AA, AB and so on."""
    head, last = divmod(number, 26)
    return (letter_of(head - 1) if head else "") + chr(ord("A") + last)


# --- forms


def _form(form: Form, history: FormHistory, reason: str | None, kernels: Mapping[str, Kernel], ids: _Ids) -> FormView:
    rows = [_rows(form, group, kernels[group.of].target) for group in history.groups]
    letters = [letter_of(number) for number in range(len(rows))]
    order = sorted(range(len(rows)), key=lambda at: -kernels[history.groups[at].kernels[-1]].number)
    versions = []
    for at in order:
        values = rows[at] if at == 0 else _marked(rows[at], rows[at - 1], _NOTHING_KNOWN[form])
        group, before = history.groups[at], letters[at - 1] if at else None
        versions.append(_version(form, group, letters[at], before, values, ids))
    said = reason if reason is None or not versions else None
    return FormView(form.value, tuple(versions), said, history.none, history.unknown)


def _version(form: Form, group: Group, letter: str, before: str | None, values: Sequence[Value], ids: _Ids) -> Version:
    record = group.event.record if form is Form.CLASSIC else None
    suffix = f"-{form.value}"
    return Version(
        letter,
        group.kernels,
        tuple(ids.new(fragment("kernel", name), fragment("kernel", name) + suffix) for name in group.kernels),
        group.unsure,
        group.of,
        before,
        str(group.event.header) if group.event.header else None,
        tuple(_identified(values, form, letter, ids)),
        record.size_bytes if record else None,
        drawn(record) if record is not None and missing(group.event, Form.CLASSIC) is None else (),
    )


def _rows(form: Form, group: Group, target: Target) -> list[Value]:
    if form is Form.RAW:
        return [] if group.event.syscall else [_arg(arg, target) for arg in group.event.args or ()]
    return [_field(field) for field in group.event.record.fields] if group.event.record else []


def _arg(arg: Argument, target: Target) -> Value:
    name = arg.name or f"arg{arg.slot}"
    size = arg_json(arg, target)["size"]
    declared = _cut(spell(arg.type, name), arg.type)
    return Value("", name, declared, f"ctx[{arg.slot}]", size, _nullness(arg), type_of_page(arg.type))


def _cut(declared: str, ctype: CType | None) -> tuple[str, str, str]:
    """A declaration cut at the name of the type that has a page."""
    name = None if ctype is None else named_type(ctype)
    before, found, after = declared.partition(name) if name else ("", "", "")
    return (before, found, after) if found else ("", "", declared)


def _nullness(arg: Argument) -> str:
    return "" if arg.nullness is None else Nullness(arg.nullness).value


def _field(field: Field) -> Value:
    kind = field_type_text(field)
    if field.dynamic:
        declared = f"__{field.dynamic} {kind or '?[]'} {field.name}"
    else:
        declared = field.name if field.type is None else spell(field.type, field.name)
    # Of an array it is said of its elements, and of characters it says how the kernel was compiled.
    is_number = field.signed is not None and not field.dynamic and not isinstance(field.type, Array)
    signed = ("signed" if field.signed else "unsigned") if is_number else ""
    path = None if field.type is None else type_of_page(field.type)
    place = "@?" if field.offset_bytes is None else f"@{field.offset_bytes}"
    return Value("", field.name, _cut(declared, field.type), place, field.size_bytes, signed, path)


# What `about` says where it is empty.
_NOTHING_KNOWN = {Form.RAW: "NULL-ness unknown", Form.CLASSIC: "sign unknown"}


def _marked(now: Sequence[Value], before: Sequence[Value], nothing_known: str) -> list[Value]:
    """The rows with their marks, then those that are no longer there."""
    old = {value.name: value for value in before}
    marked = []
    for value in now:
        was = old.pop(value.name, None)
        if was is None:
            marked.append(value._replace(mark="added"))
        elif _facts(value) != _facts(was):
            marked.append(value._replace(mark="changed", was=_was(was, value) or nothing_known))
        else:
            marked.append(value)
    return [*marked, *(value._replace(mark="removed") for value in old.values())]


def _facts(value: Value) -> tuple[object, ...]:
    return value.declared, value.place, value.size, value.about


def _was(was: Value, now: Value) -> str:
    """The facts of a row that are others now, in words; nothing where there was none."""
    size = f"{was.size} bytes" if was.size is not None else "of unknown size"
    facts = (
        ("".join(was.declared), was.declared != now.declared), (was.place, was.place != now.place),
        (size, was.size != now.size), (was.about, was.about != now.about),
    )  # fmt: skip
    return ", ".join(text for text, is_other in facts if text and is_other)


def _identified(values: Iterable[Value], form: Form, letter: str, ids: _Ids) -> Iterator[Value]:
    """The rows with ids: `arg-NAME` in the newest version that has it, `arg-NAME-A` in others."""
    kind: Any = "arg" if form is Form.RAW else "field"
    for value in values:
        plain = fragment(kind, value.name)
        other = f"{plain}-{letter}"
        yield value._replace(id=ids.new(other if value.mark == "removed" else plain, other))


def _headers(entry: Entry) -> Iterator[tuple[str, str]]:
    """The headers that define the event, or under which condition, each where the newest kernel has it."""
    found: dict[tuple[str, str | None], tuple[str, str]] = {}
    for member in entry.members:
        event = member.event
        places = [(event.header, None)] if event.header is not None else []
        for position, condition in places + [(each.position, each.condition) for each in event.alternatives]:
            where = f"{position.path}:{position.line}{f' where {condition}' if condition else ''}"
            found[position.path, condition] = where, member.kernel.name
    yield from reversed(found.values())


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
