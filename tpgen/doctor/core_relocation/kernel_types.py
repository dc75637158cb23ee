"""Types of a kernel as CO-RE relocations look for them: those of vmlinux and of modules, by their essential names.

Source: bpf_core_find_cands(), bpf_core_add_cands() and bpf_core_match_member() of libbpf.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from tpgen.basics.memo import memoised
from tpgen.doctor.core_relocation.compatibility import TypePair, Untold, alike, fields_fit, shape_of
from tpgen.doctor.core_relocation.results import number_of
from tpgen.doctor.core_relocation.specs import (
    COMPOSITES,
    ENUMERATOR_KINDS,
    ENUMS,
    FIELD_KINDS,
    MOST_PARTS,
    Part,
    Refusal,
    Spec,
    essential_name,
    is_flexible,
    size_in_bytes,
)
from tpgen.doctor.core_relocation.wanted import Candidate, Match, Step, Types, Wanted
from tpgen.sources.bpf_object.btf_types import array_type, enumerators
from tpgen.sources.bpf_object.facts import CoreKind
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind

# Members of all structs together, those within anonymous ones counted each time: the kernel has 200 000.
_MOST_MEMBERS = 4_000_000


class _Found(NamedTuple):
    part: Part
    bit_offset: int
    type_id: int


class TypeTable:
    """The types of vmlinux, or of one module, which is called `module`.

    Of `partial` ones, a catalog's, a struct without members has others, and a member of type void has another.
    """

    def __init__(self, btf: Btf, module: str | None = None, partial: bool = False) -> None:
        self.btf = btf
        self.module = module
        self.partial = partial
        self._members = 0
        self._found: dict[int, dict[str, _Found]] = {}

    @property
    def pointer_bytes(self) -> int:
        return self.btf.target.pointer_size

    @memoised
    def candidates(self, name: str, kind: BtfKind) -> tuple[int, ...]:
        """The types whose name is `name` but for a flavour, of that kind."""
        names = [name, *self._flavours.get(name, ())]
        found = (type_id for each in names for type_id in self.btf.own_ids_of(each))
        return tuple(sorted(type_id for type_id in found if alike(self.btf.kind(type_id), kind)))

    @cached_property
    def _flavours(self) -> dict[str, list[str]]:
        """The names that have a flavour by those without."""
        found: dict[str, list[str]] = {}
        for name in self.btf.names_with("___"):
            if (essential := essential_name(name)) != name:
                found.setdefault(essential, []).append(name)
        return found

    @memoised
    def field(self, kind: CoreKind, root: int, steps: tuple[Step, ...]) -> Match | None:
        """The value of an access in the type `root`; None where it has not all its parts. Raises `Refusal`."""
        spec = self._access(root, steps)
        return None if spec is None else Match(spec.bit_offset, number_of(kind, self.btf, spec, self.pointer_bytes))

    @memoised
    def _access(self, root: int, steps: tuple[Step, ...]) -> Spec | None:
        btf, type_id, bit_offset = self.btf, root, 0
        parts: list[Part] = []
        for step in steps:
            type_id = btf.strip(type_id)
            if step.name is not None:
                assert step.shape is not None
                found = self._member(type_id, step.name)
                if self.partial and found and shape_of(btf, found.type_id).kind == BtfKind.VOID:
                    raise Untold
                if found is None or not fields_fit(step.shape, btf, found.type_id):
                    return None
                parts.append(found.part)
                type_id = found.type_id
                bit_offset += found.bit_offset
                continue
            if parts:
                if btf.kind(type_id) != BtfKind.ARRAY:
                    return None
                array = array_type(btf, type_id)
                if step.at >= array.length and not is_flexible(btf, parts[-1], array.length):
                    return None
                type_id = btf.strip(array.element)
            parts.append(Part(type_id, step.at, None))
            bit_offset += 8 * step.at * size_in_bytes(btf, type_id, self.pointer_bytes)
        return Spec(root, tuple(parts), bit_offset)

    @memoised
    def enumerators_of(self, root: int) -> dict[str, Part]:
        """The accesses to the enumerators of a type by their names without flavours; the first of each name counts."""
        type_id = self.btf.strip(root)
        found: dict[str, Part] = {}
        for index, each in enumerate(enumerators(self.btf, type_id) if self.btf.kind(type_id) in ENUMS else ()):
            found.setdefault(essential_name(each.name), Part(type_id, index, each.name))
        return found

    def _member(self, type_id: int, name: str) -> _Found | None:
        if self.btf.kind(type_id) not in COMPOSITES:
            return None
        members = self._members_of(type_id, 1)
        if self.partial and not members:
            raise Untold
        return members.get(name)

    def _members_of(self, type_id: int, depth: int) -> dict[str, _Found]:
        """The members of a struct by name, with those of its anonymous members."""
        found = self._found.get(type_id)
        if found is None:
            if depth > MOST_PARTS:
                raise Refusal("E2BIG", f"type {type_id} nests too deeply")
            found = {}
            for index, member in enumerate(self.btf.members(type_id)):
                if member.name:
                    self._count(1)
                    part = Part(type_id, index, member.name)
                    found.setdefault(member.name, _Found(part, member.offset_bits, member.type_id))
                    continue
                inner = self.btf.strip(member.type_id)
                if self.btf.kind(inner) not in COMPOSITES:
                    continue
                for name, each in self._members_of(inner, depth + 1).items():
                    self._count(1)
                    found.setdefault(name, each._replace(bit_offset=each.bit_offset + member.offset_bits))
            self._found[type_id] = found
        return found

    def _count(self, members: int) -> None:
        self._members += members
        if self._members > _MOST_MEMBERS:
            raise Refusal("E2BIG", "types that nest too deeply")


class InTable(Candidate):
    """A type of a table."""

    def __init__(self, table: TypeTable, type_id: int) -> None:
        self._table = table
        self._type_id = type_id
        self.module = table.module

    def match(self, wanted: Wanted) -> Match | None:
        if wanted.kind in FIELD_KINDS:
            return self._table.field(wanted.kind, self._type_id, wanted.steps)
        spec = self._spec(wanted)
        table = self._table
        return None if spec is None else Match(0, number_of(wanted.kind, table.btf, spec, table.pointer_bytes))

    def _spec(self, wanted: Wanted) -> Spec | None:
        btf, type_id = self._table.btf, self._type_id
        if wanted.kind in ENUMERATOR_KINDS:
            name = wanted.spec.parts[0].name
            assert name is not None
            found = self._table.enumerators_of(type_id).get(essential_name(name))
            return None if found is None else Spec(type_id, (found,), 0)
        pair = TypePair(wanted.btf, btf, wanted.budget, self._table.partial)
        compare = pair.matches if wanted.kind == CoreKind.TYPE_MATCHES else pair.compatible
        return Spec(type_id, (), 0) if compare(wanted.relocation.type_id, type_id) else None


class KernelTypes(Types):
    """The types of a kernel: those of its image, and of modules by their names."""

    def __init__(self, btf: Btf, modules: Mapping[str, Btf] | None = None) -> None:
        self._image = TypeTable(btf)
        self._modules = [TypeTable(each, name) for name, each in sorted((modules or {}).items())]

    @memoised
    def candidates(self, name: str, kind: BtfKind) -> tuple[Candidate, ...]:
        """The types of that essential name and kind. Modules are asked where the image has none."""
        for tables in ([self._image], self._modules):
            found = [InTable(table, type_id) for table in tables for type_id in table.candidates(name, kind)]
            if found:
                return tuple(found)
        return ()
