"""What macros make of their arguments, found out once instead of at each invocation.

Most of a tree's invocations are of a few macros, the family's and a header's own wrappers of it. Such a macro is
expanded with stand-ins for its arguments, and what comes out serves all invocations. What holds macros in an argument
is expanded by itself, as C does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tpgen.sources.headers.macros import Expansion, Macro, Token, closure, is_inert
from tpgen.sources.headers.text import split_commas

#: A primitive, where it came from, and its arguments.
Made = tuple[str, Expansion | None, tuple[str, ...]]

# A word, so that it never glues to another one, and none that C has.
_STAND_IN = "tpgen_argument_{}_"
_STAND_INS = re.compile(r"\btpgen_argument_(\d+)_(?!\w)")


@dataclass(frozen=True, slots=True)
class Template:
    """The primitives that an invocation makes. In their arguments every other piece is the number of an argument.

    `meanings` are all words that the macros behind it hold, each with its macro at the time, None for no macro.
    """

    primitives: tuple[tuple[str, Expansion | None, tuple[tuple[str | int, ...], ...]], ...]
    used: frozenset[int]
    meanings: Mapping[str, Macro | None]

    def holds(self, macros: Mapping[str, Macro]) -> bool:
        """Whether all words still mean the same."""
        return all(macros.get(word) is macro for word, macro in self.meanings.items())

    def filled(self, arguments: Sequence[str]) -> Iterator[Made]:
        """The primitives for these arguments."""
        for primitive, origin, texts in self.primitives:
            filled = ["".join([arguments[p] if isinstance(p, int) else p for p in pieces]) for pieces in texts]
            yield primitive, origin, tuple(filled)


class Templates:
    """The templates of the macros of one tree."""

    def __init__(self) -> None:
        self._known: dict[tuple[Macro, int], Template | None] = {}

    def made(
        self,
        macro: Macro,
        arguments: Sequence[str],
        macros: Mapping[str, Macro],
        expand: Callable[[list[Token]], Iterable[Made] | None],
        expanded: Callable[[str], str | None],
    ) -> Iterable[Made] | None:
        """What an invocation of `macro`, one of `macros`, makes; None where only an expansion of its own tells.

        `expand` says what tokens make and `expanded` what a text expands to; None where something is wrong.
        """
        key = macro, len(arguments)
        known = self._known.get(key)
        if key not in self._known or (known is not None and not known.holds(macros)):
            known = self._known[key] = _template(macro, len(arguments), macros, expand)
        if known is None:
            return None
        texts = list(arguments)
        for number in known.used:
            if not is_inert(texts[number], macros):
                texts[number] = expanded(texts[number]) or ""
                # C looks at it once more, for macros and for commas.
                if not is_inert(texts[number], macros) or len(split_commas(texts[number])) != 1:
                    return None
        return known.filled(texts)


def _template(
    macro: Macro,
    count: int,
    macros: Mapping[str, Macro],
    expand: Callable[[list[Token]], Iterable[Made] | None],
) -> Template | None:
    behind = closure([macro.name], macros)
    # What makes other words of an argument than it holds.
    if any("#" in other.text for other in behind.values()):
        return None
    stand_ins = [[Token(","), Token(_STAND_IN.format(number), number > 0, opaque=True)] for number in range(count)]
    made = expand([Token(macro.name), Token("("), *[token for pair in stand_ins for token in pair][1:], Token(")")])
    if made is None:
        return None
    primitives = tuple(
        (primitive, origin, tuple(_pieces(text) for text in arguments)) for primitive, origin, arguments in made
    )
    used = frozenset(
        piece for _, _, texts in primitives for pieces in texts for piece in pieces if isinstance(piece, int)
    )
    if any(number >= count for number in used):
        return None  # a header that writes stand-ins itself
    words = {word for other in behind.values() for word in other.words}
    return Template(primitives, used, {word: macros.get(word) for word in (*words, macro.name)})


def _pieces(text: str) -> tuple[str | int, ...]:
    parts = _STAND_INS.split(text)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))
