"""`tpgen EVENT...`: generate accessors."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from tpgen.commands import base
from tpgen.commands.base import Parser
from tpgen.diagnostics import fail

if TYPE_CHECKING:
    from tpgen.backends.generation import Product
    from tpgen.backends.registry import Loaded

# What no backend's option can be called: it is no identifier.
_OPTION = "option "


class _Parser(Parser):
    """Knows the options of the backend that -b names, wherever on the command line it stands."""

    def parse_known_args(  # type: ignore[override]  # of the overloads this is the one that we use
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        from tpgen.backends.registry import find

        first = Parser("tpgen", add_help=False, allow_abbrev=False)
        first.add_argument("-b", "--backend", default="bpf")
        renderer = find(first.parse_known_args(args)[0].backend)
        self.set_defaults(renderer=renderer)
        _add_options(self, renderer)
        return super().parse_known_args(args, namespace)


def _add_options(parser: Parser, renderer: Loaded) -> None:
    if not renderer.backend.options:
        return
    group = parser.add_argument_group(f"options of backend {renderer.plugin.name}")
    for option in renderer.backend.options:
        dest, name = _OPTION + option.name, f"--{option.name}"
        try:
            if isinstance(option.default, bool):
                action = argparse.BooleanOptionalAction
                group.add_argument(name, action=action, dest=dest, default=option.default, help=option.help)
            else:
                kind, choices = type(option.default), option.choices or None
                group.add_argument(
                    name, type=kind, choices=choices, dest=dest, default=option.default, help=option.help,
                    metavar="N" if kind is int else None if choices else "TEXT",
                )  # fmt: skip
        except argparse.ArgumentError:
            raise renderer.plugin.broken(f"tpgen itself has an option {name}") from None


def parser() -> Parser:
    description = "Generate accessors for tracepoints. Both forms are made where neither is named."
    made = base.parser("", description, _Parser)
    made.add_argument("events", nargs="+", metavar="EVENT")
    made.add_argument("--raw", action="store_true", help="the raw arguments, for raw_tp and tp_btf programs")
    made.add_argument("--classic", action="store_true", help="the classic record, for tp programs")
    made.add_argument("-b", "--backend", default="bpf", help="what to generate; `tpgen backends` lists (default: bpf)")
    made.add_argument("-o", "--output", metavar="PATH", help="a file, or a directory for several events")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.backends.generation import CheckFailed, Order, generate
    from tpgen.cache.outputs import Answer
    from tpgen.commands.deliver import deliver
    from tpgen.programs.forms import Form

    if options.output == "":
        raise fail("usage", "-o with an empty path", hint="give a file or a directory")
    renderer: Loaded = options.renderer
    named = tuple(form for form in Form if getattr(options, form))
    given = {option.name: getattr(options, _OPTION + option.name) for option in renderer.backend.options}
    order = Order(tuple(options.events), options.module, named, given)
    try:
        product = generate(renderer, base.open_kernel(options), order)
    except CheckFailed as failed:
        base.say(failed.diagnostics)
        return base.EXIT_CHECK_FAILED
    files, separate = _apart(product)
    if separate and options.output is None:
        count = sum(1 for _ in files)
        what = f"{product.events} events are meant" if product.events > 1 else f"{count} files are made"
        raise fail("usage", what, hint=f"give -o DIR for the {count} files")
    answer = Answer(files, [base.said(note) for note in product.notes], separate)
    if (question := getattr(options, "question", None)) is not None and renderer.plugin.built_in:
        answer = question.kept(answer)
    deliver(answer, options.output)
    base.say(product.notes)
    return base.EXIT_DONE


def _apart(product: Product) -> tuple[Iterable[tuple[str, str | bytes]], bool]:
    """The files, and whether they are not to be joined: several events' and, of several files, those of bytes.

    Of the former, which can be thousands, there are never all at once.
    """
    few = list(islice(product.files, 2))
    if product.events > 1 and not (len(few) == 1 and product.requests > 1):
        return ((file.name, file.data) for file in chain(few, product.files)), True
    files = [(file.name, file.content) for file in chain(few, product.files)]
    return files, len(files) > 1 and any(isinstance(content, bytes) for _, content in files)
