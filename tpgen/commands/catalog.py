"""`tpgen catalog`: the stored kernels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tpgen.basics.columns import aligned
from tpgen.basics.progress import tell
from tpgen.commands.common import base, parsing
from tpgen.commands.common.parsing import Parser
from tpgen.commands.common.terminal import print_table, print_text, width_of
from tpgen.diagnostics import fail, printable
from tpgen.kernel.options import CATALOG_SUFFIX

if TYPE_CHECKING:
    from tpgen.catalog.build import Entry
    from tpgen.catalog.collection.about import KernelSummary
    from tpgen.catalog.read import CatalogKernel
    from tpgen.catalog.schema import KernelInfo
    from tpgen.catalog.store import StoredKernel
    from tpgen.target import Target


def parser() -> Parser:
    made = Parser("tpgen catalog", description="Manage the kernels that --kernel can name.", allow_abbrev=False)
    made.add_argument(
        "act", choices=_ACTS, metavar="|".join(_ACTS),
        help="list: list the kernels; show: show what is known about one; add: store one; remove: remove one; "
        "export: write one to a file; merge: join files",
    )  # fmt: skip
    rest = made.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="see `tpgen catalog add --help`")
    rest.required = False  # without an act, that alone is missing
    return made


def run(options: argparse.Namespace) -> int:
    make, act = _ACTS[options.act]
    return act(make().parse_args(options.rest))


def acts() -> dict[str, Parser]:
    """The parsers of what stands behind `tpgen catalog`."""
    return {word: make() for word, (make, _) in _ACTS.items()}


def _parser(act: str, description: str) -> Parser:
    return Parser(f"tpgen catalog {act}", description=description, allow_abbrev=False)


# --- list


def _list_parser() -> Parser:
    made = _parser("list", "List the stored kernels.")
    made.add_argument(
        "patterns", nargs="*", metavar="PATTERN",
        help="only kernels of this name or glob ('debian-*-amd64'), release (6.12), build id, image or module",
    )  # fmt: skip
    made.add_argument("--json", action="store_true", help="print JSON: an array")
    return made


def _list(options: argparse.Namespace) -> int:
    from tpgen.catalog.store import listed, stored_kernels

    known, broken = stored_kernels()
    known = listed(known, options.patterns)
    if options.json:
        base.print_json([{**_about(item.info), **_place(item)} for item in known])
    else:
        rows = [(i.info.name, i.info.release or "-", i.info.target.arch, str(i.events), _path(i)) for i in known]
        print_table(("name", "release", "arch", "events", "where"), rows, right=(3,))
    base.report(broken)
    return base.EXIT_BAD_INPUT if broken else base.EXIT_DONE


def _path(item: StoredKernel) -> str:
    return "shipped" if item.shipped else printable(item.path)


def _about(info: KernelInfo) -> dict[str, object]:
    return {
        "name": info.name,
        "release": info.release,
        "distribution": info.distribution,
        "arch": info.target.arch,
        "pointer_size": info.target.pointer_size,
        "big_endian": info.target.big_endian,
        "build_id": info.build_id,
        "sources": list(info.sources),
    }


def _place(item: StoredKernel) -> dict[str, object]:
    return {"events": item.events, "shipped": item.shipped, "path": item.path}


# --- show


def _show_parser() -> Parser:
    made = _parser("show", "Show what a catalog knows about a kernel, from which sources, and how complete it is.")
    made.add_argument("kernels", nargs="+", metavar="NAME", help="a name as for --kernel, or a catalog file")
    made.add_argument("--arch", metavar="ARCH", help="for a short name or a glob, only kernels of this architecture")
    made.add_argument("--json", action="store_true", help="print JSON: an array")
    return made


def _show(options: argparse.Namespace) -> int:
    from tpgen.catalog.collection.about import summary
    from tpgen.catalog.store import names_of
    from tpgen.opening import open_stored

    names = [name for wanted in options.kernels for name in names_of(wanted, options.arch)]
    shown = []
    for name in dict.fromkeys(names):
        kernel = open_stored(name, options.arch, base.report_note)
        found = summary(kernel)
        shown.append({**_about(kernel.info), "path": kernel.catalog.path, **_known(kernel, found)})
        if not options.json:
            print_text("\n".join((*([""] if len(shown) > 1 else []), *_told(kernel, found), "")))
    if options.json:
        base.print_json(shown)
    return base.EXIT_DONE


def _known(kernel: CatalogKernel, found: KernelSummary) -> dict[str, object]:
    return {
        "events": kernel.count,
        "kinds": [kind._asdict() for kind in found.kinds],
        "modules": [module._asdict() for module in found.modules],
        "nullness": {word or "unknown": count for word, count in found.nullness.items()},
        "findings": found.findings,
        "uncompared": found.uncompared,
        "notes": [{"code": note.code, "message": note.message, "hint": note.hint} for note in kernel.notes],
    }


def _told(kernel: CatalogKernel, found: KernelSummary) -> Iterable[str]:
    """The lines with what is known about a kernel."""
    info = kernel.info
    modules = [module for module in found.modules if module.name is not None]
    identified = sum(module.build_id is not None for module in modules)
    facts = {
        "release": info.release or "unknown",
        "distribution": info.distribution or "unknown",
        "target": _target(info.target),
        "build id": info.build_id or "unknown",
        "sources": ", ".join(info.sources) or "none",
        "file": printable(kernel.catalog.path),
        "events": f"{kernel.count}",
        "modules": f"{len(modules)} with events, {identified} of them with a build id" if modules else "none",
    }
    yield f"{info.name}:"
    yield from (f"  {word:<14}{told}" for word, told in facts.items())
    yield ""
    yield from _kinds(found)
    yield ""
    told_of_null = {"maybe": "may be NULL", "never": "never NULL", None: "unknown"}
    counts = (f"{count} {told_of_null.get(word, str(word))}" for word, count in sorted(found.nullness.items(), key=str))
    yield f"  {'arguments':<14}{', '.join(counts) or 'none'}"
    for word, of in (("findings", found.findings), ("not compared", found.uncompared)):
        for told, count in of.items():
            yield f"  {word:<14}{count}: {printable(told)}"
    for note in kernel.notes:
        yield f"  {'note':<14}{printable(note.message)} [{printable(note.code)}]"


def _target(target: Target) -> str:
    return f"{target.arch}, pointers of {target.pointer_size} bytes, {'big' if target.big_endian else 'little'}-endian"


_COLUMNS = {
    "events": "events", "attachable": "raw", "arguments": "args", "names": "named", "class_name": "class",
    "record": "record", "header": "header", "symbols": "values", "alternatives": "open",
}  # fmt: skip


def _kinds(found: KernelSummary) -> Iterable[str]:
    """A table of the kinds of events, and of how many events of each what is known."""
    rows = [["kind", *_COLUMNS.values()]]
    rows += [[kind.kind, *(str(getattr(kind, column)) for column in _COLUMNS)] for kind in found.kinds]
    indented = [[f"  {first:<12}", *others] for first, *others in rows]
    yield from aligned(indented, right=range(1, len(rows[0])), width=width_of(sys.stdout))


# --- add


def _add_parser() -> Parser:
    made = parsing.parser(
        "catalog add", "Store a kernel under a name, from packages or source options; or all kernels of a file."
    )
    made.add_argument(
        "name", metavar="NAME|FILE.tpgen",
        help="the name of the kernel, which replaces an older one of that name; or a catalog file, for all of it",
    )  # fmt: skip
    made.add_argument("packages", nargs="*", metavar="PACKAGE", help="the .deb or .rpm files of one kernel")
    made.add_argument("--distribution", metavar="WORD", help="the distribution that made the kernel")
    made.add_argument("-o", "--output", metavar="FILE", help="write it to this catalog file instead of storing it")
    return made


_PACKAGES = (".deb", ".rpm")


def _add(options: argparse.Namespace) -> int:
    from tpgen.catalog.build import Entry
    from tpgen.catalog.store import check_name, make_user_directory, path_of

    request = base.kernel_request(options)
    is_given = bool(options.packages or request.kernel or request.has_files)
    if options.name.endswith(CATALOG_SUFFIX) and not is_given:
        return _add_all(options)
    if options.output is None:
        path = path_of(options.name)
    else:
        check_name(options.name)
        path = options.output
    if not is_given:
        hint = "give package files, --btf, --tracefs, --headers or --kernel"
        if options.name.endswith(_PACKAGES):
            hint = f"a name stands first: `tpgen catalog add NAME {options.name}`"
        raise fail("usage", "nothing to add", hint=hint)
    if options.output is None:
        make_user_directory()
    return _write(path, Entry(request, tuple(options.packages), options.name, options.distribution))


def _add_all(options: argparse.Namespace) -> int:
    from tpgen.catalog.collection.own import add_all

    if options.output or options.distribution or options.release or options.arch:
        hint = f"`tpgen catalog add NAME --kernel {options.name}` stores one under another name"
        raise fail("usage", "the kernels of a catalog file are stored under their own names", hint=hint)
    add_all(options.name)
    return base.EXIT_DONE


def _write(path: str, entry: Entry) -> int:
    """Write a catalog of one kernel, with what of it could be read; the exit status."""
    from tpgen.catalog.build import add_kernel
    from tpgen.catalog.write import CatalogWriter

    writer = CatalogWriter()
    unread = add_kernel(writer, entry, base.report_note)
    tell(f"writing {path}")
    writer.save(path)
    base.report(unread)
    return base.EXIT_CHECK_FAILED if unread else base.EXIT_DONE


# --- remove


def _remove_parser() -> Parser:
    made = _parser("remove", "Remove kernels of yours. Shipped kernels cannot be removed.")
    made.add_argument("names", nargs="+", metavar="NAME", help="the name of a kernel, or a glob such as 'lab-*'")
    return made


def _remove(options: argparse.Namespace) -> int:
    from tpgen.catalog.collection.own import remove

    remove(options.names)
    return base.EXIT_DONE


# --- merge


def _merge_parser() -> Parser:
    made = _parser("merge", "Join catalog files. The same kernels give the same bytes, in any order.")
    made.add_argument("output", metavar="OUT", help="the file to write; it can be one of the files that are read")
    made.add_argument("inputs", nargs="+", metavar="IN", help="a catalog file")
    return made


def _merge(options: argparse.Namespace) -> int:
    from tpgen.catalog.collection.merge import merge

    merge(options.output, options.inputs)
    return base.EXIT_DONE


# --- export


def _export_parser() -> Parser:
    made = _parser("export", "Write a kernel to a catalog file, for --kernel FILE.")
    made.add_argument("kernel", nargs=1, metavar="NAME", help="live, a name as for --kernel, or a catalog file")
    made.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write")
    return made


def _export(options: argparse.Namespace) -> int:
    from tpgen.catalog.build import Entry

    return _write(options.output, Entry(base.kernel_request(options)))


_ACTS: dict[str, tuple[Callable[[], Parser], Callable[[argparse.Namespace], int]]] = {
    "list": (_list_parser, _list),
    "show": (_show_parser, _show),
    "add": (_add_parser, _add),
    "remove": (_remove_parser, _remove),
    "export": (_export_parser, _export),
    "merge": (_merge_parser, _merge),
}
