"""The check of values finds accessors that are made wrong on purpose, each of them: it can fail."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import values
from support.accessors import Header
from support.compilers import COMPILERS, TARGETS
from support.programs import Job, compiled
from support.values import Place

from live.population import Population
from live.test_every_value import arguments_of, places_of_fields

pytestmark = [pytest.mark.live, pytest.mark.compilers]

_FUNCTION = r"TPGEN_INLINE (?P<result>[^\n]*?) ?\b{name}\(const void \*ctx\)\n\{{\n.*?\n\}}\n"
_LOAD = re.compile(r"TPGEN_LOAD\(u(?P<bits>\d+), ctx, (?P<offset>\d+)\)")
_OTHER_SIGN = {"int": "unsigned int", "short": "unsigned short", "signed char": "unsigned char"}
_OTHER_SIGN |= {unsigned: signed for signed, unsigned in _OTHER_SIGN.items()}
_NARROWER = {
    "unsigned long long": "unsigned int", "unsigned long": "unsigned int", "long long": "int", "long": "int",
    "unsigned int": "unsigned short", "int": "short", "unsigned short": "unsigned char", "short": "signed char",
}  # fmt: skip
_WIDER = dict.fromkeys(("int", "short", "signed char"), "long long")
_WIDER |= {f"unsigned {name}": "unsigned long long" for name in ("int", "short", "char")}


@dataclass(frozen=True, slots=True)
class Code:
    """The text of an accessor, what it returns and where that lies."""

    text: str
    result: str
    place: Place


# Each makes one kind of mistake. None for an accessor that cannot be wrong in this way.
Mutation = Callable[[Code], str | None]


def retyped(names: dict[str, str]) -> Mutation:
    """Another type, in the result and in the conversion."""

    def mutated(code: Code) -> str | None:
        new = names.get(code.result)
        if new is None:
            return None
        return code.text.replace(f"INLINE {code.result} ", f"INLINE {new} ").replace(f"({code.result})", f"({new})")

    return mutated


def reloaded(bits: int | None, by_bytes: Callable[[Place], int], fits: Callable[[Place], bool]) -> Mutation:
    """A load of so many bits, so many bytes further."""

    def mutated(code: Code) -> str | None:
        if not fits(code.place):
            return None
        return _LOAD.sub(
            lambda load: f"TPGEN_LOAD(u{bits or load['bits']}, ctx, {int(load['offset']) + by_bytes(code.place)})",
            code.text,
        )

    return mutated


def whole_bool(code: Code) -> str | None:
    """A bool that is true where anything in its slot is."""
    return code.text.replace("(unsigned char)TPGEN", "TPGEN") if code.place.scalar.is_bool else None


def narrow(place: Place) -> bool:
    """Whether the value is the low part of a slot."""
    return place.held_bytes == values.SLOT_BYTES and place.scalar.size <= 4


MUTATIONS: dict[str, Mutation] = {
    "the other sign": retyped(_OTHER_SIGN),
    "half the width": retyped(_NARROWER),
    # A field is loaded in its own width; it is an argument that has dirt above it.
    "the whole slot": lambda code: retyped(_WIDER)(code) if narrow(code.place) else None,
    "the whole slot of a bool": lambda code: whole_bool(code) if narrow(code.place) else None,
    "the next slot": reloaded(None, lambda place: place.held_bytes, lambda place: True),
    # The habits of one byte order, on the other.
    "the start of the slot": reloaded(32, lambda place: 0, narrow),
    "the end of the slot": reloaded(32, lambda place: 4, narrow),
}


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_every_mistake_is_found(population: Population, mistake: str, tmp_path: Path, report: list[str]) -> None:
    """Made in every accessor that it fits, it is found in each of those and in no other."""
    raw, classic = ([h for h in population.sample if h.form == form] for form in ("raw", "classic"))
    places = dict(arguments_of(population, raw)) | {h: places_of_fields(population, h) for h in classic}
    mutated = {name for header, each in places.items() for name in rewritten(header, each, mistake, tmp_path)}
    jobs = [Job(COMPILERS[0], values.source(places), tmp_path / f"{target}.o", target) for target in TARGETS]
    found: set[str] = set()
    for target, obj in zip(TARGETS, compiled(jobs, [tmp_path]), strict=True):
        found |= values.wrong_values(obj, target, [place for each in places.values() for place in each]).keys()
    assert found == mutated
    assert mutated
    report.append(f"made wrong on purpose: {mistake}: {len(found)} of {len(mutated)} accessors found")


def rewritten(header: Header, places: Sequence[Place], mistake: str, folder: Path) -> Iterator[str]:
    """Writes the header with the mistake in every accessor that it fits, whose names are returned."""
    for included in header.path.parent.glob("tpgen_*.h"):
        shutil.copy(included, folder)
    text = header.path.read_text()
    for place in places:
        function = re.search(_FUNCTION.format(name=place.accessor), text, re.DOTALL)
        assert function, place.accessor
        new = MUTATIONS[mistake](Code(function[0], function["result"], place))
        if new is not None:
            assert new != function[0], place.accessor
            text = text.replace(function[0], new)
            yield place.accessor
    (folder / header.path.name).write_text(text)
