"""SARIF output against the schema of OASIS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from support.sarif import against_schema

from tpgen.annotations.sarif import sarif_log
from tpgen.doctor.findings import Finding, Judgement, Stage, Verdict
from tpgen.doctor.reports.annotations import annotations_of
from tpgen.doctor.reports.folding import Examined
from tpgen.doctor.reports.source_paths import SourcePaths

FIRST = Finding(Verdict.WRONG, "other-field", Stage.RUN, None, "m", offset=16, size=8, file="/b/a b%.c", line=3)
FINDINGS = {
    "with a line": FIRST,
    "with a file alone": FIRST._replace(line=None),
    "with no place": FIRST._replace(file=None, line=None),
    "with line 0": FIRST._replace(line=0),
    "with what was not expected": FIRST._replace(file="/a\n\x1b\ud800:\\", message="\x00\n", code="x y"),
}  # fmt: skip


def sarif(examined: Iterable[Examined]) -> dict[str, Any]:
    return sarif_log("tpgen doctor", annotations_of(examined, SourcePaths(exists=lambda _: False)))


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=FINDINGS)
def test_a_log_is_as_the_schema_has_it(finding: Finding) -> None:
    judgements = [Judgement("a/b.o", "p", "tp/s/e", kernel, finding.verdict, (finding,)) for kernel in ("a", "b")]
    log = sarif([Examined("a/b.o", ("a", "b"), tuple(judgements))])
    assert against_schema(log) == []


def test_an_empty_log_is_as_the_schema_has_it() -> None:
    assert against_schema(sarif([])) == []


def test_the_schema_notices() -> None:
    log = sarif([Examined("a", ("k",), (Judgement("a", "p", "s", "k", FIRST.verdict, (FIRST,)),))])
    log["runs"][0]["results"][0]["level"] = "bad"
    assert against_schema(log)
