"""Every header compiles without a warning: each on its own, and all of them in one unit, in every company."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.accessors import Header
from support.compilers import COMPILERS, STANDARDS, TARGETS, WARNINGS, Compiler
from support.programs import Job, at_once, chunks, compiled, includes

from live.population import Population

# The survey of programs begins here: most of its time the kernel waits, and these tests need the CPUs.
pytestmark = [pytest.mark.live, pytest.mark.compilers, pytest.mark.usefixtures("surveying")]

# bpftool writes `typedef _Bool bool;` and an enum of `false` and `true`, which are keywords of C23.
KEYWORDS = ("bool", "false", "true")
VMLINUX = {
    "c11": '#include "vmlinux.h"\n',
    "c23": "".join(f"#define {word} vmlinux_{word}\n" for word in KEYWORDS)
    + '#include "vmlinux.h"\n'
    + "".join(f"#undef {word}\n" for word in KEYWORDS),
}
COMPANIES = ("alone", "vmlinux first", "vmlinux last")
# Every standard with vmlinux.h and without it, and for each compiler two that have nothing in common.
OWN = (
    (COMPILERS[0], "c11", "bpfel", "alone"),
    (COMPILERS[1], "c23", "bpfeb", "alone"),
    (COMPILERS[1], "c11", "bpfel", "vmlinux first"),
    (COMPILERS[0], "c23", "bpfeb", "vmlinux first"),
)
# Files to check in one start of a compiler.
_FILES = 100


@pytest.mark.parametrize("company", COMPANIES)
@pytest.mark.parametrize("std", VMLINUX)
def test_all_in_one_unit(
    population: Population,
    compiler: Compiler,
    company: str,
    std: str,
    vmlinux_include: Path,
    tmp_path: Path,
    report: list[str],
) -> None:
    """Together, for both byte orders. What one header needs, another may have declared here: hence the next test."""
    headers = includes(population.headers)
    vmlinux = VMLINUX[std]
    text = {"alone": headers, "vmlinux first": vmlinux + headers, "vmlinux last": headers + vmlinux}[company]
    jobs = [Job(compiler, text, tmp_path / f"{target}.o", target, std) for target in TARGETS]
    compiled(jobs, [population.folder], [vmlinux_include])
    count = len(population.headers)
    report.append(f"one unit of {count} headers: {compiler.name:9} {std} {company}: no warning, bpfel and bpfeb")


@pytest.mark.parametrize(("compiler", "std", "target", "company"), OWN, ids=lambda value: getattr(value, "name", value))
def test_each_on_its_own(
    population: Population,
    compiler: Compiler,
    std: str,
    target: str,
    company: str,
    vmlinux_include: Path,
    tmp_path: Path,
    report: list[str],
) -> None:
    """As the main file of a unit, where nothing is excused for being in a header."""
    command = (*driver(compiler), "-target", target, f"-std={STANDARDS[std]}")
    if company != "alone":
        command = (*command, "-include-pch", str(precompiled(command, VMLINUX[std], vmlinux_include, tmp_path)))
    said = at_once(lambda part: what_it_says(command, part), chunks(population.headers, _FILES))
    assert list(itertools.chain(*said)) == []
    count = len(population.headers)
    report.append(f"each header on its own: {compiler.name:9} {std} {company}: {count} without a warning, {target}")


def driver(compiler: Compiler) -> tuple[str, ...]:
    """`zig cc` takes one file at a time and keeps what it makes of it; the clang behind it does neither."""
    return (sys.executable, "-m", "ziglang", "clang") if compiler.name == "ziglang" else compiler.command


def precompiled(command: Sequence[str], text: str, include: Path, folder: Path) -> Path:
    """What the compiler makes of `text`, once for the thousands of units that begin with it."""
    source, made = folder / "first.h", folder / "first.pch"
    source.write_text(text)
    subprocess.run((*command, f"-isystem{include}", "-x", "c-header", str(source), "-o", str(made)), check=True)
    return made


def what_it_says(command: Sequence[str], headers: Sequence[Header]) -> list[str]:
    """Every line that the compiler says to the headers, each the main file of a unit of its own.

    One process has them all: the compiler behind the driver, which would start one for each.
    """
    first, *rest = (str(header.path) for header in headers)
    options = ("-fsyntax-only", *WARNINGS, "-x", "c", first)
    shown = subprocess.run((*command, *options, "-###"), capture_output=True, text=True, check=True).stderr
    cc1 = shlex.split(shown.splitlines()[-1])
    assert (cc1[1], cc1[-1]) == ("-cc1", first)
    done = subprocess.run((*cc1, *rest), capture_output=True, text=True, check=False)
    assert done.stderr or done.returncode == 0
    return done.stderr.splitlines()


def test_each_of_many_is_judged(compiler: Compiler, tmp_path: Path) -> None:
    """A warning in each of three files is told of each, and of no other."""
    texts = ("static int a;\n", "", "int b(void) { int b; return b; }\n", "", "int c(int *p) { return p; }\n")
    paths = [tmp_path / f"{number}.h" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    headers = [Header(path, path.stem, "raw", path.stem, (), (), ()) for path in paths]
    said = [line for line in what_it_says((*driver(compiler), "-target", "bpfel"), headers) if ": error: " in line]
    assert [Path(line.partition(":")[0]).name for line in said] == ["0.h", "2.h", "4.h"]
