"""Findings as annotations: each at its line of the source, with the kernels that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tpgen.annotations.annotation import Annotation
from tpgen.doctor.findings import Verdict
from tpgen.doctor.reports.as_json import told
from tpgen.doctor.reports.baseline import object_name
from tpgen.doctor.reports.folding import Examined, Folded, folded, kernel_ranges
from tpgen.doctor.reports.source_paths import SourcePaths


def annotations_of(examined: Iterable[Examined], paths: SourcePaths) -> Iterator[Annotation]:
    """The annotations of all findings."""
    for of_object in examined:
        for each in folded(of_object.judgements):
            yield _annotation(each, kernel_ranges(each.kernels, of_object.kernels), paths)


def _annotation(each: Folded, kernels: str, paths: SourcePaths) -> Annotation:
    """An error at the line of the source, or at the object; a warning where the program may be fine."""
    finding = each.finding
    return Annotation(
        "warning" if finding.verdict == Verdict.DEPENDS else "error",
        finding.code,
        told(finding),
        paths.shown(finding.file) if finding.file else each.object,
        finding.line or None if finding.file else None,
        title=f"{each.program} [{each.section}] on {kernels}: {finding.verdict}",
        function=each.program,
        fingerprint=_stable(each),
        properties={
            "object": each.object,
            "section": each.section,
            "kernels": list(each.kernels),
            "verdict": finding.verdict.value,
            "errno": finding.errno,
        },
    )


def _stable(each: Folded) -> tuple[str, ...]:
    finding, expected = each.finding, each.finding.expected
    parts = object_name(each.object), each.program, each.section, finding.code, finding.slot, finding.offset
    return tuple(map(str, (*parts, expected and expected.name, expected and expected.type)))
