"""Types that a source only names, as tracefs does, where no BTF defines them: those that every kernel has."""

from __future__ import annotations

from dataclasses import replace

from tpgen.model import Array, CType, Enum, Field, Qualified, Typedef
from tpgen.target import Target
from tpgen.typequery import size_of


def with_base_types(ctype: CType, target: Target) -> CType:
    """Resolve the typedefs of kernel_headers/types.h in `ctype`, but those behind a pointer, which decide nothing."""
    match ctype:
        case Typedef(target=None):
            from tpgen.sources.headers.types.base_types import base_types

            return base_types(target).get(ctype.name, ctype)
        case Array():
            return replace(ctype, element=with_base_types(ctype.element, target))
        case Qualified():
            return replace(ctype, target=with_base_types(ctype.target, target))
        case _:
            return ctype


def as_placed(field: Field, resolved: CType | None, target: Target) -> Field:
    """Give a field of a format file the type that its name was resolved to, as far as its size and sign allow.

    Of an enum that nobody defines the file tells both.
    """
    if resolved is None or field.dynamic or size_of(resolved, target) not in (None, field.size_bytes):
        return field
    return replace(field, type=_sized(resolved, field))


def _sized(ctype: CType, field: Field) -> CType:
    """An enum of unknown size with that of the field, whatever qualifies it."""
    match ctype:
        case Enum(size_bytes=None):
            return Enum(ctype.name, field.size_bytes, field.signed)
        case Qualified():
            return replace(ctype, target=_sized(ctype.target, field))
        case _:
            return ctype
