"""Names in a file of many events, where no two things may have the same."""

from __future__ import annotations

from collections.abc import Iterable


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names in their order, with a `_` behind one that is taken or was there before."""
    there = set(taken)
    made = []
    for name in names:
        while name in there:
            name += "_"
        there.add(name)
        made.append(name)
    return made


def camel_case(name: str) -> str:
    """`PrevState` of `prev_state`; letters that are capitals stay so."""
    return "".join(word[0].upper() + word[1:] for word in name.split("_") if word)
