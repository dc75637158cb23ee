"""Random programs on headers for Debian's kernels, on each of them: whatever the form of a guard, none is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import guarded
from support.cli import tpgen
from support.compilers import COMPILERS
from support.debian import Tree
from support.guarded import CLASSIC, RAW
from support.portable import comparer, verdicts
from support.programs import Job, compiled
from support.shipped import AMD64_OPTIONS
from support.vm import Line, boot

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

#: Programs of an object, and how many objects of each kind and compiler there are.
_PROGRAMS, _OBJECTS = 100, int(os.environ.get("TPGEN_GUARD_OBJECTS", "2"))
# Beside it nothing is compared: a program is there alone, with loads or without.
_NOTHING = 'char LICENSE[] __attribute__((section("license"), used)) = "GPL";\n'
_THERE = ("absent", "extra")
# Old kernels take no loop that begins again by going on to the next instruction, whatever is in it. Whether one does is
# up to the compiler.
_BACK_EDGE, _WITHOUT_SUCH_LOOPS = "back-edge from insn", ("5.10", "6.1")
# A loop that they take they follow turn by turn, until they have had enough of it (E2BIG).
_TOO_LONG = "failed to load: -7"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    folder = tmp_path_factory.mktemp("guards")
    for form, events in (("--raw", RAW), ("--classic", CLASSIC)):
        done = tpgen(*events, form, *AMD64_OPTIONS, "-o", folder)
        assert done.code == 0, done.err
    jobs = []
    for form in ("raw", "tp"):
        subjects = [guarded.subject(path) for path in sorted(folder.glob(f"{form}_*.h"))]
        for number in range(_OBJECTS):
            made = guarded.unit(subjects, f"machine {number}", _PROGRAMS, ("raw_tp", "tp_btf", "tp"))
            names = (f"{form}_{number}_{compiler.name}.o" for compiler in COMPILERS)
            jobs += [Job(compiler, made.bpf, folder / name) for compiler, name in zip(COMPILERS, names, strict=True)]
    return [*compiled(jobs, [folder]), COMPILERS[0].compile(_NOTHING, folder / "nothing.o")]


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return comparer(tmp_path_factory.mktemp("comparer")).read_bytes()


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_no_random_program_is_refused(
    kernel: str, objects: Sequence[Path], init: bytes, report: list[str], tmp_path: Path
) -> None:
    """The objects are loaded, and their programs attached."""
    *made, nothing = objects
    lines = [Line(f"compare /{path.name} /{nothing.name}") for path in made]
    run = boot(Tree(kernel), init, lines, tmp_path, {}, {path.name: path.read_bytes() for path in objects})
    found = [each for answer in run.answers for each in verdicts("".join(f"| {line}\n" for line in answer.text))]
    found = [each for each in found if each.verdict != "instructions"]
    loops = [each for each in found if kernel in _WITHOUT_SUCH_LOOPS and _BACK_EDGE in each.detail]
    loops += [each for each in found if kernel in _WITHOUT_SUCH_LOOPS and _TOO_LONG in each.detail]
    odd = [each for each in found if each.verdict not in _THERE and each not in loops]
    counts = f"{len(odd)} of {len(found)} refused" + (f", {len(loops)} for a loop" if loops else "")
    report.append(f"random programs on {kernel}: {counts}, {run.seconds:.0f} s")
    assert len(found) == len(made) * _PROGRAMS
    assert odd == []
