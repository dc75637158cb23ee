"""SARIF output against the schema of OASIS, which is no part of this repository: it is fetched once, and kept."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

import pytest
from jsonschema import Draft4Validator
from support.debian import cache_dir

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


@pytest.fixture(scope="module")
def schema() -> Any:
    path = cache_dir() / "sarif-schema-2.1.0.json"
    if not path.exists():
        where = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
        try:
            with urllib.request.urlopen(where, timeout=20) as answer:
                text = answer.read()
        except (OSError, urllib.error.URLError) as error:
            pytest.skip(f"the schema cannot be had: {error}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return json.loads(path.read_text())


def sarif(examined: Iterable[Examined]) -> dict[str, Any]:
    return sarif_log("tpgen doctor", annotations_of(examined, SourcePaths(exists=lambda _: False)))


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=FINDINGS)
def test_a_log_is_as_the_schema_has_it(finding: Finding, schema: Any) -> None:
    judgements = [Judgement("a/b.o", "p", "tp/s/e", kernel, finding.verdict, (finding,)) for kernel in ("a", "b")]
    log = sarif([Examined("a/b.o", ("a", "b"), tuple(judgements))])
    assert [error.message for error in Draft4Validator(schema).iter_errors(log)] == []


def test_an_empty_log_is_as_the_schema_has_it(schema: Any) -> None:
    assert [*Draft4Validator(schema).iter_errors(sarif([]))] == []


def test_the_schema_notices(schema: Any) -> None:
    log = sarif([Examined("a", ("k",), (Judgement("a", "p", "s", "k", FIRST.verdict, (FIRST,)),))])
    log["runs"][0]["results"][0]["level"] = "bad"
    assert [*Draft4Validator(schema).iter_errors(log)]
