"""Whether a type of the program's and one of the kernel's go together, by libbpf's three rules.

Source: bpf_core_fields_are_compat(), __bpf_core_types_are_compat() and __bpf_core_types_match() of relo_core.c.
"""

from __future__ import annotations

from typing import NamedTuple

from tpgen.diagnostics import fail
from tpgen.doctor.core_relocation.specs import COMPOSITES, ENUMS, Refusal, essential_name
from tpgen.sources.bpf_object.btf_types import array_type, count_of, encoding, enumerators, is_flag_set
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.target import canonical_integer

# libbpf's bounds for types within types, and of its own for functions and structs within these.
_DEEPEST, _MOST_LEVELS = 32, 32
# Ours, for all comparisons of an object on one kernel: of 900 objects none takes a thousand.
_MOST_STEPS = 200_000


# The integers that all compilers call the same in BTF; clang has `unsigned long` where gcc has `long unsigned int`.
_ONE_SPELLING = frozenset(("char", "signed char", "unsigned char", "int", "unsigned int", "_Bool"))


class Untold(Exception):
    """Nothing that is known of the kernel decides."""


class Shape(NamedTuple):
    """The part of a member's type that decides whether another one fits: equal for all programs that mean the same.

    `arrays` is how many arrays are around it, `name` that of an enum or a forward declaration, without its flavour.
    """

    arrays: int
    kind: BtfKind
    name: str = ""
    fits: bool = True


def shape_of(btf: Btf, type_id: int) -> Shape:
    """The shape of the type of a member."""
    type_id, arrays = _element(btf, type_id, _DEEPEST)
    kind = btf.kind(type_id)
    if kind in COMPOSITES:
        return Shape(arrays, BtfKind.STRUCT)
    if kind in (BtfKind.PTR, BtfKind.FLOAT):
        return Shape(arrays, kind)
    if kind in ENUMS:
        return Shape(arrays, BtfKind.ENUM, essential_name(btf.name(type_id)))
    if kind == BtfKind.FWD:
        return Shape(arrays, kind, essential_name(btf.name(type_id)))
    if kind == BtfKind.INT:
        return Shape(arrays, kind, fits=not encoding(btf, type_id).offset)
    return Shape(arrays, kind, fits=False)


def _element(btf: Btf, type_id: int, most: int) -> tuple[int, int]:
    """The type within at most so many arrays, and how many there are."""
    for count in range(most):
        type_id = btf.strip(type_id)
        if btf.kind(type_id) != BtfKind.ARRAY:
            return type_id, count
        type_id = array_type(btf, type_id).element
    return btf.strip(type_id), most


def fields_fit(shape: Shape, btf: Btf, type_id: int) -> bool:
    """Whether a member of the kernel's, of the type `type_id`, is of the kind that the program expects."""
    other = shape_of(btf, type_id)
    if not (shape.fits and other.fits) or shape.arrays != other.arrays or shape.kind != other.kind:
        return False
    return not shape.name or not other.name or shape.name == other.name


class Budget:
    """Steps that comparisons of an object's types may take. Raises `object-too-large` where there are no more."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._left = _MOST_STEPS

    def spend(self) -> None:
        """Count a step."""
        self._left -= 1
        if self._left < 0:
            raise fail("object-too-large", "BPF object whose types nest too deeply to be compared", self._path)


class TypePair:
    """Compares types of a program with types of a kernel, of which those of a catalog are `partial`.

    A struct without members then has others, an enum other enumerators, and what the kernel's compiler calls an integer
    is not known: `Untold` is raised where that would decide.
    """

    def __init__(self, ours: Btf, theirs: Btf, budget: Budget, partial: bool = False) -> None:
        self._ours = ours
        self._theirs = theirs
        self._budget = budget
        self._partial = partial

    def compatible(self, our_id: int, their_id: int, level: int = _MOST_LEVELS) -> bool:
        """Whether two types of one name are the same kind of thing, as type_exists and type_size ask."""
        ours, theirs = self._ours, self._theirs
        if not alike(ours.kind(our_id), theirs.kind(their_id)):
            return False
        for _ in range(_DEEPEST):
            self._budget.spend()
            our_id, their_id = ours.strip(our_id), theirs.strip(their_id)
            kind = ours.kind(our_id)
            if not alike(kind, theirs.kind(their_id)):
                return False
            match kind:
                case BtfKind.VOID | BtfKind.STRUCT | BtfKind.UNION | BtfKind.ENUM | BtfKind.ENUM64 | BtfKind.FWD:
                    return True
                case BtfKind.INT:
                    return not encoding(ours, our_id).offset and not encoding(theirs, their_id).offset
                case BtfKind.PTR:
                    our_id, their_id = ours.target_id(our_id), theirs.target_id(their_id)
                case BtfKind.ARRAY:
                    our_id, their_id = array_type(ours, our_id).element, array_type(theirs, their_id).element
                case BtfKind.FUNC_PROTO:
                    if not self._params_compatible(our_id, their_id, level):
                        return False
                    our_id, their_id = ours.target_id(our_id), theirs.target_id(their_id)
                case _:
                    return False
        raise Refusal("EINVAL", "types that nest too deeply")

    def _params_compatible(self, our_id: int, their_id: int, level: int) -> bool:
        ours, theirs = self._ours.params(our_id), self._theirs.params(their_id)
        if len(ours) != len(theirs):
            return False
        if ours and level <= 0:
            raise Refusal("EINVAL", "types that nest too deeply")
        return all(
            self.compatible(self._ours.strip(a.type_id), self._theirs.strip(b.type_id), level - 1)
            for a, b in zip(ours, theirs, strict=True)
        )

    def matches(self, our_id: int, their_id: int, behind_pointer: bool = False, level: int = _MOST_LEVELS) -> bool:
        """Whether a kernel's type has all that the program's has, as type_matches asks."""
        ours, theirs = self._ours, self._theirs
        if level <= 0:
            raise Refusal("EINVAL", "types that nest too deeply")
        for _ in range(_DEEPEST):
            self._budget.spend()
            our_id, their_id = ours.strip(our_id), theirs.strip(their_id)
            kind, their_kind = ours.kind(our_id), theirs.kind(their_id)
            if self._partial and kind == their_kind == BtfKind.INT:
                return self._partial_integers_match(our_id, their_id)
            if not names_match(_name(ours, our_id), _name(theirs, their_id)):
                return False
            match kind:
                case BtfKind.VOID:
                    return their_kind == kind
                case BtfKind.FWD | BtfKind.STRUCT | BtfKind.UNION:
                    return self._structs_match(our_id, their_id, behind_pointer, level)
                case BtfKind.ENUM | BtfKind.ENUM64:
                    return their_kind in ENUMS and self._enums_match(our_id, their_id)
                case BtfKind.INT:
                    return their_kind == kind and self._integers_match(our_id, their_id)
            if their_kind != kind:
                return False
            match kind:
                case BtfKind.PTR:
                    behind_pointer = True
                    our_id, their_id = ours.target_id(our_id), theirs.target_id(their_id)
                case BtfKind.ARRAY:
                    our_array, their_array = array_type(ours, our_id), array_type(theirs, their_id)
                    if our_array.length != their_array.length:
                        return False
                    our_id, their_id = our_array.element, their_array.element
                case BtfKind.FUNC_PROTO:
                    params, their_params = ours.params(our_id), theirs.params(their_id)
                    if len(params) != len(their_params) or not all(
                        self.matches(a.type_id, b.type_id, behind_pointer, level - 1)
                        for a, b in zip(params, their_params, strict=True)
                    ):
                        return False
                    our_id, their_id = ours.target_id(our_id), theirs.target_id(their_id)
                case _:
                    return False
        raise Refusal("EINVAL", "types that nest too deeply")

    def _structs_match(self, our_id: int, their_id: int, behind_pointer: bool, level: int) -> bool:
        ours, theirs = self._ours, self._theirs
        kind, their_kind = ours.kind(our_id), theirs.kind(their_id)
        if kind == their_kind == BtfKind.FWD:
            return is_flag_set(ours, our_id) == is_flag_set(theirs, their_id)
        if behind_pointer:
            return kind == their_kind or (
                BtfKind.FWD in (kind, their_kind) and _keyword(ours, our_id) == _keyword(theirs, their_id)
            )
        return kind == their_kind and self._members_match(our_id, their_id, level)

    def _members_match(self, our_id: int, their_id: int, level: int) -> bool:
        theirs = self._theirs.members(their_id)
        if self._partial and not theirs:
            raise Untold
        return count_of(self._ours, our_id) <= len(theirs) and all(
            any(
                names_match(own.name, other.name) and self.matches(own.type_id, other.type_id, level=level - 1)
                for other in theirs
            )
            for own in self._ours.members(our_id)
        )

    def _enums_match(self, our_id: int, their_id: int) -> bool:
        if self._ours.words(our_id)[2] != self._theirs.words(their_id)[2]:
            return False
        if self._partial:
            raise Untold
        if count_of(self._ours, our_id) > count_of(self._theirs, their_id):
            return False
        theirs = {essential_name(each.name) for each in enumerators(self._theirs, their_id)}
        return all(essential_name(each.name) in theirs for each in enumerators(self._ours, our_id))

    def _partial_integers_match(self, our_id: int, their_id: int) -> bool:
        name, other = (
            canonical_integer(btf.name(each)) for btf, each in ((self._ours, our_id), (self._theirs, their_id))
        )
        if name != other or not self._integers_match(our_id, their_id):
            return False
        if name not in _ONE_SPELLING:
            raise Untold
        return True

    def _integers_match(self, our_id: int, their_id: int) -> bool:
        same_size = self._ours.words(our_id)[2] == self._theirs.words(their_id)[2]
        return same_size and encoding(self._ours, our_id).signed == encoding(self._theirs, their_id).signed


def alike(kind: BtfKind, other: BtfKind) -> bool:
    """Whether two kinds are one to libbpf: an enum's values may have any size."""
    return kind == other or (kind in ENUMS and other in ENUMS)


def names_match(name: str, other: str) -> bool:
    """Whether two names are the same but for flavours."""
    return not name if not other else essential_name(name) == essential_name(other)


def _name(btf: Btf, type_id: int) -> str:
    return btf.name(type_id) if type_id else ""


def _keyword(btf: Btf, type_id: int) -> BtfKind | None:
    """STRUCT or UNION, of a forward declaration too; None of anything else."""
    kind = btf.kind(type_id)
    if kind == BtfKind.FWD:
        return BtfKind.UNION if is_flag_set(btf, type_id) else BtfKind.STRUCT
    return kind if kind in COMPOSITES else None
