"""CO-RE relocations of an object, resolved against the types of a kernel.

Source: bpf_object__relocate_core() of libbpf.c and bpf_core_calc_relo_insn() of relo_core.c.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from tpgen.doctor.core_relocation.compatibility import Budget, Untold
from tpgen.doctor.core_relocation.results import NEEDED, Number, patched
from tpgen.doctor.core_relocation.specs import COMPOSITES, Refusal, essential_name, spelled
from tpgen.doctor.core_relocation.wanted import Candidate, Match, Types, Wanted, wanted
from tpgen.doctor.relocated import Failed, Relocated, Relocations, Unknown
from tpgen.sources.bpf_object.facts import BpfObject, CoreKind, CoreRelocation, Place
from tpgen.sources.bpf_object.instructions import Instruction


def relocate(obj: BpfObject, types: Types) -> Relocations:
    """The outcomes of an object's relocations on a kernel, as libbpf would have them that loads all its programs."""
    return _Relocator(obj, types).relocate() if obj.btf is not None else {}


class _Outcome(NamedTuple):
    number: Number
    module: str | None


class _Relocator:
    def __init__(self, obj: BpfObject, types: Types) -> None:
        assert obj.btf is not None
        self._obj = obj
        self._btf = obj.btf
        self._types = types
        self._budget = Budget(obj.name)
        # The candidates for a type of the object. As in libbpf, a relocation leaves those that it matched to the next.
        self._candidates: dict[int, tuple[Candidate, ...]] = {}
        self._wanted: dict[CoreRelocation, Wanted] = {}
        self._unknown: dict[CoreRelocation, Unknown] = {}
        # The outcome of a relocation, which many instructions have, with the candidates that it was found among.
        self._outcomes: dict[CoreRelocation, tuple[tuple[Candidate, ...], _Outcome | None]] = {}

    def relocate(self) -> Relocations:
        return {place: self._relocated(place, each) for place, each in self._relocations()}

    def _relocations(self) -> Iterator[tuple[Place, CoreRelocation]]:
        """The relocations within functions: a linker leaves those of functions that it replaced."""
        ends: dict[str, list[tuple[int, int]]] = {}
        for function in self._obj.functions:
            begin = function.place.at
            ends.setdefault(function.place.section, []).append((begin, begin + function.length))
        for functions in ends.values():
            functions.sort()
        for place, relocation in self._obj.core_relocations.items():
            functions = ends.get(place.section, [])
            index = bisect_right(functions, (place.at, 1 << 62)) - 1
            if index >= 0 and place.at < functions[index][1]:
                yield place, relocation

    def _relocated(self, place: Place, relocation: CoreRelocation) -> Relocated:
        if relocation.type_id not in self._candidates and (known := self._unknown.get(relocation)) is not None:
            return known  # of a type of which nothing is known
        instruction = self._obj.code[place.section][place.at]
        assert instruction is not None
        try:
            found = self._resolved(instruction, relocation)
        except Refusal as refusal:
            return Failed(spelled(self._btf, relocation), refusal.reason, refusal.errno)
        except Untold:
            return self._unknown_of(relocation)
        return found or Failed(spelled(self._btf, relocation))

    def _unknown_of(self, relocation: CoreRelocation) -> Unknown:
        found = self._unknown.get(relocation)
        if found is None:
            name = self._struct_name(relocation)
            found = self._unknown[relocation] = Unknown(spelled(self._btf, relocation), name)
        return found

    def _resolved(self, instruction: Instruction, relocation: CoreRelocation) -> Relocated | None:
        want = self._wanted.get(relocation)
        if want is None:
            want = self._wanted[relocation] = wanted(self._btf, self._budget, relocation)
        outcome = self._outcome(want)
        resolved = None if outcome is None else patched(instruction, want.number, outcome.number)
        if resolved is None or outcome is None:
            return None
        return resolved._replace(struct_name=self._struct_name(relocation), module=outcome.module)

    def _struct_name(self, relocation: CoreRelocation) -> str | None:
        if relocation.kind != CoreKind.FIELD_BYTE_OFFSET:
            return None
        struct = self._btf.strip(relocation.type_id)
        name = self._btf.name(struct) if self._btf.kind(struct) in COMPOSITES else ""
        return essential_name(name or self._btf.name(relocation.type_id))

    def _outcome(self, want: Wanted) -> _Outcome | None:
        """The value on the kernel; None where the instruction is poisoned."""
        if want.kind == CoreKind.TYPE_ID_LOCAL:
            return _Outcome(want.number, None)
        candidates = self._candidates_of(want.relocation.type_id)
        known = self._outcomes.get(want.relocation)
        if known is None or known[0] is not candidates:
            outcome = self._outcome_among(candidates, want)
            known = self._outcomes[want.relocation] = self._candidates_of(want.relocation.type_id), outcome
        return known[1]

    def _outcome_among(self, candidates: tuple[Candidate, ...], want: Wanted) -> _Outcome | None:
        type_id = want.relocation.type_id
        found: list[tuple[Candidate, Match]] = []
        for candidate in candidates:
            match = candidate.match(want)
            if match is None:
                continue
            if found and _differ(match, found[0][1]):
                raise Refusal("EINVAL", f"the kernel has several types of the name {self._name(type_id)}, which differ")
            found.append((candidate, match))
        if found:
            if len(found) < len(candidates):
                self._candidates[type_id] = tuple(candidate for candidate, _ in found)
            return _Outcome(found[0][1].number, found[0][0].module)
        return None if want.kind in NEEDED else _Outcome(Number(0), None)

    def _candidates_of(self, type_id: int) -> tuple[Candidate, ...]:
        found = self._candidates.get(type_id)
        if found is None:
            name = self._name(type_id)
            if not name:
                raise Refusal("EOPNOTSUPP", "a type without a name")
            found = self._candidates[type_id] = self._types.candidates(name, self._btf.kind(type_id))
        return found

    def _name(self, type_id: int) -> str:
        return essential_name(self._btf.name(type_id)) if type_id else ""


def _differ(match: Match, other: Match) -> bool:
    return match.bit_offset != other.bit_offset or match.number.value != other.number.value
