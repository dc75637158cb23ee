"""`tpgen build`: the header-generation build step. A build with nothing to do ends in `building.request`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from tpgen.building.request import BuildRequest
from tpgen.commands.common import base, parsing
from tpgen.commands.common.parsing import Parser
from tpgen.commands.deliver import write
from tpgen.diagnostics import fail, printable_lines

if TYPE_CHECKING:
    from tpgen.building.steps import Written


def parser() -> Parser:
    description = "Bring generated files up to date with tpgen.toml. docs/build.md explains the file."
    made = parsing.parser("build", description)
    made.add_argument("toml", nargs="?", default="tpgen.toml", metavar="TOML", help="default: tpgen.toml")
    made.add_argument("-o", "--output", metavar="DIR", help="where to write the files (default: beside TOML)")
    made.add_argument("--check", action="store_true", help="write nothing; if a file is stale, print a diff, exit 1")
    made.add_argument("--stamp", metavar="FILE", help="write a file that changes only if a generated file changes")
    made.add_argument("--depfile", metavar="FILE", help="write the inputs of the stamp, in the format of make")
    made.add_argument("--adopt", action="store_true", help="overwrite files that tpgen did not write")
    made.add_argument("-v", "--verbose", action="store_true", help="report on stderr what was done with each file")
    made.add_argument("--json", action="store_true", help="print JSON: what was done with each file")
    made.add_argument("--cmake-dir", action="store_true", help="only print the directory of tpgen.cmake")
    return made


def run(options: argparse.Namespace) -> int:
    if options.cmake_dir:
        print(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integrations"))
        return base.EXIT_DONE
    for value, words in ((options.stamp or options.depfile, "--stamp and --depfile"), (options.json, "--json")):
        if options.check and value:
            raise fail("usage", "--check writes nothing", hint=f"leave out {words}")
    from tpgen.building import run

    request = build_request(options)
    defaults = run.Defaults(base.kernel_requests(options), options.module)
    stale: list[str] = []
    if options.check:
        stale, refused = run.check(request, defaults, base.report_note)
        write("".join(map(printable_lines, stale)))
    else:
        files, refused = run.build(request, defaults, options.adopt, base.report_note)
        _tell(files, request, options)
    # A place may be one that a catalog states, which is no file to show lines of.
    base.report(refused, excerpts=False)
    return base.EXIT_CHECK_FAILED if stale or refused else base.EXIT_DONE


def _tell(files: Written, request: BuildRequest, options: argparse.Namespace) -> None:
    """Report what was done with the files, by their names below the directory of the build, if asked for."""
    if options.json:
        told = {"changed": files.changed, "removed": files.removed, "unchanged": files.unchanged}
        base.print_object({"directory": request.root, **told})
    if options.verbose:
        for word, names in (("wrote", files.changed), ("removed", files.removed), ("left", files.unchanged)):
            base.tell(f"{word} {os.path.normpath(os.path.join(request.root, name))}" for name in names)


def build_request(options: argparse.Namespace) -> BuildRequest:
    """The build that the options ask for."""
    files = (options.toml, options.output, options.stamp, options.depfile)
    return BuildRequest(*files, options.check, base.given(options))
