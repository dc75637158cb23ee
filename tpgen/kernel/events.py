"""Selection: one kernel's events, and how the patterns that a user writes find them.

What a kernel's events are is known from its sources (`resolve`) or from a catalog; who asks for them need not know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail
from tpgen.kernel.request import is_glob
from tpgen.kernel.symbols.facts import NO_SYMBOLS, EventSymbols
from tpgen.target import Target

if TYPE_CHECKING:
    from tpgen.kernel.comparison import Comparison
    from tpgen.model import Event, Record

_OF_SYSCALLS = ("sys_enter_", "sys_exit_")
# Of more events than these, nobody meant one.
_MOST_MEANT = 5


class EventKey(NamedTuple):
    """The key of an event within one kernel. `system` is None if unknown, `module` is None for vmlinux.

    `dynamic` is True for a probe or a synthetic event that a user defined, which can have the name of a tracepoint.
    """

    system: str | None
    name: str
    module: str | None = None
    dynamic: bool = False

    def __str__(self) -> str:
        return f"{self.system}:{self.name}" if self.system else self.name


class Part(StrEnum):
    """Sorts of events that a kernel's sources may lack: BTF has no system calls, and that of a module is its own."""

    SYSCALLS = "system calls"
    MODULES = "events of modules"


class KernelEvents(ABC):
    """One kernel's events. `label` names the kernel in messages, `release` is its uname -r if known.

    `notes` report what could not be read, and why that matters.
    """

    def __init__(self, label: str, target: Target, release: str | None, notes: tuple[Diagnostic, ...] = ()) -> None:
        self.label = label
        self.target = target
        self.release = release
        self.notes = notes
        #: Whether it is taken for a running kernel that cannot be asked, and that may be another.
        self.is_stand_in = False
        #: Whether its sources were read before and are not at hand, so that no option changes what they decide.
        self.is_stored = False

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of all events, sorted."""

    @abstractmethod
    def keys_of(self, name: str) -> list[EventKey]:
        """Every event of exactly this name."""

    @abstractmethod
    def keys(self) -> list[EventKey]:
        """Every event, sorted by system and name."""

    @abstractmethod
    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        """The events of `keys` in their order. With `raw_only` they may have no class and no record.

        Without `nullness` they may lack what only the running kernel's verifier knows, which takes time to ask.
        """

    def fingerprints(self, names: Collection[str] | None = None) -> Iterator[tuple[EventKey, Hashable]]:
        """Each event with a fingerprint of its facts: events with equal fingerprints are the same in both forms.

        With `names` only events with these names. Events with different fingerprints can still be the same.
        """
        keys = self.keys() if names is None else [key for name in names for key in self.keys_of(name)]
        for key, event in zip(keys, self.events(keys), strict=True):
            yield key, (event.kind, event.attach_name is None, event.args, event.class_name, event.record)

    @property
    def store(self) -> object:
        """The file that it is read from with others, by its identity; the kernel itself where there are none."""
        return self

    def fingerprints_of_several(
        self, kernels: Mapping[int, KernelEvents], names: Collection[str] | None = None
    ) -> Iterator[tuple[EventKey, Hashable, int]]:
        """The fingerprints of kernels of this one's store, by a bit for each, and the bits of all that have one.

        One may come several times, each time with other bits.
        """
        for bit, kernel in kernels.items():
            for key, fingerprint in kernel.fingerprints(names):
                yield key, fingerprint, bit

    def all_valid_of_several(self, kernels: Mapping[int, KernelEvents]) -> int:
        """The bits of the kernels of this one's store that do not tell NULL, as `tells_null` has it."""
        return sum(bit for bit, kernel in kernels.items() if kernel.tells_null() is False)

    def tells(self, part: Part) -> bool:
        """Whether its sources have all events of that sort, so that an event which they do not have does not exist.

        Sources of the running kernel, or from files, can lack any module.
        """
        return part is Part.SYSCALLS and any(key.system == "syscalls" for key in self.keys())

    def listed(self, keys: list[EventKey]) -> list[Event]:
        """The events of `keys` for a list of them, in their order: name, module, kind, class and arguments.

        They may lack all other facts.
        """
        return self.events(keys, nullness=False)

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterable[Comparison]:
        """The comparisons of sources about an event; with `raw_only` only those of its raw arguments."""
        return ()

    def symbols(self, key: EventKey) -> EventSymbols:
        """The names of values of the event's arguments and fields."""
        return NO_SYMBOLS

    def build_ids(self) -> Mapping[str | None, str]:
        """Return the GNU build ids of the image, which is None, and of modules, in hex, as far as they are known."""
        return {}

    def unreadable(self, keys: Iterable[EventKey]) -> Sequence[Diagnostic]:
        """Return what of these events' sources could not be read."""
        return ()

    def records_of(self, class_name: str) -> Sequence[Record]:
        """The records that `struct trace_event_raw_<class_name>` has where CO-RE looks for it.

        That is in vmlinux, or else in the modules; there are several where modules define it differently.
        """
        return ()

    def broken_headers(self) -> Sequence[Diagnostic]:
        """Return the faults in headers of the kernel. The rest of these headers, and all other headers, are read."""
        return ()

    def left_out(self) -> Sequence[Diagnostic]:
        """Return notes about parts of headers that look like events and were not taken as such."""
        return ()

    def clues(self, name: str) -> list[str]:
        """Return what may explain that the kernel has no event `name`."""
        return [] if self.names else ["it has no events"]

    def lost(self, patterns: Iterable[str]) -> list[Diagnostic]:
        """Return what broken headers may have cost of the events that `patterns` mean.

        That is errors where a pattern may mean several; about events that are named in full it is a note.
        """
        broken = self.broken_headers()
        if not broken or any(map(is_glob, patterns)):
            return list(broken)
        first, more = broken[0], len(broken) - 1
        if more:
            first = first._replace(hint=f"{more} more fault{'s' * (more > 1)} in headers: `tpgen check` lists them")
        return [first._replace(severity=Severity.NOTE)]

    def raw_evidence(self) -> Iterable[tuple[str, bool | None]]:
        """The evidence in the kernel's data about raw tracepoints; None in an item that does not decide."""
        return ()

    def tells_null(self) -> bool | None:
        """Whether the verifier knows raw arguments that can be NULL, by the kernel's own evidence; None if unknown.

        If it is False, a tp_btf program can dereference every pointer without a test.
        """
        return None

    def select(self, pattern: str, module: str | None = None) -> list[EventKey]:
        """The events that `pattern` means: `name`, `system:name`, or either with `*`, `?` and `[…]`.

        Raises `TpgenError`: `bad-pattern` for an empty name, `unknown-event` where nothing matches.
        """
        found = self.matching(pattern, module)
        if not found:
            system, name = split_pattern(pattern)
            unknown = self._unknown(pattern, system, self._candidates(pattern, name), module)
            raise TpgenError(*self.lost((pattern,)), *unknown.diagnostics)
        return found

    def matching(self, pattern: str, module: str | None = None) -> list[EventKey]:
        """The events that `pattern` means, maybe none, as `select` has them. Raises `bad-pattern`."""
        name = split_pattern(pattern)[1]
        return meant(self.keys() if is_glob(pattern) else self.keys_of(name), pattern, module)

    def _candidates(self, pattern: str, name: str) -> list[EventKey]:
        """The events of such a name, of any system and module."""
        is_meant = _test(name)
        return [key for key in self.keys() if is_meant(key.name)] if is_glob(pattern) else self.keys_of(name)

    def select_all(self, patterns: Iterable[str], module: str | None = None) -> list[EventKey]:
        """The events that any of `patterns` means, each once."""
        return list(dict.fromkeys(key for pattern in patterns for key in self.select(pattern, module)))

    def _unknown(self, pattern: str, system: str | None, candidates: list[EventKey], module: str | None) -> TpgenError:
        where = f"in {self.label}"
        if candidates and module is not None:
            events = self.events(candidates, raw_only=True, nullness=False)
            modules = sorted({event.image for event in events if event.image is not None})
            hint = _or("it is of", modules) if modules else "only BTF has the module of an event: omit --module"
            return fail("unknown-event", f"no event {pattern!r} of module {module} {where}", hint=hint)
        if candidates and all(key.system is None for key in candidates):
            hint = f"only tracefs, headers and catalogs have the system: give only {candidates[0].name!r}"
            return fail("unknown-event", f"no event {pattern!r} {where}", hint=hint)
        if near := self._near_systems(pattern, system):
            return fail("unknown-event", f"no event {pattern!r} {where}", hint=_or("did you mean", near, "?"))
        known = sorted({str(key) for key in candidates})
        if system is not None and 0 < len(known) <= _MOST_MEANT:  # of other systems
            return fail("unknown-event", f"no event {pattern!r} {where}", hint=_or("did you mean", known, "?"))
        call = pattern.rpartition(":")[2].startswith(_OF_SYSCALLS)
        if call and not any(name.startswith(_OF_SYSCALLS) for name in self.names):
            hint = "only tracefs has the events of system calls: read it as root, or give --tracefs"
            return fail("unknown-event", f"no event {pattern!r} {where}", hint=hint)
        near = self._near_misses(pattern)
        said = [_or("did you mean", near, "?")] if near else [note.message for note in self.notes]
        hint = "; ".join((*said, *self.clues(split_pattern(pattern)[1]))) or "`tpgen list` lists all events"
        what = f"event {pattern!r}" if self.names else "events"
        return fail("unknown-event", f"no {what} {where}", hint=hint)

    def _near_systems(self, pattern: str, system: str | None) -> list[str]:
        """The patterns for all events of a system that is named as if it were an event, or misspelt."""
        import difflib

        systems = {key.system for key in self.keys() if key.system is not None}
        name = split_pattern(pattern)[1]
        if system is None:
            return [f"'{name}:*'"] if name in systems else []
        if system in systems or is_glob(system) or not is_glob(name):
            return []
        return [f"'{near}:{name}'" for near in difflib.get_close_matches(system, sorted(systems), n=3, cutoff=0.7)]

    def _near_misses(self, pattern: str) -> list[str]:
        """The events with a similar name, in upper or lower case; if there are none, those of a similar system."""
        from difflib import get_close_matches

        names = {name.lower(): name for name in self.names}
        word = pattern.rpartition(":")[2].lower()
        if near := get_close_matches(word, names, n=3, cutoff=0.7):
            return [names[found] for found in near]
        systems = {key.system for key in self.keys() if key.system is not None} if word == pattern.lower() else ()
        return [f"'{found}:*'" for found in get_close_matches(word, sorted(systems), n=3, cutoff=0.7)]


def _test(pattern: str) -> Callable[[str], bool]:
    """The test whether a system or a name is meant."""
    if not is_glob(pattern):
        return pattern.__eq__
    from fnmatch import fnmatchcase

    return lambda name: fnmatchcase(name, pattern)


def meant(keys: Iterable[EventKey], pattern: str, module: str | None = None) -> list[EventKey]:
    """Return those of some events that `pattern` means, in their order. Raises `bad-pattern`."""
    system, name = split_pattern(pattern)
    is_system, is_name = _test(system or ""), _test(name)
    found = [
        key
        for key in keys
        if is_name(key.name)
        and (system is None or (key.system is not None and is_system(key.system)))
        and (module is None or key.module == (None if module == "vmlinux" else module))
    ]
    if system is None and not is_glob(pattern):
        # `perf probe NAME` makes a probe of the tracepoint's name; who means the probe says its system.
        return [key for key in found if not key.dynamic] or found
    return found


def split_pattern(pattern: str) -> tuple[str | None, str]:
    """The system and the name of a pattern; None where any system will do. Raises `bad-pattern` for an empty name.

    As in SystemTap, `:sched_switch` is valid: it names no system.
    """
    system, _, name = pattern.rpartition(":")
    if not name:
        raise fail("bad-pattern", f"no event name in {pattern!r}", hint="write EVENT, SYSTEM:EVENT or 'SYSTEM:*'")
    return system or None, name


def _or(before: str, choices: list[str], after: str = "") -> str:
    return f"{before} {', '.join(choices[:-1])}{' or ' if len(choices) > 1 else ''}{choices[-1]}{after}"
