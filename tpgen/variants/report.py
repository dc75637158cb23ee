"""The text of `tpgen check` about several kernels together: what a header for all of them has, and what it has not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from tpgen.kernel.events import KernelEvents
from tpgen.programs.forms import Form
from tpgen.variants.facts import JoinedArguments, JoinedRecord
from tpgen.variants.join import JoinedEvent, join
from tpgen.variants.select import grouped, select
from tpgen.variants.views import KernelView

_VALUES = {Form.RAW: "raw arguments", Form.CLASSIC: "fields of records"}


def joined_report(kernels: Mapping[str, KernelEvents], patterns: Iterable[str], module: str | None) -> str:
    """Counts of the values that are the same everywhere, that a guard tells, and that are left out, with reasons."""
    records_of = {name: cache(kernel.records_of) for name, kernel in kernels.items()}
    selected = select(kernels, patterns, module, nullness=False)
    events = [
        join([KernelView(e.kernel, e.event, kernels[e.kernel].target, records_of[e.kernel]) for e in group])
        for group in grouped(selected)
    ]
    return "".join(f"{line}\n" for line in _lines(list(kernels), events))


def _lines(names: list[str], events: list[JoinedEvent]) -> Iterator[str]:
    yield f"one header for {', '.join(names)}"
    width = max(map(len, _VALUES.values()))
    yield f"  {'':<{width}}  events  everywhere  guarded  left out"
    omitted: list[str] = []
    for form, what in _VALUES.items():
        found = [(event, joined) for event in events if (joined := _joined(event, form)) is not None]
        values = [value for _, joined in found for value in joined.values]
        everywhere = sum(value.is_everywhere for value in values)
        left = [
            f"{event.event.title}: {each.name}: {each.reason}" for event, joined in found for each in joined.omitted
        ]
        yield f"  {what:<{width}}  {len(found):>6}  {everywhere:>10}  {len(values) - everywhere:>7}  {len(left):>8}"
        omitted += left
    yield from (f"left out: {line}" for line in omitted)


def _joined(event: JoinedEvent, form: Form) -> JoinedArguments | JoinedRecord | None:
    """The joined values of a form; None where no kernel has it, and for the registers of a system call."""
    if not event.having(form) or (form == Form.RAW and event.event.syscall is not None):
        return None
    return event.arguments() if form == Form.RAW else event.record()
