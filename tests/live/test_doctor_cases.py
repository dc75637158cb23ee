"""What `tpgen doctor` says of small programs on the running kernel, and what becomes of each there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.doctor_cases import Expected, compiled, driver, outcomes

# libbpf looks up in tracefs what tp programs attach to.
pytestmark = [pytest.mark.live, pytest.mark.compilers, pytest.mark.usefixtures("tracefs")]


def test_verdicts_are_what_happens(tmp_path: Path) -> None:
    objects = compiled(tmp_path)
    items = json.loads(tpgen("doctor", *objects, "--kernel", "live", "--json").out)
    command = (driver(tmp_path, static=False), *objects)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    happened = outcomes(line.removeprefix("| ") for line in done.stdout.splitlines())
    assert happened.keys() == {item["program"] for item in items}
    wrong = {}
    for item in items:
        errnos = [finding["errno"] for finding in item["findings"]] or [None]
        outcome = happened[item["program"]]
        if not any(Expected(item["verdict"], errno).agrees(outcome) for errno in errnos):
            wrong[item["program"]] = (item["verdict"], errnos, str(outcome))
    assert wrong == {}
