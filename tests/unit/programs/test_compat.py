"""Compatibility of values of struct types, and of fields whose types no source has."""

from __future__ import annotations

import pytest

from tpgen.model import Array, CType, Field, Int, Pointer, Struct
from tpgen.programs.compat import Programs, breaks_argument, breaks_field


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        (Struct("struct", "hist", 4, 4), Struct("struct", "hist", 4, 4), Programs.NONE),
        (Struct("struct", "hist", 4, 4), Struct("struct", "hist", 8, 8), Programs.RAW),
        (Struct("struct", "hist", 4, 4), Struct("union", "hist", 4, 4), Programs.RAW),
        (Struct("struct", "hist", 4, 4), Struct("struct", "other", 4, 4), Programs.RAW),
        (Struct("struct", "hist", 4, 4), Int("int", 4, True), Programs.RAW),
        (Struct("struct", "hist", 8, 8), Pointer(Struct("struct", "hist")), Programs.RAW),
    ],
)
def test_a_struct_by_value(old: CType, new: CType, broken: Programs) -> None:
    assert breaks_argument(old, new) == broken


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ((4, True), (4, True), Programs.NONE),
        ((4, None), (4, True), Programs.NONE),
        ((None, True), (4, True), Programs.NONE),
        ((4, True), (8, True), Programs.CLASSIC),
        ((4, True), (4, False), Programs.CLASSIC),
    ],
)
def test_a_field_of_unknown_type(
    old: tuple[int | None, bool | None], new: tuple[int | None, bool | None], broken: Programs
) -> None:
    """Its size and sign are compared as far as both are known."""
    assert breaks_field(Field("f", None, 8, *old), Field("f", None, 8, *new)) == broken


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        (("struct", "hist", 8), ("struct", "hist", 8), Programs.NONE),
        (("struct", "hist", 8), ("struct", "hist", None), Programs.NONE),
        (("struct", "hist", 4), ("struct", "hist", 8), Programs.CLASSIC),
        (("struct", "hist", 8), ("union", "hist", 8), Programs.CLASSIC),
    ],
)
def test_a_struct_as_a_field(
    old: tuple[str, str, int | None], new: tuple[str, str, int | None], broken: Programs
) -> None:
    """It is copied whole: as another one, or of another size, it is broken; an unknown size is no difference."""
    fields = [Field("f", Struct(keyword, name, size, 4), 8, size, None) for keyword, name, size in (old, new)]
    assert breaks_field(*fields) == broken


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        (4, 4, Programs.NONE),
        (4, None, Programs.NONE),
        (None, 4, Programs.NONE),
        (4, 8, Programs.FIXED),
        (8, 4, Programs.CLASSIC),
    ],
)
def test_an_array_as_a_field(old: int | None, new: int | None, broken: Programs) -> None:
    """A longer one is what CO-RE can ask for; a copy of the old size reaches beyond a shorter one."""
    fields = [Field("f", Array(Int("int", 4, True), length), 8, None, None) for length in (old, new)]
    assert breaks_field(*fields) == broken
