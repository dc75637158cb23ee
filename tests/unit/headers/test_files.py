"""Files of a source tree: which are read, and what tells that one changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tpgen.sources.source_tree.files import Files

MOST = 512 << 10


@pytest.mark.parametrize(("size", "is_read"), [(1, True), (MOST, True), (MOST + 1, False)])
def test_the_largest_header(size: int, is_read: bool, tmp_path: Path) -> None:
    """Up to 512 KiB; a larger file counts as an empty one, and not as a missing one."""
    path = tmp_path / "x.h"
    path.write_bytes(b"x" * size)
    files = Files()
    assert files.read(str(path)) == (b"x" * size if is_read else b"")
    assert files.digest(str(path)) is not None
    assert files.digest(str(tmp_path / "none.h")) is None


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "directory.h").mkdir()
    os.mkfifo(tmp_path / "fifo.h")
    for name in ("directory.h", "fifo.h", "none.h", "nul\0.h"):
        files = Files()
        assert files.read(f"{tmp_path}/{name}") == b""
        assert files.digest(f"{tmp_path}/{name}") is None


def test_the_headers_in_a_directory(tmp_path: Path) -> None:
    for name in ("b.h", "a.h", "c.c"):
        (tmp_path / name).touch()
    files = Files()
    before = files.digest(f"{tmp_path}/")
    assert files.headers_in(str(tmp_path)) == [f"{tmp_path}/a.h", f"{tmp_path}/b.h"]
    (tmp_path / "c.h").touch()
    assert Files().digest(f"{tmp_path}/") != before
