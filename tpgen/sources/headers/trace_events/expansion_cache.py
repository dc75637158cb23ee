"""Cached macro expansions: a macro is expanded once with placeholder arguments and instantiated per invocation.

Most of a tree's invocations are of a few macros, the family's and a header's own wrappers of it. An argument that
contains macros is expanded by itself, as C does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tpgen.basics.frozen import frozen
from tpgen.sources.headers.preprocessor.macros import WORD, Expansion, Macro, Token, closure, is_inert, join
from tpgen.sources.headers.preprocessor.source import split_commas
from tpgen.sources.headers.trace_events.family import PRIMITIVES

#: A primitive, its origin, and its arguments.
PrimitiveCall = tuple[str, Expansion | None, tuple[str, ...]]

# A word, so that it never glues to another one, and none that C has.
_PLACEHOLDER = "tpgen_argument_{}_"
_PLACEHOLDERS = re.compile(r"\btpgen_argument_(\d{1,9})_(?!\w)")


@frozen
class ExpansionTemplate:
    """The primitives that invocations of a macro expand to. Every other piece of an argument is a placeholder's number.

    `used` are the numbers of the arguments that are not dropped. `meanings` maps all words in the replacement lists
    behind it to their macros at the time, None for no macro.
    """

    primitives: tuple[tuple[str, Expansion | None, tuple[tuple[str | int, ...], ...]], ...]
    used: frozenset[int]
    meanings: Mapping[str, Macro | None]

    def is_valid(self, macros: Mapping[str, Macro]) -> bool:
        """Return whether all words still mean the same."""
        return all(macros.get(word) is macro for word, macro in self.meanings.items())

    def instantiate(self, arguments: Sequence[str]) -> Iterator[PrimitiveCall]:
        """Yield the primitives for these arguments."""
        for primitive, origin, texts in self.primitives:
            filled = ["".join([arguments[p] if isinstance(p, int) else p for p in pieces]) for pieces in texts]
            yield primitive, origin, tuple([text.strip() for text in filled])


class ExpansionCache:
    """The expansion templates of the macros of one tree. No expansion may leave a word of `family` unexpanded."""

    def __init__(self, family: Mapping[str, Macro]) -> None:
        self._family = family
        self._templates: dict[tuple[Macro, int], ExpansionTemplate | None] = {}

    def instantiate(
        self,
        macro: Macro,
        arguments: Sequence[str],
        macros: Mapping[str, Macro],
        expand: Callable[[list[Token]], list[Token] | None],
    ) -> Iterable[PrimitiveCall] | None:
        """Return the primitives of an invocation of `macro`, one of `macros`; None where it must be expanded by itself.

        `expand` expands tokens; it returns None where something is wrong.
        """
        key = macro, len(arguments)
        template = self._templates.get(key)
        if key not in self._templates or (template is not None and not template.is_valid(macros)):
            template = self._templates[key] = self._template(macro, len(arguments), macros, expand)
        if template is None:
            return None
        texts = list(arguments)
        for number in template.used:
            if not is_inert(texts[number], macros):
                texts[number] = join(expand([Token(texts[number], opaque=True)]) or [])
                if not _is_plain(texts[number], macros):
                    return None
        return template.instantiate(texts)

    def _template(
        self,
        macro: Macro,
        count: int,
        macros: Mapping[str, Macro],
        expand: Callable[[list[Token]], list[Token] | None],
    ) -> ExpansionTemplate | None:
        behind = closure([macro.name], macros)
        # These make other words out of an argument than it contains.
        if any("#" in other.text for other in behind.values()):
            return None
        tokens = expand([Token(macro.name), *invocation([_PLACEHOLDER.format(number) for number in range(count)])])
        if tokens is None or not all(is_inert(token.text, macros) for token in tokens):
            return None  # what stays a macro's name here is a call where an argument brings the parentheses
        found = list(primitives(tokens, self._family))
        used = {int(number) for token in tokens for number in _PLACEHOLDERS.findall(token.text)}
        # Nothing is wrong, and the header has no placeholders of its own.
        if any(arguments is None for _, arguments in found) or any(number >= count for number in used):
            return None
        calls = tuple((token.text, token.origin, tuple(map(_pieces, texts or ()))) for token, texts in found)
        words = {word for other in behind.values() for word in other.words}
        return ExpansionTemplate(calls, frozenset(used), {word: macros.get(word) for word in (*words, macro.name)})


def _is_plain(text: str, macros: Mapping[str, Macro]) -> bool:
    """Return whether the expansion of an argument is inert once substituted: without macro, event or further comma."""
    words = WORD.findall(text)
    return macros.keys().isdisjoint(words) and PRIMITIVES.keys().isdisjoint(words) and len(split_commas(text)) == 1


def _pieces(text: str) -> tuple[str | int, ...]:
    parts = _PLACEHOLDERS.split(text)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts))


# --- tokens --------------------------------------------------------------------------------------------------------


def invocation(arguments: Sequence[str]) -> list[Token]:
    """Return the tokens behind a macro's name: parentheses with these arguments."""
    tokens = [Token("(")]
    for number, text in enumerate(arguments):
        if number:
            tokens.append(Token(","))
        if text:
            tokens.append(Token(text, number > 0, None, opaque=True))
    tokens.append(Token(")"))
    return tokens


def primitives(tokens: list[Token], family: Mapping[str, Macro]) -> Iterator[tuple[Token, tuple[str, ...] | None]]:
    """Yield each primitive among expanded tokens with its arguments, None where their number is wrong.

    A word of the family that stayed unexpanded, since its parentheses do not close, comes with None as well.
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
    """Return the arguments of the primitive whose parenthesis is at `index`, and the index behind it.

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
