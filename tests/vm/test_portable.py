"""One header for Debian's kernels, on each of them: every accessor of every event of vmlinux of which they differ.

Each has a program for itself, which libbpf loads and attaches in the machine. It reads after load what the same program
does on the header of that kernel alone, which is made of the kernel's own BTF and headers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import COMPILERS
from support.debian import Tree
from support.portable import Verdict, comparer, differing, extra, is_explained, objects, verdicts
from support.vm import Line, boot

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

KERNELS = ("5.10", "6.1", "6.12", "7.2")
SHIPPED = tuple(f"debian-{kernel}-amd64" for kernel in KERNELS)
#: More events than differ today would not hurt; fewer would say that the kernels were not compared.
_FEWEST_EVENTS, _FEWEST_PROGRAMS = 150, 1500


@cache
def events() -> Sequence[str]:
    found = differing(SHIPPED)
    assert len(found) >= _FEWEST_EVENTS
    return found


@pytest.fixture(scope="session")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers for all of the kernels."""
    folder = tmp_path_factory.mktemp("portable")
    done = tpgen(*events(), *(word for kernel in SHIPPED for word in ("--kernel", kernel)), "-o", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparer(tmp_path_factory.mktemp("comparer"))


@pytest.fixture(scope="session", params=KERNELS)
def compared(
    request: pytest.FixtureRequest,
    portable: Path,
    init: Path,
    report: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Verdict]:
    """What became of every program on each kernel in turn."""
    tree, folder = Tree(request.param), tmp_path_factory.mktemp(request.param)
    made = objects(portable, fixed(tree, folder / "fixed"), folder / "objects", COMPILERS[0])
    files = {path.name: path.read_bytes() for pair in made.files for path in pair}
    lines = [Line(f"compare /{ours.name} /{theirs.name}") for ours, theirs in made.files]
    run = boot(tree, init.read_bytes(), lines, folder / "machine", {}, files)
    found = [verdict for answer in run.answers for verdict in verdicts("".join(f"| {line}\n" for line in answer.text))]
    counts = {word: sum(each.verdict == word for each in found) for word in dict.fromkeys(v.verdict for v in found)}
    report.append(f"{tree.vmlinuz.name}: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
    return found


def fixed(tree: Tree, folder: Path) -> Path:
    """The headers of the kernel of `tree` alone, for those of the events that it has."""
    sources = ("--btf", tree.vmlinuz, "--headers", tree.headers_of_image, "--config", tree.config)
    names = {event["name"] for event in json.loads(tpgen("list", "--json", *sources).out) if event["module"] is None}
    done = tpgen(*(event for event in events() if event in names), "--module", "vmlinux", *sources, "-o", folder)
    assert done.code == 0, done.err
    return folder


def test_no_program_is_refused(compared: list[Verdict]) -> None:
    assert sum(verdict.verdict in ("same", "absent", "differs") for verdict in compared) >= _FEWEST_PROGRAMS
    odd = [each for each in compared if each.verdict in ("refused", "cannot", "attach", "fixed-refused")]
    assert odd == extra(compared) == []


def test_what_is_read_is_what_the_kernels_own_header_reads(compared: list[Verdict]) -> None:
    assert [each for each in compared if each.verdict == "differs" and not is_explained(each)] == []
