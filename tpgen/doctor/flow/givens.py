"""Questions of an analysis about the kernel and about the variables of the object.

Every answer is remembered: for a kernel that gives the same ones, the program does the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from tpgen.basics.memo import memoised
from tpgen.doctor.flow.arithmetic import U64, signed
from tpgen.doctor.flow.values import NARROW, Constant, Unsure, Value
from tpgen.doctor.relocated import Relocated, Relocations
from tpgen.sources.bpf_object.facts import BpfObject, Place, Variable

_KERNEL_VERSION = "LINUX_KERNEL_VERSION"


class Given(NamedTuple):
    """Knowledge of a kernel, and values that are chosen.

    `variables` are values of variables of .rodata and of kconfig by name: None for one that may have any. Others of
    .rodata have the value that the object has. `symbols` are those of the kernel that weak references ask for: whether
    it has them; what it does not say may be either way. `never_null` has the offsets of pointers in the context that
    the verifier takes for not NULL.
    """

    relocations: Relocations
    variables: Mapping[str, int | None]
    kernel_version: int | None
    symbols: Mapping[str, bool]
    never_null: frozenset[int]

    def relocation(self, place: Place) -> Relocated | None:
        return self.relocations.get(place)

    def variable(self, name: str) -> int | str | None:
        """The value that was chosen; "" where none was."""
        return self.variables.get(name, "")

    def symbol(self, name: str) -> bool | None:
        return self.symbols.get(name)

    def is_never_null(self, offset: int) -> bool:
        return offset in self.never_null

    def version(self, _: str) -> int | None:
        return self.kernel_version


#: A method of `Given` and what it was asked.
Question: TypeAlias = tuple[str, Place | str | int]
Answers: TypeAlias = dict[Question, object]


def agree(answers: Answers, given: Given) -> bool:
    """Whether `given` answers in the same way."""
    return all(getattr(given, method)(asked) == answer for (method, asked), answer in answers.items())


class Asker:
    """Asks `given` on behalf of one analysis of `obj`, and remembers the answers."""

    def __init__(self, obj: BpfObject, given: Given) -> None:
        self._obj = obj
        self._given = given
        self.answers: Answers = {}

    def relocation(self, place: Place) -> Relocated | None:
        found = self._given.relocation(place)
        self.answers["relocation", place] = found
        return found

    def is_never_null(self, offset: int) -> bool:
        found = self._given.is_never_null(offset)
        self.answers["is_never_null", offset] = found
        return found

    def symbol(self, name: str) -> bool | None:
        """Whether the kernel has a symbol; None where that is not known."""
        found = self._given.symbol(name)
        self.answers["symbol", name] = found
        return found

    def extern(self, name: str, size: int) -> Value:
        """The value of a kconfig variable."""
        number = self._given.variable(name)
        self.answers["variable", name] = number
        if number == "" and name == _KERNEL_VERSION:
            number = self._given.version(name)
            self.answers["version", name] = number
        if isinstance(number, int):
            return Constant(number & ((1 << 8 * size) - 1), (name,))
        return Unsure((name,))

    def data(self, section: str, offset: int, size: int, is_signed: bool) -> Value:
        """`size` bytes of a data section: what is constant is known, other than what programs may change."""
        if not section.startswith(".rodata"):
            return None if size == 8 or is_signed else NARROW
        variable = self._variable_at(section, offset, size)
        names = (variable.name,) if variable else ()
        content = self._content(section, offset, size, variable)
        if content is None:
            return Unsure(names)
        number = int.from_bytes(content, "big" if self._obj.big_endian else "little")
        return Constant((signed(number, 8 * size) & U64) if is_signed else number, names)

    def _content(self, section: str, offset: int, size: int, variable: Variable | None) -> bytes | None:
        """The bytes; None where a variable may have any."""
        if variable is not None:
            chosen = self._given.variable(variable.name)
            self.answers["variable", variable.name] = chosen
            if chosen is None:
                return None
            if isinstance(chosen, int):
                return self._encoded(chosen, variable)[offset - variable.offset :][:size]
        content = self._obj.data.get(section, b"")[offset : offset + size]
        return content if offset >= 0 and len(content) == size else None

    def _encoded(self, number: int, variable: Variable) -> bytes:
        cut = number & ((1 << 8 * variable.size) - 1)
        return cut.to_bytes(variable.size, "big" if self._obj.big_endian else "little")

    def _variable_at(self, section: str, offset: int, size: int) -> Variable | None:
        """The variable that these bytes lie in."""
        listed = self._variables().get(section, ())
        index = bisect_right(listed, offset, key=attrgetter("offset")) - 1
        if index < 0 or offset + size > listed[index].offset + listed[index].size:
            return None
        return listed[index]

    @memoised
    def _variables(self) -> dict[str, list[Variable]]:
        found: dict[str, list[Variable]] = {}
        for variable in sorted(self._obj.variables, key=attrgetter("offset")):
            found.setdefault(variable.section, []).append(variable)
        return found
