"""Completion asked of real shells: what bash, zsh and fish make of words that are not typed to their end."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_MANUAL = ("man", "groff")

# bash has no way to ask: the function is called as Readline calls it.
_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function=$(complete -p tpgen | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
"$function" tpgen "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
# zsh completes at a terminal alone. What it adds has a space behind it, in colours that are taken away.
_ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1='ready>'; fpath=($1 \\$fpath); autoload -U compinit; compinit -u -D; print set up"
zpty -r z out $'*\\nset up*ready>*'
zpty -w -n z "$2"$'\\t'
zpty -r z out "*$3*"
zpty -d z
"""


def missing_shells() -> str | None:
    """Which of the shells, and of what shows manual pages, is not there, None when all are."""
    missing = [name for name in ("bash", "zsh", "fish", *_MANUAL) if shutil.which(name) is None]
    return f"{', '.join(missing)} not installed" if missing else None


def run(command: tuple[str, ...], scripts: Path, home: Path) -> str:
    """What the command prints, with the commands of an environment first on its path and a home of its own."""
    environment = {"PATH": f"{scripts}:{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def completed_by_bash(share: Path, words: str, scripts: Path, home: Path) -> list[str]:
    script = str(share / "bash-completion/completions/tpgen")
    return run(("bash", "-c", _BASH, "bash", script, *words.split(" ")), scripts, home).split()


def completed_by_fish(share: Path, words: str, scripts: Path, home: Path) -> list[str]:
    script = f"source {share / 'fish/vendor_completions.d/tpgen.fish'}; complete -C '{words}'"
    found = [line.partition("\t")[0] for line in run(("fish", "-c", script), scripts, home).splitlines()]
    # fish 4 offers what has the letters anywhere, too.
    return [word for word in found if word.startswith(words.split()[-1])]


def zsh_completes(share: Path, words: str, whole: str, scripts: Path, home: Path) -> None:
    """Returns when zsh has completed the words to this; fails when it does not within two minutes."""
    run(("zsh", "-f", "-c", _ZSH, "zsh", str(share / "zsh/site-functions"), words, whole), scripts, home)
