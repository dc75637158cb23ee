"""Plain sentences, as far as a machine can check them: phrases that readers stumbled over do not come back.

CONTRIBUTING.md has the rule. Documents, help and messages are read here; docstrings have a test of their own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Phrases that sentences had, each with an example as it was written.
RIDDLES = {
    r"\bgiven any of them\b": "given any of them, they are the kernel",
    r"\bleav(?:e|es|ing) [^.;|]{1,40} away\b": "leave the backend away",
    r"\b(?:is|are|be) told\b(?! apart)": "a backend that cannot be used is told in one line",
    r"\b(?:BTF|tracefs|headers?|[Nn]othing|[Nn]obody|sources?|catalogs?) tells?\b": "what no source tells",
    r"\bWhat nobody knows\b": "What nobody knows is no change:",
    r"\bWho (?:edits|loads|gives|sends)\b": "Who edits a template runs the script",
    r"\bis no (?:absolute|address|multiple|name|number|release)\b": "directory is no absolute path",
    r"\b(?:are|is) meant \[": "2 events are meant [usage]",
    r"\bas ever\b": "the rest is read as ever",
    r"\b(?:be|is) had\b": "there is an object to be had through it",
    r"\b[Ff]or who(?:ever)?\b": "For whoever changes tpgen.",
    r"\bhands? out\b": "what each event hands out",
}
_PATTERN = re.compile("|".join(RIDDLES))
#: CONTRIBUTING.md quotes what not to write.
_RULE = "is told"

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")], key=str)


def prose(text: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def said(path: Path) -> Iterator[str]:
    """The texts in messages, hints and helps of a module: all strings within the calls that make them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ("fail", "_fail", "Diagnostic", "add_argument", "Declared", "Parser", "parser", "found"):
            inner = [
                part for child in (*node.args, *(word.value for word in node.keywords)) for part in ast.walk(child)
            ]
            yield from (part.value for part in inner if isinstance(part, ast.Constant) and isinstance(part.value, str))


@pytest.mark.parametrize(("pattern", "example"), RIDDLES.items(), ids=list(RIDDLES.values()))
def test_each_phrase_would_be_found(pattern: str, example: str) -> None:
    assert re.search(pattern, example)


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if path.name != "CHANGELOG.md"], ids=lambda path: path.name
)
def test_documents(document: Path) -> None:
    text = prose(document.read_text())
    found = [match[0] for match in _PATTERN.finditer(text)]
    assert found == ([_RULE] if document == ROOT / "CONTRIBUTING.md" else [])


def test_messages_and_help() -> None:
    texts = [(path, text) for path in sorted((ROOT / "tpgen").rglob("*.py")) for text in said(path)]
    assert len(texts) > 500
    assert [(str(path.relative_to(ROOT)), text) for path, text in texts if _PATTERN.search(text)] == []
