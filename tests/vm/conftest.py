"""Debian's kernels, each booted while the next one's programs are compiled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest
from support.debian import Tree

from vm.case import Booted, Case

#: Debian's kernels: the version, and the flavour as Debian calls it.
KERNELS = (
    "5.10-amd64", "5.10-rt-amd64",
    "6.1-amd64", "6.1-rt-amd64", "6.1-686-pae",
    "6.12-amd64", "6.12-rt-amd64", "6.12-s390x", "6.12-riscv64", "6.12-powerpc64le",
    "7.2-amd64", "7.2-cloud-amd64",
)  # fmt: skip

#: What was counted on a kernel, by column.
Row: TypeAlias = dict[str, str]


@pytest.fixture(scope="session")
def under_way(
    request: pytest.FixtureRequest, libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Booted]]]:
    """What becomes of every kernel that this run asks for, two at a time: qemu's processor takes one CPU."""
    params = (item.callspec.params for item in request.session.items if hasattr(item, "callspec"))
    names = dict.fromkeys(each["booted"] for each in params if "booted" in each)
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(boot, name, tmp_path_factory.mktemp(name), libbpf_include) for name in names}


def boot(name: str, scratch: Path, libbpf_include: Path) -> Booted:
    """What becomes of one."""
    kernel, _, flavour = name.partition("-")
    return Case(Tree(kernel, flavour=flavour), scratch, libbpf_include).booted()


@pytest.fixture(scope="session", params=KERNELS)
def booted(request: pytest.FixtureRequest, under_way: Mapping[str, Future[Booted]]) -> Booted:
    """What became of each kernel in turn."""
    return under_way[request.param].result()


@pytest.fixture(scope="session")
def rows(report: list[str]) -> Iterator[defaultdict[str, Row]]:
    """The rows of a table by kernel, printed at the end of the run."""
    found: defaultdict[str, Row] = defaultdict(dict)
    yield found
    report += table(found)


@pytest.fixture
def row(rows: defaultdict[str, Row], booted: Booted) -> Row:
    """That of the kernel."""
    return rows[booted.case.title]


def table(rows: Mapping[str, Row]) -> Iterator[str]:
    """A line of titles, and one for each kernel."""
    columns = ["kernel", *dict.fromkeys(column for row in rows.values() for column in row)]
    lines = [columns, *([title, *(row.get(column, "-") for column in columns[1:])] for title, row in rows.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
