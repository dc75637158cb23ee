"""Definitions of maps in BTF, as the macros __uint and __type of libbpf's bpf_helpers.h write them.

Source: parse_btf_map_def() of libbpf.c.
"""

from __future__ import annotations

from tpgen.diagnostics import TpgenError
from tpgen.sources.bpf_object.btf_types import array_type, expected, in_section
from tpgen.sources.bpf_object.facts import MapDefinition
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind


def map_definitions(btf: Btf) -> dict[str, MapDefinition]:
    """The maps that the section .maps has, by name."""
    found = {}
    for variable in in_section(btf, ".maps"):
        kind = btf.strip(btf.target_id(expected(btf, variable, BtfKind.VAR)))
        if btf.kind(kind) == BtfKind.STRUCT:
            name = btf.name(variable)
            members = {member.name: member.type_id for member in btf.members(kind)}
            found[name] = MapDefinition(name, _number(btf, members, "type"), _value_size(btf, members))
    return found


def _number(btf: Btf, members: dict[str, int], name: str) -> int | None:
    """The number that `__uint(name, number)` states: the length of the array pointed to."""
    array = _pointed_to(btf, members, name)
    return array_type(btf, array).length if array and btf.kind(array) == BtfKind.ARRAY else None


def _value_size(btf: Btf, members: dict[str, int]) -> int | None:
    stated, value = _number(btf, members, "value_size"), _pointed_to(btf, members, "value")
    if stated is not None or not value:
        return stated
    try:
        return btf.size(value)
    except TpgenError:  # a type without a size
        return None


def _pointed_to(btf: Btf, members: dict[str, int], name: str) -> int:
    """The type that a member points to; 0 without such a member."""
    pointer = btf.strip(members.get(name, 0))
    return btf.strip(btf.target_id(pointer)) if btf.kind(pointer) == BtfKind.PTR else 0
