"""Assumptions of two kernels' verifiers about NULL. They matter to tp_btf programs, and not to raw_tp programs.

A verifier that has neither the table of such arguments nor the suffix in their names holds each pointer for valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from tpgen.basics.frozen import replace
from tpgen.diagnostics import Diagnostic, Severity
from tpgen.diff.changes import Change, EventDiff, What
from tpgen.kernel.events import KernelEvents
from tpgen.model import Argument, Event, Nullness
from tpgen.programs.compat import Programs
from tpgen.sources.source_tree.null_args import points_to_struct

#: How much a tp_btf program has to know of a pointer before the verifier lets it follow it.
_CAUTION = tuple(Nullness)


class Assumptions:
    """Assumptions of one kernel's verifier about the arguments of its events."""

    def __init__(self, kernel: KernelEvents) -> None:
        self._kernel = kernel
        # By identity: events of one prototype share their arguments, which stay alive as long as this.
        self._added: dict[int, tuple[tuple[Argument, ...], tuple[Argument, ...]]] = {}

    @cached_property
    def _all_valid(self) -> bool:
        return self._kernel.tells_null() is False

    def added(self, event: Event) -> Event:
        """Return the event with what is assumed of pointers of which its sources tell nothing."""
        if not event.args:
            return event
        if id(event.args) not in self._added:
            self._added[id(event.args)] = event.args, self._with_assumed(event.args)
        _, args = self._added[id(event.args)]
        return event if args is event.args else replace(event, args=args)

    def _with_assumed(self, args: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return held_for_valid(args) if is_open(args) and self._all_valid else args


def is_open(args: Iterable[Argument]) -> bool:
    """Whether one of these is a pointer about which the verifier's assumption is unknown."""
    return any(map(_is_open, args))


def held_for_valid(args: Iterable[Argument]) -> tuple[Argument, ...]:
    """The arguments on a kernel whose verifier holds each pointer for valid of which nothing is told."""
    return tuple(replace(arg, nullness=Nullness.NEVER) if _is_open(arg) else arg for arg in args)


def _is_open(arg: Argument) -> bool:
    return arg.nullness is None and points_to_struct(arg)


def nullness_change(before: Argument, after: Argument) -> Iterator[Change]:
    """The change of what is assumed of an argument. A program that follows it untested is refused where it is more."""
    if before.nullness and after.nullness and before.nullness != after.nullness:
        stricter = _CAUTION.index(after.nullness) > _CAUTION.index(before.nullness)
        breaks = Programs.TP_BTF if stricter else Programs.NONE
        yield Change(What.ARGUMENT_NULLNESS, breaks, before, after)


def left_out(events: Iterable[EventDiff], names: tuple[str, str]) -> Iterator[Diagnostic]:
    """Notes on pointers about which the assumption of only one of the two kernels is known."""
    pairs = [(event.before, event.after) for event in events if event.before is not None and event.after is not None]
    for (before, after), (without, other) in (((0, 1), names), ((1, 0), names[::-1])):
        number = sum(any(map(_is_open, pair[before].args or ())) and _tells(pair[after]) for pair in pairs)
        if number:
            message = (
                f"what the verifier of {without} assumes about NULL is not known; it is not compared in {number} of the"
                f" events of which {other} tells"
            )
            hint = "run as root for the running kernel; give the source tree of another one with --headers"
            yield Diagnostic("diff-left-out", message, None, hint, Severity.NOTE)


def _tells(event: Event) -> bool:
    return any(arg.nullness for arg in event.args or ())
