"""What the live tests share: the headers of the running kernel."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from live.population import Population, generate
from live.survey import Survey, surveyed


@pytest.fixture(scope="session")
def population(tracefs: Path, tmp_path_factory: pytest.TempPathFactory) -> Population:
    """The headers that are tested."""
    return generate(tmp_path_factory.mktemp("population"), tracefs)


@pytest.fixture(scope="session")
def surveying(
    population: Population, vmlinux_include: Path, libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[Survey]]:
    """The survey under way: other tests can use the minutes in which it waits for the kernel."""
    with ThreadPoolExecutor(1) as pool:
        system = (vmlinux_include, libbpf_include)
        yield pool.submit(surveyed, population, system, tmp_path_factory.mktemp("programs"))
