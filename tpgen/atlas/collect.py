"""The events of all kernels with their histories, and all facts for their pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.atlas.facts import Entry, Kernel, Member
from tpgen.atlas.paths import path_of
from tpgen.history.facts import EventHistory, FormHistory, History, Known
from tpgen.kernel.comparison import errors
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Event

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


def entries(
    found: Sequence[Located], kernels: Sequence[Kernel], opened: Mapping[str, KernelEvents]
) -> tuple[Entry, ...]:
    """The entries of events in their order. All facts for their pages are read; the kernels are not needed then."""
    standing = [list(_standing(each.history, kernels)) for each in found]
    wanted: dict[Kernel, list[EventKey]] = {}
    for members in standing:
        for kernel, key in members:
            wanted.setdefault(kernel, []).append(key)
    read: dict[tuple[int, EventKey], Event] = {}
    for kernel, keys in wanted.items():
        events = opened[kernel.name].events(keys)
        read |= {(kernel.number, key): event for key, event in zip(keys, events, strict=True)}
    return tuple(
        Entry(path, history, tuple(_members(members, read, opened)))
        for (path, history), members in zip(found, standing, strict=True)
    )


def _members(
    standing: Sequence[tuple[Kernel, EventKey]],
    read: Mapping[tuple[int, EventKey], Event],
    opened: Mapping[str, KernelEvents],
) -> Iterator[Member]:
    classes: dict[object, set[str]] = {}
    for kernel, key in standing:
        if (name := read[kernel.number, key].class_name) is not None:
            classes.setdefault(kind_of(kernel), set()).add(name)
    counts = Counter(kind_of(kernel) for kernel, _ in standing)
    for kernel, key in standing:
        source, kind = opened[kernel.name], kind_of(kernel)
        # One alone is not told apart from others by its records.
        names = classes.get(kind, ()) if counts[kind] > 1 else ()
        yield Member(
            kernel, key, read[kernel.number, key], source.symbols(key), not errors(source.comparisons(key)),
            {name: source.records_of(name) for name in names},
        )  # fmt: skip


def kind_of(kernel: Kernel) -> tuple[bool, int]:
    """The kind of a kernel: programs are made for one byte order and size of pointers."""
    return kernel.target.big_endian, kernel.target.pointer_size


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
            kind = kernel.target.arch if keys[kernel.name].system == _SYSCALLS else kind_of(kernel)
            same = (keys[kernel.name], kind, *(of_form.get(kernel.name) for of_form in groups))
            newest[same] = kernel
    for kernel in sorted(newest.values(), key=lambda kernel: kernel.number):
        yield kernel, keys[kernel.name]


def _numbers(form: FormHistory) -> dict[str, int]:
    """The number of the group of each kernel; -1 where a form is unknown."""
    numbers = {kernel: number for number, group in enumerate(form.groups) for kernel in group.kernels}
    return numbers | dict.fromkeys(form.unknown, -1)
