"""C macros: tokens, definitions, and expansion by the rules of C11 6.10.3.

A token may be *opaque*: a stretch of source between two commas that is only taken apart when it holds the name of a
macro. That is the one deviation from a textbook preprocessor, and the reason why the code of TP_fast_assign and
TP_printk, most of every trace header, costs nothing: the family's macros drop it unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.source import Source, Span

WORD = re.compile(r"[A-Za-z_]\w*")
_TOKEN = re.compile(
    r"""(\s*)([A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*+|"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|\#\#|\.\.\.|\S)"""
)


class ExpansionLimit(Exception):
    """A macro grows or nests beyond all that a real header does."""


class BadInvocation(Exception):
    """A macro is invoked with another number of arguments than it has parameters, or its definition cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """The origin of a token: the expansion of `macro`, whose name came out of `outer`, None for the file's own text.

    The macros of this chain are the token's hide set: those that C forbids to expand again in it.
    """

    macro: Macro
    outer: Expansion | None

    def __iter__(self) -> Iterator[Macro]:
        """Yield the macros from the innermost outwards."""
        expansion: Expansion | None = self
        while expansion:
            yield expansion.macro
            expansion = expansion.outer


class Token(NamedTuple):
    """A preprocessing token, or an opaque stretch of source."""

    text: str
    # Whether white space stands before it.
    spaced: bool = False
    origin: Expansion | None = None
    opaque: bool = False


def tokenize(text: str, origin: Expansion | None = None) -> list[Token]:
    """Split clean text into preprocessing tokens."""
    return [Token(word, bool(space), origin) for space, word in _TOKEN.findall(text.rstrip())]


def join(tokens: Sequence[Token]) -> str:
    """Join tokens to text, spaced as they were written and never gluing two words together."""
    if len(tokens) == 1:
        return tokens[0].text
    pieces: list[str] = []
    last = ""
    for token in tokens:
        text = token.text
        if last and (token.spaced or (_is_word(last) and _is_word(text[0]))):
            pieces.append(" ")
        pieces.append(text)
        last = text[-1]
    return "".join(pieces)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


# --- definitions ---------------------------------------------------------------------------------------------------

_HEAD = re.compile(r"\s*([A-Za-z_]\w*)(\(([^()]*)\))?")


@dataclass(frozen=True, eq=False)
class Macro:
    """A #define. `params` is None for an object-like macro, `rest` names the parameter that takes all other arguments.

    `text` is the replacement list. `source` and `span` are where the definition stands.
    """

    name: str
    params: tuple[str, ...] | None
    rest: str | None
    text: str
    source: Source
    span: Span
    presence: PresenceCondition = PresenceCondition()

    @cached_property
    def body(self) -> list[Token]:
        """The replacement list as tokens."""
        return tokenize(self.text)

    @cached_property
    def pieces(self) -> list[Token]:
        """The body for expansion: a stretch whose single tokens do not matter is one opaque token."""
        return _merged(self.body, {*(self.params or ()), self.rest})

    @cached_property
    def foreign_words(self) -> frozenset[str]:
        """The identifiers of the replacement list that are not parameters."""
        return self.words.difference(self.params or (), (self.rest or "",))

    @cached_property
    def words(self) -> frozenset[str]:
        """The identifiers of the replacement list."""
        return frozenset(WORD.findall(self.text))


def _merged(body: list[Token], params: Set[str | None]) -> list[Token]:
    """Merge each stretch of a body into one opaque token.

    A stretch contains neither a parameter, nor a comma outside of parentheses, nor a `#` or an operand of one.
    It begins with a word, since parentheses may be a call's.
    """
    pieces: list[Token] = []
    at = 0
    while at < len(body):
        end = _stretch_end(body, at, params)
        if end <= at + 1:
            pieces.append(body[at])
            end = at + 1
        else:
            pieces.append(Token(join(body[at:end]), body[at].spaced, opaque=True))
        at = end
    return pieces


def _stretch_end(body: list[Token], start: int, params: Set[str | None]) -> int:
    """Return the end of the stretch that begins at `start`: the last index with all of its parentheses closed."""
    end = start
    if not body[start].text.isidentifier() or (start and body[start - 1].text in _PASTING):
        return end
    depth = 0
    for at in range(start, len(body)):
        text = body[at].text
        is_apart = text in params or text in _PASTING or (at + 1 < len(body) and body[at + 1].text in _PASTING)
        if is_apart or (not depth and text in (",", ")")):
            break
        depth += (text == "(") - (text == ")")
        if not depth:
            end = at + 1
    return end


_PASTING = frozenset(("#", "##"))


def parse_define(definition: str, source: Source, span: Span, presence: PresenceCondition) -> Macro | None:
    """Parse the `definition` of a #define; None when the text defines no macro."""
    head = _HEAD.match(definition)
    if not head:
        return None
    text = definition[head.end() :].strip()
    if head[2] is None:
        return Macro(head[1], None, None, text, source, span, presence)
    params = [name.strip() for name in head[3].split(",")] if head[3].strip() else []
    rest = None
    if params and params[-1].endswith("..."):
        rest = params.pop()[:-3].strip() or "__VA_ARGS__"
    if not all(param.isidentifier() for param in params):
        return None
    return Macro(head[1], tuple(params), rest, text, source, span, presence)


def is_inert(text: str, macros: Mapping[str, Macro]) -> bool:
    """Return whether no word of a text is a macro."""
    return macros.keys().isdisjoint(WORD.findall(text))


def closure(words: Iterable[str], macros: Mapping[str, Macro]) -> dict[str, Macro]:
    """Return the macros that `words` name, and all macros that these use in turn."""
    found: dict[str, Macro] = {}
    todo = list(words)
    while todo:
        word = todo.pop()
        if word in macros and word not in found:
            found[word] = macros[word]
            todo.extend(macros[word].words)
    return found


# --- expansion -----------------------------------------------------------------------------------------------------

# Five times what the biggest real header (fs/xfs/xfs_trace.h of Linux 7.2) makes of its macros: 33 000 tokens with
# 220 000 characters.
_MOST_WORK = 2_500_000
_WORK_PER_TOKEN = 8
_DEEPEST_NESTING = 60


class Expander:
    """Expand macros of `macros`, a table that may change between two calls.

    One expander serves one header and counts its work: past the limit `expand` raises `ExpansionLimit`.
    """

    def __init__(self, macros: Mapping[str, Macro]) -> None:
        self._macros = macros
        self._left = _MOST_WORK
        self._depth = 0

    def expand(self, tokens: Iterable[Token]) -> list[Token]:
        """Return the full expansion of `tokens`."""
        done: list[Token] = []
        # The tokens still to do, the next one last.
        todo = list(tokens)
        todo.reverse()
        while todo:
            token = todo.pop()
            if token.opaque:
                if self._is_inert(token):
                    done.append(token)
                else:
                    todo.extend(reversed(self._charged(_taken_apart(token))))
                continue
            macro = self._macros.get(token.text)
            if macro is None or self._is_within(macro, token.origin):
                done.append(token)
            elif macro.params is None:
                origin = Expansion(macro, token.origin)
                todo.extend(reversed(self._charged(self._replacement(macro, {}, token, origin))))
            else:
                call = _collect(todo)
                if call is None:
                    done.append(token)
                    continue
                arguments, closing = call
                bound = _bind(macro, arguments)
                origin = Expansion(macro, _common(token.origin, closing.origin))
                todo.extend(reversed(self._charged(self._replacement(macro, bound, token, origin))))
        return done

    def _is_within(self, macro: Macro, origin: Expansion | None) -> bool:
        """Return whether `macro` is in the hide set of `origin`. Looking through a large one is work as well."""
        around = tuple(origin or ())
        self.charge(len(around))
        return macro in around

    def _is_inert(self, token: Token) -> bool:
        return is_inert(token.text, self._macros)

    def _charged(self, tokens: list[Token]) -> list[Token]:
        self.charge(sum([len(token.text) + _WORK_PER_TOKEN for token in tokens]))
        return tokens

    def charge(self, work: int) -> None:
        """Count work: characters and tokens produced. Raises `ExpansionLimit`."""
        self._left -= work
        if self._left < 0:
            raise ExpansionLimit

    def _argument(self, tokens: list[Token]) -> list[Token]:
        """Expand an argument by itself."""
        if all(self._is_inert(token) if token.opaque else token.text not in self._macros for token in tokens):
            return tokens
        if self._depth == _DEEPEST_NESTING:
            raise ExpansionLimit
        self._depth += 1
        try:
            return self.expand(tokens)
        finally:
            self._depth -= 1

    def _marked(self, tokens: list[Token], macro: Macro) -> list[Token]:
        """Put `macro` into the hide set of an argument's tokens. Only names of macros need it."""
        return [
            token._replace(origin=Expansion(macro, token.origin))
            if token.opaque or token.text in self._macros
            else token
            for token in tokens
        ]

    def _raw(self, argument: list[Token] | None, token: Token, origin: Expansion) -> list[Token]:
        """Return an operand of `##`: an argument as it was written, or the body's own token."""
        if argument is None:
            return [Token(token.text, token.spaced, origin)]
        return _spaced(self._marked(argument, origin.macro), token.spaced)

    def _replacement(
        self, macro: Macro, bound: Mapping[str, list[Token]], call: Token, origin: Expansion
    ) -> list[Token]:
        """Substitute the arguments into the replacement list of `macro`, with `#` and `##` but without a rescan."""
        result: list[Token] = []
        expanded: dict[str, list[Token]] = {}
        body = macro.pieces
        if _VA_OPT in macro.words:
            body = _with_options(macro.body, bool(macro.rest and bound.get(macro.rest)))
        pasting = False
        for index, token in enumerate(body):
            text = token.text
            argument = bound.get(text)
            if text == "##" and result and index + 1 < len(body):
                pasting = True
                continue
            if pasting:
                pasting = False
                _paste(result, self._raw(argument, token, origin), macro, text, origin)
            elif text == "#" and macro.params is not None and index + 1 < len(body) and body[index + 1].text in bound:
                result.append(Token(_stringified(bound[body[index + 1].text]), token.spaced, origin))
            elif index and body[index - 1].text == "#" and argument is not None and macro.params is not None:
                continue
            elif argument is None:
                result.append(Token(text, token.spaced, origin, token.opaque))
            elif index + 1 < len(body) and body[index + 1].text == "##":
                result.extend(self._raw(argument, token, origin) or [Token("", token.spaced, origin)])
            else:
                if text not in expanded:
                    expanded[text] = self._marked(self._argument(argument), macro)
                result.extend(_spaced(expanded[text], token.spaced))
        result = [token for token in result if token.text]
        return _spaced(result, call.spaced)


_VA_OPT = "__VA_OPT__"


def _with_options(body: list[Token], has_rest: bool) -> list[Token]:
    """Return a body with what stands in each `__VA_OPT__(…)`, or where no further arguments are given without it."""
    result: list[Token] = []
    depth, optional = 0, False
    for token in body:
        if token.text == _VA_OPT and not optional:
            depth, optional = 0, True
            continue
        if optional:
            depth += (token.text == "(") - (token.text == ")")
            if not depth:
                optional = False
            elif has_rest and (depth > 1 or token.text != "("):
                result.append(token)
            continue
        result.append(token)
    return result


def _taken_apart(token: Token) -> list[Token]:
    return _spaced(tokenize(token.text, token.origin), token.spaced)


def _spaced(tokens: list[Token], spaced: bool) -> list[Token]:
    if not tokens or tokens[0].spaced == spaced:
        return tokens
    return [tokens[0]._replace(spaced=spaced), *tokens[1:]]


def _collect(todo: list[Token]) -> tuple[list[list[Token]], Token] | None:
    """Pop the arguments that follow a macro's name off `todo`; None, with nothing popped, where none follow."""
    if todo and todo[-1].opaque and todo[-1].text.startswith("("):
        todo.extend(reversed(_taken_apart(todo.pop())))
    if not todo or todo[-1].text != "(":
        return None
    arguments: list[list[Token]] = [[]]
    depth = 0
    for index in range(len(todo) - 1, -1, -1):
        token = todo[index]
        text = "" if token.opaque else token.text
        if text == "(":
            depth += 1
            if depth == 1:
                continue
        elif text == ")":
            depth -= 1
            if depth == 0:
                del todo[index:]
                return arguments, token
        elif text == "," and depth == 1:
            arguments.append([])
            continue
        arguments[-1].append(token)
    return None


def _bind(macro: Macro, arguments: list[list[Token]]) -> dict[str, list[Token]]:
    assert macro.params is not None
    count = len(macro.params)
    if count == 0 and macro.rest is None and arguments == [[]]:
        arguments = []
    if len(arguments) < count or (len(arguments) > count and macro.rest is None):
        raise BadInvocation(f"{macro.name} takes {count} arguments, {len(arguments)} given")
    bound = dict(zip(macro.params, arguments, strict=False))
    if macro.rest is not None:
        rest: list[Token] = []
        for number, argument in enumerate(arguments[count:]):
            rest += [Token(",")] * bool(number) + argument
        bound[macro.rest] = rest
    return bound


def _common(one: Expansion | None, other: Expansion | None) -> Expansion | None:
    """Return the common part of two chains: the intersection of the hide sets."""
    if one is other:
        return one
    chain = []
    while other:
        chain.append(other)
        other = other.outer
    while one and not any(one is link for link in chain):
        one = one.outer
    return one


def _paste(result: list[Token], right: list[Token], macro: Macro, name: str, origin: Expansion) -> None:
    """Paste the first token of `right` to the last one of `result`."""
    left = result[-1]
    if left.text == "," and name == macro.rest:
        # GNU C: `, ## args` drops the comma where no further arguments are given, and else pastes nothing.
        if right:
            result.extend(right)
        else:
            result.pop()
        return
    if not right:
        return
    result.pop()
    result.extend(_spaced(tokenize(left.text + right[0].text, origin), left.spaced))
    result.extend(right[1:])


def _stringified(tokens: list[Token]) -> str:
    text = " ".join(join(tokens).split())
    return '"' + re.sub(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", _escaped, text) + '"'


def _escaped(literal: re.Match[str]) -> str:
    return literal[0].replace("\\", "\\\\").replace('"', '\\"')
