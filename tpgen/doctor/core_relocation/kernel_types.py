"""Types of a kernel as CO-RE relocations look for them: those of vmlinux and of modules, by their essential names.

Source: bpf_core_find_cands(), bpf_core_add_cands() and bpf_core_match_member() of libbpf.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from tpgen.basics.memo import memoised
from tpgen.doctor.core_relocation.compatibility import Shape, alike, fields_fit
from tpgen.doctor.core_relocation.specs import (
    COMPOSITES,
    MOST_PARTS,
    Part,
    Refusal,
    Spec,
    essential_name,
    is_flexible,
    size_in_bytes,
)
from tpgen.sources.bpf_object.btf_types import array_type
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind

# Members of all structs together, those within anonymous ones counted each time: the kernel has 200 000.
_MOST_MEMBERS = 4_000_000


class Step(NamedTuple):
    """One part of an access, as it looks for it in a kernel's type.

    A member of that `name`, whose type has the `shape`; or the element `at` of an array, where `name` is None.
    """

    name: str | None
    shape: Shape | None
    at: int


class _Found(NamedTuple):
    part: Part
    bit_offset: int
    type_id: int


class TypeTable:
    """The types of vmlinux, or of one module, which is called `module`."""

    def __init__(self, btf: Btf, module: str | None = None) -> None:
        self.btf = btf
        self.module = module
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
    def match(self, root: int, steps: tuple[Step, ...]) -> Spec | None:
        """The access in the type `root`; None where it has not all its parts. Raises `Refusal`."""
        btf, type_id, bit_offset = self.btf, root, 0
        parts: list[Part] = []
        for step in steps:
            type_id = btf.strip(type_id)
            if step.name is not None:
                assert step.shape is not None
                found = self._member(type_id, step.name)
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

    def _member(self, type_id: int, name: str) -> _Found | None:
        if self.btf.kind(type_id) not in COMPOSITES:
            return None
        return self._members_of(type_id, 1).get(name)

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


class Candidate(NamedTuple):
    """A type of a kernel that has the name that is looked for."""

    table: TypeTable
    type_id: int


class KernelTypes:
    """The types of a kernel: those of its image, and of modules by their names."""

    def __init__(self, btf: Btf, modules: Mapping[str, Btf] | None = None) -> None:
        self._image = TypeTable(btf)
        self._modules = [TypeTable(each, name) for name, each in sorted((modules or {}).items())]

    @memoised
    def candidates(self, name: str, kind: BtfKind) -> tuple[Candidate, ...]:
        """The types of that essential name and kind. Modules are asked where the image has none."""
        for tables in ([self._image], self._modules):
            found = [Candidate(table, type_id) for table in tables for type_id in table.candidates(name, kind)]
            if found:
                return tuple(found)
        return ()
