"""Queries on C types, by types of every kind whose parts are written out."""

from __future__ import annotations

import pytest

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
from tpgen.spelling import spell
from tpgen.target import target_named
from tpgen.typequery import (
    align_of,
    children,
    element_of,
    has_unknown_length,
    is_signed,
    is_string,
    kind_of,
    mapped,
    renamed,
    same_type,
    size_of,
    unqualified,
)

INT, LONG = Int("int", 4, True), Int("long", 8, True)
CHAR, UNSIGNED = Int("char", 1, True), Int("unsigned int", 4, False)
TASK = Struct("struct", "task_struct", 9984, 64)
CALLBACK = FuncProto(INT, (LONG, Pointer(Void())), True)
UNEVALUATED = Array(INT, None, "MAX_LEN")

PARTS: dict[str, tuple[CType, tuple[CType, ...]]] = {
    "void": (Void(), ()),
    "int": (INT, ()),
    "float": (Float("double", 8), ()),
    "struct": (TASK, ()),
    "enum": (Enum("hrtimer_mode", 4, False), ()),
    "name": (Typedef("u32"), ()),
    "typedef": (Typedef("pid_t", INT), (INT,)),
    "pointer": (Pointer(TASK), (TASK,)),
    "array": (Array(INT, 3), (INT,)),
    "qualified": (Qualified("const", INT), (INT,)),
    "tag": (TypeTag("user", INT), (INT,)),
    "function": (CALLBACK, (INT, LONG, Pointer(Void()))),
}


@pytest.mark.parametrize(("ctype", "parts"), PARTS.values(), ids=PARTS)
def test_children(ctype: CType, parts: tuple[CType, ...]) -> None:
    assert children(ctype) == parts


@pytest.mark.parametrize(("ctype", "parts"), PARTS.values(), ids=PARTS)
def test_mapped_changes_the_children_and_nothing_else(ctype: CType, parts: tuple[CType, ...]) -> None:
    seen: list[CType] = []

    def pointed(part: CType) -> CType:
        seen.append(part)
        return Pointer(part)

    made = mapped(ctype, pointed)
    assert tuple(seen) == parts
    assert children(made) == tuple(map(Pointer, parts))
    assert mapped(made, lambda part: part.target if isinstance(part, Pointer) else part) == ctype


def test_mapped_spelled() -> None:
    """By what C says of the result."""
    as_long = {INT: LONG}
    change = lambda part: as_long.get(part, part)  # noqa: E731
    assert spell(mapped(Array(INT, 3), change), "a") == "long a[3]"
    assert spell(mapped(Qualified("volatile", INT), change), "a") == "volatile long a"
    assert spell(mapped(TypeTag("rcu", INT), change), "a") == "long __rcu a"
    assert spell(mapped(Pointer(CALLBACK), lambda f: mapped(f, change)), "f") == "long (*f)(long, void *, ...)"


@pytest.mark.parametrize(
    ("ctype", "unknown"),
    [
        (UNEVALUATED, True),
        (Array(UNEVALUATED, 2), True),
        (Pointer(Qualified("const", UNEVALUATED)), True),
        (TypeTag("user", UNEVALUATED), True),
        (Array(INT, 2), False),
        (Array(INT, None), False),
        (Typedef("name", UNEVALUATED), False),
        (FuncProto(Void(), (UNEVALUATED,)), False),
        (INT, False),
    ],
)
def test_an_unknown_length(ctype: CType, unknown: bool) -> None:
    assert has_unknown_length(ctype) is unknown


@pytest.mark.parametrize(
    ("ctype", "expected"),
    [
        (Struct("struct", "old"), Struct("struct", "new")),
        (Struct("union", "old"), Struct("union", "new")),
        (Enum("old", 4, False), Enum("new")),
        (Typedef("old", INT), Typedef("new")),
        (Typedef("other", Struct("struct", "old")), Typedef("other", Struct("struct", "old"))),
        (Struct("struct", "other"), Struct("struct", "other")),
        (Pointer(Array(Qualified("const", Typedef("old")), 4)), Pointer(Array(Qualified("const", Typedef("new")), 4))),
        (FuncProto(Typedef("old"), (INT, Typedef("old"))), FuncProto(Typedef("new"), (INT, Typedef("new")))),
    ],
)
def test_renamed(ctype: CType, expected: CType) -> None:
    assert renamed(ctype, {"old": "new"}) == expected


def test_unqualified() -> None:
    pointer = Pointer(Qualified("const", CHAR))
    assert unqualified(Qualified("const", Qualified("volatile", TypeTag("user", pointer)))) == pointer
    assert unqualified(Typedef("pid_t", Qualified("const", INT))) == Typedef("pid_t", Qualified("const", INT))


I386, X86_64 = target_named("i386"), target_named("x86_64")


@pytest.mark.parametrize(
    ("ctype", "size", "align"),
    [
        (INT, 4, 4),
        (Int("short", 2, True), 2, 2),
        (Float("double", 8), 8, 8),
        (Pointer(TASK), 8, 8),
        (Array(Array(INT, 3), 2), 24, 4),
        (Array(INT, None), None, 4),
        (Array(Struct("struct", "opaque"), 2), None, None),
        (TASK, 9984, 64),
        (Typedef("cap", Qualified("const", TASK)), 9984, 64),
        (Enum("packed", 1, False), 1, 1),
        (Typedef("unknown"), None, None),
        (Void(), None, None),
        (CALLBACK, None, None),
    ],
)
def test_size_and_alignment(ctype: CType, size: int | None, align: int | None) -> None:
    assert (size_of(ctype, X86_64), align_of(ctype, X86_64)) == (size, align)


def test_a_long_long_of_i386_is_aligned_to_four() -> None:
    """System V ABI of i386, figure 2-1, as clang -m32 has it for struct members."""
    wide = Int("long long", 8, True)
    assert (size_of(wide, I386), align_of(wide, I386), align_of(Array(wide, 2), I386)) == (8, 4, 4)
    assert (size_of(Pointer(wide), I386), align_of(Pointer(wide), I386)) == (4, 4)


@pytest.mark.parametrize(
    ("ctype", "signed", "kind", "string"),
    [
        (INT, True, "int", False),
        (UNSIGNED, False, "int", False),
        (CHAR, True, "int", True),
        (Typedef("name", Qualified("const", CHAR)), True, "int", True),
        (Int("signed char", 1, True), True, "int", False),
        (Array(INT, 2), True, "ptr", False),
        (Array(UNSIGNED, 2), False, "ptr", False),
        (Enum("e", 4, True), True, "enum", False),
        (Enum("e"), None, "enum", False),
        (Pointer(INT), False, "ptr", False),
        (CALLBACK, False, "ptr", False),
        (TASK, False, "struct", False),
        (Struct("union", "u", 8, 8), False, "union", False),
        (Typedef("unknown"), None, None, False),
        (Float("double", 8), False, None, False),
    ],
)
def test_sign_and_kind(ctype: CType, signed: bool | None, kind: str | None, string: bool) -> None:
    assert (is_signed(ctype), kind_of(ctype), is_string(ctype)) == (signed, kind, string)


def test_elements() -> None:
    assert element_of(Typedef("mac", Array(Array(CHAR, 6), 2))) == CHAR
    assert element_of(Typedef("pid_t", INT)) == Typedef("pid_t", INT)


SAME = [
    (INT, Int("int", 4, True)),
    (Typedef("u32"), Typedef("u32", UNSIGNED)),
    (Typedef("u32", UNSIGNED), UNSIGNED),
    (UNSIGNED, Typedef("u32", UNSIGNED)),
    (TypeTag("user", Pointer(INT)), Pointer(INT)),
    (Pointer(TypeTag("user", CHAR)), Pointer(CHAR)),
    (Array(INT, 3), Array(INT, None)),
    (Struct("struct", "s"), Struct("struct", "s", 16, 8)),
    (Enum("e"), Enum("e", 4, False)),
    (CALLBACK, FuncProto(Typedef("int_t", INT), (LONG, Pointer(Void())), True)),
    (Qualified("const", INT), Qualified("const", INT)),
]
DIFFERENT = [
    (INT, UNSIGNED),
    (INT, LONG),
    (Typedef("u32"), UNSIGNED),
    (Typedef("u32"), Typedef("u16", Int("unsigned short", 2, False))),
    (Pointer(INT), INT),
    (Pointer(INT), Pointer(LONG)),
    (Array(INT, 3), Array(INT, 4)),
    (Array(INT, 3), Array(LONG, 3)),
    (Struct("struct", "s"), Struct("union", "s")),
    (Struct("struct", "s"), Struct("struct", "t")),
    (Enum("e"), Enum("f")),
    (Qualified("const", INT), Qualified("volatile", INT)),
    (Qualified("const", INT), INT),
    (CALLBACK, FuncProto(INT, (LONG, Pointer(Void())), False)),
    (CALLBACK, FuncProto(INT, (LONG,), True)),
    (CALLBACK, FuncProto(LONG, (LONG, Pointer(Void())), True)),
    (CALLBACK, FuncProto(INT, (LONG, Pointer(INT)), True)),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_the_same_type(left: CType, right: CType) -> None:
    assert same_type(left, right)
    assert same_type(right, left)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_another_type(left: CType, right: CType) -> None:
    assert not same_type(left, right)
    assert not same_type(right, left)
