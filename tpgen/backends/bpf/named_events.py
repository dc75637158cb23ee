"""Headers with names of values for the events of one kernel, or of several, that patterns mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tpgen.backends.base import GeneratedFile
from tpgen.backends.bpf.names import names_header
from tpgen.backends.bpf.prelude import OPTION, Prelude
from tpgen.backends.generation import Generated, GenerateRequest
from tpgen.backends.joining import refuse_mixed
from tpgen.backends.requests import told_apart
from tpgen.diagnostics import Diagnostic, Severity, fail
from tpgen.kernel.comparison import errors
from tpgen.programs.forms import Form, missing
from tpgen.variants.names import JoinedNames, NamedView, join_names
from tpgen.variants.select import Selected, grouped, select
from tpgen.variants.views import KernelView, RecordsOf

if TYPE_CHECKING:
    from tpgen.kernel.events import KernelEvents


class NamedEvents(NamedTuple):
    """The headers of the events that have names of values. `events` counts those that were meant.

    `refused` are the findings about events that therefore have no header.
    """

    files: list[GeneratedFile]
    notes: list[Diagnostic]
    events: int
    refused: list[Diagnostic]


class _Named(NamedTuple):
    """An event with the names of its values on all kernels that have it."""

    views: Sequence[KernelView]
    of_form: Mapping[Form, Sequence[JoinedNames]]


def named_events(
    kernels: Mapping[str, KernelEvents],
    patterns: Sequence[str],
    module: str | None,
    forms: Sequence[Form],
    prelude: Callable[[int], Prelude],
) -> NamedEvents:
    """Make the headers for `kernels`, oldest first, of which any may have an event; `prelude` is that of so many.

    Raises `no-names` where no event has any, `usage` for kernels that no program can be for together.
    """
    refuse_mixed(kernels)
    selected = select(kernels, patterns, module, nullness=False)
    records_of = {name: cache(kernel.records_of) for name, kernel in kernels.items()}
    found: list[_Named] = []
    notes: list[Diagnostic] = []
    refused: list[Diagnostic] = []
    groups = list(grouped(selected))
    for group in groups:
        comparisons = (each for of in group for each in kernels[of.kernel].comparisons(of.key))
        if wrong := errors(comparisons):
            refused += dict.fromkeys(wrong)
            continue
        views = [_view(each, kernels, records_of[each.kernel]) for each in group]
        named = {form: _of_form(views, form) for form in forms}
        notes += _left_out(views, forms)
        notes += _omitted(views[-1].view, named)
        if any(names.names for of_form in named.values() for names in of_form):
            found.append(_Named([each.view for each in views], named))
    if not found and not refused:
        what = groups[0][-1].event.title if len(groups) == 1 else f"{len(groups)} events"
        message = f"no source has names for values of {what}"
        raise fail("no-names", message, hint="; ".join(note.message for note in notes[:1]) or None)
    return NamedEvents(_files(found, kernels, prelude(len(found))), notes, len(groups), refused)


def names_generated(kernels: Mapping[str, KernelEvents], request: GenerateRequest) -> Generated:
    """The headers of a request, as `generate` returns its files. Raises as `named_events` does."""

    def prelude(headers: int) -> Prelude:
        return Prelude.of(request.options[OPTION.name], headers, request.in_directory)

    forms = request.named or tuple(Form)
    found = named_events(kernels, request.patterns, request.module, forms, prelude)
    return Generated(iter(found.files), found.notes, found.events, len(found.files), found.refused)


def _view(each: Selected, kernels: Mapping[str, KernelEvents], records_of: RecordsOf) -> NamedView:
    kernel = kernels[each.kernel]
    return NamedView(KernelView(each.kernel, each.event, kernel.target, records_of), kernel.symbols(each.key))


def _of_form(views: Sequence[NamedView], form: Form) -> tuple[JoinedNames, ...]:
    having = [each for each in views if missing(each.view.event, form) is None]
    return join_names(having, form) if having else ()


def _left_out(views: Sequence[NamedView], forms: Sequence[Form]) -> list[Diagnostic]:
    """Notes on fields whose values have names that tpgen cannot tell."""
    if Form.CLASSIC not in forms:
        return []
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in views:
        for field, reason in each.symbols.left_out:
            reasons.setdefault((field, reason), []).append(each.view.kernel)
    title = views[-1].view.event.title
    return [
        _note(f"names of {title} {field} are left out: {reason}" + _on(of, len(views)))
        for (field, reason), of in reasons.items()
    ]


def _on(kernels: Sequence[str], count: int) -> str:
    return "" if len(kernels) == count else f", on {', '.join(kernels)}"


def _omitted(view: KernelView, named: Mapping[Form, Sequence[JoinedNames]]) -> list[Diagnostic]:
    return [
        _note(f"no name {each.name} for {view.event.title} ({form}) {names.name}: {each.reason}")
        for form, of_form in named.items()
        for names in of_form
        for each in names.omitted
    ]


def _note(message: str) -> Diagnostic:
    return Diagnostic("not-joined", message, severity=Severity.NOTE)


def _files(found: Sequence[_Named], kernels: Mapping[str, KernelEvents], prelude: Prelude) -> list[GeneratedFile]:
    names = {name: kernel.release or name for name, kernel in kernels.items()}
    words = _words([each.views[-1] for each in found])
    files = []
    for each, word in zip(found, words, strict=True):
        event = each.views[-1].event
        *others, last = (f"Linux {names[view.kernel]}" for view in each.views)
        made_for = f"{', '.join(others)} and {last}" if others else last
        stem = f"values_{event.name}" + (f".{word}" if word else "")
        files.append(names_header(event, each.of_form, each.views, made_for, stem, prelude))
    return [*files, *prelude.files()]


def _words(views: Sequence[KernelView]) -> Sequence[str | None]:
    """The word that tells the file of each event from others of its name."""
    named = [(view.event.name, view.event) for view in views]
    if len({name for name, _ in named}) == len(named):
        return [None] * len(named)
    return told_apart(named)
