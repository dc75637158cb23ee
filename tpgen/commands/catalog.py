"""`tpgen catalog`: the kernels on hand."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from tpgen.commands.common import base, parsing
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.progress import Line
from tpgen.commands.common.terminal import print_table
from tpgen.diagnostics import fail, printable

if TYPE_CHECKING:
    from tpgen.catalog.build import Entry
    from tpgen.catalog.store import StoredKernel


def parser() -> Parser:
    made = Parser("tpgen catalog", description="The kernels that --kernel can name.", allow_abbrev=False)
    made.add_argument(
        "act", choices=_ACTS, metavar="list|add|export",
        help="list: what there is; add: keep one more under a name; export: write one as a file",
    )  # fmt: skip
    made.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="see `tpgen catalog add --help`")
    return made


def run(options: argparse.Namespace) -> int:
    make, act = _ACTS[options.act]
    return act(make().parse_args(options.rest))


def acts() -> dict[str, Parser]:
    """The parsers of what stands behind `tpgen catalog`."""
    return {word: make() for word, (make, _) in _ACTS.items()}


# --- list


def _list_parser() -> Parser:
    made = Parser("tpgen catalog list", description="List the kernels on hand.", allow_abbrev=False)
    made.add_argument("--json", action="store_true", help="an array for programs")
    return made


def _list(options: argparse.Namespace) -> int:
    from tpgen.catalog.store import stored_kernels

    known, broken = stored_kernels()
    if options.json:
        base.print_json([_json(item) for item in known])
    else:
        rows = [(i.info.name, i.info.release or "-", i.info.target.arch, str(i.events), _place(i)) for i in known]
        print_table(("name", "release", "arch", "events", "where"), rows, right=(3,))
    base.report(broken)
    return base.EXIT_BAD_INPUT if broken else base.EXIT_DONE


def _place(item: StoredKernel) -> str:
    return "shipped" if item.shipped else printable(item.path)


def _json(item: StoredKernel) -> dict[str, object]:
    info = item.info
    return {
        "name": info.name,
        "release": info.release,
        "distribution": info.distribution,
        "arch": info.target.arch,
        "pointer_size": info.target.pointer_size,
        "big_endian": info.target.big_endian,
        "build_id": info.build_id,
        "sources": list(info.sources),
        "events": item.events,
        "shipped": item.shipped,
        "path": item.path,
    }


# --- add


def _add_parser() -> Parser:
    made = parsing.parser("catalog add", "Keep a kernel under a name, from package files or from the source options.")
    made.add_argument("name", metavar="NAME", help="what --kernel will call it; one of that name is replaced")
    made.add_argument("packages", nargs="*", metavar="PACKAGE", help="the .deb or .rpm files of one kernel")
    made.add_argument("--distribution", metavar="WORD", help="whose kernel it is")
    return made


def _add(options: argparse.Namespace) -> int:
    from tpgen.catalog.build import Entry
    from tpgen.catalog.store import make_user_directory, path_of

    path, request = path_of(options.name), base.kernel_request(options)
    make_user_directory()
    if not options.packages and not request.kernel and not request.has_files:
        raise fail("usage", "nothing to add", hint="give package files, --btf, --tracefs, --headers or --kernel")
    entry = Entry(request, tuple(options.packages), options.name, options.distribution)
    return _write(path, entry)


def _write(path: str, entry: Entry) -> int:
    """Write a catalog of one kernel, with what of it could be read; the exit status."""
    from tpgen.catalog.build import add_kernel
    from tpgen.catalog.write import CatalogWriter

    writer = CatalogWriter()
    with Line() as line:
        unread = add_kernel(writer, entry, base.report_note, line)
        line.stage(f"writing {path}")
        writer.save(path)
    base.report(unread)
    return base.EXIT_CHECK_FAILED if unread else base.EXIT_DONE


# --- export


def _export_parser() -> Parser:
    description = "Write a kernel as a catalog file, for --kernel FILE."
    made = Parser("tpgen catalog export", description=description, allow_abbrev=False)
    made.add_argument("kernel", nargs=1, metavar="NAME", help="live, a name as for --kernel, or a catalog file")
    made.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write")
    return made


def _export(options: argparse.Namespace) -> int:
    from tpgen.catalog.build import Entry

    return _write(options.output, Entry(base.kernel_request(options)))


_ACTS: dict[str, tuple[Callable[[], Parser], Callable[[argparse.Namespace], int]]] = {
    "list": (_list_parser, _list),
    "add": (_add_parser, _add),
    "export": (_export_parser, _export),
}
