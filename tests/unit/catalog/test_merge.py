"""Merging catalogs: the same bytes in any order, each kernel as its own file had it, and nothing of what is wrong."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.catalogs import changed
from support.cli import Done, refusal, tpgen
from support.small_kernel import small_btf, write_btf

from tpgen.catalog.read import Catalog
from tpgen.kernel.events import KernelEvents

DONE = Done(0, "", "")


def plain(_: BtfBuilder) -> None:
    """The small kernel as it is."""


def more_events(builder: BtfBuilder) -> None:
    """With an event of its own, and another prototype of one that all have."""
    integer = builder.integer("long long int", 8)
    builder.event("another", [("first", integer), ("second", builder.ptr(builder.fwd("sock")))])
    builder.event_class("another", [integer], 16, [("first", integer, 8)])


def deep(builder: BtfBuilder) -> None:
    """With a pointer to a function that takes one."""
    integer = builder.integer("short int", 2)
    function = builder.ptr(builder.func_proto(integer, [("a", builder.ptr(integer)), ("b", integer)]))
    builder.event("deep", [("callback", builder.ptr(function))])


KERNELS: dict[str, Callable[[BtfBuilder], None]] = {"a-plain": plain, "b-more": more_events, "c-deep": deep, "d": plain}


@pytest.fixture
def shards(tmp_path: Path) -> dict[str, Path]:
    """A file for each kernel, by its name."""
    found = {}
    for number, (name, change) in enumerate(KERNELS.items()):
        builder = small_btf()
        change(builder)
        btf = write_btf(tmp_path / f"{name}.btf", builder)
        found[name] = tmp_path / f"{name}.tpgen"
        words = ("--btf", btf, "--arch", "x86_64", "--release", f"6.{number}")
        assert tpgen("catalog", "add", name, *words, "-o", found[name]) == DONE
    return found


def merged(output: Path, *inputs: Path) -> bytes:
    assert tpgen("catalog", "merge", output, *inputs) == DONE
    return output.read_bytes()


def facts(kernel: KernelEvents) -> object:
    keys = kernel.keys()
    said = [(list(kernel.comparisons(key)), kernel.symbols(key)) for key in keys]
    return keys, kernel.events(keys), said, kernel.notes, kernel.build_ids()


def test_every_order_makes_the_same_bytes(shards: dict[str, Path], tmp_path: Path) -> None:
    made = {merged(tmp_path / "all.tpgen", *order) for order in itertools.permutations(shards.values())}
    assert len(made) == 1


def test_merged_in_steps(shards: dict[str, Path], tmp_path: Path) -> None:
    """And into a file that is read, with one that is given twice, and with kernels that are there already."""
    a, b, c, d = shards.values()
    whole = merged(tmp_path / "whole.tpgen", a, b, c, d)
    one, two = tmp_path / "one.tpgen", tmp_path / "two.tpgen"
    merged(one, c, a)
    merged(two, d, b)
    assert merged(tmp_path / "both.tpgen", two, one) == whole
    assert merged(one, one, two) == whole
    assert merged(one, one, two, a, a) == whole


def test_one_alone_is_the_file_that_was_made(shards: dict[str, Path], tmp_path: Path) -> None:
    for shard in shards.values():
        assert merged(tmp_path / "alone.tpgen", shard) == shard.read_bytes()


def test_each_kernel_is_as_it_was(shards: dict[str, Path], tmp_path: Path) -> None:
    merged(tmp_path / "all.tpgen", *shards.values())
    catalog = Catalog(str(tmp_path / "all.tpgen"))
    assert [info.name for info in catalog.kernels] == sorted(KERNELS)
    for name, shard in shards.items():
        alone = Catalog(str(shard)).kernel()
        assert facts(catalog.kernel(name)) == facts(alone)
        assert catalog.kernel(name).info == alone.info


def test_kernels_share_objects(shards: dict[str, Path], tmp_path: Path) -> None:
    merged(tmp_path / "all.tpgen", *shards.values())
    catalog = Catalog(str(tmp_path / "all.tpgen"))
    first, second = (catalog.kernel(name) for name in ("a-plain", "d"))
    for one, other in zip(first.events(first.keys()), second.events(second.keys()), strict=True):
        assert one is other


def test_what_kernels_share_stands_once(shards: dict[str, Path], tmp_path: Path) -> None:
    """Two kernels that differ in their names alone take a row each, and no more."""
    import sqlite3

    merged(tmp_path / "all.tpgen", shards["a-plain"], shards["d"])
    connection = sqlite3.connect(tmp_path / "all.tpgen")
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("kernel", "event")]
    connection.close()
    assert counts == [2, Catalog(str(shards["d"])).kernel().count]


# --- what is refused


def test_two_kernels_of_one_name(shards: dict[str, Path], tmp_path: Path) -> None:
    a, b = shards["a-plain"], shards["b-more"]
    changed(b, "UPDATE kernel SET name = 'a-plain'")
    output = tmp_path / "all.tpgen"
    output.write_bytes(b"before")
    for first, second in ((a, b), (b, a)):
        done = tpgen("catalog", "merge", output, first, second)
        message = f"{second}: its a-plain is another kernel than that in {first} [catalog-conflict]"
        hint = f"`tpgen catalog add NAME --kernel {second}:a-plain` gives it another name"
        assert done == refusal(f"{message}; {hint}")
        assert output.read_bytes() == b"before"
    assert not list(tmp_path.glob(".tpgen-*"))


@pytest.mark.parametrize(
    "statement",
    {
        "release": "UPDATE kernel SET release = '6.99'",
        "line": "UPDATE group_event SET line = 7",
        "build id": "INSERT INTO module VALUES (1, 'm', x'0011')",
        "note": "INSERT INTO note VALUES (1, 0, 'some-note', 'x', NULL)",
        "finding": "INSERT INTO finding VALUES (1, 0, 1, 'note', 'some-code', 'x', NULL, NULL, NULL, NULL)",
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_kernel_that_differs_in_one_thing(
    statement: tuple[str, str], shards: dict[str, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.tpgen"
    other.write_bytes(shards["a-plain"].read_bytes())
    changed(other, statement[1])
    done = tpgen("catalog", "merge", tmp_path / "all.tpgen", shards["a-plain"], other)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "[catalog-conflict]" in done.err


@pytest.mark.parametrize(
    ("content", "code"),
    {b"hello": "catalog-foreign", b"SQLite format 3\0" + bytes(84): "catalog-foreign"}.items(),
)
def test_an_input_that_is_no_catalog(content: bytes, code: str, shards: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.tpgen"
    bad.write_bytes(content)
    done = tpgen("catalog", "merge", tmp_path / "all.tpgen", *shards.values(), bad)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"[{code}]" in done.err
    assert not (tmp_path / "all.tpgen").exists()


def test_flipped_bits(shards: dict[str, Path], tmp_path: Path) -> None:
    """Of a damaged file comes a catalog that can be read, or one line. 200 files, the same ones every time."""
    whole, dice = shards["b-more"].read_bytes(), random.Random(20261130)
    written = [at for at, byte in enumerate(whole) if byte]
    output, bad, codes = tmp_path / "all.tpgen", tmp_path / "bad.tpgen", set()
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 1, 1, 4, 64))):
            damaged[dice.choice(written)] ^= 1 << dice.randrange(8)
        bad.write_bytes(damaged)
        done = tpgen("catalog", "merge", output, shards["a-plain"], bad)
        codes.add(done.code)
        if done.code == 0:
            assert tpgen("catalog", "show", f"{output}:*").code == 0
        else:
            assert (done.code, done.err.count("\n")) == (2, 1), done
    assert codes == {0, 2}


def test_output_that_cannot_be_written(shards: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("x")
    done = tpgen("catalog", "merge", folder / "all.tpgen", *shards.values())
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "[unwritable]" in done.err


def test_more_files_than_are_open_at_a_time(shards: dict[str, Path], tmp_path: Path) -> None:
    """Thirty kernels of other names, and no more descriptors than before."""
    inputs = []
    for number in range(30):
        path = tmp_path / f"{number}.tpgen"
        path.write_bytes(shards["b-more"].read_bytes())
        inputs.append(changed(path, f"UPDATE kernel SET name = 'k{number:02}'"))
    before = len(os.listdir("/proc/self/fd"))
    merged(tmp_path / "all.tpgen", *inputs)
    assert len(os.listdir("/proc/self/fd")) == before
    names = [info.name for info in Catalog(str(tmp_path / "all.tpgen")).kernels]
    assert names == [f"k{number:02}" for number in range(30)]
