"""A program on a kernel, as rules look at it, and the making of findings about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tpgen.doctor.accesses import ProgramAccesses
from tpgen.doctor.findings import Expected, Finding, Stage, Verdict
from tpgen.doctor.kernels import KnownKernel
from tpgen.doctor.rules.needs import Needs
from tpgen.doctor.rules.outcomes import Outcomes
from tpgen.model import Argument, Event, Field
from tpgen.programs.sections import ProgramSection, ProgramType
from tpgen.show import arg_json, field_json
from tpgen.sources.bpf_object.facts import BpfObject, Function, Place, Program
from tpgen.target import Target
from tpgen.values import Value

#: The licences that the kernel takes for compatible, license_is_gpl_compatible() of include/linux/license.h.
GPL_COMPATIBLE = frozenset(
    ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
)


class Case(NamedTuple):
    """A program of an object on a kernel, with what it does there."""

    obj: BpfObject
    program: Program
    section: ProgramSection
    kernel: KnownKernel
    needs: Needs
    outcomes: Outcomes
    found: ProgramAccesses

    @property
    def is_tp_btf(self) -> bool:
        return self.section.type == ProgramType.TP_BTF

    @property
    def target(self) -> Target:
        return self.kernel.target

    def function_at(self, place: Place) -> Function | None:
        """The function that an instruction is in."""
        for function in self.obj.functions:
            start = function.place
            if start.section == place.section and start.at <= place.at < start.at + function.length:
                return function
        return None


class Told(NamedTuple):
    """The parts of a finding that its rule does not decide: the place in the program and in the context."""

    place: Place | None = None
    slot: int | None = None
    offset: int | None = None
    size: int | None = None
    expected: Expected | None = None
    actual: dict[str, Any] | None = None


def found(
    case: Case, verdict: Verdict, code: str, message: str, told: Told | None = None, errno: str | None = None,
    hint: str | None = None,
) -> Finding:  # fmt: skip
    """A finding with that verdict, which implies the stage. Without a place it is about the whole program."""
    told = told or Told()
    line = case.obj.line_of(told.place or case.program.function.place)
    return Finding(
        verdict, code, _STAGES[verdict], errno, message, told.slot, told.offset, told.size, told.expected, told.actual,
        line.file if line else None, line.line if line else None, hint,
    )  # fmt: skip


_STAGES = {
    Verdict.REFUSED_LOAD: Stage.LOAD,
    Verdict.REFUSED_ATTACH: Stage.ATTACH,
    Verdict.WRONG: Stage.RUN,
    Verdict.DEPENDS: None,
    Verdict.FINE: None,
}


def refused_load(case: Case, code: str, message: str, told: Told | None = None, errno: str = "EACCES") -> Finding:
    """A finding that the kernel does not load the program."""
    return found(case, Verdict.REFUSED_LOAD, code, message, told, errno)


def value_json(event: Event, value: Value | None, target: Target) -> dict[str, Any] | None:
    """A value of an event as `show --json` has it."""
    if value is None:
        return None
    if value.slot is not None:
        return arg_json(_argument(event, value.slot), target)
    return field_json(_field(event, value))


def _argument(event: Event, slot: int) -> Argument:
    assert event.args is not None
    return event.args[slot]


def _field(event: Event, value: Value) -> Field:
    assert event.record is not None
    return next(
        field
        for field in event.record.fields
        if (field.name, field.dynamic) == (value.name, value.dynamic) and _lies_in(field, value)
    )


def _lies_in(field: Field, value: Value) -> bool:
    """Whether the value is of that field: that of a system call may be the last bytes of its slot."""
    start = field.offset_bytes or 0
    return start <= value.offset_bytes < start + max(field.size_bytes or 0, 1)


def first_of_each(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings without duplicates for other instructions."""
    seen = set()
    for finding in findings:
        expected = finding.expected.name if finding.expected else None
        what: tuple[object, ...] = (finding.slot, finding.offset, finding.size)
        if expected is not None:  # which may be read part by part
            what = (finding.slot, expected)
        elif what == (None, None, None):
            what = (finding.message,)
        key = (finding.verdict, finding.code, *what)
        if key not in seen:
            seen.add(key)
            yield finding
