"""The seeds of the fuzz targets, past findings among them, judged at length: `tox -e fuzz` goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.corpus import SEEDS, seeds
from fuzz.targets import TARGETS, run
from support.bounds import bounded

# Faults that are known and not yet mended.
KNOWN = {("formats", "keyword"): "a field that is called as a keyword of C becomes a member of that name"}
CASES = [(target, name) for target in TARGETS for name in seeds(target)]


@pytest.mark.parametrize(("target", "name"), CASES, ids=map("-".join, CASES))
def test_seed(
    target: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if reason := KNOWN.get((target, name)):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=False))
    monkeypatch.setenv("TPGEN_FUZZ_ALWAYS", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = seeds(target)[name]
    with bounded():
        run(target, data, tmp_path / "input")


def test_every_folder_of_seeds_has_a_target() -> None:
    assert {path.name for path in SEEDS.iterdir()} <= set(TARGETS)
