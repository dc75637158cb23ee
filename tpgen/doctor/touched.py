"""The part of what changed between two kernels that the programs of an object touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tpgen.basics.frozen import replace
from tpgen.diagnostics import fail
from tpgen.diff.changes import Change, EventDiff, KernelsDiff, Side, What
from tpgen.diff.compare import diff
from tpgen.doctor.judge import Judge
from tpgen.doctor.kernels import KnownKernel
from tpgen.doctor.rules.case import Case
from tpgen.layout import SLOT_BYTES
from tpgen.model import Argument, Event, Field
from tpgen.programs.sections import ProgramSection, ProgramType
from tpgen.sources.bpf_object.facts import BpfObject

_CLASS_RECORD = "trace_event_raw_"


def diff_for(
    objects: Sequence[BpfObject],
    kernels: tuple[KnownKernel, KnownKernel],
    patterns: Sequence[str] = (),
    module: str | None = None,
) -> KernelsDiff:
    """Differences in the events that programs of the objects attach to, with the changes that any of them touches.

    With patterns only of those events that they mean. Raises `TpgenError`: `arch-mismatch` for an object of another
    byte order than the kernels, and what `diff` raises.
    """
    before, after = kernels
    for obj in objects:
        if obj.big_endian != before.target.big_endian or obj.big_endian != after.target.big_endian:
            raise fail("arch-mismatch", "the byte order of this object is not that of the kernels", obj.name)
    named = list(dict.fromkeys(_patterns(objects, kernels)))
    names = before.name, after.name
    if not named:
        first, second = (Side(kernel.name, kernel.target, kernel.events.release) for kernel in kernels)
        return KernelsDiff(first, second, ())
    found = diff(before.events, after.events, names, patterns or named, module)
    uses = [use for obj in objects for use in _uses(obj, kernels)]
    return replace(found, events=tuple(_touched(found.events, uses)))


def _patterns(objects: Iterable[BpfObject], kernels: Iterable[KnownKernel]) -> Iterator[str]:
    """The events of the sections that any of the kernels knows."""
    kernels = tuple(kernels)
    for section in (program.section for obj in objects for program in obj.programs):
        if section is not None and section.event is not None:
            keys = [key for kernel in kernels for key in kernel.events.keys_of(section.event)]
            if any(section.system in (None, key.system) for key in keys):
                yield f"{section.system}:{section.event}" if section.system else section.event


class _Use(NamedTuple):
    """A program with what it does on both kernels."""

    name: str
    section: ProgramSection
    sides: tuple[_Side, _Side]

    def touches(self, change: Change) -> bool:
        """Whether it is given what changed, and reads it on the kernel that has it."""
        form = change.what.form
        if form is not None and form != self.section.type.form:
            return False
        match change.what:
            case What.EVENT_SYSTEM:
                return self.section.type == ProgramType.TP
            case What.ARGUMENT_NULLNESS:
                return self.section.type == ProgramType.TP_BTF and self._reads(change)
            case What.CLASS_RENAMED:
                records = {f"{_CLASS_RECORD}{name}" for name in (change.before, change.after)}
                return any(side.unknown or side.structs & records for side in self.sides)
            case _ if form is None or change.what in _OF_FORMS:
                return True
            case _:
                return self._reads(change)

    def _reads(self, change: Change) -> bool:
        things = (change.before, change.after)
        return any(side.reads(thing) for side, thing in zip(self.sides, things, strict=True))


#: Changes of all that a form hands out.
_OF_FORMS = (What.RAW_GONE, What.RAW_NEW, What.RECORD_GONE, What.RECORD_NEW)


class _Side(NamedTuple):
    """A program on one kernel: its events, the bytes of the context that it reads, and the structs.

    Where `unknown`, it may read anything.
    """

    events: frozenset[tuple[str | None, str, str | None]]
    read: frozenset[tuple[int, int]]
    structs: frozenset[str]
    unknown: bool

    def reads(self, thing: object) -> bool:
        match thing:
            case Argument():
                return self._meets(thing.slot * SLOT_BYTES, SLOT_BYTES)
            case Field():
                return self.unknown or thing.offset_bytes is None or self._meets(thing.offset_bytes, thing.size_bytes)
            case _:
                return False

    def _meets(self, begin: int, size: int | None) -> bool:
        end = begin + (size or 1)
        return self.unknown or any(start < end and begin < stop for start, stop in self.read)


def _identity(event: Event) -> tuple[str | None, str, str | None]:
    return event.system, event.name, event.module


def _uses(obj: BpfObject, kernels: tuple[KnownKernel, KnownKernel]) -> Iterator[_Use]:
    judge = Judge(obj)
    programs = [program for program in obj.programs if program.section is not None]
    for first, second in zip(*(judge.cases(kernel, programs, {}) for kernel in kernels), strict=True):
        yield _Use(first[0].program.function.name, first[0].section, (_side(*first), _side(*second)))


def _side(case: Case, events: Sequence[Event]) -> _Side:
    known = ((access.offset, access.size) for access in case.found.accesses if access.offset is not None)
    resolved = (case.outcomes.relocations.get(place) for place in case.found.reached)
    structs = (getattr(outcome, "struct_name", None) for outcome in resolved)
    return _Side(
        frozenset(map(_identity, events)),
        frozenset((offset, offset + (size or 1)) for offset, size in known),
        frozenset(name for name in structs if name is not None),
        bool(case.found.gaps),
    )


def _touched(events: Iterable[EventDiff], uses: Sequence[_Use]) -> Iterator[EventDiff]:
    """The events that programs attach to, with the changes that they touch."""
    for event in events:
        sides = [None if side is None else _identity(side) for side in (event.before, event.after)]
        attached = [
            use for use in uses if any(name in side.events for name, side in zip(sides, use.sides, strict=True))
        ]
        if attached:
            changes = tuple(change for change in event.changes if any(use.touches(change) for use in attached))
            forms = {use.section.type.form for use in attached}
            names = tuple(dict.fromkeys(use.name for use in attached if any(map(use.touches, changes))))
            unknown = frozenset(form for form in event.unknown if form in forms)
            yield EventDiff(event.before, event.after, changes, unknown, names)
