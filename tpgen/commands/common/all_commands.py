"""The parser of all commands: for shell completion and manual pages, which are made when tpgen is built.

The command line itself imports only the command that is meant.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from tpgen.backends.registry import find
from tpgen.commands.common.backend_options import add_options
from tpgen.commands.common.parsing import Parser
from tpgen.commands.deliver import COMMANDS


def parsers() -> dict[str, Parser]:
    """The parser of each command by its name; that of the main job, with the options of backend bpf, by ''."""
    from tpgen.commands import generate

    main = generate.parser()
    add_options(main, find("bpf"))
    return {"": main} | {name: import_module(f"tpgen.commands.{name}").parser() for name in COMMANDS}


def subcommands(command: str) -> dict[str, Parser]:
    """The parsers of what a command consists of, by their words; most have none."""
    module = import_module(f"tpgen.commands.{command}")
    acts: dict[str, Parser] = module.acts() if hasattr(module, "acts") else {}
    return acts


def whole_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line, with a subparser for each command."""
    every = parsers()
    whole = every.pop("")
    whole.prog = "tpgen"
    commands = whole.add_subparsers(metavar="COMMAND", dest="command")
    for name, parser in every.items():
        acts = subcommands(name)
        # With its acts as subparsers, a command's own positionals would be completed twice.
        parents = [] if acts else [parser]
        added = commands.add_parser(name, parents=parents, help=parser.description, add_help=False, allow_abbrev=False)
        within = added.add_subparsers(metavar="ACT") if acts else None
        for word, act in acts.items():
            assert within is not None
            within.add_parser(word, parents=[act], help=act.description, add_help=False, allow_abbrev=False)
    return whole
