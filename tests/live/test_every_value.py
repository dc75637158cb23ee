"""Every accessor returns the number that the kernel put there, with its own type, and would be caught if it did not."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from support import values
from support.accessors import Header
from support.compilers import TARGETS, Compiler
from support.libbpf import BpfObject
from support.programs import Job, chunks, compiled, includes
from support.values import MOST_SLOTS, Place, argument_places, contexts, field_places

from live.population import Population

pytestmark = [pytest.mark.live, pytest.mark.compilers]

Places: TypeAlias = Mapping[Header, Sequence[Place]]


@pytest.fixture(scope="session")
def arguments(population: Population) -> Places:
    """Where the arguments lie, by the kernel's BTF."""
    return arguments_of(population, population.of("raw"))


@pytest.fixture(scope="session")
def fields(population: Population) -> Places:
    """Where the scalar fields lie, by tracefs."""
    return {header: places_of_fields(population, header) for header in population.of("classic")}


def arguments_of(population: Population, headers: Sequence[Header]) -> Places:
    """Those of a system call do not lie in the context."""
    params = population.image.params
    return {header: argument_places(header, params[header.event]) for header in headers if header.event in params}


def places_of_fields(population: Population, header: Header) -> tuple[Place, ...]:
    """A record's fields; an argument of a system call has a u64 of its own, and the sign of its declared type."""
    found = population.fields(header.event)
    if population.systems[header.event] != "syscalls":
        return field_places(header, found)
    scalars = {f"{header.prefix}_{field.name}": population.image.scalar_named(field.type) for field in found}
    return tuple(
        Place(place.accessor, place.offset, place.held_bytes, scalars[place.accessor])
        for place in field_places(header, found)
    )


def parts(places: Places) -> list[Places]:
    """The places in pieces, of a unit each."""
    return [dict(part) for part in chunks(tuple(places.items()))]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("form", ["raw", "classic"])
def test_values_in_object_code(
    request: pytest.FixtureRequest,
    population: Population,
    compiler: Compiler,
    form: str,
    target: str,
    tmp_path: Path,
    report: list[str],
) -> None:
    """The code of each accessor, interpreted on contexts of the target's byte order."""
    units = parts(request.getfixturevalue("arguments" if form == "raw" else "fields"))
    jobs = [Job(compiler, values.source(unit), tmp_path / f"{at}.o", target) for at, unit in enumerate(units)]
    wrong: dict[str, str] = {}
    count = 0
    for unit, obj in zip(units, compiled(jobs, [population.folder]), strict=True):
        places = [place for each in unit.values() for place in each]
        wrong |= values.wrong_values(obj, target, places)
        count += len(places)
    assert wrong == {}
    report.append(f"values in object code: {form:7} {compiler.name:9} {target}: {count} of {count} accessors right")


def test_values_on_the_kernel(
    population: Population, compiler: Compiler, arguments: Places, tmp_path: Path, report: list[str]
) -> None:
    """The kernel runs each raw program on the same contexts (BPF_PROG_TEST_RUN)."""
    units = parts(arguments)
    jobs = [Job(compiler, values.program_source(unit), tmp_path / f"{at}.o") for at, unit in enumerate(units)]
    wrong, count = [], 0
    for unit, obj in zip(units, compiled(jobs, [population.folder]), strict=True):
        with BpfObject(obj) as bpf:
            for header, places in unit.items():
                wrong += wrong_on_the_kernel(bpf, f"run_{header.event}", places)
                count += len(places)
    assert wrong == []
    report.append(f"values on the kernel: raw {compiler.name:9}: {count} of {count} accessors right")


def wrong_on_the_kernel(bpf: BpfObject, program: str, places: Sequence[Place]) -> list[str]:
    """The accessors that returned something else than their places held."""
    wrong = []
    for context in contexts(MOST_SLOTS * values.SLOT_BYTES, "bpfel"):
        bpf.test_run(program, struct.unpack(f"@{MOST_SLOTS}Q", context))
        found = struct.unpack(f"@{MOST_SLOTS}Q", bpf.section())
        wrong += [
            f"{place.accessor}: {found[at]:#x} instead of {place.value(context, 'bpfel'):#x}"
            for at, place in enumerate(places)
            if found[at] != place.value(context, "bpfel")
        ]
    return wrong


SAME = """_Static_assert(__builtin_types_compatible_p(btf_trace_{event}, void (*)(void *{types})), "{event}");\n"""


def test_types_are_those_of_the_kernel(
    population: Population, compiler: Compiler, arguments: Places, vmlinux_include: Path, tmp_path: Path
) -> None:
    """A function of the accessors' types is the same to the compiler as the prototype that bpftool has in vmlinux.h.

    But for enums of less than an int, all of which bpftool makes an int.
    """
    text = ['#include "vmlinux.h"\n', includes(arguments)]
    for header, places in arguments.items():
        if any(param.kind == "ENUM" and param.scalar.size < 4 for param in population.image.params[header.event]):
            continue
        types = "".join(f", __typeof__({place.accessor}((void *)0))" for place in places)
        text.append(SAME.format(event=header.event, types=types))
    compiler.compile("".join(text), tmp_path / "types.o", include=[population.folder], system=[vmlinux_include])
