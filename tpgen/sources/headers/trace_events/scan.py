"""The scan of a header for its statements: every class, event and tracepoint that it makes, in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic, Position, Severity
from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.directives import Directive, Structure, structure
from tpgen.sources.headers.preprocessor.expressions import MacroEnvironment
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
from tpgen.sources.headers.preprocessor.source import Source, Span, group_end, split_arguments
from tpgen.sources.headers.trace_events.expansion_cache import ExpansionCache, PrimitiveCall, invocation, primitives
from tpgen.sources.headers.trace_events.family import CLASS, OTHER, PRIMITIVES, entry_family
from tpgen.sources.headers.trace_events.macro_table import MacroTable
from tpgen.sources.headers.trace_events.struct_entries import head, split_entries

# After so many invocations that never close, a header is no C at all.
_MOST_UNBALANCED = 8
_DEEPEST_INCLUDE = 8


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
                if match[0].isupper() and _EVENT_LIKE.match(code, match.start()):
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
            if makes_events:
                self._report_unbalanced(source, start, macro.name)
            return opening + 1
        spans, end = sliced
        if makes_events or self._macros.reaches_primitive(WORD.findall(code, opening, end)):
            inner = _undecided(shape, (opening, end), presence)
            if not inner:
                self._take(source, (start, end), macro, _texts(code, spans), presence)
                return end
            return self._read_ways(source, shape, word, sliced, presence)
        return end

    def _read_ways(
        self, source: Source, shape: Structure, word: re.Match[str], sliced: tuple[list[Span], int],
        presence: PresenceCondition,
    ) -> int:  # fmt: skip
        """Read an invocation with undecided conditionals inside, once for each way to compile it.

        `sliced` is how its arguments and its end come out of all branches together; each way has its own.
        """
        macro, start, (spans, end) = self._macros[word[0]], word.start(), sliced
        opening = spans[0][0] - 1
        limit = _behind_conditional(shape, (opening, end), presence)
        inner = _undecided(shape, (opening, limit), presence)
        ways = hoist(shape.code, (opening, limit), presence, inner)
        if ways is None:
            self._skip(
                "header-condition-inside", "too many conditions inside an invocation: all branches are taken together",
                source, inner[0].start, hint="give the kernel's configuration",
            )  # fmt: skip
            self._take(source, (start, end), macro, _texts(shape.code, spans), presence)
            return end
        ends: list[int] = []
        forms: list[tuple[list[str], PresenceCondition]] = []
        for text, where in ways:
            split = split_arguments(text, 0)
            if split is None:
                self._report_unbalanced(source, start, macro.name)
                return end
            ends.append(opening + split[1])
            forms.append((_texts(text, split[0]), where))
        end = max(ends)
        if len({_what_counts(arguments) for arguments, _ in forms}) == 1:
            forms = [(forms[0][0], presence)]
        for arguments, where in forms:
            self._take(source, (start, end), macro, arguments, where)
        return end

    def _report_unknown(self, source: Source, word: re.Match[str]) -> None:
        self._found.unknown.setdefault(word[0], word.start())
        self._skip("header-unknown-macro", f"{word[0]} is not defined here; it may make events", source, word.start())

    def _take(
        self, source: Source, span: Span, macro: Macro, arguments: list[str], presence: PresenceCondition
    ) -> None:
        calls = self._expansions.instantiate(macro, arguments, self._macros, self._tried)
        if calls is None:
            calls = self._expanded(source, span, [Token(macro.name), *invocation(arguments)])
        self._record(source, span, calls, presence)

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
            name = _CODE_WORD.match(source.clean, *span)
            self._skip(
                "header-expansion-limit", f"{name[0] if name else 'this'} expands without end", source, span[0],
                Severity.ERROR, "the rest of this header is not read",
            )  # fmt: skip
            raise _GivenUp from None

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
_EVENT_LIKE = re.compile(r"(?<![^\n])\w*EVENT\w*\s*\(")
_CODE_WORD = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|\w+""")


def _texts(code: str, spans: Iterable[Span]) -> list[str]:
    return [code[start:end].strip() for start, end in spans]


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


def _behind_conditional(shape: Structure, span: Span, presence: PresenceCondition) -> int:
    """Return where the last way of an invocation under `presence` has ended, which with all branches ends `span`.

    A branch that holds a parenthesis of its own for what each other branch closes as well ends the invocation early.
    """
    inner = inner_directives(shape.directives, span)
    if inner[-1].presence == presence:
        return span[1]
    behind = inner_directives(shape.directives, (span[1], len(shape.code)))
    closing = next((number for number, found in enumerate(behind) if found.presence == presence), None)
    if closing is None or closing + 1 == len(behind):
        return len(shape.code)
    return behind[closing + 1].start


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
