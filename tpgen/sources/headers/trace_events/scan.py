"""The scan of a header for its statements: every class, event and tracepoint that it makes, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, product
from math import prod

from tpgen.basics.frozen import frozen, replace
from tpgen.diagnostics import Diagnostic, Position, Severity
from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.directives import Directive, Structure, structure
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment
from tpgen.sources.headers.preprocessor.hoisting import MOST as MOST_WAYS
from tpgen.sources.headers.preprocessor.hoisting import hoist, inner_directives
from tpgen.sources.headers.preprocessor.macros import (
    WORD,
    BadInvocation,
    Expander,
    Expansion,
    ExpansionLimit,
    Macro,
    Token,
    parse_define,
)
from tpgen.sources.headers.preprocessor.source import Source, Span, blank, group_end, split_arguments
from tpgen.sources.headers.trace_events.expansion_cache import ExpansionCache, PrimitiveCall, invocation, primitives
from tpgen.sources.headers.trace_events.family import CLASS, OTHER, PRIMITIVES, entry_family
from tpgen.sources.headers.trace_events.macro_table import MacroTable
from tpgen.sources.headers.trace_events.struct_entries import head, split_entries

# After so many invocations that never close, a header is no C at all.
_MOST_UNBALANCED = 8
_DEEPEST_INCLUDE = 8
# So many invocations may begin in a branch and end behind its #if: for each, the rest of the header is looked at.
_MOST_SPANNING = 64


@frozen
class Statement:
    """One primitive with its arguments as text, made by the invocation at `span` of `source`.

    `systems` are the values of TRACE_SYSTEM here, each with the condition of its definition; several where branches
    of an #if set it differently, none where it is not set.
    """

    primitive: str
    arguments: tuple[str, ...]
    source: Source
    span: Span
    systems: tuple[tuple[str, str | None], ...]
    presence: PresenceCondition
    origin: Expansion | None
    # The entries of a class's TP_STRUCT__entry.
    entries: tuple[str, ...] = ()

    @property
    def position(self) -> Position:
        return self.source.position(self.span[0])


def macro_chain(origin: Expansion | None) -> tuple[str, ...]:
    """Return the header's own macros that a primitive came through, innermost first, for a diagnostic."""
    own = list(origin or ())[1:]
    return tuple(f"expanded from {macro.name} at {macro.source.position(macro.span[0])}" for macro in own)


@dataclass(slots=True)
class Scan:
    """The result of scanning one header.

    `unknown` maps words that look like macros of the family's kind and are not defined to the offset of their use.
    """

    source: Source
    statements: list[Statement] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    skipped: list[Diagnostic] = field(default_factory=list)


def scan(
    source: Source,
    family: Mapping[str, Macro],
    environment: MacroEnvironment,
    include: Callable[[Source, str], Source | None] = lambda source, name: None,
    borrowed: Mapping[str, Macro] | None = None,
    expansions: ExpansionCache | None = None,
) -> Scan:
    """Find the statements of a header.

    `include` returns the fragment that an `#include name` of a source names, None for any other header. `borrowed` are
    macros that other headers define for this one. `expansions` are cached expansions that headers of a tree share.
    """
    found = Scan(source)
    scanner = _Scanner(family, environment, include, borrowed or {}, expansions or ExpansionCache(family), found)
    scanner.read(source)
    return found


class _Scanner:
    def __init__(
        self,
        family: Mapping[str, Macro],
        environment: MacroEnvironment,
        include: Callable[[Source, str], Source | None],
        borrowed: Mapping[str, Macro],
        expansions: ExpansionCache,
        found: Scan,
    ) -> None:
        self._family = family
        self._fields = entry_family()
        self._environment = environment
        self._include = include
        self._expansions = expansions
        self._found = found
        self._macros = MacroTable(family, borrowed)
        self._systems: list[Macro] = []
        self._expander = Expander(self._macros)
        self._depth = 0
        self._unbalanced = 0
        self._spanning = 0

    # --- one header

    def read(self, source: Source) -> None:
        """Read a header or a fragment."""
        shape = structure(source, self._environment)
        self._report_structure(source, shape)
        at = 0
        try:
            for index, directive in enumerate(shape.directives):
                presence = shape.directives[index - 1].presence if index else PresenceCondition()
                at = self._read_code(source, shape, at, directive.start, presence)
                self._obey(source, directive)
            presence = shape.directives[-1].presence if shape.directives else PresenceCondition()
            self._read_code(source, shape, at, len(shape.code), presence)
        except _GivenUp:
            pass

    def _report_structure(self, source: Source, shape: Structure) -> None:
        comment = source.open_comment
        if comment is not None:
            self._skip("header-open-comment", "this comment does not end", source, comment, Severity.ERROR)
        for offset in shape.stray:
            self._skip("header-stray-directive", "this directive belongs to no #if", source, offset)
        if shape.open:
            last = shape.directives[-1].presence.branches[-1].group
            self._skip("header-open-condition", "this #if has no #endif", source, last)

    def _skip(
        self, code: str, message: str, source: Source, offset: int, severity: Severity = Severity.NOTE,
        hint: str | None = None, chain: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._found.skipped.append(Diagnostic(code, message, source.position(offset), hint, severity, chain))

    # --- directives

    def _obey(self, source: Source, directive: Directive) -> None:
        if directive.presence.value is False:
            return
        if directive.keyword == "define":
            self._define(source, directive)
        elif directive.keyword == "undef":
            self._undefine(directive)
        elif directive.keyword == "include":
            self._read_fragment(source, directive)

    def _define(self, source: Source, directive: Directive) -> None:
        macro = parse_define(directive.rest, source, (directive.start, directive.end), directive.presence)
        if macro is None:
            return
        if macro.name == "TRACE_SYSTEM":
            self._systems = [other for other in self._systems if other.presence.excludes(macro.presence)] + [macro]
        else:
            self._macros.define(macro)

    def _undefine(self, directive: Directive) -> None:
        if directive.name == "TRACE_SYSTEM":
            self._systems = [macro for macro in self._systems if macro.presence.excludes(directive.presence)]
        else:
            self._macros.undefine(directive.name, directive.presence)

    def _read_fragment(self, source: Source, directive: Directive) -> None:
        fragment = self._include(source, directive.rest.strip())
        if fragment is None:
            return
        if self._depth == _DEEPEST_INCLUDE:
            self._skip("header-include-depth", "includes nest too deep here", source, directive.start)
            return
        self._depth += 1
        self.read(fragment)
        self._depth -= 1

    # --- code

    def _read_code(self, source: Source, shape: Structure, at: int, end: int, presence: PresenceCondition) -> int:
        """Read the invocations that begin between `at` and `end`; return where the last one ended, at least `end`."""
        code = shape.code
        while at < end:
            for match in _CODE_WORD.finditer(code, at, end):
                if match[0] in self._macros:
                    break
                if "EVENT" in match[0] and match[0].isupper() and _begins_invocation(code, match):
                    self._report_unknown(source, match)
            else:
                break
            at = self._read_invocation(source, shape, match, presence)
        return max(at, end)

    def _read_invocation(
        self, source: Source, shape: Structure, word: re.Match[str], presence: PresenceCondition
    ) -> int:
        """Read the macro invocation that begins with `word`; return the offset behind it."""
        code, start, end = shape.code, word.start(), word.end()
        macro = self._macros[word[0]]
        makes_events = self._macros.makes_events(macro.name)
        opening = _next_visible(code, end)
        if not code.startswith("(", opening) or not self._macros.takes_arguments(macro):
            if makes_events:
                self._record(source, (start, end), self._expanded(source, (start, end), [Token(word[0])]), presence)
            return end
        sliced = split_arguments(code, opening)
        if sliced is None:
            return self._read_apart(source, shape, word, opening + 1, presence) if makes_events else opening + 1
        spans, end = sliced
        if makes_events or self._macros.reaches_primitive(WORD.findall(code, opening, end)):
            if not _undecided(shape, (opening, end), presence):
                self._take(source, (start, end), macro, _texts(code, spans), presence)
                return end
            return self._read_apart(source, shape, word, end, presence)
        return end

    def _read_apart(
        self, source: Source, shape: Structure, word: re.Match[str], end: int, presence: PresenceCondition
    ) -> int:
        """Read an invocation with conditionals inside, that of another branch or its own; return where to go on.

        With all branches together it ends at `end`. Where each branch begins it anew, the rest is read with each.
        """
        behind = self._read_ways(source, shape, word, end, presence)
        if behind is not None:
            return behind
        opening = _next_visible(shape.code, word.end())
        leaving = _leaving(shape, opening, presence)
        if leaving is not None and self._spanning < _MOST_SPANNING:
            self._spanning += 1
            alone = _compiled_with(shape, leaving, presence)
            sliced = split_arguments(alone.code, opening)
            if sliced is not None and not _undecided(alone, (opening, sliced[1]), presence):
                texts = _texts(alone.code, sliced[0])
                self._take(source, (word.start(), sliced[1]), self._macros[word[0]], texts, presence)
                return leaving
            if self._read_ways(source, alone, word, sliced[1] if sliced else opening + 1, presence) is not None:
                return leaving
        self._report_unbalanced(source, word.start(), word[0])
        return end

    def _read_ways(
        self, source: Source, shape: Structure, word: re.Match[str], end: int, presence: PresenceCondition
    ) -> int | None:
        """Read an invocation with undecided conditionals inside, once for each way to compile it.

        With all branches together it ends at `end`; each way has its own end, and its own arguments. Return the last of
        these ends; None, and nothing is read, where some way has none.
        """
        macro, start = self._macros[word[0]], word.start()
        opening = _next_visible(shape.code, word.end())
        for limit in _limits(shape, (opening, end), presence):
            inner = _undecided(shape, (opening, limit), presence)
            ways = hoist(shape.code, (opening, limit), presence, inner) if inner else []
            if ways is None:
                return self._read_together(source, shape, word, presence, inner[0].start)
            if (found := _forms(ways)) is not None:
                forms, length = found
                for arguments, where in forms if len(forms) > 1 else [(forms[0][0], presence)]:
                    self._take(source, (start, opening + length), macro, arguments, where)
                return opening + length
        return None

    def _read_together(
        self, source: Source, shape: Structure, word: re.Match[str], presence: PresenceCondition, where: int
    ) -> int | None:
        """Read an invocation with too many conditionals inside, the first of them at `where`: all branches together."""
        opening = _next_visible(shape.code, word.end())
        sliced = split_arguments(shape.code, opening)
        if sliced is None:
            return None
        spans, end = sliced
        self._skip_conditions(source, where)
        self._take(source, (word.start(), end), self._macros[word[0]], _texts(shape.code, spans), presence)
        return end

    def _skip_conditions(self, source: Source, offset: int) -> None:
        self._skip(
            "header-condition-inside", "too many conditions inside an invocation: all branches are taken together",
            source, offset, hint="give the kernel's configuration",
        )  # fmt: skip

    def _report_unknown(self, source: Source, word: re.Match[str]) -> None:
        self._found.unknown.setdefault(word[0], word.start())
        self._skip("header-unknown-macro", f"{word[0]} is not defined here; it may make events", source, word.start())

    def _take(
        self, source: Source, span: Span, macro: Macro, arguments: list[str], presence: PresenceCondition
    ) -> None:
        """Record what an invocation of `macro` makes; of macros with alternatives, with each of these."""
        choices = self._macros.choices([macro.name, *chain.from_iterable(map(WORD.findall, arguments))])
        if not choices:
            calls = self._expansions.instantiate(macro, arguments, self._macros, self._tried)
            if calls is None:
                calls = self._expanded(source, span, [Token(macro.name), *invocation(arguments)])
            self._record(source, span, calls, presence)
            return
        if prod(map(len, choices)) > MOST_WAYS:
            self._skip_conditions(source, span[0])
            choices = [found[:1] for found in choices]
        ways: dict[PresenceCondition, list[PrimitiveCall]] = {}
        for chosen in product(*choices):
            where: PresenceCondition | None = presence
            for found in chosen:
                where = where and where.joined(found.presence)
            if where is not None:
                ways[where] = self._expanded_with(chosen, source, span, [Token(macro.name), *invocation(arguments)])
        if len({tuple((name, texts) for name, _, texts in calls) for calls in ways.values()}) == 1:
            ways = {presence: next(iter(ways.values()))}
        for where, calls in ways.items():
            self._record(source, span, calls, where)

    def _expanded_with(
        self, chosen: Iterable[Macro], source: Source, span: Span, tokens: list[Token]
    ) -> list[PrimitiveCall]:
        """Expand `tokens` with these definitions of macros that have several."""
        expander, self._expander = self._expander, Expander(self._macros.with_choice(chosen))
        try:
            return list(self._expanded(source, span, tokens))
        except ExpansionLimit:
            self._skip_endless(source, span)
            raise _GivenUp from None
        finally:
            self._expander = expander

    def _tried(self, tokens: list[Token]) -> list[Token] | None:
        """Expand `tokens`; None where something is wrong."""
        try:
            return self._expander.expand(tokens)
        except (BadInvocation, ExpansionLimit):
            return None

    def _expanded(self, source: Source, span: Span, tokens: list[Token]) -> Iterator[PrimitiveCall]:
        """Yield the primitives that `tokens` expand to; report what is wrong."""
        try:
            expanded = self._expander.expand(tokens)
        except BadInvocation as error:
            self._skip("header-arguments", str(error), source, span[0], Severity.ERROR)
            return
        for token, arguments in primitives(expanded, self._family):
            if arguments is not None:
                yield token.text, token.origin, arguments
            elif token.text in PRIMITIVES:
                self._skip(
                    "header-arguments", "this expands to an event with commas or parentheses out of place", source,
                    span[0], Severity.ERROR, chain=macro_chain(token.origin),
                )  # fmt: skip
            else:
                self._report_unbalanced(source, span[0], token.text)

    def _record(self, source: Source, span: Span, calls: Iterable[PrimitiveCall], presence: PresenceCondition) -> None:
        """Record the statements that an invocation makes."""
        try:
            for primitive, origin, arguments in calls:
                self._expander.charge(sum(map(len, arguments)))
                self._record_one(source, span, primitive, origin, arguments, presence)
        except ExpansionLimit:
            self._skip_endless(source, span)
            raise _GivenUp from None

    def _skip_endless(self, source: Source, span: Span) -> None:
        name = _CODE_WORD.match(source.clean, *span)
        self._skip(
            "header-expansion-limit", f"{name[0] if name else 'this'} expands without end", source, span[0],
            Severity.ERROR, "the rest of this header is not read",
        )  # fmt: skip

    def _record_one(
        self, source: Source, span: Span, primitive: str, origin: Expansion | None, arguments: tuple[str, ...],
        presence: PresenceCondition,
    ) -> None:  # fmt: skip
        if primitive == OTHER:
            self._skip(
                "header-other-event", f"{arguments[0]} {arguments[1]} is not a tracepoint, so it is left out",
                source, span[0], chain=macro_chain(origin),
            )  # fmt: skip
            return
        systems = tuple((_system(macro, self._macros), macro.presence.condition) for macro in self._systems)
        entries = split_entries(arguments[3]) if primitive == CLASS else ()
        for word in map(head, entries):
            if word not in self._fields:
                self._found.unknown.setdefault(word, span[0])
        self._found.statements.append(Statement(primitive, arguments, source, span, systems, presence, origin, entries))

    def _report_unbalanced(self, source: Source, offset: int, name: str) -> None:
        self._skip(
            "header-unbalanced", f"the parentheses of this {name} do not close", source, offset, Severity.ERROR,
            "close the invocation with `)`",
        )  # fmt: skip
        self._unbalanced += 1
        if self._unbalanced == _MOST_UNBALANCED:
            raise _GivenUp


class _GivenUp(Exception):
    """The header is not worth reading further; what is wrong has been reported."""


# Arguments that the family's macros drop: conditionals in them decide nothing.
_DROPPED = re.compile(r"\b(?:TP_fast_assign|TP_printk|TP_perf_assign|TP_CONDITION)\s*+\(")
# Literals are matched so that the words in them are not.
_VISIBLE = re.compile(r"\S")
_CODE_WORD = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|\w+""")


def _begins_invocation(code: str, word: re.Match[str]) -> bool:
    """Return whether a word stands at the start of a line and has parentheses behind it."""
    at_start = not word.start() or code[word.start() - 1] == "\n"
    return at_start and code.startswith("(", _next_visible(code, word.end()))


def _texts(code: str, spans: Iterable[Span]) -> list[str]:
    return [code[start:end].strip() for start, end in spans]


_Forms = list[tuple[list[str], PresenceCondition]]


def _forms(ways: Iterable[tuple[str, PresenceCondition]]) -> tuple[_Forms, int] | None:
    """Return the arguments of an invocation in each way to compile it, and the length of the longest.

    One form where what counts is the same in all. None where some way does not close, or there are none.
    """
    forms: _Forms = []
    length = 0
    for text, where in ways:
        split = split_arguments(text, 0)
        if split is None:
            return None
        forms.append((_texts(text, split[0]), where))
        length = max(length, split[1])
    if len({_what_counts(arguments) for arguments, _ in forms}) == 1:
        forms = forms[:1]
    return (forms, length) if forms else None


def _what_counts(arguments: Iterable[str]) -> tuple[str, ...]:
    """Return the arguments of an invocation without those that the family's macros drop, and with single blanks."""
    return tuple(" ".join(text.split()) for text in arguments if not _DROPPED.match(text))


def _undecided(shape: Structure, span: Span, presence: PresenceCondition) -> tuple[Directive, ...]:
    """Return the directives that divide what counts of an invocation under `presence`; empty where all are decided.

    Conditionals that lie wholly inside of a dropped argument are left out.
    """
    inner = inner_directives(shape.directives, span)
    if all(directive.presence.value is not None for directive in inner):
        return ()
    dropped: set[Directive] = set()
    for match in _DROPPED.finditer(shape.code, *span):
        end = group_end(shape.code, match.end() - 1, span[1])
        inside = inner_directives(inner, (match.end(), end or match.end()))
        before = inner_directives(inner, (span[0], match.end()))
        if inside and inside[-1].presence == (before[-1].presence if before else presence):
            dropped.update(inside)
    left = tuple(directive for directive in inner if directive not in dropped)
    return left if any(directive.presence != presence for directive in left) else ()


def _limits(shape: Structure, span: Span, presence: PresenceCondition) -> Iterator[int]:
    """Yield where the last way of an invocation under `presence` may have ended, which with all branches ends `span`.

    A branch may hold a parenthesis of its own for what each other branch opens or closes as well. So that is there, or
    behind one of the next conditionals.
    """
    inner = inner_directives(shape.directives, span)
    if not inner or inner[-1].presence == presence:
        yield span[1]
    depth, found = len(presence.branches), 0
    for directive, end in _behind(shape, span[1]):
        if directive.presence.branches[:depth] != presence.branches:
            return
        if directive.presence == presence:
            yield end
            found += 1
            if found == MOST_WAYS:
                return


def _behind(shape: Structure, at: int) -> Iterator[tuple[Directive, int]]:
    """Yield the directives behind `at`, each with the start of the next one, the last with the end of the header."""
    behind = inner_directives(shape.directives, (at, len(shape.code)))
    for number, found in enumerate(behind, 1):
        yield found, behind[number].start if number < len(behind) else len(shape.code)


def _leaving(shape: Structure, at: int, presence: PresenceCondition) -> int | None:
    """Return the start of the directive behind `at` that ends the branch of `presence`; None where it has none."""
    behind = inner_directives(shape.directives, (at, len(shape.code)))
    depth = len(presence.branches)
    return next((found.start for found in behind if found.presence.branches[:depth] != presence.branches), None)


def _compiled_with(shape: Structure, start: int, presence: PresenceCondition) -> Structure:
    """Return the header with `presence` holding from `start` on as well: what it excludes is blank."""
    pieces = [shape.code[:start]]
    directives = [found for found in shape.directives if found.start < start]
    for found, end in _behind(shape, start):
        where = presence.joined(found.presence)
        text = shape.code[found.start : end]
        pieces.append(blank(text) if where is None else text)
        if where is not None:
            directives.append(replace(found, presence=where))
    return replace(shape, directives=tuple(directives), code="".join(pieces))


def _next_visible(code: str, at: int) -> int:
    match = _VISIBLE.search(code, at)
    return match.start() if match else len(code)


def _system(macro: Macro, macros: Mapping[str, Macro]) -> str:
    """Return the value of TRACE_SYSTEM: other macros of the header followed, quotes stripped."""
    text = macro.text
    for _ in range(8):
        if text not in macros:
            break
        text = macros[text].text
    return text.strip().strip('"').strip()
