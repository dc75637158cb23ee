"""The options of backends, on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tpgen.basics.typing import TYPE_CHECKING
from tpgen.commands.common.options import BACKEND
from tpgen.commands.common.parsing import Parser

if TYPE_CHECKING:
    from tpgen.backends.base import Option
    from tpgen.backends.registry import Loaded


class BackendParser(Parser):
    """Knows the options of the backend that -b names, wherever on the command line it stands.

    `given` are the names of the options that are not as they are by default.
    """

    def parse_known_args(  # type: ignore[override]  # of the overloads this is the one that we use
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        from tpgen.backends.registry import find

        first = Parser("tpgen", add_help=False, allow_abbrev=False)
        first.add_argument("-b", "--backend", default="bpf")
        renderer = find(first.parse_known_args(args)[0].backend)
        self.set_defaults(renderer=renderer)
        add_options(self, renderer)
        options, rest = super().parse_known_args(args, namespace)
        options.given = [name for name, value in vars(options).items() if value != self.get_default(name)]
        return options, rest

    def _hint(self, word: str) -> str:
        """The hint about an option that the backend lacks: which others of tpgen have it, or as for any option."""
        from tpgen.backends.registry import BUILT_IN, find

        having = [name for name in BUILT_IN if word in (f"--{option.name}" for option in find(name).backend.options)]
        return f"it is an option of -b {', -b '.join(having)}" if having else super()._hint(word)


def add_options(parser: Parser, renderer: Loaded) -> None:
    """Add the options of a backend, with their defaults."""
    if not renderer.backend.options:
        return
    group = parser.add_argument_group(f"options of backend {renderer.plugin.name}")
    for option in renderer.backend.options:
        dest, name, about = BACKEND + option.name, f"--{option.name}", _about(option)
        try:
            if isinstance(option.default, bool):
                action = argparse.BooleanOptionalAction
                group.add_argument(name, action=action, dest=dest, default=option.default, help=about)
            else:
                kind, choices = type(option.default), option.choices or None
                group.add_argument(
                    name, type=kind, choices=choices, dest=dest, default=option.default, help=about,
                    metavar="N" if kind is int else None if choices else "TEXT",
                )  # fmt: skip
        except argparse.ArgumentError:
            raise renderer.plugin.broken(f"tpgen itself has an option {name}") from None


def _about(option: Option) -> str:
    """The help for a backend's option, with its default."""
    default = {True: "on", False: "off", "": "none"}.get(option.default, option.default)
    said = option.help if "default" in option.help else f"{option.help} (default: {default})"
    return said.replace("%", "%%")
