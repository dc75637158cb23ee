"""Generation: from event patterns to the files of a backend, for the command line, the build step and the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, compress

from tpgen.backends.base import Form, GeneratedFile, Job, KernelRequests, OptionValue, Request, missing
from tpgen.backends.registry import Loaded
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail
from tpgen.kernel.comparison import doubts, errors
from tpgen.kernel.events import KernelEvents
from tpgen.model import Event
from tpgen.programs.forms import Lack, lacking_several, never_has, unattachable

if TYPE_CHECKING:
    from tpgen.probe import Evidence


class GenerateRequest(NamedTuple):
    """A generation request: event patterns, forms (all of the backend's when none is `named`) and options.

    `in_directory` is that of the `Job`.
    """

    patterns: tuple[str, ...]
    module: str | None
    named: tuple[Form, ...]
    options: Mapping[str, OptionValue]
    in_directory: bool = False


class Generated(NamedTuple):
    """The result of `generate`. `files` is a one-shot iterator that renders each file when it is consumed, which can
    fail like `Loaded.render`. `events` counts the events that matched the patterns, `requests` their forms. `refused`
    are the findings about matched events; these events have no files.
    """

    files: Iterator[GeneratedFile]
    notes: list[Diagnostic]
    events: int
    requests: int
    refused: list[Diagnostic]


class CheckFailed(TpgenError):
    """Raised if the sources contradict each other about an event of the request."""


def generate(renderer: Loaded, kernel: KernelEvents, request: GenerateRequest, partial: bool = False) -> Generated:
    """Generate the files for `request`. A backend gets only events that passed the check.

    Raises `CheckFailed` with all findings; with `partial` only if every event has one. Raises `TpgenError`, for example
    `no-such-form`, if the request cannot be fulfilled.
    """
    forms = forms_of(renderer, request.named)
    keys = kernel.select_all(request.patterns, request.module)
    raw_only = forms == [Form.RAW]
    events = kernel.events(keys, raw_only=raw_only, nullness=Form.RAW in forms)
    checked = [tuple(kernel.comparisons(key, raw_only)) for key in keys]
    sound = [not errors(each) for each in checked]
    lost = kernel.lost(request.patterns)
    refused = [*errors(chain.from_iterable(checked)), *(d for d in lost if d.severity == Severity.ERROR)]
    if refused and not (partial and any(sound)):
        raise CheckFailed(*refused)
    events, checked = list(compress(events, sound)), list(compress(checked, sound))
    one, takes_dynamic = len(keys) == 1, renderer.takes_dynamic_events
    try:
        requests, notes = _requests(events, forms, one, bool(request.named), takes_dynamic, kernel.is_stored)
    except TpgenError as error:
        raise CheckFailed(*refused, *error.diagnostics) if refused else error from None
    notes += doubts(chain.from_iterable(checked))
    notes += [note for note in kernel.notes if note.code == "invalid-fact"]
    notes += (d for d in lost if d.severity == Severity.NOTE)
    about = (kernel.label, kernel.target, kernel.release)
    asked = KernelRequests(*about, tuple(requests), lambda: raw_evidence(kernel), kernel.is_stand_in)
    job = Job((asked,), request.options, in_directory=request.in_directory)
    return Generated(renderer.render(job), notes, len(keys), len(requests), refused)


def raw_evidence(kernel: KernelEvents) -> Sequence[Evidence]:
    """Whether `kernel` supports raw tracepoints: each look, as `tpgen probe` has it."""
    from tpgen.probe import of_kernel

    return of_kernel(kernel)


def forms_of(renderer: Loaded, named: Sequence[Form]) -> list[Form]:
    """The `named` forms, or all forms of the backend if none is named. Raises `usage` for a form that it has not."""
    if unknown := set(named) - set(renderer.backend.forms):
        form, has = min(unknown), ", ".join(renderer.backend.forms)
        raise fail("usage", f"backend {renderer.plugin.name} has no {form} form", hint=f"it has {has}")
    return list(named or renderer.backend.forms)


def _requests(
    events: Sequence[Event], forms: Sequence[Form], one: bool, named: bool, dynamic: bool, is_stored: bool
) -> tuple[list[Request], list[Diagnostic]]:
    """The forms that the events have, and notes on those that they lack. With `dynamic` those of dynamic events count.

    With `is_stored` they are from a catalog. Raises `TpgenError` `no-such-form` where `one` event was meant, and it
    lacks one that was `named`, and where there are none at all. What else is left out is noted, but of one event what
    its kind never has.
    """
    requests: list[Request] = []
    lacks: list[Lack] = []
    for event in events:
        reasons = {
            form: reason
            for form in forms
            if (reason := missing(event, form) or (None if dynamic else unattachable(event, form)))
        }
        requests += [Request(event, form) for form in forms if form not in reasons]
        lacks += (Lack(event, *item) for item in reasons.items())
    return requests, notes_on(lacks, one, (one and named) or not requests, is_stored)


def notes_on(lacks: Sequence[Lack], one: bool, is_fatal: bool, is_stored: bool = False) -> list[Diagnostic]:
    """Notes on forms that are left out, but where `one` event is meant not on what its kind never has.

    Raises `TpgenError` `no-such-form` with all of them instead, where there are any and that `is_fatal`.
    """
    if lacks and is_fatal:
        notes = lacking_several(lacks, is_stored)
        raise TpgenError(*(note._replace(severity=Severity.ERROR) for note in notes))
    told = (lack for lack in lacks if not (one and never_has(lack.event, lack.form)))
    return lacking_several(told, is_stored)
