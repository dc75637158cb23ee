"""Values of names: the constants in a print format, as C computes them and the kernel compares them.

A value is compared as an unsigned long, whatever its type; that of a narrower field is extended with its sign first.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tpgen.model import CType, Enum, Int
from tpgen.sources.headers.preprocessor.expressions import Expression, NotAnExpression
from tpgen.target import Target
from tpgen.typequery import stripped

_BITS = 64


class Names(Protocol):
    """The names of one kernel, as one of its events sees them."""

    def value(self, name: str) -> int | None:
        """Return the value of an enumerator or a macro; None where it is unknown."""

    def type_named(self, name: str) -> CType | None:
        """Return the type of that name, a typedef's; None where it is unknown."""


def constant(text: str, names: Names, target: Target) -> int | None:
    """The value of an expression of C; None where it depends on something unknown, or on the width of an int."""
    try:
        return _Constant(text, names, target).result()
    except (NotAnExpression, RecursionError):
        return None


class _Macros(NamedTuple):
    """Names as an environment of macros, in which none is one."""

    names: Names

    def defined(self, name: str) -> bool | None:
        return None

    def value(self, name: str) -> int | None:
        return self.names.value(name)


class _Constant(Expression):
    """An evaluator of C's integer constant expressions with casts. Numbers have no width but where a cast gives one."""

    def __init__(self, text: str, names: Names, target: Target) -> None:
        super().__init__(text, _Macros(names))
        self._names = names
        self._target = target
        # Whether the width of a number decides what becomes of it.
        self._has_width = False
        self._is_wide = any(word[:1].isdigit() and word[-1] in "uUlL" for word in self._words)

    def result(self) -> int | None:
        value = self.whole()
        if value is None or (self._has_width and value < 0):
            return None
        # `1 << 31` is an int, and negative.
        if value >= 1 << 31 and "<<" in self._words and not self._is_wide:
            return None
        return value

    def _unary(self) -> int | None:
        word = self._peek()
        if word in ("~", "-"):
            operand = self._words[self._at + 1 : self._at + 2]
            self._has_width |= word == "~" or any(w[-1] in "uU" for w in operand)
        if word == "(" and (cast := self._cast()) is not None:
            ctype, self._at = cast
            value = self._unary()
            self._is_wide = True
            return None if value is None else _converted(value, ctype)
        return super()._unary()

    def _cast(self) -> tuple[Int | Enum, int] | None:
        """The type of the cast that begins here, and the word behind it; None where none does."""
        if ")" not in self._words[self._at :]:
            return None
        end = self._words.index(")", self._at)
        inside = [word for word in self._words[self._at + 1 : end] if word != "__force"]
        behind = self._words[end + 1 : end + 2]
        operand = bool(behind) and (behind[0][0].isalnum() or behind[0][0] in "_(~-")
        if not inside or not operand or not all(word.isidentifier() for word in inside):
            return None
        known: CType | None = self._target.integer(" ".join(inside))
        if known is None and len(inside) == 1:
            found = self._names.type_named(inside[0])
            known = None if found is None else stripped(found)
        return (known, end + 1) if isinstance(known, Int | Enum) and known.size_bytes is not None else None

    def _call(self, name: str) -> int | None:
        if name not in ("BIT", "BIT_ULL", "_BITUL", "_BITULL"):
            raise NotAnExpression
        self._expect("(")
        number = self._conditional()
        self._expect(")")
        self._is_wide = True
        return None if number is None or not 0 <= number < _BITS else 1 << number


def _converted(value: int, ctype: Int | Enum) -> int:
    """The value as one of that type."""
    assert ctype.size_bytes is not None
    bits = 8 * ctype.size_bytes
    cut = value & (1 << bits) - 1
    return cut - (1 << bits) if ctype.signed and cut >> bits - 1 else cut


def in_field(value: int, size_bytes: int, signed: bool, is_flags: bool) -> int | None:
    """The value of a field that the kernel takes for `value`; None where no value of the field is that.

    Of flags, which are tested bit by bit, the highest bit of a signed field is its sign.
    """
    bits = 8 * size_bytes
    whole = value & (1 << _BITS) - 1
    if not whole >> (bits if is_flags or not signed else bits - 1):
        return whole
    extended = whole - (1 << _BITS)
    return extended if signed and -(1 << bits - 1) <= extended < 0 else None
