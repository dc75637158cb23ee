"""The programs of tests/doctor_cases on shipped kernels: what became of each there was measured, by tests/vm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli import tpgen
from support.doctor_cases import Expected, compiled, expected
from support.json_schemas import validator
from support.shipped import AMD64_OPTIONS

pytestmark = pytest.mark.compilers

KERNELS = ("5.10", "6.1", "6.12", "7.2")
#: Rules about types that a catalog does not have.
_OF_BTF = ("core-missing", "other-type")
_FEWEST = 110


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compiled(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def judged(objects: list[Path]) -> dict[tuple[str, str], dict[str, Any]]:
    """The items of `tpgen doctor --json` by program and kernel."""
    done = tpgen("doctor", *objects, *AMD64_OPTIONS, "--json")
    assert done.err == ""
    names = {f"debian-{kernel}-amd64": kernel for kernel in KERNELS}
    found = json.loads(done.out)
    validator("doctor").validate(found)
    return {(item["program"], names[item["kernel"]]): item for item in found}


def is_as_known(item: dict[str, Any], known: Expected) -> bool:
    """Whether the verdict is the known one, by the same code and errno."""
    told = [(finding["code"], finding["errno"]) for finding in item["findings"]]
    codes = [code for code, _ in told]
    if known.verdict != item["verdict"]:
        return known.code in _OF_BTF and item["verdict"] in ("fine", "depends")
    return known.code is None if known.verdict == "fine" else (
        (known.code, known.errno) in told if known.errno else known.code in codes
    )  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_verdicts(kernel: str, judged: dict[tuple[str, str], dict[str, Any]]) -> None:
    known = expected(kernel)
    assert {program for program, of in judged if of == kernel} == set(known)
    assert len(known) >= _FEWEST
    other = {
        name: (one, judged[name, kernel]) for name, one in known.items() if not is_as_known(judged[name, kernel], one)
    }
    assert other == {}


def test_every_verdict_and_many_codes_are_among_them() -> None:
    every = [one for kernel in KERNELS for one in expected(kernel).values()]
    assert {one.verdict for one in every} == {"fine", "depends", "wrong", "refused-attach", "refused-load"}
    assert len({one.code for one in every if one.code}) >= 20


def test_findings_have_their_line(judged: dict[tuple[str, str], dict[str, Any]]) -> None:
    findings = [finding for item in judged.values() for finding in item["findings"]]
    assert findings
    assert all(finding["file"] and finding["line"] for finding in findings)


def test_big_endian(tmp_path: Path) -> None:
    """The same programs on s390x, where a narrow argument is in the last bytes of its slot."""
    done = tpgen("doctor", *compiled(tmp_path, target="bpfeb"), "--kernel", "6.12-s390x", "--json")
    verdicts = {item["program"]: item["verdict"] for item in json.loads(done.out)}
    known = {name: one for name, one in expected("6.12").items() if one.code not in _OF_BTF}
    other = {name: verdicts[name] for name in known if verdicts[name] != known[name].verdict}
    assert other == {"raw_low_half": "wrong", "raw_high_half": "fine", "btf_low_half": "wrong"}
