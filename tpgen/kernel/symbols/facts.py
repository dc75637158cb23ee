"""The facts: symbols of raw arguments and of fields."""

from __future__ import annotations

from tpgen.basics.frozen import frozen


@frozen
class Symbol:
    """A value with its `name` in C, an enumerator or a macro, and the `text` that the kernel prints for it.

    Either is None where no source tells it.
    """

    value: int
    name: str | None = None
    text: str | None = None


@frozen
class Symbols:
    """The symbols of an argument or a field.

    `enum` is what C calls the enum (`enum zone_type`, or the name of a typedef) in which a loader finds the values of
    all that have a `name`; None where there is none. With `is_flags` a value may have several of them at once. `mask`
    has the bits that they are printed of, None where all count.
    """

    symbols: tuple[Symbol, ...]
    enum: str | None = None
    is_flags: bool = False
    mask: int | None = None


@frozen
class EventSymbols:
    """The symbols of an event: of raw arguments, by slot, and of fields, by the name of the member.

    `left_out` has the fields whose values are printed as names that tpgen cannot tell, and why, each in words.
    """

    args: tuple[tuple[int, Symbols], ...] = ()
    fields: tuple[tuple[str, Symbols], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


#: Of an event without any.
NO_SYMBOLS = EventSymbols()
