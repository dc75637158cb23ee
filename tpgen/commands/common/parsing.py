"""Parsers of options: argparse's, made of what commands declare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from tpgen import __version__
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.commands.common.options import MACRO_ACTION, MACROS, Declared, kernel_options
from tpgen.commands.common.terminal import USUAL_WIDTH, folded, width_of
from tpgen.commands.deliver import Screen
from tpgen.diagnostics import fail, nearest

if TYPE_CHECKING:
    from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports a mistake in one line. Each has -q, -V and --color."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.register("action", MACRO_ACTION, _Macro)
        if self.add_help:
            self.add_argument(
                "-q", "--quiet", action=_Quiet, nargs=0, default=argparse.SUPPRESS, help="print no notes on stderr"
            )
            self.add_argument(
                "-V", "--version", action="version", version=f"tpgen {__version__}", help="print the version"
            )
            self.add_argument(
                "--color", action=_Color, choices=("auto", "always", "never"), default=argparse.SUPPRESS,
                metavar="WHEN", help="always, never, or auto: only at a terminal (default: auto)",
            )  # fmt: skip

    def _get_formatter(self) -> argparse.HelpFormatter:
        # Of itself it would ask by shutil, which imports all compressors, at every start.
        return argparse.HelpFormatter(self.prog, width=width_of(sys.stdout) or USUAL_WIDTH)

    def format_help(self) -> str:
        return folded(super().format_help(), width_of(sys.stdout))

    def parse_args(  # type: ignore[override]  # of the overloads this is the one that we use
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            import shlex

            self.error(f"unrecognized arguments: {shlex.join(unknown)}")
        return options

    def error(self, message: str) -> NoReturn:
        word = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
        raise fail("usage", message, hint=self._hint(word) or f"`{self.prog} --help` explains")

    def _hint(self, word: str) -> str:
        """The hint about a word that may be a misspelt option; "" where it is like none."""
        return nearest(word, self._option_string_actions, "", cutoff=0.7) if word.startswith("-") else ""

    def _get_values(self, action: argparse.Action, words: list[str]) -> Any:
        """Refuse `--`, which stands before arguments, as a value: before Python 3.13, argparse makes [] of it."""
        if action.option_strings and action.nargs is None and words == ["--"]:
            raise argparse.ArgumentError(action, "expected one argument")
        return super()._get_values(action, words)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse what is none of the choices, in words that are the same with every Python."""
        if action.choices is not None and value not in action.choices:
            of = action.option_strings[-1] if action.option_strings else f"`{self.prog}`"
            raise fail("usage", f"no {value!r} for {of}", hint=nearest(str(value), map(str, action.choices)))


class _Color(argparse.Action):
    """Decides about colours."""

    def __call__(self, _parser: object, _values: object, value: Any, _option: object = None) -> None:
        Screen.color = value


class _Quiet(argparse.Action):
    """Hides notes from here on."""

    def __call__(self, *_: object) -> None:
        Screen.quiet = True


class _Macro(argparse.Action):
    """Appends to the macros that are defined, or are not; of -D and -U for one macro the last counts, as in C."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        name = values.partition("=")[0]
        for other in MACROS:
            if other != self.dest:
                left = [word for word in getattr(namespace, other) if word.partition("=")[0] != name]
                setattr(namespace, other, left)
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])


def parser(
    command: str, description: str, options: Iterable[Declared] = (), kind: type[Parser] = Parser, pick: bool = True
) -> Parser:
    """The parser of a command that reads a kernel: the options that name one, unless not `pick` those that pick events
    of it, and its own."""
    made = kind(f"tpgen {command}".rstrip(), description=description, allow_abbrev=False)
    sources = made.add_argument_group(
        "source options", "which kernel to read, by default the running one; if files are given, they are read instead"
    )
    naming, picking = kernel_options(pick)
    add(sources, naming)
    add(made, [*picking, *options])
    return made


def add(to: argparse._ActionsContainer, options: Iterable[Declared]) -> None:
    """Add options to a parser, or to a group of options."""
    for option in options:
        to.add_argument(*option.words, **option.about)
