"""A bare machine for each Debian that the README names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.bare import BareMachine, bare_machine

#: Debian's suites by version.
DEBIANS = {"12": "bookworm", "13": "trixie"}


@pytest.fixture(scope="module", params=DEBIANS, ids=[f"debian-{version}" for version in DEBIANS])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareMachine]:
    """A bare machine with nothing but the checkout; what one test does there the next one finds."""
    suite = DEBIANS[request.param]
    with bare_machine(suite, tmp_path_factory.mktemp(suite)) as made:
        yield made
