"""The commands of the documents that need nothing but what tests/run installs: tests/support/pages.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pages import Level, pages_of
from support.session import Session


@pytest.mark.languages
@pytest.mark.parametrize("page", pages_of(Level.PLAIN))
def test_commands_do_what_the_page_says(page: str, tmp_path: Path) -> None:
    assert Session(page, tmp_path, Level.PLAIN).run()
