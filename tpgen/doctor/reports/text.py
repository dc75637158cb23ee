"""Judgements as text: the programs that are not fine, then a table of objects and kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.basics.columns import aligned, in_blocks
from tpgen.doctor.findings import Finding, Judgement, Verdict
from tpgen.doctor.reports.folding import Examined, Folded, folded, kernel_ranges
from tpgen.doctor.reports.source_paths import SourcePaths


def report(examined: Sequence[Examined], paths: SourcePaths, width: int | None = None) -> str:
    """The objects one after the other, then the table, if it has more than one cell; no wider than `width`."""
    lines = [line for each in examined for line in _object(each, paths)]
    judged = [each for each in examined if each.judgements]
    if sum(len(each.kernels) for each in judged) > 1:
        lines += ["", *_table(judged, width)]
    return "".join(f"{line}\n" for line in lines)


# --- one object


# Of more programs a note tells the number.
_MOST_NAMES = 3


class _ProgramName(NamedTuple):
    program: str
    section: str


def _object(examined: Examined, paths: SourcePaths) -> Iterator[str]:
    programs: dict[_ProgramName, list[Judgement]] = {}
    for judgement in examined.judgements:
        programs.setdefault(_ProgramName(judgement.program, judgement.section), []).append(judgement)
    yield f"{examined.name}: {_summary(examined, programs)}"
    for name, judgements in programs.items():
        if lines := [*_findings(folded(judgements), examined.kernels, paths)]:
            yield f"  {name.program} [{name.section}]"
            yield from (f"    {line}" for line in lines)
    yield from (f"  {line}" for line in _notes(examined))


def _summary(examined: Examined, programs: Mapping[_ProgramName, Sequence[Judgement]]) -> str:
    worst = Counter(max((each.verdict for each in found), key=_rank) for found in programs.values())
    counts = f": {_all(worst)}" if worst else ""
    parts = [f"{_number(len(programs), 'program') if programs else 'no program'} at tracepoints{counts}"]
    if examined.known:
        parts.append(f"{_number(examined.known, 'finding')} in the baseline")
    if examined.others:
        parts.append(f"{_number(examined.others, 'program')} of other types not looked at")
    return "; ".join(parts)


def _rank(verdict: Verdict) -> int:
    return verdict.rank


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _findings(found: Iterable[Folded], kernels: Sequence[str], paths: SourcePaths) -> Iterator[str]:
    """A line for each finding, the worst first, the kernels in a column."""
    ordered = sorted(found, key=lambda each: -each.finding.verdict.rank)
    where = [kernel_ranges(each.kernels, kernels) for each in ordered]
    width = max(map(len, where), default=0)
    for on, each in zip(where, ordered, strict=True):
        yield f"{on:<{width}}  {each.finding.verdict}: {_said(each.finding, paths)}"


def _said(finding: Finding, paths: SourcePaths) -> str:
    line = "" if finding.line is None else f":{finding.line}"
    place = f"{paths.shown(finding.file)}{line}: " if finding.file else ""
    errno = f" ({finding.errno})" if finding.errno else ""
    return f"{place}{finding.message}{errno} [{finding.code}]{f'; {finding.hint}' if finding.hint else ''}"


def _notes(examined: Examined) -> Iterator[str]:
    """A line for each note, with the kernels and the programs that it is about."""
    kernels: dict[str, set[str]] = {}
    programs: dict[str, dict[str, None]] = {}
    for judgement in examined.judgements:
        for note in judgement.notes:
            kernels.setdefault(note, set()).add(judgement.kernel)
            programs.setdefault(note, {})[judgement.program] = None
    for note, on in kernels.items():
        names = list(programs[note])
        who = ", ".join(names) if len(names) <= _MOST_NAMES else _number(len(names), "program")
        yield f"note: {who}: {note} ({kernel_ranges(on, examined.kernels)})"


# --- all objects


def _table(examined: Sequence[Examined], width: int | None) -> Iterator[str]:
    """A row for each object, or for each kernel where there is but one object."""
    kernels = list(dict.fromkeys(kernel for each in examined for kernel in each.kernels))
    if len(examined) == 1:
        (only,) = examined
        yield from aligned([[kernel, _all(_verdicts(only, kernel))] for kernel in kernels])
        return
    rows = [["object", *kernels]]
    for each in examined:
        rows.append([each.name, *(_worst(each, kernel) for kernel in kernels)])
    yield from in_blocks(rows, width)


def _verdicts(examined: Examined, kernel: str) -> Counter[Verdict]:
    return Counter(each.verdict for each in examined.judgements if each.kernel == kernel)


def _all(verdicts: Counter[Verdict]) -> str:
    return ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in reversed(Verdict) if verdicts[verdict]) or "-"


def _worst(examined: Examined, kernel: str) -> str:
    """The worst verdict of an object on a kernel, with the number of programs that have it; `-` where it has none."""
    if kernel not in examined.kernels or not (verdicts := _verdicts(examined, kernel)):
        return "-"
    worst = max(verdicts, key=_rank)
    return str(worst) if worst == Verdict.FINE else f"{verdicts[worst]} {worst}"
