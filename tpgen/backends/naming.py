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
