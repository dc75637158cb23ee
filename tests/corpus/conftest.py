"""What is collected here: the tests of whole kernel trees only when they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

# They download several hundred megabytes and take minutes: `tox -e corpus`.
_TREES = Path(__file__).parent / "trees"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves the trees out of a run that does not name them."""
    if collection_path != _TREES:
        return None
    named = (Path(argument.partition("::")[0]).resolve() for argument in config.args)
    return None if any(path.is_relative_to(_TREES) for path in named) else True
