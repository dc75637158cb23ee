"""The events of all kernels, joined by their names, and each split into versions; some events at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from tpgen.atlas.facts import Entry, Kernel, Member, Version
from tpgen.atlas.paths import path_of
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Argument, Event, Field
from tpgen.programs.forms import Form, missing
from tpgen.show import field_type_text, type_text

# Events that are in memory at once, of all kernels.
_AT_ONCE = 2000


class Located(NamedTuple):
    """The key of an event in a kernel."""

    kernel: Kernel
    key: EventKey


class Group(NamedTuple):
    """The keys of what is one event to a reader, oldest kernel first, and the path of its page."""

    path: str
    members: tuple[Located, ...]

    @property
    def newest(self) -> EventKey:
        """The key in the newest kernel."""
        return self.members[-1].key


def known_kernels(opened: Mapping[str, KernelEvents]) -> tuple[Kernel, ...]:
    """The kernels of the atlas, in their order."""
    return tuple(
        Kernel(number, name, kernel.release, kernel.target, len(kernel.keys()))
        for number, (name, kernel) in enumerate(opened.items())
    )


def groups(kernels: Sequence[Kernel], opened: Mapping[str, KernelEvents]) -> list[Group]:
    """The events of all kernels, each once, sorted by system and name; no path is that of two.

    Those of one name are one event, but where a kernel has several: there module, and then system, tell them apart.
    """
    by_name: dict[tuple[str, bool], list[Located]] = {}
    for kernel in kernels:
        source = opened[kernel.name]
        for key in source.keys():  # noqa: SIM118  # it is no dictionary
            by_name.setdefault((key.name, key.dynamic), []).append(Located(kernel, key))
    found = [split for located in by_name.values() for split in _split(located, _TELLING)]
    found.sort(key=lambda members: _order(members[-1].key))
    paths = _paths([members[-1].key for members in found])
    return [Group(path, tuple(members)) for path, members in zip(paths, found, strict=True)]


_TELLING: tuple[Callable[[EventKey], str | None], ...] = (lambda key: key.module, lambda key: key.system)


def _split(located: list[Located], telling: Sequence[Callable[[EventKey], str | None]]) -> Iterator[list[Located]]:
    if not telling or len({each.kernel for each in located}) == len(located):
        yield located
        return
    parts: dict[str | None, list[Located]] = {}
    for each in located:
        parts.setdefault(telling[0](each.key), []).append(each)
    for part in parts.values():
        yield from _split(part, telling[1:])


def _order(key: EventKey) -> tuple[str, str, str]:
    return key.system or "", key.name, key.module or ""


def _paths(keys: Sequence[EventKey]) -> list[str]:
    """The paths of events' pages: with the module where the name alone is another's, with a number where both are."""
    taken: dict[str, int] = {}
    paths = []
    for key in keys:
        path = path_of("event", key.system, key.name)
        if path in taken and key.module is not None:
            path = path_of("event", key.system, key.name, key.module)
        taken[path] = number = taken.get(path, 0) + 1
        paths.append(path if number == 1 else path_of("event", key.system, key.name, key.module or "", str(number)))
    return paths


def entries(found: Sequence[Group], kernels: Sequence[Kernel], opened: Mapping[str, KernelEvents]) -> Iterator[Entry]:
    """The entries of groups, in their order. Of all kernels a few hundred events are in memory at once."""
    waiting = iter(found)
    while some := list(islice(waiting, _AT_ONCE)):
        yield from _read(some, kernels, opened)


def _read(some: Sequence[Group], kernels: Sequence[Kernel], opened: Mapping[str, KernelEvents]) -> Iterator[Entry]:
    read: dict[tuple[int, EventKey], Member] = {}
    for kernel in kernels:
        keys = [each.key for group in some for each in group.members if each.kernel is kernel]
        source = opened[kernel.name]
        for key, event in zip(keys, source.events(keys), strict=True):
            read[kernel.number, key] = Member(kernel, key, event, source.symbols(key))
    for group in some:
        members = [read[each.kernel.number, each.key] for each in group.members]
        having = {member.kernel for member in members}
        lacking = tuple(kernel for kernel in kernels if kernel not in having)
        yield Entry(group.path, versions(members), lacking)


def versions(members: Sequence[Member]) -> tuple[Version, ...]:
    """The members with the same arguments and the same record, as pages tell them, together."""
    same: dict[object, list[Member]] = {}
    for member in members:
        same.setdefault(_content(member.event), []).append(member)
    return tuple(Version(letter_of(number), tuple(group)) for number, group in enumerate(same.values()))


def letter_of(number: int) -> str:
    """The letters of a version: A to Z, then AA, AB and so on."""
    head, last = divmod(number, 26)
    return (letter_of(head - 1) if head else "") + chr(ord("A") + last)


def _content(event: Event) -> object:
    """The arguments and the record of an event as a page tells them, but for NULL-ness."""
    args = event.args if missing(event, Form.RAW) is None else missing(event, Form.RAW)
    record = event.record if missing(event, Form.CLASSIC) is None else missing(event, Form.CLASSIC)
    return (
        args if args is None or isinstance(args, str) else tuple(map(_argument, args)),
        record if record is None or isinstance(record, str) else (record.size_bytes, *map(_field, record.fields)),
    )


def _argument(arg: Argument) -> object:
    return arg.name, type_text(arg.type)


def _field(field: Field) -> object:
    return field.member_name, field_type_text(field), field.offset_bytes, field.size_bytes
