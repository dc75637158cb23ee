"""The symbols of one event: enumerators of its enums by BTF, and the names that it prints by its print format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from tpgen.basics.frozen import replace
from tpgen.kernel.symbols.constants import in_field
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.kernel.symbols.print_text import Entry, PrintedField, Unread, printed_fields
from tpgen.kernel.validate import MOST_SYMBOLS, c_name
from tpgen.model import CType, Enum, Event, Field, Qualified, Typedef, TypeTag
from tpgen.target import Target

#: The enumerators of an enum, and whether a loader finds that enum by its name.
Enumerators = tuple[tuple[tuple[str, int], ...], bool]


class Names(Protocol):
    """The names that the image of an event and its headers have."""

    def constant(self, text: str, target: Target) -> int | None:
        """Return the value of an expression; None where it depends on something unknown."""

    def enumerators(self, enum: str) -> Enumerators | None:
        """Return what `enum zone_type`, or the typedef of that name, holds; None where that is unknown."""

    def enum_with(self, enumerator: str) -> str | None:
        """Return what C calls the enum that has an enumerator; None where that is unknown."""


def event_symbols(event: Event, texts: Sequence[str], names: Names, target: Target) -> EventSymbols:
    """Return the symbols of an event that prints as `texts` say: its format file, and its header, which has names.

    What the first of them tells of a field counts, and of the others what they call the same values.
    """
    fields = event.record.fields if event.record else ()
    printed: dict[str, Symbols] = {}
    left_out: dict[str, str] = {}
    for number, text in enumerate(texts):
        found, unread = _printed(text, fields, names, target)
        printed = found if not number else {name: _named(each, found.get(name)) for name, each in printed.items()}
        left_out = unread if not number else left_out
    of_fields: dict[str, Symbols] = {}
    texts_of: dict[str, Symbols] = {}
    for field in fields:
        enum = enum_of(field.type) if not field.dynamic else None
        symbols = _with_enum(enum, printed.get(field.name), names)
        if symbols is not None:
            of_fields[field.member_name] = symbols
        if (shown := printed.get(field.name)) is not None and (enum := enum_of(field.type) or shown.enum):
            texts_of.setdefault(enum, shown)
    of_args = {}
    for arg in event.args or ():
        enum = enum_of(arg.type)
        if enum is not None and (symbols := _with_enum(enum, texts_of.get(enum), names)) is not None:
            of_args[arg.slot] = symbols
    return EventSymbols(tuple(of_args.items()), tuple(of_fields.items()), tuple(left_out.items()))


def enum_of(ctype: CType | None) -> str | None:
    """The enum that a type is, as C calls it; None for any other type."""
    typedef: str | None = None
    while isinstance(ctype, Qualified | TypeTag | Typedef):
        typedef = typedef if not isinstance(ctype, Typedef) else ctype.name
        ctype = ctype.target
    if not isinstance(ctype, Enum):
        return None
    return typedef if ctype.name is None else f"enum {ctype.name}"


# --- what is printed


def _printed(
    text: str, fields: Sequence[Field], names: Names, target: Target
) -> tuple[dict[str, Symbols], dict[str, str]]:
    """Return the symbols of fields by the names of these, and why others are left out."""
    by_name = {field.name: field for field in fields if not field.dynamic}
    found: dict[str, Symbols] = {}
    left_out: dict[str, str] = {}
    for call in printed_fields(text):
        if isinstance(call, Unread):
            if call.field in by_name and call.field not in found:
                left_out[call.field] = f"names are printed for `{call.subject}`"
            continue
        field = by_name.get(call.field)
        if field is None or field.size_bytes is None or field.signed is None or field.size_bytes > _MOST_BYTES:
            continue
        symbols, unknown = _symbols(call, field.size_bytes, field.signed, names, target)
        if unknown:
            left_out[call.field] = f"nothing tells the values of {', '.join(unknown[:_MOST_TOLD])}" + (
                f" and {len(unknown) - _MOST_TOLD} more" if len(unknown) > _MOST_TOLD else ""
            )
        if symbols.symbols:
            found[call.field] = _joined(found[call.field], symbols) if call.field in found else symbols
    return found, left_out


# A register's bytes; of so many names the first are told.
_MOST_BYTES = 8
_MOST_TOLD = 8


def _symbols(call: PrintedField, size: int, signed: bool, names: Names, target: Target) -> tuple[Symbols, list[str]]:
    """Return the symbols of one call, and the texts of which nothing tells the value."""
    symbols: list[Symbol] = []
    unknown: list[str] = []
    for entry in call.entries:
        value = names.constant(entry.value, target)
        if value is None:
            unknown.append(entry.text)
        elif (held := in_field(value, size, signed, call.is_flags)) is not None:
            symbols.append(Symbol(held, _name(entry), _text(entry.text)))
    if call.zero is not None and all(symbol.value for symbol in symbols):
        symbols.insert(0, Symbol(0, None, _text(call.zero)))
    mask = names.constant(call.mask, target) if call.mask else None
    bits = (1 << 8 * size) - 1
    kept = tuple(dict.fromkeys(symbol for symbol in symbols if symbol.name or symbol.text))
    return Symbols(kept, _common_enum(kept, names), call.is_flags, None if mask is None else mask & bits), unknown


def _name(entry: Entry) -> str | None:
    """The name of a constant in C, cast to whatever; None for any other expression."""
    words = entry.value.replace("__force", " ").split()
    while words[:1] == ["("] and ")" in words and all(word.isidentifier() for word in words[1 : words.index(")")]):
        inside = words[1 : words.index(")")]
        words = words[words.index(")") + 1 :] or inside
    try:
        return c_name(words[0]) if len(words) == 1 and not words[0][0].isdigit() else None
    except ValueError:
        return None


def _text(text: str) -> str | None:
    return text if text.isascii() and text.isprintable() else None


def _common_enum(symbols: Iterable[Symbol], names: Names) -> str | None:
    """The enum that has the names of all symbols with their values; None where there is none."""
    named = {symbol.name: symbol.value for symbol in symbols if symbol.name is not None}
    enums = {names.enum_with(name) for name in named}
    if len(enums) != 1 or (enum := enums.pop()) is None:
        return None
    found = names.enumerators(enum)
    if found is None or not found[1]:
        return None
    held = dict(found[0])
    return enum if all(held.get(name) == value for name, value in named.items()) else None


def _joined(one: Symbols, other: Symbols) -> Symbols:
    """The symbols of a field that is printed twice."""
    symbols = tuple(dict.fromkeys((*one.symbols, *other.symbols)))
    enum = one.enum if one.enum == other.enum else None
    return Symbols(symbols, enum, one.is_flags or other.is_flags, one.mask if one.mask == other.mask else None)


def _named(symbols: Symbols, other: Symbols | None) -> Symbols:
    """The symbols with the names that `other` has for the same texts with the same values."""
    if other is None:
        return symbols
    names = {(symbol.value, symbol.text): symbol.name for symbol in other.symbols}
    whole = (replace(each, name=each.name or names.get((each.value, each.text))) for each in symbols.symbols)
    return replace(symbols, symbols=tuple(whole), enum=symbols.enum or other.enum)


# --- enums


def _with_enum(enum: str | None, printed: Symbols | None, names: Names) -> Symbols | None:
    """The symbols of a value of type `enum` with what is printed for them, and what is printed besides."""
    found = names.enumerators(enum) if enum is not None else None
    if found is None or len(found[0]) > MOST_SYMBOLS:
        return printed
    enumerators, is_found_by_name = found
    shown = printed.symbols if printed else ()
    texts = {symbol.value: symbol.text for symbol in reversed(shown)}
    own = {symbol.name: symbol.text for symbol in shown if symbol.name is not None}
    symbols = [
        Symbol(value, name, own.get(name) or (texts.get(value) if not _is_named(value, shown) else None))
        for name, value in _sound(enumerators)
    ]
    values = {symbol.value for symbol in symbols}
    symbols += (symbol for symbol in shown if symbol.value not in values)
    about = (printed.is_flags, printed.mask) if printed else (False, None)
    return Symbols(tuple(symbols), enum if is_found_by_name else None, *about)


def _is_named(value: int, shown: Sequence[Symbol]) -> bool:
    """Whether what is printed for a value says for which of its names."""
    return any(symbol.value == value and symbol.name is not None for symbol in shown)


def _sound(enumerators: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """The enumerators that C could have."""
    for name, value in enumerators:
        try:
            yield c_name(name), value
        except ValueError:
            continue
