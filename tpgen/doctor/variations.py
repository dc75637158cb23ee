"""Variations: the same program where something is otherwise that nobody knows, or that who loads it may set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tpgen.doctor.accesses import ProgramAccesses
from tpgen.doctor.rules.outcomes import Outcomes
from tpgen.sources.bpf_object.facts import BpfObject, CoreKind, Variable

# Questions and constants of one program that are varied.
_MOST = 16


class Given(NamedTuple):
    """Givens of a program that is followed: outcomes of relocations, values of constants, symbols of the kernel."""

    outcomes: Outcomes
    variables: Mapping[str, int | None]
    symbols: Mapping[str, bool]


class Variation(NamedTuple):
    """Givens of a program, and `words` that say what is otherwise: `with targ_single=0`."""

    words: str
    given: Given


class Choice(NamedTuple):
    """The ways in which something called `name` may be."""

    name: str
    variations: tuple[Variation, ...]


_EXISTS = (CoreKind.FIELD_EXISTS, CoreKind.TYPE_EXISTS, CoreKind.ENUMVAL_EXISTS, CoreKind.TYPE_MATCHES)


def open_choices(obj: BpfObject, found: ProgramAccesses, given: Given) -> Iterator[Choice]:
    """Choices for what is not known of the kernel and decides where the program goes."""
    for name in sorted(found.undecided_by)[:_MOST]:
        places = given.outcomes.unknown.get(name, ())
        if places:
            if all(obj.core_relocations[place].kind in _EXISTS for place in places):
                without, within = (given._replace(outcomes=given.outcomes.decided(places, has)) for has in (0, 1))
                yield _either(name, f"where the kernel has no {name}", without, f"where it has {name}", within)
        elif name in obj.kernel_symbols:
            without, within = (given._replace(symbols={**given.symbols, name: has}) for has in (False, True))
            yield _either(name, f"where the kernel has no {name}", without, f"where it has {name}", within)
        else:
            off, on = (given._replace(variables={**given.variables, name: number}) for number in (0, 1))
            yield _either(name, f"where {name} is not set", off, f"where {name} is set", on)


def _either(name: str, words: str, given: Given, other_words: str, other: Given) -> Choice:
    return Choice(name, (Variation(words, given), Variation(other_words, other)))


def variable_choices(obj: BpfObject, found: ProgramAccesses, given: Given) -> Iterator[Choice]:
    """The constants that decide where the program goes, each with another value than the file has."""
    variables = {variable.name: variable for variable in obj.variables}
    names = sorted(found.decided_by & variables.keys() - given.variables.keys())
    for name in names[:_MOST]:
        flag = _flag(obj, variables[name])
        other = None if flag is None else 1 - flag
        words = f"with another {name} than the file has" if other is None else f"with {name}={other}"
        yield Choice(name, (Variation(words, given._replace(variables={**given.variables, name: other})),))


def _flag(obj: BpfObject, variable: Variable) -> int | None:
    """The value of a constant of one byte that is 0 or 1; None for any other."""
    data = obj.data.get(variable.section, b"")[variable.offset : variable.offset + variable.size]
    return data[0] if len(data) == 1 and data[0] < 2 else None
