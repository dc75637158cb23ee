"""The API for programs in Python, such as the translator of a tracing language: kernels, tracepoints, values.

Nothing is text in between: types are those of `tpgen.model`, offsets and sizes are numbers of bytes, None is what no
source decides. Whatever is wrong is a `TpgenError` with the diagnostics that the command line would print. docs/api.md
has an example.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from tpgen.backends.base import GeneratedFile, OptionValue
from tpgen.backends.generation import CheckFailed
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail
from tpgen.doctor.findings import Expected, Finding, Judgement, Stage, Verdict
from tpgen.kernel.comparison import Comparison, Subject, errors
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.request import KernelRequest, is_glob
from tpgen.kernel.symbols.facts import EventSymbols, Symbol, Symbols
from tpgen.model import Event
from tpgen.probe import Evidence
from tpgen.programs.forms import Form, missing
from tpgen.target import Target
from tpgen.values import Value

if TYPE_CHECKING:
    from tpgen.atlas.publish import SiteTotal
    from tpgen.backends.registry import Loaded
    from tpgen.catalog.schema import KernelInfo
    from tpgen.catalog.store import StoredKernel
    from tpgen.diff.changes import Change, Consequence, Counts, EventDiff, KernelsDiff, Side, Tally, What
    from tpgen.history.facts import Break, EventHistory, FormHistory, Group, History, HistoryKernel, Known, Step

__all__ = [
    "Break", "Change", "Check", "CheckFailed", "Comparison", "Consequence", "Counts", "Diagnostic", "Event",
    "EventDiff", "EventHistory", "EventSymbols", "Evidence", "Expected", "Finding", "Form", "FormHistory",
    "GeneratedFile", "GeneratedFiles", "Group", "History", "HistoryKernel", "Judgement", "Kernel", "KernelInfo",
    "Kernels", "KernelsDiff", "Known", "Loaded", "Side", "SiteTotal", "Stage", "Step", "StoredKernel", "StoredKernels",
    "Subject", "Symbol", "Symbols", "Tally", "Target", "TpgenError", "Tracepoint", "Value", "Verdict", "What", "atlas",
    "backends", "check", "diff", "doctor", "history", "join_kernels", "kernels", "member_headers", "merge_catalogs",
    "open_kernel", "open_kernels",
]  # fmt: skip

# What only some programs name is imported by those that do.
_ELSEWHERE = {
    "tpgen.atlas.publish": ("SiteTotal",),
    "tpgen.backends.registry": ("Loaded",),
    "tpgen.catalog.schema": ("KernelInfo",),
    "tpgen.catalog.store": ("StoredKernel",),
    "tpgen.diff.changes": ("Change", "Consequence", "Counts", "EventDiff", "KernelsDiff", "Side", "Tally", "What"),
    "tpgen.history.facts": (
        "Break", "EventHistory", "FormHistory", "Group", "History", "HistoryKernel", "Known", "Step",
    ),
}  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        for module, names in _ELSEWHERE.items():
            if name in names:
                from importlib import import_module

                return getattr(import_module(module), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


Path: TypeAlias = str | os.PathLike[str]


def open_kernel(
    name: str | None = None,
    *,
    btf: Iterable[Path] = (),
    tracefs: Path | None = None,
    headers: Path | Iterable[Path] = (),
    config: Path | None = None,
    defines: Iterable[str] = (),
    undefines: Iterable[str] = (),
    release: str | None = None,
    arch: str | None = None,
    use_cache: bool = True,
) -> Kernel:
    """Open a kernel by name, like `--kernel`, or from files, like the options of the same names.

    Without arguments it is the running kernel, or if that cannot be read the newest shipped one, which a note reports.
    Headers that are broken are left out, with a note. Raises `TpgenError`.
    """
    from tpgen.opening import open_kernel

    headers = [headers] if isinstance(headers, str | os.PathLike) else headers
    several = {"btf": [os.fspath(path) for path in btf], "headers": [os.fspath(path) for path in headers]}
    paths = {"tracefs": tracefs, "config": config}
    texts = {key: None if path is None else os.fspath(path) for key, path in paths.items()}
    words = {"defines": defines, "undefines": undefines, "release": release, "arch": arch}
    notes: list[Diagnostic] = []
    request = KernelRequest.of({"kernel": name, **several, **texts, **words, "no_cache": not use_cache})
    events = open_kernel(request, notes.append)
    return Kernel(events, (*notes, *events.notes, *events.broken_headers()))


def open_kernels(*names: str, arch: str | None = None, use_cache: bool = True) -> Kernels:
    """Open all kernels that are named, as for several `--kernel`: `"live"`, `"6.12"`, `"debian-*-amd64"`.

    Raises `TpgenError`.
    """
    from tpgen.opening import open_kernels

    notes: list[Diagnostic] = []
    words = {"kernel": names, "arch": arch, "no_cache": not use_cache}
    opened = open_kernels(KernelRequest.several(words), notes.append)
    own = (note for events in opened.values() for note in events.notes)
    return Kernels(opened, tuple(dict.fromkeys((*notes, *own))))


def join_kernels(kernels: Iterable[Kernel] | Mapping[str, Kernel]) -> Kernels:
    """Join one or more kernels to generate for all of them; a mapping gives their names."""
    from tpgen.opening import apart

    named = kernels.items() if isinstance(kernels, Mapping) else ((None, kernel) for kernel in kernels)
    opened = [(name, kernel) for name, kernel in named]
    notes = (note for _, kernel in opened for note in kernel.notes)
    return Kernels(apart((name, kernel._events) for name, kernel in opened), tuple(dict.fromkeys(notes)))


def doctor(
    object: Path | bytes,
    kernels: Iterable[Kernel] | Kernels,
    *,
    programs: Iterable[str] = (),
    variables: Mapping[str, int] | None = None,
) -> tuple[Judgement, ...]:
    """The judgements on the programs of a BPF object, or of all inside a file, on each of the kernels.

    `programs` are globs of the names or sections of those that are meant; `variables` are values that a loader gives
    to variables of .rodata. Kernels of another byte order than an object's are left out. Raises `TpgenError`.
    """
    from tpgen.doctor.examine import Question, examine_files, of_byte_order
    from tpgen.doctor.kernels import KnownKernel

    opened = kernels._events.items() if isinstance(kernels, Kernels) else join_kernels(kernels)._events.items()
    known = {name: KnownKernel.of(name, events) for name, events in _live_by_its_name(opened)}
    question = Question(tuple(programs), variables or {})
    examined = examine_files([object], of_byte_order(known), question, lambda note: None)
    return tuple(judgement for each in examined for judgement in each.judgements)


def kernels() -> StoredKernels:
    """The kernels of `tpgen catalog list`, this user's first. Raises `TpgenError` where tpgen's own are missing."""
    from tpgen.catalog.store import stored_kernels

    return StoredKernels(*stored_kernels())


def merge_catalogs(output: Path, *inputs: Path) -> int:
    """Join catalog files, as `tpgen catalog merge` does; return how many kernels there are in `output` then.

    Raises `TpgenError`: what is wrong with a file, `catalog-conflict` for two kernels of one name, `unwritable`.
    """
    from tpgen.catalog.collection.merge import merge

    return merge(os.fspath(output), [os.fspath(path) for path in inputs])


def backends() -> tuple[Loaded, ...]:
    """The backends of `tpgen backends`, but those that are broken: each with the package that it is from."""
    from tpgen.backends.registry import load_all

    return tuple(load_all()[0])


def check(kernel: Kernel, *patterns: str, module: str | None = None) -> Check:
    """Compare the sources of the kernel, for the tracepoints that match a pattern, or for all without a pattern.

    Raises `TpgenError`: `bad-pattern`, or `unknown-event` if a pattern matches none.
    """
    events = kernel._events
    keys = events.select_all(patterns or ("*",), module)
    comparisons = dict.fromkeys(comparison for key in keys for comparison in events.comparisons(key))
    skipped = dict.fromkeys((*events.broken_headers(), *events.left_out()))
    return Check(tuple(sorted(comparisons, key=lambda each: list(Subject).index(each.subject))), tuple(skipped))


def diff(before: Kernel, after: Kernel, *patterns: str, module: str | None = None) -> KernelsDiff:
    """The differences between two kernels in the events that any of the patterns means in either; all without one.

    Raises `TpgenError` for a pattern that neither knows.
    """
    from tpgen.diff.compare import diff

    return diff(before._events, after._events, (before.label, after.label), patterns, module)


def history(
    *patterns: str,
    kernels: Kernels | Iterable[Kernel] | None = None,
    arch: str | None = None,
    module: str | None = None,
) -> History:
    """The histories of the events that any of the patterns means on any of the kernels; of all events without one.

    Without kernels these are all that are stored, with `arch` those of that architecture. Raises `TpgenError` for a
    pattern that none of them knows.
    """
    from tpgen.history.compute import histories

    notes: list[Diagnostic] = []
    found = histories(_fleet(kernels, arch, notes), patterns, module)
    return replace(found, notes=(*notes, *found.notes))


def atlas(
    directory: Path,
    *,
    kernels: Kernels | Iterable[Kernel] | None = None,
    arch: str | None = None,
    base_url: str | None = None,
) -> SiteTotal:
    """Write a static site about the events of these kernels below `directory`; returns the counts of its files.

    Without kernels these are all stored ones, with `arch` only those of that architecture. `base_url` is the address
    of the site, for its sitemap. Raises `TpgenError`; `usage` if the directory has something else than a site.
    """
    from tpgen.atlas.publish import checked_url, publish
    from tpgen.atlas.site import Atlas

    address = checked_url(base_url)
    return publish(Atlas(_fleet(kernels, arch, []), address), os.fspath(directory))


def _fleet(
    kernels: Kernels | Iterable[Kernel] | None, arch: str | None, notes: list[Diagnostic]
) -> Mapping[str, KernelEvents]:
    """The kernels by name: those given, else all that are stored, with `notes` of files that cannot be read."""
    from tpgen.opening import open_fleet

    if kernels is None:
        return open_fleet((), arch, notes.append)
    return kernels._events if isinstance(kernels, Kernels) else join_kernels(kernels)._events


def _live_by_its_name(opened: Iterable[tuple[str, KernelEvents]]) -> Iterator[tuple[str, KernelEvents]]:
    """The running kernel as `live`, the others as they are called."""
    from tpgen.opening import LIVE_LABEL

    return (("live" if events.label == LIVE_LABEL else name, events) for name, events in opened)


@dataclass(frozen=True, slots=True)
class Tracepoint:
    """A tracepoint of a kernel: its facts as `event`, and the values that programs find in its context."""

    event: Event
    _key: EventKey = field(repr=False)
    _kernel: KernelEvents = field(repr=False)

    @property
    def names(self) -> EventSymbols:
        """The names of values of its arguments and fields."""
        return self._kernel.symbols(self._key)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons of the kernel's sources about it."""
        return tuple(self._kernel.comparisons(self._key))

    def why_not(self, form: Form) -> str | None:
        """Return why the tracepoint has no values of that form; None if it has them."""
        return missing(self.event, form)

    def values(self, form: Form) -> tuple[Value, ...]:
        """Return the raw arguments by slot, or the fields of the classic record, with their places in the context.

        Raises `TpgenError` `no-such-form`, and `CheckFailed` if the kernel's sources contradict each other.
        """
        from tpgen.values import classic_values, raw_values

        if (reason := self.why_not(form)) is not None:
            raise fail("no-such-form", f"no {form} form of {self.event.title}: {reason}")
        if found := errors(self._kernel.comparisons(self._key, raw_only=form == Form.RAW)):
            raise CheckFailed(*found)
        made = raw_values if form == Form.RAW else classic_values
        return made(self.event, self._kernel.target)


@dataclass(frozen=True, slots=True)
class Check:
    """The comparisons of a kernel's sources, and diagnostics about parts of its headers that were not read."""

    comparisons: tuple[Comparison, ...]
    skipped: tuple[Diagnostic, ...]

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """The findings; those of severity `error` are contradictions between the sources."""
        return tuple(dict.fromkeys(finding for each in self.comparisons for finding in each.findings))

    @property
    def not_compared(self) -> tuple[Comparison, ...]:
        """The comparisons that could not be made, each with its `reason`."""
        return tuple(comparison for comparison in self.comparisons if comparison.reason is not None)

    @property
    def passed(self) -> bool:
        """Whether `tpgen check` would exit with 0."""
        errors = [each for each in (*self.findings, *self.skipped) if each.severity == Severity.ERROR]
        return not errors


class StoredKernels(tuple["StoredKernel", ...]):
    """Stored kernels. `notes` report the files that cannot be read, with the severity `error`."""

    notes: tuple[Diagnostic, ...]

    def __new__(cls, kernels: Iterable[StoredKernel], notes: Iterable[Diagnostic]) -> StoredKernels:
        made = super().__new__(cls, kernels)
        made.notes = tuple(notes)
        return made


class GeneratedFiles(list[GeneratedFile]):
    """Generated files. `notes` report matched tracepoints that were left out, and why.

    The severity of a note is `error` if sources contradict each other about the tracepoint.
    """

    def __init__(self, files: Iterable[GeneratedFile], notes: tuple[Diagnostic, ...]) -> None:
        super().__init__(files)
        self.notes = notes


def member_headers(*members: str, options: Mapping[str, OptionValue] | None = None) -> GeneratedFiles:
    """The headers for members that kernels call by different names, each as `task_struct:__state|state`.

    They are those of `tpgen --member`, the same for every kernel. `options` are those of backend bpf. Raises
    `TpgenError`: `usage` for what is no member of a struct, `bad-option`.
    """
    from tpgen.backends.bpf.member import member_headers as headers
    from tpgen.backends.bpf.prelude import OPTION
    from tpgen.backends.registry import find

    known = find("bpf").options(options or {})
    return GeneratedFiles(headers(members, known[OPTION.name], in_directory=False), ())


@dataclass(frozen=True, slots=True)
class Kernel:
    """An open kernel. `notes` report what of it could not be read, and why that matters."""

    _events: KernelEvents = field(repr=False)
    notes: tuple[Diagnostic, ...]

    @property
    def label(self) -> str:
        """The name of the kernel in messages."""
        return self._events.label

    @property
    def release(self) -> str | None:
        """The release of the kernel, as of uname -r."""
        return self._events.release

    @property
    def target(self) -> Target:
        """The target of the kernel: architecture, pointer size, byte order."""
        return self._events.target

    def query(self, *patterns: str, module: str | None = None) -> tuple[Tracepoint, ...]:
        """Return the tracepoints that match a pattern, as on the command line; without a pattern all of them.

        Raises `TpgenError`: `bad-pattern`, or `unknown-event` if a pattern matches none.
        """
        keys = self._events.select_all(patterns or ("*",), module)
        events = self._events.events(keys)
        return tuple(Tracepoint(event, key, self._events) for key, event in zip(keys, events, strict=True))

    def check(self, *patterns: str, module: str | None = None) -> tuple[Diagnostic, ...]:
        """The findings of `tpgen check` about the tracepoints that any of the patterns means; all without one.

        Those of severity `error` are contradictions between the sources. Raises `TpgenError` as `query` does.
        """
        return check(self, *patterns, module=module).findings

    def raw_support(self) -> tuple[bool | None, Sequence[Evidence]]:
        """Return whether it supports raw tracepoints (None if unknown), and the evidence."""
        from tpgen.probe import answer, of_kernel

        evidence = of_kernel(self._events)
        return answer(evidence), evidence

    def generate(
        self,
        *patterns: str,
        backend: str = "bpf",
        forms: Sequence[Form] = (),
        module: str | None = None,
        options: Mapping[str, OptionValue] | None = None,
        values: bool = False,
    ) -> GeneratedFiles:
        """Generate files for the tracepoints with a backend, in all of its forms if none is named.

        With `values`, which is for backend bpf, these are headers with the names of values of arguments and fields.

        A tracepoint that a pattern matches, but that has no such form or fails its check, is left out; `notes` of the
        result report it. Raises `TpgenError`; `CheckFailed` if sources contradict each other about a tracepoint that
        is named in full, or about all of them.
        """
        alone = join_kernels([self])
        return alone.generate(*patterns, backend=backend, forms=forms, module=module, options=options, values=values)


@dataclass(frozen=True, slots=True)
class Kernels:
    """Open kernels, oldest first, to be generated for together. `notes` report what of them could not be read."""

    _events: Mapping[str, KernelEvents] = field(repr=False)
    notes: tuple[Diagnostic, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the kernels in generated files."""
        return tuple(self._events)

    def __getitem__(self, name: str) -> Kernel:
        return Kernel(self._events[name], self._events[name].notes)

    def generate(
        self,
        *patterns: str,
        backend: str = "bpf",
        forms: Sequence[Form] = (),
        module: str | None = None,
        options: Mapping[str, OptionValue] | None = None,
        values: bool = False,
    ) -> GeneratedFiles:
        """The files that are right on each of the kernels. Of several, the backend has to be one that joins them.

        Otherwise as `Kernel.generate`.
        """
        from tpgen.backends.generation import GenerateRequest, forms_of
        from tpgen.backends.joining import generate_for
        from tpgen.backends.registry import find
        from tpgen.variants.select import select_keys

        renderer = find(backend)
        request = GenerateRequest(patterns or ("*",), module, tuple(forms), renderer.options(options or {}))
        raw_only = forms_of(renderer, request.named) == [Form.RAW]
        named = select_keys(self._events, (pattern for pattern in patterns if not is_glob(pattern)), module)
        asked = ((self._events[name], key) for name, keys in named.items() for key in keys)
        if found := errors(comparison for kernel, key in asked for comparison in kernel.comparisons(key, raw_only)):
            raise CheckFailed(*found)
        if values and backend != "bpf":
            raise fail("usage", f"values are for BPF programs, not for {backend}", hint="leave out the backend")
        if values:
            from tpgen.backends.bpf.named_events import names_generated

            generated = names_generated(self._events, request)
        else:
            generated = generate_for(renderer, self._events, request, partial=True)
        return GeneratedFiles(generated.files, (*generated.notes, *generated.refused))
