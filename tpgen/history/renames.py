"""Renames: an event that is gone from a kernel, and one that is new in the next, which are one.

Nothing in a kernel tells that. They are taken for one where the new event has the record and the arguments of the old
one, but for pointers to what took the place of another struct, where their system, module, kind and header are the
same, where most words of their names are, and where no other event is as like. Two words that stand for two things in
a kernel, such as read and write, are no such change of a name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tpgen.diff.changes import has_record, is_placed
from tpgen.diff.compare import field_changes
from tpgen.kernel.events import EventKey
from tpgen.model import Argument, CType, Event, Kind, Pointer, Struct
from tpgen.typequery import same_type, stripped

# DECLARE_TRACE(x) makes the tracepoint x up to Linux 6.15, and x_tp from 6.16 on.
_SUFFIX = "_tp"
#: The share of the words of both names that two names of an event have in common.
_ENOUGH = 0.6
# What stands for a struct in the place of another.
_OTHER = "*"


class Side(NamedTuple):
    """A kernel of a step: its events by system, and how their facts are read."""

    keys: dict[str | None, list[EventKey]]
    event: Callable[[EventKey], Event]


class Rename(NamedTuple):
    """An event of the earlier kernel and the same of the later one, and why they are taken for one."""

    old: EventKey
    new: EventKey
    because: str


def side(keys: Iterable[EventKey], event: Callable[[EventKey], Event]) -> Side:
    """A kernel with these events."""
    by_system: dict[str | None, list[EventKey]] = defaultdict(list)
    for key in keys:
        by_system[key.system].append(key)
    return Side(dict(by_system), event)


def renames(before: Side, after: Side) -> Iterator[Rename]:
    """The renames from one kernel to the next."""
    gone, new = _only(before, after), _only(after, before)
    suffixed = list(_with_suffix(before, after, gone, new))
    yield from suffixed
    done = {key for rename in suffixed for key in (rename.old, rename.new)}
    for system, olds in gone.items():
        if system is None or system == "syscalls" or system not in new:
            continue
        pairs = [
            _Likeness(likeness, old, candidate, because)
            for old in olds if old not in done
            for candidate in new[system] if candidate not in done
            if (found := _likeness(before, after, old, candidate)) is not None
            for likeness, because in [found]
        ]  # fmt: skip
        yield from (Rename(pair.old, pair.new, pair.because) for pair in _best(pairs))


def _only(one: Side, other: Side) -> dict[str | None, list[EventKey]]:
    """The events of one side whose names the other does not have, by system."""
    names = {key.name for keys in other.keys.values() for key in keys}
    left = {system: [key for key in keys if key.name not in names] for system, keys in one.keys.items()}
    return {system: keys for system, keys in left.items() if keys}


def _with_suffix(
    before: Side, after: Side, gone: dict[str | None, list[EventKey]], new: dict[str | None, list[EventKey]]
) -> Iterator[Rename]:
    """The bare tracepoints that got the suffix, or lost it."""
    by_name = {key.name.removesuffix(_SUFFIX): key for keys in new.values() for key in keys}
    for old in (key for keys in gone.values() for key in keys):
        found = by_name.get(old.name.removesuffix(_SUFFIX))
        if found is None:
            continue
        if _replaced(before.event(old), after.event(found)) == []:
            yield Rename(old, found, "it has the same arguments, and DECLARE_TRACE adds _tp since Linux 6.16")


class _Likeness(NamedTuple):
    """Two events that may be one, and which share of their names is the same."""

    likeness: float
    old: EventKey
    new: EventKey
    because: str


def _best(pairs: Sequence[_Likeness]) -> Iterator[_Likeness]:
    """The pairs of which neither event is as like any other."""
    of: dict[tuple[str, EventKey], list[float]] = defaultdict(list)
    for pair in pairs:
        of["old", pair.old].append(pair.likeness)
        of["new", pair.new].append(pair.likeness)
    for pair in pairs:
        others = of["old", pair.old] + of["new", pair.new]
        others.remove(pair.likeness)
        others.remove(pair.likeness)
        if all(other < pair.likeness for other in others):
            yield pair


def _likeness(before: Side, after: Side, old: EventKey, new: EventKey) -> tuple[float, str] | None:
    """The share of their names that is the same, and why the events are; None where they are not."""
    if old.module != new.module or not _may_be(old.name, new.name):
        return None
    a, b = before.event(old), after.event(new)
    replaced = _replaced(a, b) if a.args else None
    if replaced is None or not _same_otherwise(a, b):
        return None
    structs = [struct for pair in replaced for struct in pair]
    words = _words(old.name, structs), _words(new.name, structs)
    likeness = 2 * len(words[0] & words[1]) / (len(words[0]) + len(words[1]))
    if likeness < _ENOUGH or not _is_put_otherwise(*words):
        return None
    if _stand_for_two_things(words, (before, after), old.system):
        return None
    but = "".join(f", but for {one} → {other}" for one, other in sorted(set(replaced)))
    return likeness, f"it has the same record, and the same arguments{but}"


def _may_be(old: str, new: str) -> bool:
    """Whether any word, or part of one, is common to both names: the first of what is asked of them, and quick."""
    return bool(set(old.split("_")) & set(new.split("_")))


def _same_otherwise(a: Event, b: Event) -> bool:
    """Whether all but the arguments and the name of two events is the same."""
    if a.kind != b.kind or a.kind not in (Kind.TRACE_EVENT, Kind.TRACEPOINT):
        return False
    if a.header is not None and b.header is not None and a.header.path != b.header.path:
        return False
    if not has_record(a):
        return True
    if not is_placed(a) or not is_placed(b):
        return False
    assert a.record is not None and b.record is not None
    return bool(a.record.fields) and not any(field_changes(a.record, b.record))


def _replaced(a: Event, b: Event) -> list[tuple[str, str]] | None:
    """The structs to which arguments pointed, each with the one that it was replaced by; None for other arguments."""
    if a.args is None or b.args is None or len(a.args) != len(b.args):
        return None
    found = []
    for x, y in zip(a.args, b.args, strict=True):
        if same_type(x.type, y.type):
            continue
        structs = _pointed_to(x), _pointed_to(y)
        if structs[0] is None or structs[1] is None:
            return None
        found.append((structs[0], structs[1]))
    return found


def _pointed_to(arg: Argument) -> str | None:
    ctype: CType = stripped(arg.type)
    if isinstance(ctype, Pointer) and isinstance(struct := stripped(ctype.target), Struct):
        return struct.name
    return None


def _words(name: str, structs: Iterable[str]) -> frozenset[str]:
    """The words of a name, with one word for the structs that others have the place of: `writepage` has two."""
    for struct in structs:
        name = name.replace(struct, f"_{_OTHER}_")
    return frozenset(filter(None, name.split("_")))


def _is_put_otherwise(old: frozenset[str], new: frozenset[str]) -> bool:
    """Whether words came or went, or one is in the place of one: of several, one has a part that is another."""
    removed, added = old - new, new - old
    if not removed or not added or len(removed) == len(added) == 1:
        return True
    return any(one in other or other in one for one in removed for other in added)


def _stand_for_two_things(
    words: tuple[frozenset[str], frozenset[str]], sides: tuple[Side, Side], system: str | None
) -> bool:
    """Whether one word was put for another that both kernels have beside it in names that are the same otherwise."""
    removed, added = words[0] - words[1], words[1] - words[0]
    if len(removed) != 1 or len(added) != 1:
        return False
    (one,), (other,) = removed, added
    for known in sides:
        names = {tuple(key.name.split("_")) for key in known.keys.get(system, ())}
        if any(one in name and tuple(other if word == one else word for word in name) in names for name in names):
            return True
    return False
