"""The commands that stand within sentences and tables: their words are those of the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from support.pages import pages
from support.projects import CHECKOUT

from tpgen.backends.registry import find
from tpgen.commands.common.all_commands import parsers, subcommands
from tpgen.commands.common.backend_options import add_options

_FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?<!`)`(tpgen(?: |\n)[^`]+)`")
# What of a command belongs to the shell.
_BEHIND = re.compile(r" (?:&&|>|;) .*")


def commands() -> Iterator[tuple[str, str]]:
    """Each command with its page, as it would be typed: of `list\\|show` each, of `[--json]` with it."""
    for page in pages():
        for text in _COMMAND.findall(_FENCED.sub("", (CHECKOUT / page).read_text(encoding="utf-8"))):
            line = _BEHIND.sub("", " ".join(text.replace("\\|", "|").split()))
            if " = " not in line:  # a line of a configuration
                yield page, line


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_words_are_known(page: str, line: str) -> None:
    words = shlex.split(re.sub(r"[\[\]…]", "", line))[1:]
    every = parsers()
    if words[0] == "help":
        return
    name = words[0] if words[0] in every else ""
    known = {*every[name]._option_string_actions}
    if name and (acts := subcommands(name)) and len(words) > 1 and not words[1].startswith("-"):
        named = words[1].split("|")
        assert set(named) <= acts.keys(), f"{page}: {line}"
        known |= {*acts[named[0]]._option_string_actions}
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    if "-b" in options:
        add_options(every[""], find(words[words.index("-b") + 1]))
        known |= {*every[""]._option_string_actions}
    assert options - known == set(), f"{page}: {line}"
    if not name and not words[0].startswith("-"):  # a misspelt command is no event
        assert re.fullmatch(r"EVENT|[a-z]+_[a-z_]+", words[0]), f"{page}: {line}"
