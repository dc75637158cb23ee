"""`tpgen check` for programs: JSON, and annotations of GitHub and of code scanning services."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cli import tpgen
from support.sarif import against_schema

BAD = """\
#define TRACE_SYSTEM mine
TRACE_EVENT(right, TP_PROTO(int a), TP_ARGS(a), TP_STRUCT__entry(__field(int, a)), TP_fast_assign(), TP_printk("x"));

TRACE_EVENT(wrong, TP_PROTO(int a), TP_ARGS(a));
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.chdir(tmp_path)
    Path("mine.h").write_text(BAD)
    return ("--headers", "mine.h", "--kernel", "debian-6.12-amd64")


def test_json(driver: tuple[str, ...]) -> None:
    done = tpgen("check", "--json", *driver)
    assert (done.code, done.err) == (1, "")
    (checked,) = json.loads(done.out)
    assert set(checked) == {"kernel", "release", "subjects", "findings", "not_compared", "version"}
    (finding,) = [finding for finding in checked["findings"] if finding["severity"] == "error"]
    assert finding == {
        "code": "header-arguments",
        "severity": "error",
        "message": "TRACE_EVENT takes 6 arguments, 3 given",
        "hint": None,
        "file": "mine.h",
        "line": 4,
        "column": 1,
    }
    for subject in checked["subjects"]:
        assert subject["agree"] + subject["differ"] == subject["compared"]


def test_json_of_several_kernels() -> None:
    done = tpgen("check", "--json", "sched_switch", "--kernel", "6.1", "--kernel", "debian-6.12-amd64")
    assert (done.code, done.err) == (0, "")
    assert [each["kernel"] for each in json.loads(done.out)] == ["debian-6.1-amd64", "debian-6.12-amd64"]


def test_github(driver: tuple[str, ...]) -> None:
    done = tpgen("check", "--format", "github", *driver)
    assert (done.code, done.err) == (1, "")
    assert "::error file=mine.h,line=4,col=1,title=[header-arguments]::TRACE_EVENT takes 6 arguments, 3 given" in (
        done.out.splitlines()
    )


def test_sarif(driver: tuple[str, ...]) -> None:
    done = tpgen("check", "--format", "sarif", *driver)
    assert (done.code, done.err) == (1, "")
    log = json.loads(done.out)
    assert against_schema(log) == []
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "tpgen check"
    (result,) = [result for result in run["results"] if result["level"] == "error"]
    assert result["ruleId"] == "header-arguments"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "mine.h", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 4, "startColumn": 1},
    }


@pytest.mark.parametrize(("words", "expected"), [(("--json",), None), (("--format", "github"), "")])
def test_nothing_found(words: tuple[str, ...], expected: str | None) -> None:
    done = tpgen("check", "sched_switch", "--kernel", "debian-6.12-amd64", *words)
    assert (done.code, done.err) == (0, "")
    assert expected is None or done.out == expected


def test_sarif_of_nothing_found() -> None:
    done = tpgen("check", "sched_switch", "--kernel", "debian-6.12-amd64", "--format", "sarif")
    assert against_schema(json.loads(done.out)) == []
