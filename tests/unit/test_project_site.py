"""What docs/site.py hands to zensical: pages whose links lead to pages and files that are there."""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "docs/site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_lead_to_what_is_there(made: ModuleType, tmp_path: Path) -> None:
    made.stage(tmp_path)
    missing = set()
    for page in tmp_path.rglob("*.md"):
        text = "".join(part for part, is_code in made.parts(page.read_text()) if not is_code)
        for target in re.findall(r"\]\(([^)#:\s]+)", text):
            if target != "https" and not os.path.exists(page.parent / target):
                missing.add((str(page.relative_to(tmp_path)), target))
    assert not missing


def test_every_document_is_a_page_of_the_navigation(made: ModuleType) -> None:
    known = tomllib.loads(made.configuration("https://example.org/"))["project"]
    names = {next(iter(each.values())) if isinstance(each, dict) else each for each in known["nav"]}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")} - {"docs/README.md"} <= names
    assert {"index.md", "docs/index.md", "CHANGELOG.md", "atlas/index.html"} <= names
    assert known["theme"]["font"] is False
