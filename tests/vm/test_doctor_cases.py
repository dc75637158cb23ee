"""The programs of tests/doctor_cases on Debian's kernels: each is loaded, attached and run, as is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.debian import Tree
from support.doctor_cases import compiled, driver, expected, outcomes
from support.vm import Line, boot

pytestmark = [pytest.mark.machines, pytest.mark.compilers]


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_what_becomes_of_each(kernel: str, report: list[str], tmp_path: Path) -> None:
    tree, objects = Tree(kernel), compiled(tmp_path)
    files = {path.name: path.read_bytes() for path in objects}
    lines = [Line(f"try /{name}") for name in files]
    run = boot(tree, driver(tmp_path).read_bytes(), lines, tmp_path / "machine", {}, files)
    happened = outcomes(line for answer in run.answers for line in answer.text)
    known = expected(kernel)
    assert happened.keys() == known.keys()
    other = {name: (one, str(happened[name])) for name, one in known.items() if not one.agrees(happened[name])}
    report.append(f"{tree.version}: {len(known)} programs of tests/doctor_cases, {len(other)} are not as known")
    assert other == {}
