"""`tpgen backends`: what -b can name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tpgen.basics.columns import aligned
from tpgen.commands.common import base
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.terminal import print_text

if TYPE_CHECKING:
    from tpgen.backends.base import Option
    from tpgen.backends.registry import Loaded


def parser() -> Parser:
    made = Parser("tpgen backends", description="List the backends. Exit with 1 if one is broken.", allow_abbrev=False)
    made.add_argument("--json", action="store_true", help="print JSON: an array")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.backends.registry import load_all

    backends, broken = load_all()
    if options.json:
        base.print_json([_json(loaded) for loaded in backends])
    else:
        print_text("".join(map(_text, backends)))
    base.report(broken)
    return base.EXIT_CHECK_FAILED if broken else base.EXIT_DONE


def _text(loaded: Loaded) -> str:
    plugin, backend = loaded.plugin, loaded.backend
    options = aligned((_usage(option), option.help) for option in backend.options)
    lines = [
        f"{plugin.name}: {backend.description}",
        f"  from {plugin.distribution} {plugin.version}; forms: {', '.join(backend.forms)}",
        *(f"  {line}" for line in options),
    ]
    return "".join(f"{line}\n" for line in lines)


def _usage(option: Option) -> str:
    if isinstance(option.default, bool):
        return f"--no-{option.name}" if option.default else f"--{option.name}"
    return f"--{option.name} {'|'.join(option.choices) or option.default!r}"


def _json(loaded: Loaded) -> dict[str, object]:
    plugin, backend = loaded.plugin, loaded.backend
    return {
        "name": plugin.name,
        "description": backend.description,
        "package": plugin.distribution,
        "package_version": plugin.version,
        "forms": list(backend.forms),
        "several_kernels": backend.several_kernels,
        "options": [
            {"name": option.name, "help": option.help, "default": option.default, "choices": list(option.choices)}
            for option in backend.options
        ],
    }
