"""The file that keeps what was read of a tree: when it may be written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tpgen.sources.headers.incremental.cache_file import HeaderCache
from tpgen.sources.source_tree.listing import Listing


@pytest.mark.parametrize("young", [None, 0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("which", ["modified", "changed"])
def test_a_file_that_is_being_edited(young: int | None, which: str, tmp_path: Path) -> None:
    """One of six headers was touched just now, and may be once more without another stamp: nothing is stored."""
    stamps = {f"{tmp_path}/{number}.h": (1, 2, 3, 4) for number in range(6)}
    if young is not None:
        now = time.time_ns()
        stamps[f"{tmp_path}/{young}.h"] = (1, 2, now, 4) if which == "modified" else (1, 2, 3, now)
    cache = HeaderCache(str(tmp_path), directory=str(tmp_path / "cache"))
    cache.store(Listing(str(tmp_path), stamps=stamps), (), ())
    assert (cache.load() is not None) == (young is None)
