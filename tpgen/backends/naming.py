"""Names in generated files: distinct ones, and such as the language takes."""

from __future__ import annotations

from collections.abc import Iterable

from tpgen.spelling import GNU_KEYWORDS, KEYWORDS

# What C23 made keywords; older C lets the kernel use them as names.
_KEYWORDS = frozenset(
    "alignas alignof asm bool constexpr false nullptr static_assert thread_local true typeof typeof_unqual".split()
)
# What GNU C predefines as macros in some mode or other.
_MACROS = frozenset("bpf linux unix".split())
# What is a keyword in C++ (20) alone. In the kernel these are names as good as any, `class` and `new` among them.
_CPP_KEYWORDS = frozenset(
    "and and_eq bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl concept "
    "const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export friend mutable namespace "
    "new noexcept not not_eq operator or or_eq private protected public reinterpret_cast requires static_cast "
    "template this throw try typeid typename using virtual wchar_t xor xor_eq".split()
)
# A dynamic event's field may have any name, `int` and `if` too.
_UNUSABLE = _KEYWORDS | _MACROS | KEYWORDS | GNU_KEYWORDS


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names in their order, with a `_` behind one that is taken or was there before."""
    there = set(taken)
    made = []
    for name in names:
        while name in there:
            name += "_"
        there.add(name)
        made.append(name)
    return made


def camel_case(name: str) -> str:
    """`PrevState` of `prev_state`; letters that are capitals stay so."""
    return "".join(word[0].upper() + word[1:] for word in name.split("_") if word)


def c_identifier(name: str) -> str:
    """`name` as a member of a struct in any C from C11 to C23."""
    return f"{name}_" if name in _UNUSABLE else name


def member_declarator(name: str) -> str:
    """The name of a member of a struct that C++ may include: a macro of the prelude adds a `_` there to a keyword."""
    return f"TPGEN_MEMBER({name})" if name in _CPP_KEYWORDS else name
