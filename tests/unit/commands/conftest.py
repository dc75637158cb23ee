"""A small kernel that the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_kernel import write_btf, write_tracefs


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_btf(tmp_path_factory.mktemp("btf") / "vmlinux")


@pytest.fixture(scope="module")
def tracefs_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tracefs(tmp_path_factory.mktemp("tracefs"))
