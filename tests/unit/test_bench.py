"""The bench: ratios to the peers, the record of them, and what counts as a loss."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.cli import tpgen

FILE = Path(__file__).parents[1] / "bench" / "bench.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    sys.path.insert(0, str(FILE.parent))
    spec = importlib.util.spec_from_file_location("bench", FILE)
    assert spec
    assert spec.loader
    module = sys.modules["bench"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ratios(bench: ModuleType) -> None:
    """Of the least CPU and of the median time; a cold peer is none."""
    peer, cold = bench.Command(("peer",)), bench.Command(("peer",), cold=True)
    ours = bench.Command(("ours",), ("peer",), aim=2, aim_mib=1)
    runs = {
        ours: [bench.Run(10, 4, 1024, 0), bench.Run(30, 2, 2048, 0), bench.Run(20, 9, 1024, 0)],
        cold: [bench.Run(1000, 1000, 1024, 0)],
        peer: [bench.Run(10, 3, 1024, 0), bench.Run(10, 1, 1024, 0)],
        bench.Command(("absent",), ("peer",), aim=1): [],
    }
    found, _, _, absent = bench.summarised(runs)
    assert (found.ratio, found.ratio_wall, found.met, found.peak_mib, found.met_mib) == (2, 2, True, 2, False)
    assert (found.cpu_ms, found.median_cpu_ms, found.median_ms, found.min_ms) == (2, 4, 20, 10)
    assert (absent.ratio, absent.met) == (None, None)
    assert any("cannot be run here" in line for line in bench.table([found, absent]))


def test_a_loss_of_a_tenth(bench: ModuleType) -> None:
    def result(ratio: float | None) -> object:
        return bench.Result("ours", cpu_ms=1, peak_mib=5, ratio=ratio, ratio_wall=1)

    record = bench.recorded([result(3), bench.Result("absent")], [], "before", {})
    record = bench.recorded([result(2)], record, "last", {})
    assert [entry["name"] for entry in record] == ["before", "last"]
    assert record == bench.recorded([result(2)], record, "last", {})
    assert list(bench.worse([result(2.2)], record)) == []
    assert list(bench.worse([result(2.3)], record)) == ["ours: 2.30 times its peer's CPU, in last 2.00"]
    assert list(bench.worse([result(None)], record)) == list(bench.worse([result(9)], [])) == []


def test_more_instructions(bench: ModuleType) -> None:
    """Beside those of the program by hand, which another compiler may make more of as well."""

    def row(made: int, hand: int) -> object:
        return bench.code.Row("string", bench.code.Size(made, 0, 1), bench.code.Size(hand, 0, 1), 15)

    record = bench.recorded([], [], "last", bench.code.as_json([row(10, 8)]))
    assert not list(bench.code.worse([row(11, 8), row(15, 12)], record))
    assert list(bench.code.worse([row(12, 8)], record)) == ["string: 12 instructions, by hand 8; in last 10"]
    assert not list(bench.code.worse([row(99, 8)], []))
    assert (row(15, 8).met, row(16, 8).met) == (True, False)


def test_growth(bench: ModuleType) -> None:
    """What a run costs whatever the size is does not count."""
    import scale

    sizes = 10, 40, 160
    assert round(scale.exponent(sizes, [100 + 3 * size for size in sizes]), 3) == 1
    assert round(scale.exponent(sizes, [7 + size**2 for size in sizes]), 3) == 2
    # Nothing but chance.
    assert scale.exponent(sizes, [50, 50.5, 51.5]) == 0


def test_made_up_kernels(bench: ModuleType, tmp_path: Path) -> None:
    """They can be read, and differ."""
    import scale

    path = tmp_path / "two.tpgen"
    scale.write_kernels(path, 2)
    done = tpgen("diff", f"{path}:kernel-0", f"{path}:kernel-1")
    assert "event_02_2\n    - ctx[2]  int more" in done.out
    (tmp_path / "x.btf").write_bytes(scale.blob(100))
    assert len(tpgen("list", "--btf", tmp_path / "x.btf").out.splitlines()) == 100


def test_the_record(bench: ModuleType) -> None:
    """It has ratios of commands that are measured."""
    names = {str(command) for command in bench.COMMANDS}
    for entry in json.loads(bench.RECORD.read_text()):
        assert set(entry["ratios"]) <= names
