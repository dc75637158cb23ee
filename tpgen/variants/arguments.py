"""Joining raw arguments: in which slot each kernel has an argument of a name, and what tells these kernels apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from tpgen.model import Argument, CType, Nullness, Struct
from tpgen.sources.source_tree.null_args import NULLABLE_SUFFIX
from tpgen.spelling import spell
from tpgen.typequery import stripped
from tpgen.variants.deciding import record_facts, telling
from tpgen.variants.facts import ArgumentPlace, Conjunction, JoinedArgument, JoinedArguments, Omitted, PrototypeExists
from tpgen.variants.readings import Reading, readings
from tpgen.variants.views import KernelView, UnknownKindError, decayed, holds_all, prototype, prototype_of


class _Outcome(NamedTuple):
    """The place of an argument on a kernel, and the type through which it is read there."""

    slot: int
    type: CType


def join_arguments(views: Sequence[KernelView]) -> JoinedArguments:
    """Join the raw arguments of the event on `views`, oldest first, all of which have them."""
    values: list[JoinedArgument] = []
    omitted: list[Omitted] = []
    for name in dict.fromkeys(_name(arg) for view in reversed(views) for arg in view.event.args or ()):
        found = {view.kernel: arg for view in views if (arg := _called(name, view.event.args or ())) is not None}
        of_name = readings({kernel: decayed(arg.type) for kernel, arg in found.items()})
        if isinstance(of_name, str):
            omitted.append(Omitted(name, of_name))
            continue
        for reading in of_name:
            joined = _joined(name, reading, found, views)
            (omitted if isinstance(joined, Omitted) else values).append(joined)  # type: ignore[arg-type]
    return JoinedArguments(tuple(values), tuple(omitted))


def _name(arg: Argument) -> str:
    return arg.name or f"arg{arg.slot}"


def _called(name: str, args: Sequence[Argument]) -> Argument | None:
    """The argument of that name; else the one that has it but for the suffix, which only tells that it may be NULL."""
    for suffix in ("", NULLABLE_SUFFIX):
        for arg in args:
            if _name(arg) == name + suffix:
                return arg
    return None


def _joined(
    name: str, reading: Reading, args: Mapping[str, Argument], views: Sequence[KernelView]
) -> JoinedArgument | Omitted:
    outcomes = {kernel: _Outcome(args[kernel].slot, ctype) for kernel, ctype in reading.through.items()}
    places = _places(outcomes, views)
    if isinstance(places, str):
        return Omitted(f"{name} as {reading.struct}" if reading.struct else name, places)
    if places[0].when and isinstance(stripped(reading.type), Struct):
        return Omitted(name, f"`{spell(reading.type)}` is passed by value, and not in one place on all kernels")
    unseen = () if not places[0].when else tuple(v.kernel for v in views if v.kernel in outcomes and _is_blind(v))
    nullness = _strictest(args[kernel].nullness for kernel in outcomes)
    return JoinedArgument(name, reading.struct, reading.type, places, nullness, unseen)


def _strictest(found: Iterable[Nullness | None]) -> Nullness | None:
    """The assumption of a verifier under which code is right on all kernels."""
    all_of = set(found)
    order = (Nullness.ERROR, Nullness.MAYBE, None, Nullness.NEVER)
    return next(nullness for nullness in order if nullness in all_of)


def _places(outcomes: Mapping[str, _Outcome], views: Sequence[KernelView]) -> tuple[ArgumentPlace, ...] | str:
    """Where the argument is, by conditions; the reason where nothing tells at load."""
    if len(outcomes) == len(views) and len(set(outcomes.values())) == 1:
        return (ArgumentPlace(tuple(outcomes), (), *next(iter(outcomes.values()))),)
    places: list[ArgumentPlace] = []
    for (form, outcome), group in _groups(outcomes, views).items():
        others = [view for view in views if outcomes.get(view.kernel) != outcome]
        base: Conjunction = (form,)
        when = telling([base], partial(record_facts, group, others), group, others)
        if when is None:
            return _undecided(outcomes, group, others)
        kernels = tuple(view.kernel for view in group)
        if places and (places[-1].slot, places[-1].type) == outcome:
            kernels, when = (*kernels, *places[-1].kernels), (*places[-1].when, *when)
            places.pop()
        places.append(ArgumentPlace(kernels, when, *outcome))
    if not places:
        return f"it is on {', '.join(outcomes)} alone, where no BTF of its image tells a loader so"
    return tuple(places) if _comes_out(places, outcomes, views) else "what is known of the kernels contradicts itself"


def _groups(
    outcomes: Mapping[str, _Outcome], views: Sequence[KernelView]
) -> dict[tuple[PrototypeExists, _Outcome], list[KernelView]]:
    """The kernels that have one prototype and the argument in one place, newest first; none of those without BTF."""
    groups: dict[tuple[PrototypeExists, _Outcome], list[KernelView]] = {}
    for view in reversed(views):
        form, outcome = prototype_of(view), outcomes.get(view.kernel)
        if form is not None and outcome is not None:
            groups.setdefault((form, outcome), []).insert(0, view)
    return groups


def _is_blind(view: KernelView) -> bool:
    """Whether no condition about the event's prototype is known to hold on the kernel."""
    return prototype_of(view) is None


def _comes_out(places: Sequence[ArgumentPlace], outcomes: Mapping[str, _Outcome], views: Sequence[KernelView]) -> bool:
    """Whether the conditions, tried in their order on each kernel, lead to the place that the argument has there."""
    for view in views:
        taken = next((p for p in places if any(holds_all(each, view) is not False for each in p.when)), None)
        outcome = None if taken is None else _Outcome(taken.slot, taken.type)
        if outcome != outcomes.get(view.kernel) and not (outcome is None and _is_blind(view)):
            return False
    return True


def _undecided(outcomes: Mapping[str, _Outcome], group: Sequence[KernelView], others: Sequence[KernelView]) -> str:
    """Why the kernels of `group` cannot be told from some of `others` at load."""
    here = ", ".join(view.kernel for view in group)
    outcome = outcomes[group[0].kernel]
    same = [view for view in others if prototype_of(view) == prototype_of(group[0])]
    unknown = [view.kernel for view in others if _is_blind(view) and _has_unknown_kind(view)]
    if unknown and not same:
        return f"the prototype of {', '.join(unknown)} is not known"
    for view in same:
        other = outcomes.get(view.kernel)
        there = "it is not there" if other is None else f"it is `{spell(other.type)}` in slot {other.slot}"
        return (
            f"nothing at load tells {here}, where it is `{spell(outcome.type)}` in slot {outcome.slot}, "
            f"from {view.kernel}, where {there}"
        )
    return f"nothing at load tells {here} from {', '.join(view.kernel for view in others)}"


def _has_unknown_kind(view: KernelView) -> bool:
    try:
        prototype(view.event)
    except UnknownKindError:
        return True
    return False
