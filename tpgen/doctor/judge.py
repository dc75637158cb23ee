"""Judgements: what happens to the programs of an object on a kernel.

A program is followed with the values of constants that the file has, and with what `variables` say. Then each constant
that a branch depends on is taken for another: who loads the program may set it. What is found only then makes the
verdict `depends`, and so does what is found only where something is so that is not known of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from tpgen.doctor.findings import Finding, Judgement, Verdict
from tpgen.doctor.flow.analysis import Flow
from tpgen.doctor.kernels import KnownKernel, is_shipped
from tpgen.doctor.relocated import Unknown
from tpgen.doctor.rules.case import Case, first_of_each
from tpgen.doctor.rules.classic import classic_findings
from tpgen.doctor.rules.context import context_findings
from tpgen.doctor.rules.events import event_findings, events_of
from tpgen.doctor.rules.features import feature_findings
from tpgen.doctor.rules.needs import Needs
from tpgen.doctor.rules.outcomes import Outcomes
from tpgen.doctor.rules.pointers import pointer_findings
from tpgen.doctor.rules.raw import raw_findings
from tpgen.doctor.variations import Choice, Given, Variation, open_choices, variable_choices
from tpgen.model import Event
from tpgen.programs.sections import ProgramType
from tpgen.sources.bpf_object.facts import BpfObject, Program, ReferenceKind


class Judge:
    """Judges the programs of an object, on one kernel after the other."""

    def __init__(self, obj: BpfObject) -> None:
        self._obj = obj
        self._flow = Flow(obj)
        self._needs = Needs(obj)

    def judgements(
        self, kernel: KnownKernel, programs: Sequence[Program], variables: Mapping[str, int]
    ) -> Iterator[Judgement]:
        """Judge programs on a kernel, in their order; those of other sections than tracepoints' are left out.

        `variables` are the values of constants that are known to be set before the program is loaded.
        """
        on_kernel = _OnKernel(self._obj, self._flow, self._needs, kernel, variables)
        for program in programs:
            if program.section is not None:
                yield on_kernel.judgement(program)

    def cases(
        self, kernel: KnownKernel, programs: Sequence[Program], variables: Mapping[str, int]
    ) -> Iterator[tuple[Case, Sequence[Event]]]:
        """Follow programs at tracepoints on a kernel, in their order: what each does there, and the events it gets."""
        on_kernel = _OnKernel(self._obj, self._flow, self._needs, kernel, variables)
        for program in programs:
            if program.section is not None:
                events = events_of(kernel, program.section)
                yield on_kernel.case(program, events, on_kernel.given), events


def judge(
    obj: BpfObject, kernel: KnownKernel, programs: Sequence[Program], variables: Mapping[str, int]
) -> Iterator[Judgement]:
    """Judge programs of an object on one kernel, as `Judge` does."""
    return Judge(obj).judgements(kernel, programs, variables)


class _OnKernel:
    """Judges programs of one object on one kernel."""

    def __init__(
        self, obj: BpfObject, flow: Flow, needs: Needs, kernel: KnownKernel, variables: Mapping[str, int]
    ) -> None:
        self._obj = obj
        self._flow = flow
        self._needs = needs
        self._kernel = kernel
        self._variables = variables
        self._relocated = Outcomes(kernel.relocated(obj))

    @cached_property
    def given(self) -> Given:
        """The values that the object has, or is given, on this kernel."""
        return Given(self._relocated, self._variables, self._kernel.symbols_of(self._obj))

    def judgement(self, program: Program) -> Judgement:
        """The judgement on a program."""
        assert program.section is not None
        events, given = events_of(self._kernel, program.section), self.given
        case = self.case(program, events, given)
        findings = _findings(case, events)
        for choice in open_choices(self._obj, case.found, given):
            findings = _unless_always(findings, choice, self._outcomes(program, events, choice))
        for choice in variable_choices(self._obj, case.found, given):
            findings = _with_others(findings, self._outcomes(program, events, choice))
        findings.sort(key=lambda finding: -_RANKS.index(finding.verdict))
        return Judgement(
            self._obj.name, program.function.name, program.section_name, self._kernel.name,
            findings[0].verdict if findings else Verdict.FINE, tuple(findings), tuple(self._notes(case, events)),
        )  # fmt: skip

    def _outcomes(
        self, program: Program, events: Sequence[Event], choice: Choice
    ) -> Iterator[tuple[Variation, list[Finding]]]:
        for variation in choice.variations:
            yield variation, _findings(self.case(program, events, variation.given), events)

    def case(self, program: Program, events: Sequence[Event], given: Given) -> Case:
        """The program followed with these values."""
        assert program.section is not None
        followed = self._flow.accesses(
            program,
            given.outcomes.relocations,
            variables=given.variables,
            kernel_version=self._kernel.version_code,
            symbols=given.symbols,
            never_null=self._kernel.never_null(events) if program.section.type == ProgramType.TP_BTF else frozenset(),
        )
        return Case(self._obj, program, program.section, self._kernel, self._needs, given.outcomes, followed)

    def _notes(self, case: Case, events: Sequence[Event]) -> Iterator[str]:
        if _is_tail_called_alone(case, events):
            yield "no kernel has the event of its section, and the object has a table of programs: it is called by one"
        if case.section.event is None:
            yield "its section names no event: what it reads is not judged"
        if any(isinstance(case.outcomes.relocations.get(place), Unknown) for place in case.found.reached):
            yield "some relocations need types of this kernel that are not known: give --btf"
        if not self._kernel.images and _calls_kernel_functions(case):
            yield "it calls functions of the kernel, and it is not known which ones exist: give --btf"


_RANKS = tuple(Verdict)
# BPF_MAP_TYPE_PROG_ARRAY
_PROG_ARRAY = 3


def _findings(case: Case, events: Sequence[Event]) -> list[Finding]:
    """The findings about a program whose accesses are known."""
    found = [*feature_findings(case), *context_findings(case)]
    if not _is_tail_called_alone(case, events):
        found += event_findings(case, events)
    found += _about_all(case, events) if events else pointer_findings(case, None)
    return list(first_of_each(found))


def _is_tail_called_alone(case: Case, events: Sequence[Event]) -> bool:
    """Whether the event is on no kernel that is known, and the program may be one that others call by a table."""
    if events or case.section.event is None or all(entry.type != _PROG_ARRAY for entry in case.obj.maps):
        return False
    return not is_shipped(case.section)


def _about_all(case: Case, events: Sequence[Event]) -> Iterator[Finding]:
    """The findings about the events that a program may get; what is not true of all makes it depend."""
    of_each = [list(_about(case, event)) for event in events]
    common = set.intersection(*(_identities(findings) for findings in of_each))
    for event, findings in zip(events, of_each, strict=True):
        for finding in findings:
            if _identity(finding) in common:
                yield finding
            else:
                yield _depending(finding, f"where {event.title} is that of {event.module or 'vmlinux'}")


def _about(case: Case, event: Event) -> Iterator[Finding]:
    if case.section.type == ProgramType.TP:
        yield from classic_findings(case, event)
    else:
        yield from raw_findings(case, event)
    yield from pointer_findings(case, event)


def _calls_kernel_functions(case: Case) -> bool:
    functions = {name for name, kind in case.obj.kernel_symbols.items() if kind == "func"}
    return bool(functions) and any(
        reference.name in functions and reference.kind == ReferenceKind.EXTERN and place in case.found.reached
        for place, reference in case.obj.references.items()
    )


# --- what is found only in some cases


def _unless_always(
    findings: Sequence[Finding], choice: Choice, outcomes: Iterable[tuple[Variation, Sequence[Finding]]]
) -> list[Finding]:
    """The findings; what is not found however something unknown is, depends on it."""
    if all(finding.verdict == Verdict.DEPENDS for finding in findings):
        return list(findings)
    known = [(variation, _identities(found)) for variation, found in outcomes]
    told = []
    for finding in findings:
        where = [variation for variation, found in known if _identity(finding) in found]
        if finding.verdict != Verdict.DEPENDS and len(where) < len(known):
            words = where[0].words if where else f"depending on {choice.name}"
            finding = _depending(finding, words)
        told.append(finding)
    return told


def _with_others(findings: Sequence[Finding], outcomes: Iterable[tuple[Variation, Sequence[Finding]]]) -> list[Finding]:
    """The findings with those that hold only where a constant has another value; such a value may be the way on."""
    told = list(findings)
    for variation, found in outcomes:
        there, here = _identities(found), _identities(told)
        for index, finding in enumerate(told):
            if finding.verdict != Verdict.DEPENDS and _identity(finding) not in there:
                hint = f"not {variation.words}" if finding.hint is None else f"not {variation.words}; {finding.hint}"
                told[index] = finding._replace(hint=hint)
        told += [_depending(finding, variation.words) for finding in found if _identity(finding) not in here]
    return told


def _identities(findings: Iterable[Finding]) -> set[tuple[object, ...]]:
    return {_identity(finding) for finding in findings}


def _identity(finding: Finding) -> tuple[object, ...]:
    expected = finding.expected.name if finding.expected else None
    return finding.code, finding.slot, finding.offset, finding.size, finding.file, finding.line, expected


def _depending(finding: Finding, where: str) -> Finding:
    return finding._replace(verdict=Verdict.DEPENDS, message=f"{where}: {finding.message}")
