"""What named tuples and frozen classes both promise, asked of tpgen's and of those that they stand in for."""

from __future__ import annotations

from typing import Any

import pytest


def check_constructor(cls: Any) -> None:
    """A class of the fields `name` and `number`, which is None by default, with a property `title` of both."""
    assert (cls("a").name, cls("a").number, cls("a", 2).number, cls(number=3, name="b").title) == ("a", None, 2, "b 3")
    for wrong in (lambda: cls(), lambda: cls("a", 1, 2), lambda: cls("a", name="b"), lambda: cls("a", other=1)):
        with pytest.raises(TypeError):
            wrong()


def check_patterns(cls: Any) -> None:
    """The fields are matched in their order, and by their names."""
    match cls("a", 1):
        case cls(name, 1):
            assert name == "a"
        case _:
            pytest.fail("no match")
    match cls("a", 1):
        case cls(number=2):
            pytest.fail("matched")
