"""Lengths of arrays that a source writes as an expression, evaluated with what BTF has: enumerators and sizes of types.

A driver's header alone does not tell TASK_COMM_LEN or how large a struct is; the BTF of its kernel does. BTF knows no
macros, and an enumerator of the same name may belong to another driver, so what the headers tell comes first.
"""

from __future__ import annotations

from tpgen.basics.frozen import replace
from tpgen.basics.typing import NamedTuple, Protocol
from tpgen.model import Array, CType, Qualified
from tpgen.target import Target
from tpgen.typequery import size_of

# No array in a record is longer.
_LONGEST = 1 << 16


class KernelTypes(Protocol):
    """The types of a kernel, by name, and its constants: those in its BTF, or as far as a catalog has them."""

    @property
    def target(self) -> Target: ...

    def completed(self, ctype: CType) -> CType:
        """Return `ctype` with the types that it only names resolved, as far as they are known."""

    def enumerator(self, name: str) -> int | None:
        """Return the value of a constant; None where it is unknown."""


def measured(ctype: CType, types: KernelTypes) -> CType:
    """Evaluate the lengths of the arrays in `ctype`, if the kernel's types have them."""
    match ctype:
        case Array(length=None, length_text=str(text)):
            length = _length(text, types)
            element = measured(ctype.element, types)
            return replace(ctype, element=element) if length is None else Array(element, length)
        case Array():
            return replace(ctype, element=measured(ctype.element, types))
        case Qualified():
            return replace(ctype, target=measured(ctype.target, types))
        case _:
            return ctype


def _length(text: str, types: KernelTypes) -> int | None:
    from tpgen.sources.headers.preprocessor.constant_expressions import constant

    value = constant(text, _Constants(types))
    return value if value is not None and 0 <= value <= _LONGEST else None


class _Constants(NamedTuple):
    """The names in a constant expression, as the kernel knows them."""

    types: KernelTypes

    def value(self, name: str) -> int | None:
        return self.types.enumerator(name)

    def size(self, type_text: str) -> int | None:
        from tpgen.sources.cdecl import Declaration, parse_declarations

        found = parse_declarations([type_text], self.types.target)[type_text]
        return size_of(self.types.completed(found.type), self.types.target) if isinstance(found, Declaration) else None
