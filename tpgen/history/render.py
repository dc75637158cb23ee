"""Reports of histories, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from tpgen.diff.changes import Consequence, consequences
from tpgen.diff.render import HEADINGS, change_json, change_line
from tpgen.history.facts import Break, EventHistory, FormHistory, Group, History, Known
from tpgen.model import Argument, Field
from tpgen.programs.compat import Programs
from tpgen.programs.forms import Form
from tpgen.show import arg_json, record_json
from tpgen.spelling import spell
from tpgen.target import Target

# --- for programs: docs/history.md


def history_json(history: History) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """The kernels, oldest first, and the events."""
    targets = {kernel.name: kernel.target for kernel in history.kernels}
    head = {
        "kernels": [
            {"name": each.name, "release": each.release, "arch": each.target.arch, "family": each.family}
            for each in history.kernels
        ]
    }
    return head, (event_json(event, targets) for event in history.events)


def event_json(event: EventHistory, targets: dict[str, Target]) -> dict[str, Any]:
    """The history of an event; `targets` has that of each kernel."""
    return {
        "system": event.newest.system,
        "name": event.newest.name,
        "module": event.newest.module,
        "kernels": list(event.kernels),
        "absent": list(event.absent),
        "unknown": list(event.unknown),
        "known_as": [_known_json(known) for known in event.known_as],
        "raw": _form_json(event.raw, Form.RAW, targets),
        "classic": _form_json(event.classic, Form.CLASSIC, targets),
        "breaks": [_break_json(each, targets) for each in event.breaks],
    }


def _known_json(known: Known) -> dict[str, Any]:
    return {
        "system": known.system,
        "name": known.name,
        "module": known.module,
        "kernels": list(known.kernels),
        "because": known.because,
    }


def _form_json(form: FormHistory, which: Form, targets: dict[str, Target]) -> dict[str, Any]:
    return {
        "groups": [_group_json(group, which, targets[group.of]) for group in form.groups],
        "unknown": list(form.unknown),
        "none": list(form.none),
    }


def _group_json(group: Group, form: Form, target: Target) -> dict[str, Any]:
    about = {"kernels": list(group.kernels), "of": group.of, "unsure": list(group.unsure)}
    event = group.event
    if form is Form.RAW:
        return {**about, "args": [arg_json(arg, target) for arg in event.args or ()]}
    assert event.record is not None
    return {**about, "class": event.class_name, "record": record_json(event.record)}


def _break_json(found: Break, targets: dict[str, Target]) -> dict[str, Any]:
    before, after = targets[found.steps[-1].before], targets[found.steps[-1].after]
    return {
        "steps": [{"before": step.before, "after": step.after} for step in found.steps],
        "consequences": list(map(str, consequences(_broken(found)))),
        "changes": [change_json(change, before, after) for change in found.changes],
    }


def _broken(found: Break) -> Programs:
    broken = Programs.NONE
    for change in found.changes:
        broken |= change.breaks
    return broken


# --- for people


def history_texts(history: History, colour: bool = False) -> Iterator[str]:
    """The text of each event: who has it, as what; which kernels have the same in each form; what changed where."""
    runs = _Runs(history)
    for number, event in enumerate(history.events):
        yield "\n" * (number > 0) + "".join(f"{line}\n" for line in _event_lines(event, runs, colour))


class _Runs:
    """Kernels in words: those that follow each other by the first and the last of them."""

    def __init__(self, history: History) -> None:
        self._place = {kernel.name: place for place, kernel in enumerate(history.kernels)}
        self._all = len(self._place)

    def said(self, names: Sequence[str], among: Sequence[str]) -> str:
        """The kernels `names`, of which those follow each other that have none of `among` in between."""
        if len(names) == self._all > 1:
            return f"all {self._all} kernels, {names[0]} … {names[-1]}"
        order = {name: number for number, name in enumerate(sorted(among, key=self._place.__getitem__))}
        runs: list[list[str]] = []
        for name in names:
            if runs and order[name] == order[runs[-1][-1]] + 1:
                runs[-1].append(name)
            else:
                runs.append([name])
        said = [_run(run) for run in runs]
        more = len(said) - _MOST_RUNS
        if more > 1:
            rest = sum(map(len, runs[_MOST_RUNS:]))
            said[_MOST_RUNS:] = [f"{rest} more"]
        return ", ".join(said)


# The runs of kernels that are listed, and the steps of a break.
_MOST_RUNS, _MOST_STEPS = 12, 3


def _run(names: Sequence[str]) -> str:
    if len(names) < 3:
        return ", ".join(names)
    return f"{names[0]} … {names[-1]} ({len(names)} kernels)"


def _event_lines(event: EventHistory, runs: _Runs, colour: bool) -> Iterator[str]:
    newest = event.newest
    yield event.title + (f" [{newest.module}]" if newest.module else "")
    if len(event.known_as) > 1:
        for known in event.known_as:
            module = f" [{known.module}]" if known.module else ""
            reason = f"; {known.because}" if known.because else ""
            yield f"  as {known.title}{module}: {runs.said(known.kernels, event.kernels)}{reason}"
    everyone = tuple(chain(event.kernels, event.absent, event.unknown))
    if event.absent:
        yield f"  not there: {runs.said(event.absent, everyone)}"
    if event.unknown:
        yield f"  unknown whether there: {runs.said(event.unknown, everyone)}"
    yield from _form_lines("raw arguments", event.raw, Form.RAW, runs)
    yield from _form_lines("classic record", event.classic, Form.CLASSIC, runs)
    for found in event.breaks:
        yield f"  {_steps(found)}: {_breaking(found)}"
        # What was both moved and retyped is one line.
        yield from dict.fromkeys(f"    {change_line(change, colour)}" for change in found.changes)


def _form_lines(title: str, form: FormHistory, which: Form, runs: _Runs) -> Iterator[str]:
    if not form.groups and not form.unknown:
        return
    among = [*(name for group in form.groups for name in group.kernels), *form.unknown, *form.none]
    yield f"  {title}"
    for group in form.groups:
        yield f"    {runs.said(group.kernels, among)}"
        yield f"      {_arguments(group) if which is Form.RAW else _record(group)}"
        if group.unsure:
            yield f"      as far as is known of {runs.said(group.unsure, among)}"
    if form.unknown:
        yield f"    unknown: {runs.said(form.unknown, among)}"
    if form.none:
        yield f"    none: {runs.said(form.none, among)}"


def _arguments(group: Group) -> str:
    return ", ".join(map(_argument, group.event.args or ())) or "no arguments"


def _argument(arg: Argument) -> str:
    declared = spell(arg.type, arg.name or f"arg{arg.slot}")
    return f"{declared} ({arg.nullness})" if arg.nullness not in (None, "never NULL") else declared


def _record(group: Group) -> str:
    record, name = group.event.record, group.event.class_name
    assert record is not None
    size = "size unknown" if record.size_bytes is None else f"{record.size_bytes} bytes"
    fields = ", ".join(map(_field, record.fields))
    return f"{f'class {name}, ' if name else ''}{size}{f': {fields}' if fields else ''}"


def _field(field: Field) -> str:
    if field.dynamic is None:
        return f"{field.name if field.type is None else spell(field.type, field.name)} @{field.offset_bytes}"
    return f"__{field.dynamic} {'?' if field.type is None else spell(field.type)} {field.name}[] @{field.offset_bytes}"


def _steps(found: Break) -> str:
    steps = [f"{step.before} → {step.after}" for step in found.steps]
    more = len(steps) - _MOST_STEPS
    if more > 1:
        steps[_MOST_STEPS:] = [f"{more} more steps"]
    return ", ".join(steps)


def _breaking(found: Break) -> str:
    return ", ".join(HEADINGS[each] for each in _consequences(found))


def _consequences(found: Break) -> Iterable[Consequence]:
    return consequences(_broken(found))
