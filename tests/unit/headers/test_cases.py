"""Headers of tests/data/headers, each with what it states beside it, worked out by hand: a new case is two files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tpgen.sources.headers.read import read_text
from tpgen.spelling import spell
from tpgen.target import target_named

CASES = sorted((Path(__file__).parents[2] / "data/headers").glob("*.h"))


@pytest.mark.parametrize("header", CASES, ids=lambda path: path.stem)
def test_case(header: Path) -> None:
    """Events with their arguments, classes with their fields, and what was left out, with line, column and code."""
    facts = read_text(header.read_text(), target_named("x86_64"), header.name)
    found = {
        "events": {event.name: [spell(arg.type, arg.name or "") for arg in event.args] for event in facts.events},
        "classes": {
            cls.name: [spell(field.type, field.member_name) for field in cls.fields if field.type]
            for cls in facts.classes
        },
        "skipped": [
            f"{reason.position.line}:{reason.position.column} {reason.code}"
            for reason in facts.skipped
            if reason.position
        ],
    }
    assert found == json.loads(header.with_suffix(".json").read_text())
    assert all(reason.position for reason in facts.skipped)
