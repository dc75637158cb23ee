"""The commands of the documents that download, take minutes or use programs that tests/run does not install:
tests/support/pages.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pages import Level, pages_of
from support.session import Session

pytestmark = [pytest.mark.live, pytest.mark.languages]


@pytest.mark.usefixtures("tracefs")
@pytest.mark.parametrize("page", pages_of(Level.APART))
def test_commands_do_what_the_page_says(page: str, tmp_path: Path) -> None:
    assert Session(page, tmp_path, Level.APART).run()
