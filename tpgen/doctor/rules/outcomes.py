"""Outcomes of an object's relocations on a kernel, as rules ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from tpgen.doctor.relocated import Failed, Relocations, Resolved, Unknown
from tpgen.sources.bpf_object.facts import Place


class Outcomes:
    """The outcomes by place, with those that matter by themselves."""

    def __init__(self, relocations: Relocations) -> None:
        self.relocations = relocations

    @cached_property
    def refused(self) -> Mapping[Place, Failed]:
        """The outcomes for which the loader refuses the whole object."""
        failed = ((place, each) for place, each in self.relocations.items() if isinstance(each, Failed))
        return {place: each for place, each in failed if each.refused}

    @cached_property
    def unknown(self) -> Mapping[str, tuple[Place, ...]]:
        """The places of what is not known, by its name."""
        found: dict[str, list[Place]] = {}
        for place, each in self.relocations.items():
            if isinstance(each, Unknown):
                found.setdefault(each.what, []).append(place)
        return {what: tuple(places) for what, places in found.items()}

    def decided(self, places: Iterable[Place], value: int) -> Outcomes:
        """The outcomes with `value` at those places."""
        return Outcomes(self.relocations | dict.fromkeys(places, Resolved(value)))
