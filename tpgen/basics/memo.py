"""Memoised methods. Their results are dropped with the object; functools.cache would keep both alive."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from tpgen.basics.typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from typing import Any, Concatenate, ParamSpec, TypeVar

    _Self = TypeVar("_Self")
    _Params = ParamSpec("_Params")
    _Result = TypeVar("_Result")

# Is the result of no method.
_NOTHING = object()


class Identity:
    """A value as an argument of what is memoised, where to compare values takes too long: none but itself equals it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def memoised(
    method: Callable[Concatenate[_Self, _Params], _Result],
) -> Callable[Concatenate[_Self, _Params], _Result]:
    """A method, or a function of an object, that computes its result once for each object and further arguments.

    The arguments must be hashable. The results are stored in the object, and do not keep it alive.
    """
    name = f"_memo {method.__module__}.{method.__qualname__}"

    @wraps(method)
    def wrapper(self: Any, *args: Any, **named: Any) -> Any:
        key = (args, *named.items()) if named else args
        results = self.__dict__.get(name)
        if results is None:
            results = self.__dict__[name] = {}
        result = results.get(key, _NOTHING)
        if result is _NOTHING:
            result = results[key] = method(self, *args, **named)
        return result

    return cast("Callable[Concatenate[_Self, _Params], _Result]", wrapper)
