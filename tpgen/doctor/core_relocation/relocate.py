"""CO-RE relocations of an object, resolved against the types of a kernel.

Source: bpf_object__relocate_core() of libbpf.c and bpf_core_calc_relo_insn() of relo_core.c.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from tpgen.doctor.core_relocation.compatibility import TypePair, shape_of
from tpgen.doctor.core_relocation.kernel_types import Candidate, KernelTypes, Step
from tpgen.doctor.core_relocation.results import NEEDED, Number, number_of, patched
from tpgen.doctor.core_relocation.specs import (
    COMPOSITES,
    ENUMERATOR_KINDS,
    ENUMS,
    FIELD_KINDS,
    Part,
    Refusal,
    Spec,
    essential_name,
    parse,
    spelled,
)
from tpgen.doctor.relocated import Failed, Relocated, Relocations
from tpgen.sources.bpf_object.btf_types import enumerators, member
from tpgen.sources.bpf_object.facts import BpfObject, CoreKind, CoreRelocation, Place
from tpgen.sources.btf import Btf


def relocate(obj: BpfObject, types: KernelTypes) -> Relocations:
    """The outcomes of an object's relocations on a kernel, as libbpf would have them that loads all its programs."""
    return _Relocator(obj, types).relocate() if obj.btf is not None else {}


class _Ours(NamedTuple):
    """A relocation's access and value in the object's own types; `steps` are what a kernel's type must have."""

    spec: Spec
    number: Number
    steps: tuple[Step, ...]


class _Outcome(NamedTuple):
    number: Number
    module: str | None


class _Relocator:
    def __init__(self, obj: BpfObject, types: KernelTypes) -> None:
        assert obj.btf is not None
        self._obj = obj
        self._btf = obj.btf
        self._types = types
        # The candidates for a type of the object. As in libbpf, a relocation leaves those that it matched to the next.
        self._candidates: dict[int, tuple[Candidate, ...]] = {}
        self._ours: dict[CoreRelocation, _Ours] = {}

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
        instruction = self._obj.code[place.section][place.at]
        assert instruction is not None
        try:
            ours = self._ours_of(relocation)
            outcome = self._outcome(relocation, ours)
            resolved = None if outcome is None else patched(instruction, ours.number, outcome.number)
        except Refusal as refusal:
            return Failed(spelled(self._btf, relocation), refusal.reason, refusal.errno)
        if resolved is None or outcome is None:
            return Failed(spelled(self._btf, relocation))
        return resolved._replace(struct_name=self._struct_name(relocation), module=outcome.module)

    def _struct_name(self, relocation: CoreRelocation) -> str | None:
        if relocation.kind != CoreKind.FIELD_BYTE_OFFSET:
            return None
        struct = self._btf.strip(relocation.type_id)
        name = self._btf.name(struct) if self._btf.kind(struct) in COMPOSITES else ""
        return essential_name(name or self._btf.name(relocation.type_id))

    # --- the object's side

    def _ours_of(self, relocation: CoreRelocation) -> _Ours:
        found = self._ours.get(relocation)
        if found is None:
            spec = parse(self._btf, relocation)
            number = number_of(relocation.kind, self._btf, spec, 8)
            found = self._ours[relocation] = _Ours(spec, number, tuple(self._steps(relocation.kind, spec)))
        return found

    def _steps(self, kind: CoreKind, spec: Spec) -> Iterator[Step]:
        if kind in FIELD_KINDS:
            for part in spec.parts:
                if part.name is None:
                    yield Step(None, None, part.at)
                else:
                    shape = shape_of(self._btf, member(self._btf, part.type_id, part.at).type_id)
                    yield Step(part.name, shape, 0)

    # --- the kernel's side

    def _outcome(self, relocation: CoreRelocation, ours: _Ours) -> _Outcome | None:
        """The value on the kernel; None where the instruction is poisoned."""
        kind = relocation.kind
        if kind == CoreKind.TYPE_ID_LOCAL:
            return _Outcome(ours.number, None)
        found: list[tuple[Candidate, Spec, Number]] = []
        for candidate in self._candidates_of(relocation.type_id):
            spec = self._match(relocation, ours, candidate)
            if spec is None:
                continue
            number = number_of(kind, candidate.table.btf, spec, candidate.table.pointer_bytes)
            if found and (spec.bit_offset != found[0][1].bit_offset or number.value != found[0][2].value):
                reason = f"the kernel has several types of the name {self._name(relocation.type_id)}, which differ"
                raise Refusal("EINVAL", reason)
            found.append((candidate, spec, number))
        if found:
            self._candidates[relocation.type_id] = tuple(candidate for candidate, *_ in found)
            return _Outcome(found[0][2], found[0][0].table.module)
        return None if kind in NEEDED else _Outcome(Number(0), None)

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

    def _match(self, relocation: CoreRelocation, ours: _Ours, candidate: Candidate) -> Spec | None:
        kind, (table, type_id) = relocation.kind, candidate
        if kind in FIELD_KINDS:
            return table.match(type_id, ours.steps)
        if kind in ENUMERATOR_KINDS:
            name = ours.spec.parts[0].name
            assert name is not None
            return _enumerator(table.btf, type_id, essential_name(name))
        pair = TypePair(self._btf, table.btf)
        compare = pair.matches if kind == CoreKind.TYPE_MATCHES else pair.compatible
        return Spec(type_id, (), 0) if compare(relocation.type_id, type_id) else None


def _enumerator(btf: Btf, root: int, name: str) -> Spec | None:
    """The access to the first enumerator of that name, but for its flavour."""
    type_id = btf.strip(root)
    if btf.kind(type_id) not in ENUMS:
        return None
    for index, each in enumerate(enumerators(btf, type_id)):
        if essential_name(each.name) == name:
            return Spec(root, (Part(type_id, index, each.name),), 0)
    return None
