"""The macros in force at a point of a header, and which of them lead to events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tpgen.sources.headers.preprocessor.conditions import PresenceCondition
from tpgen.sources.headers.preprocessor.macros import Macro
from tpgen.sources.headers.trace_events.family import PRIMITIVES


class MacroTable(dict[str, Macro]):
    """The macros by name: the family's, then what a header defines and undefines as it is read.

    Where the branches of an #if define one name differently and the configuration is not known, one definition must do:
    the first that makes events, else the first. Of numbers none is: an expression with such a name has no value here.
    """

    def __init__(self, family: Mapping[str, Macro], lent: Mapping[str, Macro]) -> None:
        super().__init__({**lent, **family})
        self._family = family
        self._productive: dict[str, bool] = {}
        # Where a name is a number that depends on the configuration, and under which conditions it is defined.
        self._undecided: dict[str, list[PresenceCondition]] = {}

    def define(self, macro: Macro) -> None:
        """Takes a #define into account."""
        current = self.get(macro.name)
        if self._is_undecided(macro, current):
            return
        if current is None or self._replaces(macro, current):
            self[macro.name] = macro
            self._productive.clear()

    def _is_undecided(self, macro: Macro, current: Macro | None) -> bool:
        """Whether the branches of an #if give a name different numbers; it is no macro then until it has one value."""
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
        if current is None or current is self._family.get(name) or presence.excludes(current.presence):
            return
        if name in self._family:
            self[name] = self._family[name]
        else:
            del self[name]
        self._productive.clear()

    def _replaces(self, macro: Macro, current: Macro) -> bool:
        """Whether a new definition counts from here on.

        A header may define a word once for the build with tracing and once, as a stub, for the build without it. Of two
        such definitions the one counts that makes events, unless the configuration says that this kernel has the stub.
        """
        stub = self.makes_events(current.name) and not self.lead_to_events(macro.words - {macro.name})
        if current is self._family.get(macro.name):
            return not stub or _is_configured(macro.presence)
        if macro.presence.excludes(current.presence):
            return not stub and not self.makes_events(current.name)
        return True

    def makes_events(self, name: str) -> bool:
        """Whether macro `name` may expand to a primitive: its replacement leads there."""
        known = self._productive.get(name)
        if known is None:
            known = self._productive[name] = self.lead_to_events(self[name].words)
        return known

    def lead_to_events(self, words: Iterable[str]) -> bool:
        """Whether among `words` is a primitive, or a macro that leads to one."""
        seen: set[str] = set()
        todo = list(words)
        while todo:
            word = todo.pop()
            if word in PRIMITIVES or self._productive.get(word):
                return True
            if word in self and word not in seen and word not in self._productive:
                seen.add(word)
                todo.extend(self[word].words)
        self._productive.update(dict.fromkeys(seen, False))
        return False

    def takes_arguments(self, macro: Macro) -> bool:
        """Whether parentheses behind the macro's name are its, or those of the macro that it is another name for."""
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
    """Whether the configuration, not an include guard, says that this is compiled."""
    return presence.value is True and any("CONFIG_" in branch.text for branch in presence.branches)
