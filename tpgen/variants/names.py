"""Joining the names of values: what each name is on the kernels, and what tells at load where its value differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from tpgen.basics.frozen import frozen
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.kernel.symbols.of_event import enum_of
from tpgen.model import CType, Enum, Int
from tpgen.programs.forms import Form
from tpgen.typequery import is_signed, size_of, stripped
from tpgen.variants.deciding import record_facts, telling
from tpgen.variants.facts import Conjunction, Omitted
from tpgen.variants.views import KernelView, holds_all, prototype_of


@frozen
class NamePlace:
    """The value that a name has where any of the conjunctions `when` holds; without any, on all kernels."""

    when: tuple[Conjunction, ...]
    value: int


@frozen
class JoinedName:
    """A name of a value, `key` in C. Of `places` the first one counts whose condition holds; where none does it is
    absent. Where there are no places a loader finds the value, by the enumerator `name`.

    `name` is what C calls it, a macro where it is no enumerator, and `text` what kernels print for it; None where that
    is unknown, or not the same on all. `values` are those of the kernels that have it.
    """

    key: str
    name: str | None
    text: str | None
    values: tuple[tuple[str, int], ...]
    places: tuple[NamePlace, ...]


@frozen
class JoinedNames:
    """The names of the values of an argument or a field.

    `enum` is the enum in which a loader finds those without places. `signed` tells whether any value has a sign, and
    `size_bytes` how large the largest is. `mask` are the bits that all kernels print them of, None where all count.
    """

    name: str
    enum: str | None
    size_bytes: int
    signed: bool
    is_flags: bool
    mask: int | None
    names: tuple[JoinedName, ...]
    omitted: tuple[Omitted, ...]


class NamedView(NamedTuple):
    """A kernel's event with the names of its values."""

    view: KernelView
    symbols: EventSymbols


class _Value(NamedTuple):
    """An argument or a field on one kernel, and the symbols of its values, None where these are unknown."""

    view: KernelView
    type: CType | None
    size_bytes: int
    signed: bool
    symbols: Symbols | None


def join_names(views: Sequence[NamedView], form: Form) -> tuple[JoinedNames, ...]:
    """Join the names of values of the arguments, or of the fields, on `views`, oldest first, which have these."""
    columns: dict[str, list[_Value]] = {}
    for each in views:
        for name, value in _values(each, form):
            columns.setdefault(name, []).append(value)
    return tuple(_joined(name, values) for name, values in columns.items() if any(v.symbols for v in values))


def _values(named: NamedView, form: Form) -> Iterator[tuple[str, _Value]]:
    """The values of an event that can have names, which are integers or enums."""
    event, target = named.view.event, named.view.target
    if form == Form.RAW:
        args = dict(named.symbols.args)
        for arg in event.args or ():
            size = size_of(arg.type, target)
            if _is_number(arg.type) and size is not None:
                signed = bool(is_signed(arg.type))
                yield arg.name or f"arg{arg.slot}", _Value(named.view, arg.type, size, signed, args.get(arg.slot))
        return
    fields = dict(named.symbols.fields)
    for field in event.record.fields if event.record else ():
        if not field.dynamic and field.size_bytes is not None and field.type is not None and _is_number(field.type):
            size, signed = field.size_bytes, bool(field.signed)
            yield field.name, _Value(named.view, field.type, size, signed, fields.get(field.member_name))


def _is_number(ctype: CType) -> bool:
    return isinstance(stripped(ctype), Int | Enum)


# --- which symbols are one


class _Entry:
    """A name on some kernels: in C, as it is printed, and its value on each."""

    def __init__(self, symbol: Symbol) -> None:
        self.name, self.text = symbol.name, symbol.text
        self.names: set[str | None] = set()
        self.values: dict[str, int] = {}
        self.is_ambiguous = False

    def is_of(self, symbol: Symbol, by_text: bool) -> bool:
        """Whether a symbol of another kernel is this one: by its name, or by its text where one has no name."""
        if by_text and symbol.text is not None and self.text is not None:
            return symbol.text == self.text
        if symbol.name is not None and self.name is not None:
            return symbol.name == self.name
        return symbol.text is not None and symbol.text == self.text

    def add(self, kernel: str, symbol: Symbol) -> None:
        self.name, self.text = self.name or symbol.name, self.text or symbol.text
        self.names.add(symbol.name)
        self.is_ambiguous |= self.values.setdefault(kernel, symbol.value) != symbol.value


def _entries(values: Sequence[_Value], by_text: bool) -> list[_Entry]:
    """The names in the order of the newest kernel, then of what only older ones have."""
    entries: list[_Entry] = []
    found: dict[tuple[str, str], list[_Entry]] = {}
    for value in reversed(values):
        for symbol in value.symbols.symbols if value.symbols else ():
            keys = [(kind, word) for kind, word in (("name", symbol.name), ("text", symbol.text)) if word is not None]
            near = (entry for key in keys for entry in found.get(key, ()))
            entry = next((each for each in near if each.is_of(symbol, by_text)), None)
            if entry is None:
                entries.append(entry := _Entry(symbol))
            entry.add(value.view.kernel, symbol)
            for key in keys:
                if entry not in found.setdefault(key, []):
                    found[key].append(entry)
    return entries


# --- what tells their values


def _joined(name: str, values: Sequence[_Value]) -> JoinedNames:
    known = [value for value in values if value.symbols is not None]
    sets = [value.symbols for value in known if value.symbols is not None]
    newest = known[-1]
    # What C has as an enum goes by its enumerators; where it is an integer, by what is printed, which all sources tell.
    by_text = newest.type is None or enum_of(newest.type) is None
    enums = {symbols.enum for symbols in sets}
    enum = enums.pop() if len(enums) == 1 else None
    entries = _entries(values, by_text)
    keys = [_key(entry, by_text) for entry in entries]
    names: list[JoinedName] = []
    omitted: list[Omitted] = []
    for key, entry in zip(keys, entries, strict=True):
        shown = entry.name or repr(entry.text)
        reason = None
        if key is None or keys.count(key) > 1:
            reason = f"C has no name for it that no other has: {entry.text!r}"
        elif entry.is_ambiguous:
            reason = "it is printed for several values"
        found = () if enum is not None and _is_found(entry) else _places(entry, values)
        if reason is None and isinstance(found, str):
            reason = found
        if reason is not None or key is None or isinstance(found, str):
            omitted.append(Omitted(shown, reason or ""))
        else:
            name_in_c = entry.name if len(entry.names - {None}) == 1 else None
            names.append(JoinedName(key, name_in_c, entry.text, tuple(entry.values.items()), found))
    masks = {symbols.mask for symbols in sets}
    return JoinedNames(
        name,
        enum,
        max(value.size_bytes for value in values),
        any(value.signed for value in values) or any(v < 0 for each in names for _, v in each.values),
        any(symbols.is_flags for symbols in sets),
        masks.pop() if len(masks) == 1 else None,
        tuple(names),
        tuple(omitted),
    )


# A loader compares the part of an enumerator's name in front of `___`.
_FLAVOUR = re.compile(r"[^_]___[^_]")


def _is_found(entry: _Entry) -> bool:
    """Whether a loader finds the enumerator by a local one of its name with a suffix."""
    (name, *others) = entry.names
    return name is not None and not others and not _FLAVOUR.search(name) and not name.endswith("_")


def _key(entry: _Entry, by_text: bool) -> str | None:
    """The word by which a program asks for a name; None where there is none."""
    words = (entry.text, entry.name) if by_text else (entry.name, entry.text)
    word = next(filter(None, words), "")
    plain = re.sub(r"\W+", "_", word.strip(), flags=re.ASCII)
    if not plain.strip("_") or plain.startswith("tpgen_"):
        return None
    return f"_{plain}" if plain[0].isdigit() else plain


def _places(entry: _Entry, values: Sequence[_Value]) -> tuple[NamePlace, ...] | str:
    """The value of a name by conditions; the reason where nothing tells at load."""
    found = [entry.values.get(value.view.kernel) for value in values]
    if len(set(found)) == 1 and found[0] is not None:
        return (NamePlace((), found[0]),)
    places = []
    views = [value.view for value in values]
    for number in dict.fromkeys(number for number in reversed(found) if number is not None):
        group = [view for view, value in zip(views, found, strict=True) if value == number]
        others = [view for view, value in zip(views, found, strict=True) if value != number]
        when: list[Conjunction] = []
        for base, part in _by_prototype(group).items():
            told = telling([base], partial(record_facts, part, others), part, others)
            if told is None:
                return _undecided(entry, values)
            when += told
        places.append(NamePlace(tuple(dict.fromkeys(when)), number))
    return tuple(places) if _comes_out(places, found, views) else "what is known of the kernels contradicts itself"


def _by_prototype(views: Iterable[KernelView]) -> Mapping[Conjunction, list[KernelView]]:
    """The kernels by the prototype that the event has there, which is the first thing that a loader can tell."""
    parts: dict[Conjunction, list[KernelView]] = {}
    for view in views:
        form = prototype_of(view)
        parts.setdefault(() if form is None else (form,), []).append(view)
    return parts


def _comes_out(places: Sequence[NamePlace], found: Sequence[int | None], views: Sequence[KernelView]) -> bool:
    """Whether the conditions, tried in their order on each kernel, lead to the value that the name has there."""
    for view, value in zip(views, found, strict=True):
        taken = next((p for p in places if any(holds_all(each, view) is not False for each in p.when)), None)
        if (None if taken is None else taken.value) != value:
            return False
    return True


def _undecided(entry: _Entry, values: Sequence[_Value]) -> str:
    """Why no header can have a name."""
    here = [f"{value} on {kernel}" for kernel, value in reversed(entry.values.items())]
    unknown = [v.view.kernel for v in values if v.symbols is None]
    lacking = [v.view.kernel for v in values if v.view.kernel not in entry.values and v.symbols is not None]
    here += [f"not there on {', '.join(lacking)}"] if lacking else []
    here += [f"unknown on {', '.join(unknown)}"] if unknown else []
    return f"it is {', '.join(here)}, and nothing at load tells these kernels apart"
