"""Lengths of arrays that a source writes as an expression, evaluated with what BTF has: enumerators and sizes of types.

A driver's header alone does not tell TASK_COMM_LEN or how large a struct is; the BTF of its kernel does. BTF knows no
macros, and an enumerator of the same name may belong to another driver, so what the headers tell comes first.
"""

from __future__ import annotations

from typing import NamedTuple

from tpgen.basics.frozen import replace
from tpgen.model import Array, CType, Qualified
from tpgen.sources.btf import Btf
from tpgen.typequery import size_of

# No array in a record is longer.
_LONGEST = 1 << 16


def measured(ctype: CType, btf: Btf) -> CType:
    """Evaluate the lengths of the arrays in `ctype`, as far as `btf` tells them."""
    match ctype:
        case Array(length=None, length_text=str(text)):
            length = _length(text, btf)
            element = measured(ctype.element, btf)
            return replace(ctype, element=element) if length is None else Array(element, length)
        case Array():
            return replace(ctype, element=measured(ctype.element, btf))
        case Qualified():
            return replace(ctype, target=measured(ctype.target, btf))
        case _:
            return ctype


def _length(text: str, btf: Btf) -> int | None:
    from tpgen.sources.headers.preprocessor.constant_expressions import constant

    value = constant(text, _BtfConstants(btf))
    return value if value is not None and 0 <= value <= _LONGEST else None


class _BtfConstants(NamedTuple):
    """The names in a constant expression, as BTF knows them."""

    btf: Btf

    def value(self, name: str) -> int | None:
        return self.btf.enumerator(name)

    def size(self, type_text: str) -> int | None:
        from tpgen.sources.cdecl import Declaration, parse_declarations

        found = parse_declarations([type_text], self.btf.target)[type_text]
        return size_of(self.btf.completed(found.type), self.btf.target) if isinstance(found, Declaration) else None
