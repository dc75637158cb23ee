"""`tpgen explain`: the row of docs/ for a code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.cli import Done, refusal, tpgen

ROOT = Path(__file__).parents[3]


def test_a_code_as_a_message_has_it() -> None:
    done = tpgen("explain", "arch-mismatch")
    assert done == Done(
        0,
        "arch-mismatch\n"
        "  about       Usage\n"
        "  meaning     `--arch` and the BTF have a different byte order or pointer size\n"
        "  what to do  leave out `--arch`, or give the right BTF\n",
        "",
    )
    assert tpgen("explain", "[arch-mismatch]") == done
    twice = tpgen("explain", "arch-mismatch", "usage")
    assert twice.out == f"{done.out}\n{tpgen('explain', 'usage').out}"


def test_without_one_all_are_listed() -> None:
    done = tpgen("explain")
    assert (done.code, done.err) == (0, "")
    text = (ROOT / "docs" / "diagnostics.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) <= set(done.out.split())
    assert done.out.split() == sorted(set(done.out.split()))


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("header-unbalance", "did you mean header-unbalanced?"),
        ("USAGE", "did you mean usage?"),
        ("zzzz", "`tpgen explain` lists all codes"),
    ],
)
def test_no_code(code: str, hint: str) -> None:
    assert tpgen("explain", "usage", code) == refusal(f"no code {code!r} [usage]; {hint}")
