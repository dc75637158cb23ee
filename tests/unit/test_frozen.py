"""`frozen` beside what it stands in for: every promise of a frozen dataclass with slots, asked of both."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from support.value_classes import check_constructor, check_patterns

from tpgen.basics import frozen as module
from tpgen.basics.frozen import frozen


@frozen
class Ours:
    """Two fields."""

    name: str
    number: int | None = None

    @property
    def title(self) -> str:
        return f"{self.name} {self.number}"


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    """Two fields."""

    name: str
    number: int | None = None

    @property
    def title(self) -> str:
        return f"{self.name} {self.number}"


@frozen
class Empty:
    pass


BOTH = pytest.mark.parametrize("cls", [Ours, Theirs])


@BOTH
def test_constructor(cls: Any) -> None:
    check_constructor(cls)


@BOTH
def test_equality_and_hash(cls: Any) -> None:
    other = Theirs if cls is Ours else Ours
    assert cls("a", 1) == cls("a", 1)
    assert hash(cls("a", 1)) == hash(cls("a", 1))
    assert {cls("a"): 1}[cls("a", None)] == 1
    assert cls("a", 1) != cls("a", 2)
    assert cls("a", 1) != other("a", 1)
    assert cls("a", 1) != ("a", 1)
    with pytest.raises(TypeError):
        hash(cls("a", []))


@BOTH
def test_frozen_slots(cls: Any) -> None:
    instance = cls("a")
    changes: list[Callable[[], None]] = [
        lambda: setattr(instance, "name", "b"),
        lambda: delattr(instance, "name"),
    ]
    for change in changes:
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert not hasattr(instance, "__dict__")
    assert instance.name == "a"


@BOTH
def test_patterns(cls: Any) -> None:
    check_patterns(cls)


@BOTH
def test_copies(cls: Any) -> None:
    instance = cls("a", 1)
    assert pickle.loads(pickle.dumps(instance)) == copy.copy(instance) == copy.deepcopy(instance) == instance


@BOTH
def test_the_standard_library_takes_it(cls: Any) -> None:
    assert dataclasses.is_dataclass(cls)
    assert dataclasses.replace(cls("a", 1), number=2) == cls("a", 2)
    assert dataclasses.asdict(cls("a", cls("b"))) == {"name": "a", "number": {"name": "b", "number": None}}
    assert [field.name for field in dataclasses.fields(cls)] == ["name", "number"]


def test_repr_and_names() -> None:
    assert repr(Ours("a", 1)) == repr(Theirs("a", 1)).replace("Theirs", "Ours")
    assert (Ours.__name__, Ours.__qualname__, Ours.__module__, Ours.__doc__) == (
        "Ours",
        "Ours",
        __name__,
        "Two fields.",
    )
    assert (repr(Empty()), Empty() == Empty(), hash(Empty()) == hash(Empty())) == ("Empty()", True, True)


def test_replace() -> None:
    assert module.replace(Ours("a", 1), name="b") == Ours("b", 1)
    with pytest.raises(TypeError):
        module.replace(Ours("a"), other=1)


def test_a_run_for_one_event_does_without_dataclasses() -> None:
    script = "import sys, tpgen.model, tpgen.kernel.check, tpgen.backends.bpf; sys.exit('dataclasses' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
