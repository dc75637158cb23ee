"""Debian's kernels, one after the other."""

from __future__ import annotations

import pytest
from support.debian import SUITES, Tree

from corpus.trees.case import Case


@pytest.fixture(scope="session", params=SUITES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Each kernel in turn; downloaded and unpacked the first time."""
    return Case(request.param, Tree(request.param), tmp_path_factory.mktemp(f"dump-{request.param}-"))
