"""Judgements of an object on many kernels, joined: each finding once, with the kernels that it concerns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tpgen.doctor.findings import Finding, Judgement
from tpgen.doctor.reports.baseline import Baseline

_ADDRESS_SPACE = re.compile(r"\b__(?:user|rcu|percpu|iomem) ?")


class Examined(NamedTuple):
    """An object with the kernels that it was held against, and the judgements.

    `others` counts its programs that are not of tracepoints, at which nobody looked; `known` its findings that a
    baseline has, and that are left out here.
    """

    name: str
    kernels: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    others: int = 0
    known: int = 0

    def beside(self, baseline: Baseline) -> Examined:
        """The object without the findings that the baseline has."""
        new = tuple(map(baseline.new, self.judgements))
        return self._replace(judgements=new, known=_findings(self.judgements) - _findings(new))


def _findings(judgements: Iterable[Judgement]) -> int:
    return sum(len(judgement.findings) for judgement in judgements)


class Folded(NamedTuple):
    """A finding about a program, and the kernels that it concerns, in their order.

    The finding is that of the first, with a hint for all of them.
    """

    object: str
    program: str
    section: str
    finding: Finding
    kernels: tuple[str, ...]


def folded(judgements: Iterable[Judgement]) -> list[Folded]:
    """Each finding once, in the order of the judgements: those that read the same are one."""
    kernels: dict[tuple[object, ...], list[str]] = {}
    firsts: dict[tuple[object, ...], Folded] = {}
    for judgement in judgements:
        program = (judgement.object, judgement.program, judgement.section)
        for finding in judgement.findings:
            key = (*program, *_said(finding, judgement.kernel))
            firsts.setdefault(key, Folded(*program, finding, ()))
            known = kernels.setdefault(key, [])
            if judgement.kernel not in known:
                known.append(judgement.kernel)
    return [_on(each, kernels[key]) for key, each in firsts.items()]


def _said(finding: Finding, kernel: str) -> tuple[object, ...]:
    """The parts of a finding that a reader is told; a way on that names its kernel is the same for all."""
    hint = finding.hint.replace(_named(kernel), _named("")) if finding.hint else None
    # Only some sources tell the address space of a pointer.
    message = _ADDRESS_SPACE.sub("", finding.message)
    places = finding.file, finding.line, message, hint
    return finding.verdict, finding.code, finding.stage, finding.errno, *places


def _on(each: Folded, kernels: Sequence[str]) -> Folded:
    finding, first, last = each.finding, kernels[0], kernels[-1]
    if finding.hint and len(kernels) > 1:
        between = " …" if len(kernels) > 2 else ""
        hint = finding.hint.replace(_named(first), f"{_named(first)}{between}{_named(last)}")
        finding = finding._replace(hint=hint)
    return each._replace(finding=finding, kernels=tuple(kernels))


def _named(kernel: str) -> str:
    return f" --kernel {kernel}"


def kernel_ranges(some: Iterable[str], every: Sequence[str]) -> str:
    """Some of the kernels as text, those that follow each other in `every` as a range: `5.10…6.12, live`."""
    wanted = set(some)
    if len(every) > 1 and wanted.issuperset(every):
        return "all kernels"
    return ", ".join(_ranges(wanted, every))


def _ranges(wanted: set[str], every: Sequence[str]) -> Iterator[str]:
    run: list[str] = []
    for kernel in (*every, None):
        if kernel is not None and kernel in wanted:
            run.append(kernel)
        elif run:
            yield f"{run[0]}…{run[-1]}" if len(run) > 2 else ", ".join(run)
            run = []
