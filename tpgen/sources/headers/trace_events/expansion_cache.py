"""What macros make of their arguments, found out once instead of at each invocation.

Most of a tree's invocations are of a few macros, the family's and a header's own wrappers of it. Such a macro is
expanded with stand-ins for its arguments, and what comes out serves all invocations. What holds macros in an argument
is expanded by itself, as C does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tpgen.sources.headers.preprocessor.macros import WORD, Expansion, Macro, Token, closure, is_inert, join
from tpgen.sources.headers.preprocessor.source import split_commas
from tpgen.sources.headers.trace_events.family import PRIMITIVES

#: A primitive, where it came from, and its arguments.
Made = tuple[str, Expansion | None, tuple[str, ...]]

# A word, so that it never glues to another one, and none that C has.
_STAND_IN = "tpgen_argument_{}_"
_STAND_INS = re.compile(r"\btpgen_argument_(\d{1,9})_(?!\w)")


@dataclass(frozen=True, slots=True)
class Template:
    """The primitives that an invocation makes. In their arguments every other piece is the number of an argument.

    `used` are the numbers of the arguments that are not dropped. `meanings` are all words that the macros behind it
    hold, each with its macro at the time, None for no macro.
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
            yield primitive, origin, tuple([text.strip() for text in filled])


class Templates:
    """The templates of the macros of one tree. Of the words of `family` no expansion may leave one over."""

    def __init__(self, family: Mapping[str, Macro]) -> None:
        self._family = family
        self._known: dict[tuple[Macro, int], Template | None] = {}

    def made(
        self,
        macro: Macro,
        arguments: Sequence[str],
        macros: Mapping[str, Macro],
        expand: Callable[[list[Token]], list[Token] | None],
    ) -> Iterable[Made] | None:
        """What an invocation of `macro`, one of `macros`, makes; None where only an expansion of its own tells.

        `expand` says what tokens expand to; None where something is wrong.
        """
        key = macro, len(arguments)
        known = self._known.get(key)
        if key not in self._known or (known is not None and not known.holds(macros)):
            known = self._known[key] = self._template(macro, len(arguments), macros, expand)
        if known is None:
            return None
        texts = list(arguments)
        for number in known.used:
            if not is_inert(texts[number], macros):
                texts[number] = join(expand([Token(texts[number], opaque=True)]) or [])
                if not _is_plain(texts[number], macros):
                    return None
        return known.filled(texts)

    def _template(
        self,
        macro: Macro,
        count: int,
        macros: Mapping[str, Macro],
        expand: Callable[[list[Token]], list[Token] | None],
    ) -> Template | None:
        behind = closure([macro.name], macros)
        # What makes other words of an argument than it holds.
        if any("#" in other.text for other in behind.values()):
            return None
        tokens = expand([Token(macro.name), *invocation([_STAND_IN.format(number) for number in range(count)])])
        if tokens is None or not all(is_inert(token.text, macros) for token in tokens):
            return None  # what stays a macro's name here is a call where an argument brings the parentheses
        found = list(primitives(tokens, self._family))
        used = {int(number) for token in tokens for number in _STAND_INS.findall(token.text)}
        # Nothing is wrong, and the header has no stand-ins of its own.
        if any(arguments is None for _, arguments in found) or any(number >= count for number in used):
            return None
        made = tuple((token.text, token.origin, tuple(map(_pieces, texts or ()))) for token, texts in found)
        words = {word for other in behind.values() for word in other.words}
        return Template(made, frozenset(used), {word: macros.get(word) for word in (*words, macro.name)})


def _is_plain(text: str, macros: Mapping[str, Macro]) -> bool:
    """Whether what an argument expands to means nothing else where it is put in: no macro, event or further comma."""
    words = WORD.findall(text)
    return macros.keys().isdisjoint(words) and PRIMITIVES.keys().isdisjoint(words) and len(split_commas(text)) == 1


def _pieces(text: str) -> tuple[str | int, ...]:
    parts = _STAND_INS.split(text)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


# --- tokens --------------------------------------------------------------------------------------------------------


def invocation(arguments: Sequence[str]) -> list[Token]:
    """The parentheses behind a macro's name, with these arguments."""
    tokens = [Token("(")]
    for number, text in enumerate(arguments):
        if number:
            tokens.append(Token(","))
        if text:
            tokens.append(Token(text, number > 0, None, opaque=True))
    tokens.append(Token(")"))
    return tokens


def primitives(tokens: list[Token], family: Mapping[str, Macro]) -> Iterator[tuple[Token, tuple[str, ...] | None]]:
    """Each primitive among expanded tokens, with its arguments, None where they are not as many as it has.

    A word of the family that was left unexpanded, since its parentheses do not close, comes with None as well.
    """
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if token.text in PRIMITIVES and index < len(tokens) and tokens[index].text == "(":
            arguments, index = _arguments(tokens, index)
            yield token, arguments if len(arguments) == PRIMITIVES[token.text] else None
        elif token.text in family and not token.opaque and not _hidden(token):
            yield token, None


def _arguments(tokens: list[Token], index: int) -> tuple[tuple[str, ...], int]:
    """The arguments of the primitive whose parenthesis is at `index`, and the index behind it.

    No arguments where the parenthesis does not close.
    """
    pieces: list[list[Token]] = [[]]
    depth = 0
    for at in range(index, len(tokens)):
        text = "" if tokens[at].opaque else tokens[at].text
        if text == "(":
            depth += 1
            if depth == 1:
                continue
        elif text == ")":
            depth -= 1
            if depth == 0:
                return tuple(join(piece) for piece in pieces), at + 1
        elif text == "," and depth == 1:
            pieces.append([])
            continue
        pieces[-1].append(tokens[at])
    return (), len(tokens)


def _hidden(token: Token) -> bool:
    return token.origin is not None and any(macro.name == token.text for macro in token.origin)
