"""Frozen data classes that take a tenth of the time to make: a run for one event imports thirty of them.

`frozen` promises what `dataclass(frozen=True, slots=True)` does: the same constructor, equality, hash, repr and
patterns, fields that cannot be set. Functions of the standard library's `dataclasses` take instances like their own; a
run that needs none of these does not import that module, which takes longer than all classes here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from operator import attrgetter
from types import CodeType, FunctionType

from tpgen.basics.typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from dataclasses import replace as replace
    from typing import Any, NoReturn, TypeVar, dataclass_transform

    _Class = TypeVar("_Class", bound=type)
else:

    def dataclass_transform(**_):
        return lambda decorator: decorator

    def replace(instance, /, **changes):
        """A copy of an instance of a frozen class with some fields changed."""
        cls = instance.__class__
        values = {name: getattr(instance, name) for name in cls.__match_args__ if name not in changes}
        return cls(**values, **changes)


@dataclass_transform(frozen_default=True)
def frozen(cls: _Class) -> _Class:
    """The class with its annotated names as fields, in their order; a value in the class is a field's default."""
    names = tuple(cls.__annotations__)
    contents = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    defaults = {name: contents.pop(name) for name in names if name in contents}
    contents |= {"__slots__": names, "__match_args__": names, "__dataclass_fields__": _Fields(defaults)}
    contents |= _methods(names)
    made: Any = type(cls)(cls.__name__, cls.__bases__, contents)
    made.__init__ = _constructor(made, names, defaults)
    return cast("_Class", made)


def _methods(names: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """The methods that depend on the fields of an instance."""
    values: Callable[[Any], Any] = attrgetter(*names) if names else _no_values

    def equal(self: Any, other: object) -> bool:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values(self))

    return {
        "__eq__": equal,
        "__hash__": hashed,
        "__repr__": _repr,
        "__reduce__": _reduce,
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
    }


def _no_values(_: object) -> tuple[()]:
    return ()


def _constructor(made: Any, names: tuple[str, ...], defaults: dict[str, Any]) -> Callable[..., None]:
    """`__init__`, written out for these fields: one with a loop would take three times as long for each instance."""
    assert names[len(names) - len(defaults) :] == tuple(defaults), "a field without a default follows one with"
    code = _code_of_constructor(len(names)).replace(co_varnames=("self", *names))
    setters = {f"_set_{index}": getattr(made, name).__set__ for index, name in enumerate(names)}
    constructor = FunctionType(code, setters, "__init__", tuple(defaults.values()))
    constructor.__qualname__ = f"{made.__qualname__}.__init__"
    return constructor


@cache
def _code_of_constructor(count: int) -> CodeType:
    """The code of `__init__` of a class with so many fields; what it calls their setters is the same for each."""
    params = "".join(f", _{index}" for index in range(count))
    body = "".join(f"\n    _set_{index}(self, _{index})" for index in range(count)) or "\n    pass"
    scope: dict[str, Any] = {}
    exec(f"def __init__(self{params}):{body}", scope)
    code: CodeType = scope["__init__"].__code__
    return code


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
    return f"{self.__class__.__qualname__}({fields})"


def _reduce(self: Any) -> tuple[type, tuple[Any, ...]]:
    return self.__class__, tuple(getattr(self, name) for name in self.__match_args__)


def _refuse_to_set(self: object, name: str, value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


class _Fields:
    """The fields as the standard library's `dataclasses` has them, made when it asks for them."""

    def __init__(self, defaults: dict[str, Any]) -> None:
        self._defaults = defaults

    def __get__(self, instance: object, owner: type) -> Any:
        from dataclasses import field, make_dataclass

        # A default that could be changed must come from a factory there; here it is one that nobody changes.
        fields: list[tuple[str, Any, Any]] = [
            (
                name,
                kind,
                field(default_factory=partial(self._defaults.get, name)) if name in self._defaults else field(),
            )
            for name, kind in owner.__annotations__.items()
        ]
        made: Any = make_dataclass(owner.__name__, fields, frozen=True)
        return made.__dataclass_fields__
