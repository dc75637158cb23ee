"""The macro table at a point of a header, and which of its macros reach a primitive."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import chain

from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.macros import Macro
from tpgen.sources.headers.trace_events.family import PRIMITIVES


class MacroTable(dict[str, Macro]):
    """The macros by name: borrowed ones, the family's, then those that a header defines as it is read.

    Where the branches of an #if define one name differently and the configuration is not known, all definitions are
    `alternatives`. But of two of which one makes events and the other is a stub, the one that does is the macro, and of
    numbers none is: an expression with such a name has no value here.
    """

    def __init__(self, family: Mapping[str, Macro], borrowed: Mapping[str, Macro]) -> None:
        super().__init__({**borrowed, **family})
        self._family = family
        self._productive: dict[str, bool] = {}
        # Where a name is a number that depends on the configuration, and under which conditions it is defined.
        self._undecided: dict[str, list[PresenceCondition]] = {}
        self.alternatives: dict[str, list[Macro]] = {}

    def define(self, macro: Macro) -> None:
        """Apply a #define."""
        current = self.get(macro.name)
        if self._is_undecided(macro, current):
            return
        self._note_alternative(macro, current)
        if current is None or self._replaces(macro, current):
            self[macro.name] = macro
            self._productive.clear()

    def _note_alternative(self, macro: Macro, current: Macro | None) -> None:
        """Note that branches of an #if, of which any may be compiled, define one macro differently."""
        known = self.alternatives.get(macro.name) or ([current] if current else [])
        apart = all(macro.presence.excludes(other.presence) for other in known)
        undecided = all(other.presence.value is None for other in (macro, *known))
        if not (known and apart and undecided) or macro.name in self._family:
            self.alternatives.pop(macro.name, None)
        elif all((macro.text, macro.params) != (other.text, other.params) for other in known):
            makes = {self.reaches_primitive(other.words - {macro.name}) for other in (macro, *known)}
            if len(makes) == 1:
                self.alternatives[macro.name] = [*known, macro]
                self._productive.clear()

    def choices(self, words: Iterable[str]) -> list[list[Macro]]:
        """Return the alternatives of all macros that `words` lead to, by name."""
        if not self.alternatives:
            return []
        seen: set[str] = set()
        todo = list(words)
        while todo:
            word = todo.pop()
            if word in self and word not in seen:
                seen.add(word)
                todo.extend(self._words(word))
        return [self.alternatives[name] for name in sorted(seen & self.alternatives.keys())]

    def with_choice(self, chosen: Iterable[Macro]) -> MacroTable:
        """Return the table in which these alternatives are the only definitions of their names."""
        table = MacroTable({}, self)
        table._family = self._family
        for macro in chosen:
            table[macro.name] = macro
        return table

    def _words(self, name: str) -> Iterable[str]:
        """Return the words in all definitions of a macro."""
        found = self.alternatives.get(name)
        return chain.from_iterable(macro.words for macro in found) if found else self[name].words

    def _is_undecided(self, macro: Macro, current: Macro | None) -> bool:
        """Return whether branches of an #if give a name different numbers: until it has one value it is no macro."""
        branches = self._undecided.get(macro.name, [])
        if any(macro.presence.excludes(presence) for presence in branches):
            branches.append(macro.presence)
            return True
        if current is None or not macro.presence.excludes(current.presence) or macro.text == current.text:
            self._undecided.pop(macro.name, None)
            return False
        if None not in (macro.presence.value, current.presence.value) or not (
            _is_number(macro) and _is_number(current)
        ):
            return False
        self._undecided[macro.name] = [current.presence, macro.presence]
        del self[macro.name]
        return True

    def undefine(self, name: str, presence: PresenceCondition) -> None:
        """Apply an #undef under `presence`.

        The family comes back by <trace/define_trace.h>: what a header removes is only its own.
        """
        current = self.get(name)
        self.alternatives.pop(name, None)
        if current is None or current is self._family.get(name) or presence.excludes(current.presence):
            return
        if name in self._family:
            self[name] = self._family[name]
        else:
            del self[name]
        self._productive.clear()

    def _replaces(self, macro: Macro, current: Macro) -> bool:
        """Return whether a new definition counts from here on.

        A header may define a word once for the build with tracing and once, as a stub, for the build without it. Of two
        such definitions the one counts that makes events, unless the configuration says that this kernel has the stub.
        """
        stub = self.makes_events(current.name) and not self.reaches_primitive(macro.words - {macro.name})
        if current is self._family.get(macro.name):
            return not stub or _is_configured(macro.presence)
        if macro.presence.excludes(current.presence):
            return not stub and not self.makes_events(current.name)
        return True

    def makes_events(self, name: str) -> bool:
        """Return whether macro `name` may expand to a primitive."""
        known = self._productive.get(name)
        if known is None:
            known = self._productive[name] = self.reaches_primitive(self._words(name))
        return known

    def reaches_primitive(self, words: Iterable[str]) -> bool:
        """Return whether one of `words` is a primitive, or a macro whose replacement list reaches one."""
        seen: set[str] = set()
        todo = list(words)
        while todo:
            word = todo.pop()
            if word in PRIMITIVES or self._productive.get(word):
                return True
            if word in self and word not in seen and word not in self._productive:
                seen.add(word)
                todo.extend(self._words(word))
        self._productive.update(dict.fromkeys(seen, False))
        return False

    def takes_arguments(self, macro: Macro) -> bool:
        """Return whether the macro, or the one that it is an alias of, takes the parentheses behind its name."""
        followed: set[Macro] = set()  # a ring of macros leads nowhere
        while macro.params is None:
            if macro in followed or not macro.body or macro.body[-1].text not in self:
                return False
            followed.add(macro)
            macro = self[macro.body[-1].text]
        return True


_NUMBER = re.compile(r"[\s(]*\d[\w\s()+*/<>-]*")


def _is_number(macro: Macro) -> bool:
    return macro.params is None and _NUMBER.fullmatch(macro.text) is not None


def _is_configured(presence: PresenceCondition) -> bool:
    """Return whether the configuration, not an include guard, decides that this is compiled."""
    return presence.value is True and any("CONFIG_" in branch.text for branch in presence.branches)
