"""Parts of the standard library's `typing` that a run for one event needs, without an import that takes longer than it.

A type checker is given the originals. `NamedTuple` makes the same classes in a tenth of the time: the constructors of
all classes with as many fields are compiled once, and the classes inherit what does not depend on their fields.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
    from typing import Protocol as Protocol
    from typing import assert_never as assert_never
    from typing import cast as cast
else:
    from collections import _tuplegetter as _field
    from functools import cache
    from types import FunctionType

    class Protocol:
        """A base class for protocols: classes that describe what others have."""

        __slots__ = ()

    def cast(kind, value):
        """The value, which a type checker takes to be of that type."""
        return value

    def assert_never(value):
        """Raise AssertionError: a type checker has shown that this is never called."""
        raise AssertionError(f"expected code to be unreachable, but got: {value!r}")

    class _Fields(tuple):
        """A named tuple, without what depends on its fields."""

        __slots__ = ()

        @classmethod
        def _make(cls, values):
            """Make a new named tuple of the values, in the order of the fields."""
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes):
            """Return a copy with some fields changed."""
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {[*changes]!r}")
            return made

        def _asdict(self):
            """Return the values by the names of their fields."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
            return f"{self.__class__.__name__}({values})"

        def __getnewargs__(self):
            return tuple(self)

    class _Maker(type):
        """Makes a class of named tuples of one that is written as a subclass of `NamedTuple`."""

        def __new__(cls, name, bases, contents):
            if not bases:
                return type.__new__(cls, name, bases, contents)
            names = tuple(contents["__annotations__"])
            defaults = {field: contents.pop(field) for field in names if field in contents}
            assert names[len(names) - len(defaults) :] == tuple(defaults), "a field without a default follows one with"
            code = _constructor(len(names)).replace(co_varnames=("_cls", *names))
            constructor = FunctionType(code, _SCOPE, "__new__", tuple(defaults.values()))
            constructor.__qualname__ = f"{contents['__qualname__']}.__new__"
            contents |= {field: _field(index, None) for index, field in enumerate(names)}
            contents |= {"__slots__": (), "__match_args__": names, "_fields": names, "_field_defaults": defaults}
            return type.__new__(type, name, (_Fields,), {**contents, "__new__": constructor})

    _SCOPE = {"_new": tuple.__new__}

    @cache
    def _constructor(count):
        """The code of `__new__` of a class with so many fields."""
        names = "".join(f"_{index}, " for index in range(count))
        scope = {}
        exec(f"def __new__(_cls, {names}): return _new(_cls, ({names}))", scope)
        return scope["__new__"].__code__

    class NamedTuple(metaclass=_Maker):
        """A base class that makes its subclass one of named tuples, of the annotated names in it."""
