"""`NamedTuple` of basics/typing.py beside what it stands in for: every promise of a named tuple, asked of both."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest
from support.value_classes import check_constructor, check_patterns

from tpgen.basics import typing as module


class Ours(module.NamedTuple):
    """Two fields."""

    name: str
    number: int | None = None

    @property
    def title(self) -> str:
        return f"{self.name} {self.number}"

    def named(self) -> type:
        return __class__  # type: ignore[name-defined]  # which a method with `super()` asks for


class Theirs(typing.NamedTuple):
    """Two fields."""

    name: str
    number: int | None = None

    @property
    def title(self) -> str:
        return f"{self.name} {self.number}"


class Derived(Ours):
    """A subclass has no fields of its own."""


BOTH = pytest.mark.parametrize("cls", [Ours, Theirs])


@BOTH
def test_constructor(cls: Any) -> None:
    check_constructor(cls)


def test_what_a_wrong_call_is_told() -> None:
    with pytest.raises(TypeError, match=r"Ours.__new__\(\) missing 1 required positional argument: 'name'"):
        Ours()  # type: ignore[call-arg]


@BOTH
def test_is_a_tuple(cls: Any) -> None:
    one = cls("a", 1)
    assert one == ("a", 1)
    assert hash(one) == hash(("a", 1))
    name, number = one
    assert (name, number, len(one), one[1], one[-2:]) == ("a", 1, 2, 1, ("a", 1))
    assert sorted([cls("b"), cls("a", 3), cls("a", 2)]) == [("a", 2), ("a", 3), ("b", None)]
    assert isinstance(one, tuple)


@BOTH
def test_frozen_slots(cls: Any) -> None:
    one = cls("a")
    for name in ("name", "other"):
        with pytest.raises(AttributeError):
            setattr(one, name, "b")
    with pytest.raises(AttributeError):
        del one.name
    assert not hasattr(one, "__dict__")


@BOTH
def test_patterns(cls: Any) -> None:
    check_patterns(cls)


@BOTH
def test_fields(cls: Any) -> None:
    assert cls._fields == cls.__match_args__ == ("name", "number")
    assert cls._field_defaults == {"number": None}
    assert cls.__annotations__.keys() == {"name", "number"}
    assert cls("a", 1)._asdict() == {"name": "a", "number": 1}
    assert cls("a")._replace(number=1) == cls._make(iter(["a", 1])) == ("a", 1)
    assert type(cls("a")._replace(name="b")) is type(cls._make(["a", 1])) is cls
    # The standard library's is a TypeError since Python 3.13.
    with pytest.raises((ValueError, TypeError), match="unexpected field names: \\['other'\\]"):
        cls("a")._replace(other=1)
    with pytest.raises(TypeError, match="Expected 2 arguments, got 1"):
        cls._make(["a"])


@BOTH
def test_copies(cls: Any) -> None:
    one = cls("a", 1)
    copies = (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one))
    assert all(made == one and type(made) is cls for made in copies)


def test_repr_and_names() -> None:
    assert repr(Ours("a", 1)) == repr(Theirs("a", 1)).replace("Theirs", "Ours")
    about = (Ours.__name__, Ours.__qualname__, Ours.__module__, Ours.__doc__, type(Ours))
    assert about == ("Ours", "Ours", __name__, "Two fields.", type)
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)
    assert Ours("a").named() is Ours


def test_subclass() -> None:
    one = Derived("a")._replace(number=1)
    assert (one, type(one), repr(one)) == (("a", 1), Derived, "Derived(name='a', number=1)")
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_default_before_a_field_without() -> None:
    with pytest.raises(AssertionError, match="without a default"):
        type(module.NamedTuple)("Wrong", (module.NamedTuple,), {"__annotations__": {"a": "int", "b": "int"}, "a": 1})


def test_the_rest() -> None:
    assert module.cast("int", "a") == "a"
    with pytest.raises(AssertionError):
        module.assert_never(1)  # type: ignore[arg-type]


def test_a_run_for_one_event_does_without_typing() -> None:
    script = "import sys, tpgen.kernel.check, tpgen.backends.bpf; sys.exit('typing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
