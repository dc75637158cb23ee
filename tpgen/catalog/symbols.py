"""The names of values in a catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tpgen.basics.memo import memoised
from tpgen.catalog.file import CatalogFile
from tpgen.kernel import validate
from tpgen.kernel.symbols.facts import NO_SYMBOLS, EventSymbols, Symbol, Symbols

_Value = TypeVar("_Value")


class CatalogSymbols:
    """The symbols of a catalog's events, each list read once. Raises `catalog-malformed` where one follows no rule."""

    def __init__(self, catalog: CatalogFile) -> None:
        self._catalog = catalog

    @memoised
    def of(self, number: Any) -> EventSymbols:
        """Return the symbols of the events with that number in their column `named`, of which None has none."""
        if number is None:
            return NO_SYMBOLS
        args, fields, left_out = {}, {}, {}
        query = "SELECT slot, field, symbols, left_out FROM named WHERE id = ? ORDER BY position"
        for slot, field, symbols, reason in self._catalog.rows(query, number):
            if slot is not None:
                args[self._value(validate.number, slot, validate.MOST_ARGUMENTS - 1)] = self._symbols(symbols)
            elif reason is None:
                fields[self._value(validate.identifier, field)] = self._symbols(symbols)
            else:
                left_out[self._value(validate.identifier, field)] = self._value(validate.text, reason)
        return EventSymbols(tuple(args.items()), tuple(fields.items()), tuple(left_out.items()))

    @memoised
    def _symbols(self, number: Any) -> Symbols:
        found = self._catalog.rows("SELECT enum, is_flags, mask, symbols FROM symbols WHERE id = ?", number)
        query = "SELECT value, name, text FROM symbol WHERE symbols = ? ORDER BY position"
        rows = self._catalog.rows(query, number)
        if len(found) != 1 or found[0][3] != len(rows) or len(rows) > validate.MOST_SYMBOLS:
            raise self._catalog.malformed(f"symbols {number} has {len(rows)} rows")
        enum, is_flags, mask, _ = found[0]
        symbols = tuple(self._symbol(*row) for row in rows)
        flags = self._value(validate.flag, is_flags)
        return Symbols(symbols, self._opt(validate.enum_name, enum), flags, self._opt(validate.c_value, mask))

    def _symbol(self, value: Any, name: Any, text: Any) -> Symbol:
        number = self._value(validate.c_value, value)
        return Symbol(number, self._opt(validate.c_name, name), self._opt(validate.shown, text))

    def _value(self, check: Callable[..., _Value], *values: Any) -> _Value:
        return self._catalog.value(check, *values)

    def _opt(self, check: Callable[[Any], _Value], value: Any) -> _Value | None:
        return None if value is None else self._catalog.value(check, value)
