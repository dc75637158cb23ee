"""The parts that commands share: exit codes, opening the kernel of the options, diagnostics."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence

from tpgen import opening
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.commands.common.terminal import say, say_diagnostic, width_of
from tpgen.commands.deliver import Screen, write
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, excerpt, fail, printable, printable_json
from tpgen.kernel.options import FLAG, KERNEL_OPTIONS
from tpgen.kernel.request import KernelRequest
from tpgen.sources.files import read_bytes

if TYPE_CHECKING:
    import argparse

    from tpgen.annotations.annotation import Annotation
    from tpgen.catalog.read import CatalogKernel
    from tpgen.kernel.events import EventKey, KernelEvents
    from tpgen.sources.bpf_object.facts import BpfObject
    from tpgen.variants.select import Selected

# No header or tpgen.toml is larger.
_MOST_OF_AN_EXCERPT = 1 << 26
EXIT_DONE, EXIT_CHECK_FAILED, EXIT_BAD_INPUT, EXIT_UNKNOWN = 0, 1, 2, 3


def report(diagnostics: Iterable[Diagnostic], excerpts: bool = True) -> None:
    """Print diagnostics, one line each; at a terminal with the place in the input below it.

    Without `excerpts`, the positions are those that a catalog states, and no files that this user named. With -q, notes
    are left out.
    """
    for diagnostic in diagnostics:
        if Screen.quiet and diagnostic.severity == Severity.NOTE:
            continue
        say_diagnostic(diagnostic.line)
        if excerpts and sys.stderr.isatty() and (position := diagnostic.position) and position.line is not None:
            with contextlib.suppress(TpgenError):
                text = read_bytes(position.path, _MOST_OF_AN_EXCERPT).decode("utf-8", "replace")
                say(excerpt(text, position, width_of(sys.stderr)))


def tell(lines: Iterable[str]) -> None:
    """Print lines about the progress, which `-v` asked for, to stderr."""
    say("".join(f"tpgen: {printable(line)}\n" for line in lines))


# --- the kernel


def open_kernel(options: argparse.Namespace) -> KernelEvents:
    """Open the kernel that the source options mean: from a catalog, from the cache or from its sources."""
    return opening.open_kernel(kernel_request(options), report_note)


def open_kernels(options: argparse.Namespace) -> dict[str, KernelEvents]:
    """Open the kernels of the source options, oldest first, by unique names; usually it is one."""
    return opening.open_kernels(kernel_requests(options), report_note)


def open_catalog(options: argparse.Namespace) -> CatalogKernel | None:
    """Open the kernel from a catalog where the options mean one; None where they mean sources."""
    return opening.open_catalog(kernel_request(options), report_note)


def kernel_named(name: str) -> KernelEvents:
    """Open the kernel that `--kernel NAME` means, as `opening.open_named` does."""
    return opening.open_named(name, report_note)


def kernel_request(options: argparse.Namespace) -> KernelRequest:
    """The kernel that the source options mean. Raises `usage` where they mean several, which are for other commands."""
    requests = opening.expanded(kernel_requests(options))
    if len(requests) > 1:
        names = ", ".join(filter(None, (request.kernel for request in requests)))
        raise fail("usage", f"this reads one kernel, not {len(requests)}", hint=f"name one of {names}")
    return requests[0]


def kernel_requests(options: argparse.Namespace) -> tuple[KernelRequest, ...]:
    """The kernels that the source options mean, as they are named: by a glob, one can stand for several."""
    return KernelRequest.several(vars(options))


def bpf_objects(paths: Iterable[str]) -> list[BpfObject]:
    """The BPF objects in all of the files. Raises `TpgenError` with what is wrong with any of them."""
    from tpgen.doctor.examine import read

    found: list[BpfObject] = []
    broken: list[Diagnostic] = []
    for path in dict.fromkeys(paths):
        try:
            found += read(path)
        except TpgenError as error:
            broken += error.diagnostics
    if broken:
        raise TpgenError(*broken)
    return found


def given(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The source options that are given, as their flags with a value each."""
    return [
        (option.flag, value)
        for option in KERNEL_OPTIONS
        if option.kind != FLAG and (values := getattr(options, option.name))
        for value in (values if option.repeatable else [values])
    ]


def report_note(note: Diagnostic) -> None:
    """Print one note about a kernel."""
    report([note])


def selected(kernel: KernelEvents, options: argparse.Namespace) -> list[EventKey]:
    """The events that the user means, each once: all where none is named."""
    return kernel.select_all(options.events or ["*"], options.module)


def outcome(kernel: KernelEvents, keys: list[EventKey], options: argparse.Namespace) -> int:
    """Report the sources of these events that could not be read, and return the exit status."""
    unread = [*kernel.lost(options.events or ["*"]), *kernel.unreadable(keys)]
    report(unread)
    return EXIT_CHECK_FAILED if any(found.severity == Severity.ERROR for found in unread) else EXIT_DONE


def outcomes(kernels: Mapping[str, KernelEvents], selected: Sequence[Selected], options: argparse.Namespace) -> int:
    """Report the sources of the selected events of several kernels, as `outcome` does; returns the exit status."""
    keys = {name: [each.key for each in selected if each.kernel == name] for name in kernels}
    return max(outcome(kernel, keys[name], options) for name, kernel in kernels.items())


#: The version of what every `--json` prints, a key of each object: templates/schemas has a schema for each command.
#: A change that a program could stumble over makes it one more; a new key does not.
JSON_VERSION = 1


def print_json(items: Iterable[Mapping[str, object]]) -> None:
    """Print an array, one item per line: as quick as compact JSON, and grep and diff can still be used on it."""
    write(json_array(items))


def print_object(item: Mapping[str, object]) -> None:
    """Print one object that carries the version, over as many lines as it takes."""
    import json

    write(f"{printable_json(json.dumps({'version': JSON_VERSION, **item}, indent=1, ensure_ascii=False))}\n")


def json_array(items: Iterable[Mapping[str, object]]) -> str:
    """The text of an array of objects that each carry the version, as `print_json` prints it."""
    return json_lines({**item, "version": JSON_VERSION} for item in items)


def json_lines(items: Iterable[Mapping[str, object]]) -> str:
    """The text of an array, one item per line."""
    import json

    encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    lines = ",\n".join(map(encode, items))
    return printable_json(f"[\n{lines}\n]\n") if lines else "[]\n"


#: The formats of annotations.
ANNOTATED = ("github", "sarif")


def annotated(how: str, tool: str, annotations: Iterable[Annotation]) -> str:
    """The text that GitHub, or a code scanning service, takes for these annotations; `how` is one of `ANNOTATED`."""
    if how == "github":
        from tpgen.annotations.github import workflow_command

        return "".join(map(workflow_command, annotations))
    import json

    from tpgen.annotations.sarif import sarif_log

    return printable_json(json.dumps(sarif_log(tool, annotations), indent=1, ensure_ascii=False)) + "\n"
