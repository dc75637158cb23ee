"""Texts that events print: the TP_printk of a class or an event, with those macros expanded that make its shape.

Constants keep their names, `TASK_INTERRUPTIBLE` or `GFP_KERNEL`: of other headers' macros those are expanded that hold
lists and texts, or a call that prints names, or that make one of their parameters a macro.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Position
from tpgen.sources.headers.preprocessor.environment import ConfigEnvironment
from tpgen.sources.headers.preprocessor.macros import Macro
from tpgen.sources.headers.preprocessor.source import Source
from tpgen.sources.headers.trace_events.expansion_cache import ExpansionCache
from tpgen.sources.headers.trace_events.family import CLASS_PRINT, EVENT_PRINT, print_family
from tpgen.sources.headers.trace_events.scan import Statement, scan
from tpgen.sources.headers.trace_events.units import HeaderUnit

#: Finds the macro of a name, as the header at a path sees it.
MacroOf = Callable[[str, str], Macro | None]

_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_CONDITIONAL = re.compile(r"^[ \t]*#", re.MULTILINE)
_TOKEN = re.compile(r"\w+|->|\S")
# What the kernel makes of these in each of its readings is not what they say.
_TRANSPARENT = ("__print_", "__get_", "TP_printk", "__entry")
_MOST_MACROS = 2000


@frozen
class HeaderPrints:
    """The texts of one header, by the name and the place of the class, or of the event."""

    classes: Mapping[tuple[str, Position], str]
    events: Mapping[tuple[str, Position], str]


class PrintReader:
    """The reader of what the events of a tree print, header by header.

    `text` returns the text of a file, `macro_of` finds macros of other headers.
    """

    def __init__(
        self,
        units: Sequence[HeaderUnit],
        text: Callable[[str], str],
        environment: ConfigEnvironment,
        macro_of: MacroOf,
    ) -> None:
        self._units = {unit.path: unit for unit in units}
        self._environment = environment
        self._macro_of = macro_of
        self._family = print_family()
        self._expansions = ExpansionCache(self._family)
        self._source = cache(lambda path: Source(path, text(path)))
        self._prints: dict[str, HeaderPrints] = {}
        self._unit_at = {position: unit.path for unit in units for position in _positions(unit)}

    def of(self, class_name: str, of_class: Position, event_name: str, of_event: Position) -> str | None:
        """Return what an event prints, and its class where it prints nothing else; None where that is unknown."""
        own = self._prints_at(of_event).events.get((event_name, of_event))
        return own or self._prints_at(of_class).classes.get((class_name, of_class)) or None

    def _prints_at(self, position: Position) -> HeaderPrints:
        path = self._unit_at.get(position)
        if path is None:
            return HeaderPrints({}, {})
        if path not in self._prints:
            self._prints[path] = self._read(self._units[path])
        return self._prints[path]

    def _read(self, unit: HeaderUnit) -> HeaderPrints:
        statements = self._scan(unit, {})
        borrowed = self._structural(unit.path, [text for each in statements for text in each.arguments[1:]])
        statements = self._scan(unit, borrowed) if borrowed else statements
        texts: dict[str, dict[tuple[str, Position], set[str]]] = {CLASS_PRINT: {}, EVENT_PRINT: {}}
        for each in statements:
            key = each.arguments[0], each.position
            texts[each.primitive].setdefault(key, set()).add(each.arguments[1] if self._is_decided(each) else "")
        # Of what branches of an #if print differently nobody knows which.
        return HeaderPrints(
            *({key: found.pop() for key, found in some.items() if len(found) == 1} for some in texts.values())
        )

    def _scan(self, unit: HeaderUnit, borrowed: Mapping[str, Macro]) -> list[Statement]:
        fragments = {(includer, name): found for includer, name, found in unit.includes}

        def include(includer: Source, name: str) -> Source | None:
            found = fragments.get((includer.path, name))
            return None if found is None else self._source(found)

        found = scan(self._source(unit.path), self._family, self._environment, include, borrowed, self._expansions)
        return [each for each in found.statements if each.primitive in (CLASS_PRINT, EVENT_PRINT)]

    def _is_decided(self, statement: Statement) -> bool:
        """Whether no #if in the invocation may leave out a part of it."""
        whole = statement.source.clean[slice(*statement.span)]
        return self._environment.config is not None or not _CONDITIONAL.search(whole)

    def _structural(self, path: str, texts: Iterable[str]) -> dict[str, Macro]:
        """Return the macros of other headers that make the shape of what is printed."""
        known: dict[str, Macro | None] = {}
        todo = [word for text in texts for word in _shaping_words(text)]
        while todo and len(known) < _MOST_MACROS:
            word = todo.pop()
            if word not in known:
                macro = known[word] = self._macro_of(word, path)
                todo += _shaping_words(macro.text) if macro is not None else ()
        macros = {name: macro for name, macro in known.items() if macro is not None}
        shaping = {name for name, macro in macros.items() if _makes_shape(macro)}
        while more := {name for name, macro in macros.items() if name not in shaping and macro.words & shaping}:
            shaping |= more
        return {name: macros[name] for name in shaping}


def _shaping_words(text: str) -> Iterator[str]:
    """Yield the words that may be macros for a list or a call: not those in braces, or in other calls' parentheses."""
    around: list[bool] = []
    tokens = _TOKEN.findall(_LITERAL.sub(" ", text))
    for at, token in enumerate(tokens):
        behind = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in ("(", "{"):
            before = tokens[at - 1] if at else ""
            of_call = token == "(" and before[:1].isidentifier() and not before.startswith(_TRANSPARENT)
            around.append(token == "{" or of_call)
        elif token in (")", "}"):
            del around[-1:]
        elif not token.isidentifier() or token.startswith(_TRANSPARENT) or tokens[at - 1 : at] == ["->"]:
            continue
        elif behind == "(" or not any(around):
            yield token


def _positions(unit: HeaderUnit) -> Iterator[Position]:
    """Yield where the classes and events of a unit are, which may be in fragments that it includes."""
    yield from (found.position for found in unit.classes)
    yield from (found.position for found in unit.events)


def _makes_shape(macro: Macro) -> bool:
    if not macro.text or any(sign in macro.text for sign in ("{", '"', "__print_")):
        return True
    called = (*(macro.params or ()), *filter(None, (macro.rest,)))
    return any(re.search(rf"\b{re.escape(name)}\s*\(", macro.text) for name in called)
