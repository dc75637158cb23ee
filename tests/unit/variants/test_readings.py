"""The C type in which the values of several kernels fit, and the type through which each is read."""

from __future__ import annotations

import pytest

from tpgen.model import CType, Enum, Int, Pointer, Qualified, Struct, Typedef, Void
from tpgen.spelling import spell
from tpgen.variants.readings import readings

U8, S8, U32, S32 = (
    Int("unsigned char", 1, False),
    Int("signed char", 1, True),
    Int("unsigned int", 4, False),
    Int("int", 4, True),
)
U64, S64 = Int("unsigned long long", 8, False), Int("long long", 8, True)
LONG, BOOL, CHAR = Int("long", 8, True), Int("_Bool", 1, False, True), Int("char", 1, True)
REASON = Enum("reason", 4, False)


def pointer(tag: str) -> CType:
    return Pointer(Struct("struct", tag))


def read(*types: CType) -> list[tuple[str, list[str]]] | str:
    """The type of each reading, and through which types it is read on the kernels 1, 2, …, oldest first."""
    found = readings({str(number): ctype for number, ctype in enumerate(types, 1)})
    if isinstance(found, str):
        return found
    return [
        (spell(each.type), [f"{kernel} {spell(ctype)}" for kernel, ctype in each.through.items()]) for each in found
    ]


@pytest.mark.parametrize(
    ("types", "result", "through"),
    [
        ((S32, S32), "int", ["1 int", "2 int"]),
        # Slots are zero-extended: a narrower value without a sign is itself in a wider type.
        ((U32, U64), "unsigned long long", ["1 unsigned long long", "2 unsigned long long"]),
        ((U8, S64), "long long", ["1 long long", "2 long long"]),
        # One with a sign is not.
        ((S32, LONG), "long", ["1 int", "2 long"]),
        # Only a wider type holds both.
        ((S32, U32), "long long", ["1 int", "2 long long"]),
        ((BOOL, BOOL), "_Bool", ["1 _Bool", "2 _Bool"]),
        ((BOOL, S32), "int", ["1 int", "2 int"]),
        ((U8, BOOL), "unsigned char", ["1 unsigned char", "2 unsigned char"]),
        # An enum's sign says whether it has a negative enumerator.
        ((S32, REASON), "int", ["1 int", "2 int"]),
        ((REASON, Enum("reason", 4, True)), "enum reason", ["1 enum reason", "2 enum reason"]),
        ((CHAR, CHAR), "char", ["1 char", "2 char"]),
    ],
)
def test_numbers(types: tuple[CType, ...], result: str, through: list[str]) -> None:
    assert read(*types) == [(result, through)]


def test_no_type_holds_all_numbers_of_64_bits() -> None:
    assert read(U64, LONG) == "no C type holds `unsigned long long` (1) and `long` (2)"


def test_a_number_is_no_pointer() -> None:
    assert read(pointer("page"), U64) == "no C type holds `struct page *` (1) and `unsigned long long` (2)"


def test_the_newest_qualifiers_count() -> None:
    constant = Pointer(Qualified("const", Struct("struct", "sock")))
    assert read(pointer("sock"), constant) == [
        ("const struct sock *", ["1 const struct sock *", "2 const struct sock *"])
    ]


def test_a_struct_says_more_than_void() -> None:
    assert read(pointer("sock"), Pointer(Void())) == [("struct sock *", ["1 struct sock *", "2 struct sock *"])]


def test_two_structs_are_two_readings() -> None:
    assert read(pointer("page"), pointer("folio")) == [
        ("struct folio *", ["2 struct folio *"]),
        ("struct page *", ["1 struct page *"]),
    ]


def test_pointers_to_other_things_are_addresses() -> None:
    assert read(Pointer(U32), Pointer(U64)) == [("void *", ["1 void *", "2 void *"])]
    # Structs without a tag are those of their typedefs.
    one, other = (Pointer(Typedef(name, Struct("struct", None))) for name in ("a_t", "b_t"))
    assert read(one, other) == [("void *", ["1 void *", "2 void *"])]
    assert read(one, one) == [("a_t *", ["1 a_t *", "2 a_t *"])]


def test_a_struct_by_value_is_itself_or_nothing() -> None:
    pte = Typedef("pte_t", Struct("struct", None, 8, 8))
    assert read(pte, pte) == [("pte_t", ["1 pte_t", "2 pte_t"])]
    assert read(pte, U64) == "no C type holds `pte_t` (1) and `unsigned long long` (2)"
    longer = Typedef("pte_t", Struct("struct", None, 4, 4))
    assert isinstance(read(pte, longer), str)
