"""What the tests of Rust share: cargo."""

from __future__ import annotations

import pytest
from support import aya


@pytest.fixture(scope="session")
def rust(tmp_path_factory: pytest.TempPathFactory) -> aya.Rust:
    """How to run it."""
    return aya.rust(tmp_path_factory.mktemp("cargo"))
