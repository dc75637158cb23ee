"""The seeds of the fuzz targets, past findings among them, judged at length: `tox -e fuzz` goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.corpus import SEEDS, seeds
from fuzz.targets import TARGETS, run
from support.bounds import bounded

CASES = [(target, name) for target in TARGETS for name in seeds(target)]


@pytest.mark.parametrize(("target", "name"), CASES, ids=map("-".join, CASES))
def test_seed(target: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPGEN_FUZZ_ALWAYS", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = seeds(target)[name]
    with bounded():
        run(target, data, tmp_path / "input")


def test_every_folder_of_seeds_has_a_target() -> None:
    assert {path.name for path in SEEDS.iterdir()} <= set(TARGETS)
