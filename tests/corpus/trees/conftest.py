"""Debian's kernels, one after the other, and a place to say what was counted."""

from __future__ import annotations

import pytest
from support.debian import SUITES, Tree

from corpus.trees.case import Case

_REPORT = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session", params=SUITES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Each kernel in turn; downloaded and unpacked the first time."""
    return Case(request.param, Tree(request.param), tmp_path_factory.mktemp(f"dump-{request.param}-"))


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run, whatever becomes of the tests."""
    return request.config.stash.setdefault(_REPORT, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints what the tests counted."""
    if lines := config.stash.get(_REPORT, []):
        terminalreporter.section("kernels")
        for line in lines:
            terminalreporter.write_line(line)
