"""Generation for several kernels: one file for all of them, from a backend that joins kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tpgen.backends.base import Form, Job, JoinedRequest, KernelRequests, Request, missing
from tpgen.backends.generation import CheckFailed, Generated, GenerateRequest, forms_of, raw_evidence
from tpgen.backends.registry import Loaded
from tpgen.diagnostics import Diagnostic, Severity, TpgenError, fail
from tpgen.kernel.comparison import DOUBTS, errors
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.model import Event
from tpgen.programs.forms import lacking, unattachable
from tpgen.variants.join import JoinedEvent, KernelView, join


class _Selected(NamedTuple):
    """An event of a kernel that a request means, with the findings about it."""

    view: KernelView
    findings: tuple[Diagnostic, ...]


def generate_joined(
    renderer: Loaded, kernels: Mapping[str, KernelEvents], request: GenerateRequest, partial: bool = False
) -> Generated:
    """Generate the files for `request` that are right on each of `kernels`, oldest first, by their names in the files.

    An event counts where any kernel has it; it is refused where the sources of one contradict each other about it.
    Raises `usage` for a backend that makes files for one kernel, and otherwise as `generate` does.
    """
    if not renderer.backend.several_kernels:
        hint = "give one --kernel; bpf makes one header for several"
        raise fail("usage", f"backend {renderer.plugin.name} makes files for one kernel", hint=hint)
    _refuse_mixed(kernels)
    forms = forms_of(renderer, request.named)
    selected = _selected(kernels, request, Form.RAW in forms)
    events, refused = [], []
    for group in _grouped(selected):
        findings = [finding for each in group for finding in each.findings if finding.severity == Severity.ERROR]
        refused += findings
        if not findings:
            names = {each.view.kernel for each in group}
            lacking = [name for name in kernels if name not in names]
            events.append(join([each.view for each in group], lacking))
    if refused and not (partial and events):
        raise CheckFailed(*refused)
    joined, notes = _requests(events, forms, bool(request.named))
    notes += (finding for each in selected for finding in each.findings if finding.code in DOUBTS)
    notes += (note for kernel in kernels.values() for note in kernel.notes if note.code == "invalid-fact")
    asked = tuple(_of_kernel(kernel, name, joined) for name, kernel in kernels.items())
    files = renderer.render(Job(asked, request.options, tuple(joined)))
    return Generated(files, notes, len(events) + len(refused), len(joined), refused)


def _refuse_mixed(kernels: Mapping[str, KernelEvents]) -> None:
    """Raise `usage` for kernels that no program can be for together: of different byte orders or pointers."""
    kinds = {(kernel.target.big_endian, kernel.target.pointer_size): name for name, kernel in kernels.items()}
    if len(kinds) > 1:
        one, other, *_ = kinds.values()
        hint = "a program is made for one byte order and one size of pointers"
        raise fail("usage", f"{one} and {other} are too different for one file", hint=hint)


def _selected(kernels: Mapping[str, KernelEvents], request: GenerateRequest, nullness: bool) -> list[_Selected]:
    """The events of all kernels that the patterns mean. Raises `unknown-event` for a pattern that none has."""
    keys: dict[str, dict[EventKey, None]] = {name: {} for name in kernels}
    for pattern in request.patterns:
        unknown = []
        for name, kernel in kernels.items():
            try:
                keys[name] |= dict.fromkeys(kernel.select(pattern, request.module))
            except TpgenError as error:
                if [d.code for d in error.diagnostics] != ["unknown-event"]:
                    raise
                unknown.append(error)
        if len(unknown) == len(kernels):
            raise unknown[-1]
    return [each for name, kernel in kernels.items() for each in _of(name, kernel, list(keys[name]), nullness)]


def _of(name: str, kernel: KernelEvents, keys: list[EventKey], nullness: bool) -> Iterator[_Selected]:
    for key, event in zip(keys, kernel.events(keys, nullness=nullness), strict=True):
        comparisons = tuple(kernel.comparisons(key))
        doubts = (d for comparison in comparisons for d in comparison.findings if d.code in DOUBTS)
        findings = tuple(dict.fromkeys((*errors(comparisons), *doubts)))
        yield _Selected(KernelView(name, event, kernel.target, kernel.records_of), findings)


def _grouped(selected: Sequence[_Selected]) -> Iterator[list[_Selected]]:
    """The events that are one to a program: of one name, and where a kernel has several, of one system and module."""
    yield from _split(selected, (lambda event: event.name, lambda event: event.system, lambda event: event.module))


def _split(selected: Sequence[_Selected], keys: Sequence[Callable[[Event], str | None]]) -> Iterator[list[_Selected]]:
    """Split events by the first of `keys`, and by the next wherever a kernel still has several in one group."""
    groups: dict[str | None, list[_Selected]] = {}
    for each in selected:
        groups.setdefault(keys[0](each.view.event), []).append(each)
    for group in groups.values():
        if len({each.view.kernel for each in group}) < len(group) and len(keys) > 1:
            yield from _split(group, keys[1:])
        else:
            yield group


def _requests(
    events: Sequence[JoinedEvent], forms: Sequence[Form], named: bool
) -> tuple[list[JoinedRequest], list[Diagnostic]]:
    """The forms that the events have on any kernel, and notes on those that they have on none.

    Raises `no-such-form` for a single event without any, or without one that was `named`.
    """
    requests: list[JoinedRequest] = []
    notes: list[Diagnostic] = []
    for event in events:
        reasons = {form: _reason(event.event, form) for form in forms if not event.having(form)}
        requests += [JoinedRequest(event, form) for form in forms if form not in reasons]
        without = [
            lacking(event.event, form, reason)
            for form, reason in reasons.items()
            if named or len(reasons) == len(forms)
        ]
        if without and len(events) == 1:
            raise TpgenError(*(diagnostic._replace(severity=Severity.ERROR) for diagnostic in without))
        notes += without
    return requests, notes


def _reason(event: Event, form: Form) -> str:
    """Why the newest kernel does not have the event in a form that no kernel has it in."""
    reason = missing(event, form) or unattachable(event, form)
    assert reason is not None
    return reason


def _of_kernel(kernel: KernelEvents, name: str, joined: Sequence[JoinedRequest]) -> KernelRequests:
    """The requests that can be met on one kernel."""
    views = ((view, request.form) for request in joined for view in request.event.having(request.form))
    requests = tuple(Request(view.event, form) for view, form in views if view.kernel == name)
    about = (kernel.target, kernel.release)
    return KernelRequests(name, *about, requests, lambda: raw_evidence(kernel), kernel.is_stand_in)
