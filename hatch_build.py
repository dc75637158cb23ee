"""Completion for shells and manual pages, made of the parsers when a wheel is built: by shtab and argparse-manpage."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
SHELLS = {
    "bash": "share/bash-completion/completions/tpgen",
    "zsh": "share/zsh/site-functions/_tpgen",
    "fish": "share/fish/vendor_completions.d/tpgen.fish",
}
_LICENCE = "SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause"
_DIAGNOSTIC = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)

# What a shell asks tpgen itself: the first column of a list, of events without the system, since a colon ends a word.
_EVENTS = "tpgen list 2>/dev/null | sed 's/ .*//; s/.*://'"
_KERNELS = "tpgen catalog list 2>/dev/null | sed 's/ .*//'; echo live"

# The functions that do so. What stands first may be a command as well: shtab takes either commands or words there, and
# in zsh commands alone.
_FUNCTIONS = {
    "bash": """\
_tpgen_events() { compgen -W "$(@EVENTS@)" -- "$1"; }
_tpgen_words() { compgen -W "@COMMANDS@ $(@EVENTS@)" -- "$1"; }
_tpgen_kernels() { compgen -W "$(@KERNELS@)" -- "$1"; }
""",
    "zsh": """\
_tpgen_events() { compadd -- ${(f)"$(@EVENTS@)"} }
_tpgen_kernels() { compadd -- ${(f)"$(@KERNELS@)"} }
functions -c _shtab_tpgen _tpgen_command
_shtab_tpgen() {
  if (( CURRENT == 2 )) && [[ $PREFIX != -* ]]; then
    _alternative 'commands:command:_shtab_tpgen_commands' 'events:event:_tpgen_events'
  elif [[ " @COMMANDS@ " == *" $words[2] "* ]]; then
    _tpgen_command "$@"
  else
    _arguments -s ${_shtab_tpgen_options:#(: :*|\\*::*)} '*:event:_tpgen_events'
  fi
}
""",
    "fish": """\
function _tpgen_events
    @EVENTS@
end
function _tpgen_kernels
    @KERNELS@
end
""",
}


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the files to a wheel; an editable install, and an sdist, go without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel" and version == "standard":
            self._made = tempfile.TemporaryDirectory(prefix="tpgen-share-")
            build_data["shared_data"] |= {
                str(path): str(path.relative_to(self._made.name)) for path in write_files(Path(self._made.name))
            }

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.target_name == "wheel" and version == "standard":
            self._made.cleanup()


def write_files(directory: Path) -> list[Path]:
    """Write all files below the directory; returns their paths."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    written = []
    for name, text in {**completions(), **manual_pages()}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def completions() -> dict[str, str]:
    """The completion script of each shell, by its place below the prefix."""
    import shtab

    from tpgen.commands.common.all_commands import whole_parser
    from tpgen.commands.deliver import COMMANDS

    made = {}
    for shell, place in SHELLS.items():
        whole = whole_parser()
        for action in _actions(whole):
            _complete(action, shtab)
        (events,) = (action for action in whole._actions if action.dest == "events")
        if shell == "zsh":
            whole._actions.remove(events)
        elif shell == "bash":
            events.complete = {"bash": "_tpgen_words"}  # type: ignore[attr-defined]
        functions = _FUNCTIONS[shell].replace("@COMMANDS@", " ".join(COMMANDS))
        functions = functions.replace("@EVENTS@", _EVENTS).replace("@KERNELS@", _KERNELS)
        # The first line is the shell's, or says that shtab made it.
        first, _, script = shtab.complete(whole, shell=shell, preamble={shell: functions}).partition("\n")
        made[place] = f"{first}\n# {_LICENCE}\n{script}"
    return made


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Every option and positional, those of subparsers included."""
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [below for each in action.choices.values() for below in _actions(each)]
    return found


def _complete(action: argparse.Action, shtab: Any) -> None:
    """Tell shtab what a value of the action is: by its metavar, as a reader knows it."""
    words = set(re.findall(r"[A-Z]+[0-9]?", action.metavar)) if isinstance(action.metavar, str) else set()
    if action.option_strings == ["--kernel"] or words & {"K", "K1", "K2", "K3"}:
        action.complete = _asked("kernels")  # type: ignore[attr-defined]
    elif words & {"EVENT", "PATTERN"}:
        action.complete = _asked("events")  # type: ignore[attr-defined]
    elif words & {"FILE", "PATH", "OBJECT", "TOML", "PACKAGE"}:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
    elif "DIR" in words:
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif "CODE" in words:
        text = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
        action.choices = sorted(set(_DIAGNOSTIC.findall(text)))


def _asked(what: str) -> dict[str, str]:
    return {"bash": f"_tpgen_{what}", "zsh": f"_tpgen_{what}", "fish": f"(_tpgen_{what})"}


def manual_pages() -> dict[str, str]:
    """The manual pages, one for each command, by their places below the prefix."""
    from argparse_manpage.manpage import Manpage

    from tpgen import __version__
    from tpgen.commands.common.all_commands import parsers, subcommands

    every = parsers()
    for name in tuple(filter(None, every)):
        every |= {f"{name} {word}": act for word, act in subcommands(name).items()}
    pages = {}
    for command, parser in every.items():
        parser.prog = f"tpgen {command}".strip()
        page = Manpage(parser)
        page.prog = parser.prog.replace(" ", "-")
        page.description = (parser.description or "").partition(". ")[0].rstrip(".")
        page.source = page.date = f"tpgen {__version__}"
        page.manual = "tpgen"
        page.add_section("exit status", "=", _EXIT_STATUS)
        others = [f"tpgen {other}".strip().replace(" ", "-") for other in every if other != command]
        page.add_section("see also", "=", " ,\n".join(f".BR {other} (1)" for other in others))
        head = f'.\\" {_LICENCE}\n.\\" Made by hatch_build.py of tpgen, from the parser of the command.\n'
        pages[f"share/man/man1/{page.prog}.1"] = head + str(page)
    return pages


_EXIT_STATUS = """\
.TP
0
all was done
.TP
1
a check failed, or a part of what was asked for could not be read
.TP
2
bad usage or bad input
.TP
3
unknown (tpgen-probe alone)
"""
