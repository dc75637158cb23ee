"""The events of all kernels with their histories; some of them at a time are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from tpgen.atlas.facts import Entry, Kernel, Member
from tpgen.atlas.paths import path_of
from tpgen.history.facts import EventHistory, FormHistory, History, Known
from tpgen.kernel.events import EventKey, KernelEvents

# Events of which the facts are in memory at once.
_AT_ONCE = 4000
_SYSCALLS = "syscalls"


def known_kernels(history: History, opened: Mapping[str, KernelEvents]) -> tuple[Kernel, ...]:
    """The kernels of the atlas, in the order of their history."""
    return tuple(
        Kernel(number, each.name, each.release, each.target, each.family, len(opened[each.name].keys()))
        for number, each in enumerate(history.kernels)
    )


class Located(NamedTuple):
    """A history, and the path of its page."""

    path: str
    history: EventHistory


def located(history: History) -> list[Located]:
    """The histories of all events, sorted by system and name, with paths of which no two are the same file."""
    events = sorted(history.events, key=lambda event: _order(event.newest))
    paths = _paths([event.newest for event in events])
    return [Located(path, event) for path, event in zip(paths, events, strict=True)]


def _order(known: Known) -> tuple[str, str, str]:
    return known.system or "", known.name, known.module or ""


def _paths(names: Sequence[Known]) -> list[str]:
    """The paths of events' pages: with the module where the name alone is another's, with a number where both are."""
    taken: dict[str, int] = {}
    paths = []
    for known in names:
        path = path_of("event", known.system, known.name)
        if path in taken and known.module is not None:
            path = path_of("event", known.system, known.name, known.module)
        taken[path] = number = taken.get(path, 0) + 1
        paths.append(
            path if number == 1 else path_of("event", known.system, known.name, known.module or "", str(number))
        )
    return paths


def entries(found: Sequence[Located], kernels: Sequence[Kernel], opened: Mapping[str, KernelEvents]) -> Iterator[Entry]:
    """The entries of events, in their order, of which some are in memory at once."""
    waiting = iter(found)
    while some := list(islice(waiting, _AT_ONCE)):
        yield from _read(some, kernels, opened)


def _read(some: Sequence[Located], kernels: Sequence[Kernel], opened: Mapping[str, KernelEvents]) -> Iterator[Entry]:
    standing = [list(_standing(each.history, kernels)) for each in some]
    wanted: dict[Kernel, list[EventKey]] = {}
    for members in standing:
        for kernel, key in members:
            wanted.setdefault(kernel, []).append(key)
    read: dict[tuple[int, EventKey], Member] = {}
    for kernel, keys in wanted.items():
        source = opened[kernel.name]
        for key, event in zip(keys, source.events(keys), strict=True):
            read[kernel.number, key] = Member(kernel, key, event, source.symbols(key))
    for (path, history), members in zip(some, standing, strict=True):
        yield Entry(path, history, tuple(read[kernel.number, key] for kernel, key in members))


def _standing(event: EventHistory, kernels: Sequence[Kernel]) -> Iterator[tuple[Kernel, EventKey]]:
    """The kernels that stand for all that have the same of an event, oldest first, each with the event's key there.

    Of a system call, whose number and registers are an architecture's own, there is one for each architecture.
    """
    keys = {
        kernel: EventKey(known.system, known.name, known.module) for known in event.known_as for kernel in known.kernels
    }
    groups = _numbers(event.raw), _numbers(event.classic)
    newest: dict[object, Kernel] = {}
    for kernel in kernels:
        if kernel.name in keys:
            target = kernel.target
            kind = target.arch if keys[kernel.name].system == _SYSCALLS else (target.big_endian, target.pointer_size)
            same = (keys[kernel.name], kind, *(of_form.get(kernel.name) for of_form in groups))
            newest[same] = kernel
    for kernel in sorted(newest.values(), key=lambda kernel: kernel.number):
        yield kernel, keys[kernel.name]


def _numbers(form: FormHistory) -> dict[str, int]:
    """The number of the group of each kernel; -1 where a form is unknown."""
    numbers = {kernel: number for number, group in enumerate(form.groups) for kernel in group.kernels}
    return numbers | dict.fromkeys(form.unknown, -1)
