"""Findings as SARIF 2.1.0, which code scanning services read.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tpgen import __version__
from tpgen.doctor.findings import Verdict
from tpgen.doctor.reports.as_json import told
from tpgen.doctor.reports.baseline import object_name
from tpgen.doctor.reports.folding import Examined, Folded, folded, kernel_ranges
from tpgen.doctor.reports.source_paths import SourcePaths

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: What SARIF calls the directory that relative paths are below.
_ROOT = "%SRCROOT%"


def sarif(examined: Iterable[Examined], paths: SourcePaths) -> dict[str, Any]:
    """The log of one run: a result for each finding, with the kernels that it holds on."""
    found = [
        (each, kernel_ranges(each.kernels, of_object.kernels))
        for of_object in examined
        for each in folded(of_object.judgements)
    ]
    codes = sorted({each.finding.code for each, _ in found})
    driver = {"name": "tpgen doctor", "version": __version__, "rules": [{"id": code} for code in codes]}
    results = [_result(each, codes.index(each.finding.code), kernels, paths) for each, kernels in found]
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(each: Folded, rule: int, kernels: str, paths: SourcePaths) -> dict[str, Any]:
    finding = each.finding
    where = f"{each.program} [{each.section}] on {kernels}"
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": "warning" if finding.verdict == Verdict.DEPENDS else "error",
        "message": {"text": f"{where}: {finding.verdict}: {told(finding)}"},
        "locations": [_location(each, paths)],
        "partialFingerprints": {"tpgenFinding/v1": _fingerprint(each)},
        "properties": {
            "object": each.object,
            "section": each.section,
            "kernels": list(each.kernels),
            "verdict": finding.verdict.value,
            "errno": finding.errno,
        },
    }


def _location(each: Folded, paths: SourcePaths) -> dict[str, Any]:
    """The place in the source, or the object where that is not known."""
    finding = each.finding
    artifact = _artifact(paths.shown(finding.file) if finding.file else each.object)
    physical: dict[str, Any] = {"artifactLocation": artifact}
    if finding.file and finding.line:
        physical["region"] = {"startLine": finding.line}
    return {"physicalLocation": physical, "logicalLocations": [{"name": each.program, "kind": "function"}]}


def _artifact(path: str) -> dict[str, str]:
    from urllib.parse import quote

    quoted = quote(path, errors="surrogatepass")
    return {"uri": f"file://{quoted}"} if path.startswith("/") else {"uri": quoted, "uriBaseId": _ROOT}


def _fingerprint(each: Folded) -> str:
    """A digest of what stays though lines move."""
    from hashlib import sha256

    return sha256("\0".join(_stable(each)).encode("utf-8", "surrogatepass")).hexdigest()


def _stable(each: Folded) -> Iterable[str]:
    finding, expected = each.finding, each.finding.expected
    parts = object_name(each.object), each.program, each.section, finding.code, finding.slot, finding.offset
    return map(str, (*parts, expected and expected.name, expected and expected.type))
