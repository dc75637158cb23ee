"""Headers that have their prelude inside and headers that include it go together in one unit, in any order."""

from __future__ import annotations

import shutil
import subprocess
from itertools import permutations
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import CONVERSIONS, Compiler

pytestmark = pytest.mark.compilers

FORMS = ("shared", "inline")
ONE = ("raw_sched_switch.h", "tp_kfree_skb.h", "raw_sys_enter_openat.h")
PORTABLE = "raw_sched_wakeup.h"


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same headers in shared/ and inline/, of one kernel and, one of them, of two."""
    folder = tmp_path_factory.mktemp("prelude")
    for form in FORMS:
        words = ("--prelude", form, "-o", folder / form)
        assert tpgen("sched_switch", "kfree_skb", "sys_enter_openat", "--kernel", "6.12", *words).code == 0
        assert tpgen("sched_wakeup", "--kernel", "6.1", "--kernel", "6.12", *words).code == 0
    return folder


def units(names: tuple[str, ...]) -> list[str]:
    """The headers in every order, those that include and those that do not in turn, either first."""
    return [
        "".join(f'#include "{FORMS[(at + first) % 2]}/{name}"\n' for at, name in enumerate(order))
        for order in permutations(names)
        for first in range(2)
    ]


@pytest.mark.parametrize("unit", units((ONE[0], ONE[2], PORTABLE)))
def test_in_any_order(compiler: Compiler, unit: str, both: Path, tmp_path: Path) -> None:
    compiler.compile(unit, tmp_path / "unit.o", include=[both], options=CONVERSIONS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [*ONE, PORTABLE])
def test_alone(compiler: Compiler, target: str, form: str, name: str, both: Path, tmp_path: Path) -> None:
    """As the main file, too, and from a directory that is on no list of the compiler's."""
    compiler.compile(both / form / name, tmp_path / "unit.o", target=target, options=CONVERSIONS)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_gcc(both: Path, tmp_path: Path) -> None:
    for number, unit in enumerate(units(ONE)):
        path = tmp_path / f"{number}.c"
        path.write_text(unit)
        command = ("gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{both}", str(path))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_part_that_is_missing_is_told(compiler: Compiler, both: Path, tmp_path: Path) -> None:
    """The cases above would see nothing if the headers did not include what is beside them."""
    alone = tmp_path / ONE[0]
    shutil.copy(both / "shared" / ONE[0], alone)
    with pytest.raises(Exception, match=r"tpgen_prelude_1\.h"):
        compiler.compile(alone, tmp_path / "unit.o")
