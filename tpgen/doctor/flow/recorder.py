"""The record of what a program was seen to do."""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.doctor.accesses import Access, Gap, PointerUse, ProgramAccesses, Unfollowed
from tpgen.doctor.flow.values import Constant, Loaded, Pointed, Unsure, Value
from tpgen.sources.bpf_object.facts import Place


class Recorder:
    """Collects the facts of a `ProgramAccesses`."""

    def __init__(self) -> None:
        self.accesses: set[Access] = set()
        self.pointers: set[PointerUse] = set()
        self.gaps: set[Gap] = set()
        self.failed: set[Place] = set()
        self.decided_by: set[str] = set()
        self.undecided_by: set[str] = set()
        self.tail_calls = False
        self._reached: dict[str, bytearray] = {}

    def reached(self, section: str, length: int) -> bytearray:
        """A byte for each instruction of a section, which is set where it is reached."""
        return self._reached.setdefault(section, bytearray(length))

    def gap(self, reason: Unfollowed, place: Place) -> None:
        self.gaps.add(Gap(reason, place))

    def decided(self, *values: Value) -> None:
        """Record what the course of the program depends on, through these values."""
        for value in values:
            match value:
                case Constant(variables=names):
                    self.decided_by.update(names)
                case Unsure(names=names):
                    self.undecided_by.update(names)
                case _:
                    pass

    def use(self, place: Place, pointer: Loaded | Pointed, struct_name: str | None, *, followed: bool) -> None:
        """Record a use of a pointer from the context; `struct_name` is what it is used as, where that is told."""
        if isinstance(pointer, Loaded) and pointer.size != 8:
            return
        name = struct_name if isinstance(pointer, Loaded) else struct_name or pointer.struct_name
        self.pointers.add(PointerUse(place, pointer.offset, name, followed, pointer.checked))

    def result(self) -> ProgramAccesses:
        return ProgramAccesses(
            frozenset(self.accesses),
            frozenset(self.pointers),
            frozenset(self.gaps),
            frozenset(self._places()),
            frozenset(self.failed),
            frozenset(self.decided_by),
            frozenset(self.undecided_by),
            self.tail_calls,
        )

    def _places(self) -> Iterator[Place]:
        for section, marks in self._reached.items():
            at = marks.find(1)
            while at >= 0:
                yield Place(section, at)
                at = marks.find(1, at + 1)
