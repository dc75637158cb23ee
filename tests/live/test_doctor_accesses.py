"""What programs read of their context, held against the loads that the running kernel's verifier follows.

Those of each program in C are also written down by hand. Random ones are of instructions; TPGEN_ACCESSES says how many.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from support import live
from support.bpf_loader import verified
from support.compilers import Compiler
from support.flow import analysed
from support.libbpf import BpfObject
from support.random_bpf import random_program
from support.verifier_log import Load, context_loads

from tpgen.doctor.accesses import Access, AccessKind, ProgramAccesses
from tpgen.doctor.core_relocation.kernel_types import KernelTypes
from tpgen.doctor.core_relocation.relocate import relocate
from tpgen.doctor.flow.analysis import Flow
from tpgen.sources.bpf_object.read import read_objects
from tpgen.sources.btf import Btf

pytestmark = [pytest.mark.live, pytest.mark.compilers]

SOURCE = Path(__file__).with_name("accesses.bpf.c")
_PROGRAM = re.compile(
    r"^/\* (?P<loads>[\d: ]+)(?:, chosen (?P<chosen>[\d: ]+))? \*/\n.*?\b(?P<name>\w+)(?:\)\n|\(\w+.*ctx)", re.M
)


def _numbers(text: str) -> set[Load]:
    return {Load(*map(int, part.split(":"))) for part in text.split()}


#: By program, the loads where `chosen` is 0, and where it is 1.
EXPECTED = {
    found["name"]: (_numbers(found["loads"]), _numbers(found["chosen"] or found["loads"]))
    for found in _PROGRAM.finditer(SOURCE.read_text())
}


@pytest.fixture(scope="module")
def objects(
    compiler: Compiler, vmlinux_include: Path, libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """The object with `chosen` 0, and the one with 1."""
    folder = tmp_path_factory.mktemp("accesses")
    return [
        compiler.compile(
            SOURCE,
            folder / f"chosen{chosen}.o",
            system=[vmlinux_include, libbpf_include],
            options=[f"-DCHOSEN={chosen}", "-Wno-unused-parameter"],
        )
        for chosen in (0, 1)
    ]


@cache
def kernel_version() -> int:
    """LINUX_KERNEL_VERSION of the running kernel."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", os.uname().release)
    assert numbers
    major, minor, patch = map(int, numbers.groups())
    return major << 16 | minor << 8 | min(patch, 255)


@cache
def kernel_types() -> KernelTypes:
    return KernelTypes(Btf(live.VMLINUX_BTF.read_bytes(), "vmlinux"))


@cache
def followed(path: Path, chosen: int | None) -> dict[str, ProgramAccesses]:
    """The accesses of an object's programs on the running kernel, with another value of `chosen` than it has."""
    (obj,) = read_objects(path.read_bytes(), str(path))
    flow, relocations = Flow(obj), relocate(obj, kernel_types())
    variables = {} if chosen is None else {"chosen": chosen}
    return {
        program.function.name: flow.accesses(program, relocations, variables=variables, kernel_version=kernel_version())
        for program in obj.programs
    }


def judged(path: Path, program: str) -> set[Load]:
    """The loads of a program that the verifier follows."""
    with BpfObject(path, programs=[program], log_level=2) as loaded:
        return context_loads(loaded.logs[program].splitlines())


def loads(accesses: Iterable[Access]) -> set[tuple[int | None, int | None]]:
    return {(access.offset, access.size) for access in accesses if access.kind == AccessKind.LOAD}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("chosen", [0, 1])
def test_programs(name: str, chosen: int, objects: list[Path]) -> None:
    """The loads are those by hand and those of the verifier, also where the value of the variable is only given."""
    expected = EXPECTED[name]
    own, given = followed(objects[chosen], None)[name], followed(objects[1 - chosen], chosen)[name]
    assert loads(own.accesses) == expected[chosen]
    assert loads(given.accesses) == expected[chosen]
    assert judged(objects[chosen], name) == expected[chosen]
    assert own.gaps == given.gaps == frozenset()
    assert own.failed == frozenset()


def test_all_have_expectations(objects: list[Path]) -> None:
    assert set(followed(objects[0], None)) == set(EXPECTED)


def test_what_decides(objects: list[Path]) -> None:
    found = followed(objects[0], None)
    assert {name for name, accesses in found.items() if "chosen" in accesses.decided_by} == {
        name for name, (one, other) in EXPECTED.items() if one != other
    }
    assert "flag" in found["computed"].decided_by
    assert "LINUX_KERNEL_VERSION" in found["version"].decided_by


def test_what_is_no_load(objects: list[Path]) -> None:
    """Reads by helpers, pointers that are followed, and tail calls."""
    found = followed(objects[0], None)
    helper = next(access for access in found["helper"].accesses if access.kind == AccessKind.HELPER)
    assert (helper.offset, helper.size) == (24, 4)
    locator = next(access for access in found["locator"].accesses if access.kind == AccessKind.DYNAMIC)
    assert (locator.offset, locator.size) == (8, 32)
    assert {(use.offset, use.struct_name, use.followed) for use in found["direct"].pointers} == {
        (8, "task_struct", True)
    }
    assert {(use.offset, use.struct_name, use.followed) for use in found["member"].pointers} == {
        (8, "task_struct", False)
    }
    assert [name for name, accesses in found.items() if accesses.tail_calls] == ["tail"]


def count() -> int:
    """The number of random programs: a few, or as many as TPGEN_ACCESSES says."""
    return int(os.environ.get("TPGEN_ACCESSES", "150"))


def test_random_programs(report: list[str]) -> None:
    """Every load that the verifier follows is found, and no other; all are taken."""
    different, instructions = [], 0
    for seed in range(count()):
        made = random_program(seed)
        answer = verified(made)
        assert answer.error == 0, answer.log
        found = analysed(made)
        instructions += sum(map(len, made.obj.code.values()))
        if loads(found.accesses) != context_loads(answer.log.splitlines()) or found.gaps:
            different.append(seed)
    report.append(f"random programs: {len(different)} of {count()} differ, {instructions} instructions")
    assert different == []
