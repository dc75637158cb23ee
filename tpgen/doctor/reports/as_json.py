"""Judgements as JSON: the contract of `tpgen doctor --json`."""

from __future__ import annotations

from typing import Any

from tpgen.doctor.findings import Expected, Finding, Judgement


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """A program on a kernel as `tpgen doctor --json` prints it; unknown is None."""
    return {
        "object": judgement.object,
        "program": judgement.program,
        "section": judgement.section,
        "kernel": judgement.kernel,
        "verdict": judgement.verdict.value,
        "findings": [_finding_json(finding) for finding in judgement.findings],
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "stage": finding.stage.value if finding.stage else None,
        "errno": finding.errno,
        "slot": finding.slot,
        "offset": finding.offset,
        "size": finding.size,
        "expected": _expected_json(finding.expected),
        "actual": finding.actual,
        "file": finding.file,
        "line": finding.line,
        "message": told(finding),
    }


def _expected_json(expected: Expected | None) -> dict[str, Any] | None:
    return None if expected is None else expected._asdict()


def told(finding: Finding) -> str:
    """The message with the way on behind it, where there is one."""
    return f"{finding.message}; {finding.hint}" if finding.hint else finding.message
