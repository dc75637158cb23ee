"""tracefs: the directory in which a running kernel lists its trace events, each with a `format` file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property

from tpgen.basics.patterns import pattern
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.diagnostics import TpgenError, fail, unreadable
from tpgen.sources.files import read_bytes
from tpgen.target import Target

if TYPE_CHECKING:
    from tpgen.sources.formats import BadFormat, Format

#: The system of ftrace's own records (`function`, `print`, …): no tracepoint makes them.
FTRACE_SYSTEM = "ftrace"
#: The systems of dynamic events that name none.
DYNAMIC_SYSTEMS = frozenset(("kprobes", "uprobes", "eprobes", "fprobes", "tracepoints", "synthetic"))
# Since Linux 5448d44c3855 ("tracing: Add unified dynamic event framework") (in v5.0) the first has them all.
_DYNAMIC_FILES = (("dynamic_events",), ("kprobe_events", "uprobe_events"))
# As `p:kprobes/name …`, `r64:group/name …`, `s:synthetic/name …`.
_DYNAMIC_EVENT = pattern(r"(?m)^[a-z][0-9]*:([^/\s]+)/(\S+)")
# The longest format files are those with a table in `print fmt`, of some 100 KiB.
_BIGGEST_FORMAT = 4 << 20


class TraceFs:
    """The events directory of a tracefs mount, or a copy of one. Files are read on demand.

    Raises `TpgenError` `tracefs-missing` where there is no events directory, `unreadable` where it may not be read.
    """

    def __init__(self, root: str, target: Target) -> None:
        self.root = root
        self._target = target
        events = os.path.join(root, "events")
        self._events_dir = events if os.path.isdir(events) else root
        self._systems = self._directories(self._events_dir)
        if not self._systems or (self._events_dir is root and not self._has_formats()):
            hint = "give the directory that has events/ in it; as root: mount -t tracefs tracefs /sys/kernel/tracing"
            raise fail("tracefs-missing", "no events in this tracefs directory", root, hint)

    def _has_formats(self) -> bool:
        """Whether there is any format file where those of events lie: else it is a directory of something else."""
        paths = (os.path.join(self._events_dir, system) for system in self._systems)
        return any(
            os.path.exists(os.path.join(path, event, "format"))
            for path in paths
            for event in self._directories(path, may_be_gone=True)
        )

    def _directories(self, path: str, may_be_gone: bool = False) -> list[str]:
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except OSError as error:
            if may_be_gone and isinstance(error, FileNotFoundError):
                return []
            refused = isinstance(error, PermissionError)
            raise unreadable(path, error, "tracefs is readable for root only" if refused else None) from None

    @property
    def systems(self) -> tuple[str, ...]:
        return tuple(self._systems)

    def events(self) -> list[tuple[str, str]]:
        """Every (system, event) that has a format file, in the order of their names; ftrace's own are left out.

        A system that is gone by now has none: the kernel lists the directory of removed probes for a while.
        """
        found = []
        for system in self._systems:
            if system != FTRACE_SYSTEM:
                directory = os.path.join(self._events_dir, system)
                found += [(system, event) for event in self._directories(directory, may_be_gone=True)]
        return found

    @cached_property
    def dynamic_events(self) -> frozenset[tuple[str, str]] | None:
        """The (system, event) pairs of the probes and synthetic events that somebody defined.

        None where no file lists them, as in most copies.
        """
        for names in _DYNAMIC_FILES:
            texts = [self._listed(name) for name in names]
            if any(text is not None for text in texts):
                pairs = (_DYNAMIC_EVENT.findall(text) for text in texts if text)
                return frozenset((system, event) for found in pairs for system, event in found)
        return None

    def _listed(self, name: str) -> str | None:
        """The text of a file beside the events directory; None where it cannot be read."""
        path = os.path.join(os.path.dirname(self._events_dir), name)
        if not os.path.exists(path):
            return None
        try:
            return read_bytes(path, _BIGGEST_FORMAT).decode("utf-8", "replace")
        except TpgenError:
            return None

    def systems_of(self, event: str) -> tuple[str, ...]:
        """The systems that have an event of this name; other events are not listed for that."""
        if not event or "/" in event or event in (".", ".."):
            return ()
        return tuple(
            system
            for system in self._systems
            if system != FTRACE_SYSTEM and os.path.isdir(os.path.join(self._events_dir, system, event))
        )

    def formats(self, events: Iterable[tuple[str, str]]) -> list[Format | BadFormat]:
        """The parsed format files of the given (system, event) pairs; of a file that cannot be read, the reason."""
        from tpgen.sources.formats import BadFormat, parse_formats

        texts: list[tuple[str, str, str]] = []
        unread: dict[int, BadFormat] = {}
        for number, (system, event) in enumerate(events):
            path = os.path.join(self._events_dir, system, event, "format")
            try:
                texts.append((system, path, read_bytes(path, _BIGGEST_FORMAT).decode("utf-8", "replace")))
            except TpgenError as error:
                unread[number] = BadFormat(system, path, error.diagnostics[0])
        parsed = parse_formats(texts, self._target)
        for number, bad in unread.items():
            parsed.insert(number, bad)
        return parsed
