"""Generation for several kernels: one file for all of them, from a backend that joins kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from tpgen.backends.base import Form, Job, JoinedRequest, KernelRequests, Request
from tpgen.backends.generation import (
    CheckFailed,
    Generated,
    GenerateRequest,
    forms_of,
    generate,
    notes_on,
    raw_evidence,
)
from tpgen.backends.registry import Loaded
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.diagnostics import Diagnostic, Severity, fail
from tpgen.kernel.comparison import doubts, errors
from tpgen.kernel.events import KernelEvents
from tpgen.programs.forms import Lack

if TYPE_CHECKING:
    from tpgen.kernel.comparison import Comparison
    from tpgen.variants.join import JoinedEvent


def generate_for(
    renderer: Loaded, kernels: Mapping[str, KernelEvents], request: GenerateRequest, partial: bool = False
) -> Generated:
    """Generate the files for one kernel, or those that are right on each of several, as `generate_joined` does."""
    if len(kernels) > 1:
        return generate_joined(renderer, kernels, request, partial)
    (kernel,) = kernels.values()
    return generate(renderer, kernel, request, partial)


def generate_joined(
    renderer: Loaded, kernels: Mapping[str, KernelEvents], request: GenerateRequest, partial: bool = False
) -> Generated:
    """Generate the files for `request` that are right on each of `kernels`, oldest first, by their names in the files.

    An event counts where any kernel has it; it is refused where the sources of one contradict each other about it.
    Raises `usage` for a backend that makes files for one kernel, and otherwise as `generate` does.
    """
    from tpgen.variants.join import join
    from tpgen.variants.select import grouped, select
    from tpgen.variants.views import KernelView

    if not renderer.backend.several_kernels:
        hint = "give one --kernel; bpf makes one header for several"
        raise fail("usage", f"backend {renderer.plugin.name} makes files for one kernel", hint=hint)
    refuse_mixed(kernels)
    forms = forms_of(renderer, request.named)
    selected = select(kernels, request.patterns, request.module, nullness=Form.RAW in forms)
    records_of = {name: cache(kernel.records_of) for name, kernel in kernels.items()}
    events: list[JoinedEvent] = []
    refused: list[Diagnostic] = []
    compared: list[Comparison] = []
    for group in grouped(selected):
        comparisons = [each for of in group for each in kernels[of.kernel].comparisons(of.key)]
        if found := errors(comparisons):
            refused += dict.fromkeys(found)
        else:
            compared += comparisons
            views = [
                KernelView(each.kernel, each.event, kernels[each.kernel].target, records_of[each.kernel])
                for each in group
            ]
            names = {view.kernel for view in views}
            events.append(join(views, [name for name in kernels if name not in names]))
    if refused and not (partial and events):
        raise CheckFailed(*refused)
    joined, notes = _requests(events, forms, bool(request.named))
    notes += (note for each in joined for note in _omitted(each))
    notes += doubts(compared)
    notes += (note for kernel in kernels.values() for note in kernel.notes if note.code == "invalid-fact")
    asked = tuple(_of_kernel(kernel, name, joined) for name, kernel in kernels.items())
    files = renderer.render(Job(asked, request.options, tuple(joined), request.in_directory))
    return Generated(files, notes, len(events) + len(refused), len(joined), refused)


def refuse_mixed(kernels: Mapping[str, KernelEvents]) -> None:
    """Raise `usage` for kernels that no program can be for together: of different byte orders or pointers."""
    kinds = {(kernel.target.big_endian, kernel.target.pointer_size): name for name, kernel in kernels.items()}
    if len(kinds) > 1:
        one, other, *_ = kinds.values()
        hint = "a program has one byte order and one size of pointers: choose one with --arch"
        raise fail("usage", f"{one} and {other} are too different for one file", hint=hint)


def _requests(
    events: Sequence[JoinedEvent], forms: Sequence[Form], named: bool
) -> tuple[list[JoinedRequest], list[Diagnostic]]:
    """The forms that the events have on any kernel, and notes on those that they have on none.

    Raises `no-such-form` for a single event without one that was `named`, and where there are none at all.
    """
    requests: list[JoinedRequest] = []
    lacks: list[Lack] = []
    one = len(events) == 1
    for event in events:
        reasons = {form: reason for form in forms if (reason := event.why_not(form)) is not None}
        requests += [JoinedRequest(event, form) for form in forms if form not in reasons]
        lacks += (Lack(event.event, *item) for item in reasons.items())
    return requests, notes_on(lacks, one, (one and named) or not requests)


def _omitted(request: JoinedRequest) -> Iterator[Diagnostic]:
    """Notes on the arguments or fields that have no accessor."""
    event = request.event
    if event.event.syscall is None or request.form == Form.CLASSIC:
        found = event.arguments() if request.form == Form.RAW else event.record()
        for each in found.omitted:
            message = f"no accessor of {event.event.title} ({request.form}) for {each.name}: {each.reason}"
            yield Diagnostic("not-joined", message, severity=Severity.NOTE)


def _of_kernel(kernel: KernelEvents, name: str, joined: Sequence[JoinedRequest]) -> KernelRequests:
    """The requests that can be met on one kernel."""
    views = ((view, request.form) for request in joined for view in request.event.having(request.form))
    requests = tuple(Request(view.event, form) for view, form in views if view.kernel == name)
    about = (kernel.target, kernel.release)
    return KernelRequests(name, *about, requests, lambda: raw_evidence(kernel), kernel.is_stand_in)
