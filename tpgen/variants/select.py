"""Selection among several kernels: the events that patterns mean on any of them, and which are one to a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.basics.progress import counted
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Event


class Selected(NamedTuple):
    """An event of the kernel of that name."""

    kernel: str
    key: EventKey
    event: Event


def select_keys(
    kernels: Mapping[str, KernelEvents], patterns: Iterable[str], module: str | None = None
) -> dict[str, list[EventKey]]:
    """The events of each kernel that any of the patterns means. Raises `unknown-event` for a pattern that none has."""
    found: dict[str, dict[EventKey, None]] = {name: {} for name in kernels}
    for pattern in patterns:
        matching = {name: kernel.matching(pattern, module) for name, kernel in kernels.items()}
        # To say what else may be meant takes longer than all that is done where there is something.
        refusing = [name for name, keys in matching.items() if not keys and kernels[name].lost((pattern,))]
        if not any(matching.values()):
            refusing.append(list(kernels)[-1])
        if refusing:
            kernels[refusing[0]].select(pattern, module)  # which raises
        for name, keys in matching.items():
            found[name] |= dict.fromkeys(keys)
    return {name: list(keys) for name, keys in found.items()}


def select(
    kernels: Mapping[str, KernelEvents],
    patterns: Iterable[str],
    module: str | None = None,
    *,
    nullness: bool = True,
) -> list[Selected]:
    """The events of all kernels that any of the patterns means, kernel by kernel, as `KernelEvents.events` has them."""
    return [
        Selected(name, key, event)
        for name, keys in counted("reading kernels", select_keys(kernels, patterns, module).items())
        for key, event in zip(keys, kernels[name].events(keys, nullness=nullness), strict=True)
    ]


def grouped(selected: Sequence[Selected]) -> Iterator[list[Selected]]:
    """The events that are one to a program: of one name, and where a kernel has several, of one module and system.

    They come in the order of the newest kernel's, then of what only older ones have.
    """
    newest = {kernel: number for number, kernel in enumerate(dict.fromkeys(each.kernel for each in selected))}
    order = sorted(selected, key=lambda each: -newest[each.kernel])
    for group in _split(order, (lambda event: event.name, lambda event: event.module, lambda event: event.system)):
        yield sorted(group, key=lambda each: newest[each.kernel])


def _split(selected: Sequence[Selected], keys: Sequence[Callable[[Event], str | None]]) -> Iterator[list[Selected]]:
    """Split events by the first of `keys`, and by the next wherever a kernel still has several in one group."""
    groups: dict[str | None, list[Selected]] = {}
    for each in selected:
        groups.setdefault(keys[0](each.event), []).append(each)
    for group in groups.values():
        if len({each.kernel for each in group}) < len(group) and len(keys) > 1:
            yield from _split(group, keys[1:])
        else:
            yield group
