"""What an accessor costs: hardly more instructions than what is written by hand, and no more calls."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import code_size

pytestmark = pytest.mark.kernel_btf


def test_generated_code_beside_the_same_by_hand() -> None:
    rows = code_size.measured()
    if not rows:
        pytest.skip("no compiler, or no right to load programs")
    assert {row.name for row in rows} == {program.name for program in code_size.PROGRAMS}
    assert [row for row in rows if not row.met] == []
