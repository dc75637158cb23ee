"""`tpgen atlas`: a static site with the events of many kernels."""

from __future__ import annotations

import argparse
import gc

from tpgen import opening
from tpgen.commands.common import base
from tpgen.commands.common.options import FLEET_OPTIONS
from tpgen.commands.common.parsing import Parser, add
from tpgen.commands.common.terminal import say
from tpgen.diagnostics import fail


def parser() -> Parser:
    made = Parser(
        "tpgen atlas", description="Make a static web site with the events of many kernels.", allow_abbrev=False
    )
    made.add_argument("-o", "--output", metavar="DIR", required=True, help="the directory of the site")
    add(made, FLEET_OPTIONS)
    made.add_argument("--base-url", metavar="URL", help="the address that the site will have; adds sitemap.xml")
    return made


def run(options: argparse.Namespace) -> int:
    from tpgen.atlas.publish import checked_url, publish
    from tpgen.atlas.site import Atlas

    if not options.output:
        raise fail("usage", "-o with an empty path", hint="give the directory of the site")
    base_url = checked_url(options.base_url)
    kernels = opening.open_fleet(options.kernel, options.arch, base.report_note)
    gc.enable()  # pages are garbage with circles in it, and of thousands
    total = publish(Atlas(kernels, base_url), options.output)
    say(f"{total.files} files, {total.size_bytes / 1e6:.0f} MB; {total.changed} changed, {total.removed} removed\n")
    return base.EXIT_DONE
