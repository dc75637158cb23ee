"""The facts of trace headers: event classes, events and bare tracepoints, each with its position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tpgen.basics.frozen import frozen
from tpgen.diagnostics import Diagnostic, Position
from tpgen.model import Argument, Field, Kind


@frozen
class HeaderClass:
    """A DECLARE_EVENT_CLASS, or the class half of a TRACE_EVENT.

    `args` are in the order of TP_ARGS, which is the order of the raw arguments. `fields` have neither offset nor size.
    Of an __array whose length is unknown the Array has a `length_text` only; a __cpumask has elements of `cpumask_t`,
    as in tracefs, which tells it from a __bitmask. `condition` is the condition it stands under, None where there is
    none: the branches of an #if may hold classes of one name. `chain` tells through which of the header's own macros
    the class came, innermost first.
    """

    name: str
    args: tuple[Argument, ...]
    fields: tuple[Field, ...]
    position: Position
    condition: str | None = None
    chain: tuple[str, ...] = ()


@frozen
class HeaderEvent:
    """An event of a class, or a bare tracepoint (`kind` TRACEPOINT), whose class is the name as written.

    `args` carry the event's own names (a DEFINE_EVENT may name them differently from its class), in the order of the
    class's TP_ARGS. An event of a header with two systems comes once for each, with its condition.
    `attachable` is False where the kernel makes no `btf_trace_` typedef for it (DECLARE_TRACE_CONDITION).
    """

    system: str | None
    name: str
    class_name: str
    kind: Kind
    args: tuple[Argument, ...]
    position: Position
    attachable: bool = True
    condition: str | None = None


@frozen
class HeaderFacts:
    """All facts of a set of headers; `skipped` reports with file and line what in them was not taken.

    Types are as they were written, what the base types of every kernel tell put in; or they are resolved, which means
    that the headers around were asked for what remains.

    `release` is the kernel release the tree is of (`6.1.192`), None where the tree does not tell.
    """

    release: str | None
    classes: tuple[HeaderClass, ...]
    events: tuple[HeaderEvent, ...]
    skipped: tuple[Diagnostic, ...]


class PrintedTexts(Protocol):
    """The texts that events print, as their headers say, and the constants in them."""

    def text(self, event: HeaderEvent, event_class: HeaderClass) -> str | None:
        """Return the arguments of the event's TP_printk; None where they are unknown."""

    def value(self, name: str, path: str) -> int | None:
        """Return the value of a macro or an enumerator in the header at `path`; None where it is unknown."""


class HeaderReader(Protocol):
    """The facts of a set of headers, read when they are asked for."""

    @property
    def facts(self) -> HeaderFacts:
        """All facts, with types as they are written."""

    def dependencies(self) -> Iterable[str]:
        """Return the paths of the files that the facts which were asked for depend on, with some that are missing."""

    @property
    def resolved(self) -> HeaderFacts:
        """Return as many facts in the order of `facts`, with resolved types, which takes a while."""

    def prints(self) -> PrintedTexts:
        """Return what the events print; each header is read again when one of its events is asked for."""
