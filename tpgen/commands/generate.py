"""`tpgen EVENT...`: generate accessors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, islice

from tpgen.basics.typing import TYPE_CHECKING
from tpgen.commands.common import base
from tpgen.commands.common.options import BACKEND, EVENTS_HELP, Declared, read, with_kernel_options
from tpgen.commands.deliver import COMMANDS, STDOUT, deliver
from tpgen.diagnostics import Diagnostic, TpgenError, fail
from tpgen.paths import names_directory

if TYPE_CHECKING:
    import argparse

    from tpgen.backends.base import GeneratedFile
    from tpgen.backends.bpf.prelude import Prelude
    from tpgen.backends.generation import Generated
    from tpgen.backends.registry import Loaded
    from tpgen.cache.outputs import CachedOutput
    from tpgen.commands.common.parsing import Parser

# The options of this command that are decided by their own text: their output may be cached.
_CACHEABLE = ("events", "raw", "classic", "backend", "output")
# What other programs have as commands, and how it is asked for here.
_ELSEWHERE = {"dump": "show", "gen": "EVENT", "generate": "EVENT", "info": "show", "ls": "list", "version": "--version"}

OPTIONS = (
    Declared("events", nargs="*", default=[], metavar="EVENT", help=EVENTS_HELP),
    Declared("--raw", action="store_true", help="generate for the raw arguments: raw_tp and tp_btf programs"),
    Declared("--classic", action="store_true", help="generate for the classic record: tp programs"),
    Declared("-b", "--backend", default="bpf", help="what to generate; `tpgen backends` lists them (default: bpf)"),
    Declared(
        "-o", "--output", metavar="PATH", default=STDOUT,
        help="a file if PATH has a suffix or is a file, else a directory (default: -, which is stdout)",
    ),
    Declared("-v", "--verbose", action="store_true", help="report on stderr which files changed"),
    Declared(
        "--values", action="store_true",
        help="generate the names of the values of arguments and fields, instead of accessors",
    ),
    Declared(
        "--member", action="append", default=[], metavar="STRUCT:NAME|NAME",
        help="instead of events, a header for a member that has different names on different kernels, such as"
        " 'task_struct:__state|state'; may be given several times",
    ),
)  # fmt: skip


def parser() -> Parser:
    from tpgen.commands.common import backend_options, parsing

    description = "Generate accessors for tracepoints. Without --raw and --classic both forms are made."
    return parsing.parser("", description, OPTIONS, backend_options.BackendParser)


def plain(words: Sequence[str]) -> argparse.Namespace | None:
    """The options as the parser has them, where all are plain and the backend's are left as they are."""
    from tpgen.backends.registry import BUILT_IN, find

    every = with_kernel_options(OPTIONS)
    options = read(words, every)
    if options is None or options.backend not in BUILT_IN:
        return None
    renderer = find(options.backend)
    defaults = {option.name: option.default for option in every}
    options.given = [name for name, value in vars(options).items() if value != defaults[name]]
    options.renderer = renderer
    vars(options).update({BACKEND + option.name: option.default for option in renderer.backend.options})
    return options


def run(options: argparse.Namespace) -> int:
    from tpgen.backends.generation import CheckFailed, GenerateRequest
    from tpgen.backends.joining import generate_for
    from tpgen.cache.outputs import CachedOutput
    from tpgen.programs.forms import Form

    if options.output == "":
        raise fail("usage", "-o with an empty path", hint="give a file or a directory")
    if options.member:
        return _members(options)
    if not options.events:
        raise fail("usage", "the following arguments are required: EVENT", hint="`tpgen --help` explains")
    if options.values:
        return _values(options)
    renderer: Loaded = options.renderer
    named = tuple(form for form in Form if getattr(options, form))
    given = {option.name: getattr(options, BACKEND + option.name) for option in renderer.backend.options}
    into = _in_directory(options)
    request = GenerateRequest(tuple(options.events), options.module, named, given, into)
    try:
        kernels = base.open_kernels(options)
        generated = generate_for(renderer, kernels, request, partial=True)
    except CheckFailed as failed:
        return _refused(failed.diagnostics, options)
    except TpgenError as error:
        raise _or_misspelt(error, options.events[0]) from None
    files, separate = _apart(generated, into)
    if separate and options.output == STDOUT:
        count = sum(1 for _ in files)
        what = f"one event, not {generated.events}" if generated.events > 1 else f"one file, not {count}"
        raise fail("usage", f"stdout takes {what}", hint=f"give -o DIR for the {count} files")
    output = CachedOutput(files, [note.line for note in generated.notes], separate)
    if options.invocation is not None and renderer.plugin.built_in and not generated.refused:
        known = (*_CACHEABLE, *(BACKEND + option.name for option in renderer.backend.options))
        output = options.invocation.storing(output, options.given, known)
    _deliver(output, options)
    base.report(generated.notes)
    return _refused(generated.refused, options) if generated.refused else base.EXIT_DONE


def _or_misspelt(error: TpgenError, word: str) -> TpgenError:
    """The error; where it is that no event is called as the first word, with the command that was probably meant."""
    import difflib

    near = difflib.get_close_matches(word, (*COMMANDS, "help"), n=1, cutoff=0.7)
    meant = near[0] if near else _ELSEWHERE.get(word)
    first, *more = error.diagnostics
    if first.code != "unknown-event" or meant is None:
        return error
    return TpgenError(first._replace(hint=f"did you mean `tpgen {meant}`?"), *more)


def _members(options: argparse.Namespace) -> int:
    """Write the headers for members, which are the same for every kernel."""
    from tpgen.backends.bpf.member import member_headers
    from tpgen.cache.outputs import CachedOutput

    if options.values:
        raise fail("usage", "--member and --values", hint="each makes its own header: run tpgen once for each")
    if others := sorted(set(options.given) - {"member", "output", "invocation", "renderer", BACKEND + "prelude"}):
        raise fail(
            "usage", f"--member cannot be combined with {' and '.join(others)}", hint="its header is for every kernel"
        )
    headers = member_headers(options.member, getattr(options, BACKEND + "prelude"), _in_directory(options))
    count = sum(not header.is_included for header in headers)
    if count > 1 and options.output == STDOUT:
        raise fail("usage", f"stdout takes one member, not {count}", hint=f"give -o DIR for the {count} files")
    _deliver(CachedOutput(_together(headers, _in_directory(options)), [], count > 1), options)
    return base.EXIT_DONE


def _values(options: argparse.Namespace) -> int:
    """Write the headers with names of values."""
    from tpgen.backends.bpf.named_events import named_events
    from tpgen.backends.generation import CheckFailed
    from tpgen.cache.outputs import CachedOutput
    from tpgen.programs.forms import Form

    if options.backend != "bpf":
        raise fail("usage", f"--values is for BPF programs, not for {options.backend}", hint="leave out -b")
    forms = [form for form in Form if getattr(options, form)] or list(Form)
    meant = (options.events, options.module, forms)
    found = named_events(base.open_kernels(options), *meant, partial(_prelude, options))
    if not found.files:
        return _refused(CheckFailed(*found.refused).diagnostics, options)
    if found.events > 1 and options.output == STDOUT:
        raise fail("usage", f"stdout takes one event, not {found.events}", hint="give -o DIR for a header each")
    files = _together(found.files, _in_directory(options))
    _deliver(CachedOutput(files, [], found.events > 1), options)
    base.report(found.notes)
    return _refused(found.refused, options) if found.refused else base.EXIT_DONE


def _deliver(output: CachedOutput, options: argparse.Namespace) -> None:
    """Deliver the files, and report which changed if asked for."""
    changed = deliver(output, options.output)
    if options.verbose:
        base.tell(f"wrote {path}" for path in changed)


def _refused(findings: Sequence[Diagnostic], options: argparse.Namespace) -> int:
    """Report the findings about events that were not generated; the exit status."""
    base.report(findings, excerpts=base.kernel_requests(options)[0].has_files)
    return base.EXIT_CHECK_FAILED


def _in_directory(options: argparse.Namespace) -> bool:
    return options.output != STDOUT and names_directory(options.output)


def _prelude(options: argparse.Namespace, headers: int) -> Prelude:
    """The prelude for this number of headers."""
    from tpgen.backends.bpf.prelude import Prelude

    return Prelude.of(getattr(options, BACKEND + "prelude"), headers, _in_directory(options))


def _together(files: Sequence[GeneratedFile], in_directory: bool) -> list[tuple[str, str | bytes]]:
    """The files. Raises `usage` where they are joined though one is included by others."""
    for file in files:
        if file.is_included and not in_directory:
            raise fail("usage", f"{file.name} is a file that the others include", hint="give -o DIR")
    return [(file.name, file.content) for file in files]


def _apart(generated: Generated, in_directory: bool) -> tuple[Iterable[tuple[str, str | bytes]], bool]:
    """The files, and whether they stay separate: those of several events and, of several files, those of bytes.

    The former can be thousands, and are never in memory all at once. Raises `usage` as `_together` does.
    """
    few = list(islice(generated.files, 2))
    if generated.events > 1 and not (len(few) == 1 and generated.requests > 1):
        return ((file.name, file.data) for file in chain(few, generated.files)), True
    files = _together([*few, *generated.files], in_directory)
    return files, len(files) > 1 and any(isinstance(content, bytes) for _, content in files)
