"""C types as C writes them."""

from __future__ import annotations

from tpgen.basics.typing import assert_never
from tpgen.model import (
    Array,
    CType,
    Enum,
    Float,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.typequery import unqualified

#: The keywords of C11, and the gcc extension that has no leading underscores: no name of C is one of them.
KEYWORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof
    _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local""".split()
)
#: The other words that no GNU C allows as a name.
GNU_KEYWORDS = frozenset(
    """_Pragma __alignof __alignof__ __asm __asm__ __attribute __attribute__ __auto_type __complex __complex__ __const
    __const__ __extension__ __imag__ __inline __inline__ __int128 __label__ __real__ __restrict __restrict__ __signed
    __signed__ __thread __typeof __typeof__ __volatile __volatile__""".split()
)


def spell(ctype: CType, name: str = "") -> str:
    """The C declaration of `name` with type `ctype`, or the bare type where `name` is empty.

    >>> spell(Pointer(Qualified("const", Struct("struct", "sk_buff"))), "skb")
    'const struct sk_buff *skb'
    """
    return _declare(ctype, name, "").rstrip()


def _declare(ctype: CType, declarator: str, qualifiers: str) -> str:
    """`declarator` wrapped in what `ctype` puts around it, reading C's declarators from the inside out."""
    match ctype:
        case Void():
            return _base("void", declarator, qualifiers)
        case Int() | Float() | Typedef():
            return _base(ctype.name, declarator, qualifiers)
        case Struct():
            return _base(f"{ctype.keyword} {ctype.name or '{...}'}", declarator, qualifiers)
        case Enum():
            return _base(f"enum {ctype.name or '{...}'}", declarator, qualifiers)
        case Pointer():
            inner = f"*{qualifiers}{declarator}"
            if isinstance(unqualified(ctype.target), Array | FuncProto):
                inner = f"({inner.rstrip()})"
            return _declare(ctype.target, inner, "")
        case Array():
            length = ctype.length_text if ctype.length is None else str(ctype.length)
            return _declare(ctype.element, f"{declarator}[{length or ''}]", qualifiers)
        case FuncProto():
            params = [spell(param) for param in ctype.params] + ["..."] * ctype.variadic
            return _declare(ctype.result, f"{declarator}({', '.join(params) or 'void'})", "")
        case Qualified():
            return _declare(ctype.target, declarator, f"{ctype.qualifier} {qualifiers}")
        case TypeTag():
            # The kernel writes a tag behind the pointee and before the star: `char __user *`.
            if isinstance(ctype.target, Pointer):
                return _declare(ctype.target, declarator, f"__{ctype.tag} {qualifiers}")
            return _declare(ctype.target, f"__{ctype.tag} {declarator}", qualifiers)
        case _:
            assert_never(ctype)


def _base(name: str, declarator: str, qualifiers: str) -> str:
    return f"{qualifiers}{name} {declarator}"
