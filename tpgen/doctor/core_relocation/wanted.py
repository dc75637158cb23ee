"""Accesses of relocations in the object's own types, in the form in which they are looked up in a kernel's types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from tpgen.doctor.core_relocation.compatibility import Budget, Shape, shape_of
from tpgen.doctor.core_relocation.results import Number, number_of
from tpgen.doctor.core_relocation.specs import FIELD_KINDS, Spec, parse
from tpgen.sources.bpf_object.btf_types import member
from tpgen.sources.bpf_object.facts import CoreKind, CoreRelocation
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind


class Step(NamedTuple):
    """One part of an access, as it looks for it in a kernel's type.

    A member of that `name`, whose type has the `shape`; or the element `at` of an array, where `name` is None.
    """

    name: str | None
    shape: Shape | None
    at: int


class Wanted(NamedTuple):
    """A relocation's access and value in the object's own types `btf`; `steps` are what a kernel's type must have.

    Comparisons of whole types take from `budget`.
    """

    btf: Btf
    budget: Budget
    relocation: CoreRelocation
    spec: Spec
    number: Number
    steps: tuple[Step, ...]

    @property
    def kind(self) -> CoreKind:
        return self.relocation.kind


class Match(NamedTuple):
    """The value of a relocation for one type of a kernel; candidates that match must agree on both."""

    bit_offset: int
    number: Number


class Candidate(ABC):
    """A type of a kernel that has the name that is looked for; `module` is that in which it was found."""

    module: str | None = None

    @abstractmethod
    def match(self, wanted: Wanted) -> Match | None:
        """The value for this type; None where it does not fit. Raises `Refusal` and `Untold`."""


class Types(ABC):
    """Types of a kernel, as far as they are known."""

    @abstractmethod
    def candidates(self, name: str, kind: BtfKind) -> tuple[Candidate, ...]:
        """The types of that essential name and kind. Raises `Untold`."""


def wanted(btf: Btf, budget: Budget, relocation: CoreRelocation) -> Wanted:
    """The access of a relocation. Raises `Refusal` for one that the object's own types do not have."""
    spec = parse(btf, relocation)
    number = number_of(relocation.kind, btf, spec, 8)
    return Wanted(btf, budget, relocation, spec, number, tuple(_steps(btf, relocation.kind, spec)))


def _steps(btf: Btf, kind: CoreKind, spec: Spec) -> Iterator[Step]:
    if kind in FIELD_KINDS:
        for part in spec.parts:
            if part.name is None:
                yield Step(None, None, part.at)
            else:
                yield Step(part.name, shape_of(btf, member(btf, part.type_id, part.at).type_id), 0)
