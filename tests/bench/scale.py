"""How costs grow with the number of events and of kernels: `tox -e bench -- --scale`.

Kernels are made up: each event has a class, a prototype and a record of its own, and is like no other's but for a few
types that repeat. Each command runs with sizes that grow fourfold; of its CPU the least of the runs counts. What a run
costs whatever the size is falls out of the differences of these: what grows as the size does has an exponent of 1, what
grows with its square one of 2.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import MEMORY, OBJECT, Run, compile_object, elsewhere, run_once
from support.btf_builder import SIGNED, BtfBuilder  # type: ignore[import-not-found]  # tox adds tests/ to the path

EVENTS = 500, 2000, 8000
KERNELS = 15, 60, 240
_EVENTS_OF_EACH = 40
#: Beyond this, what costs the same for each event or kernel does not explain the growth.
MOST = 1.15
_RUNS = 2


@dataclass(frozen=True, slots=True)
class Curve:
    """CPU of a command by size, its memory, and the exponent of its growth; `cpu_ms` is empty for one that fails."""

    command: str
    sizes: tuple[int, ...]
    cpu_ms: tuple[float, ...] = ()
    peak_mib: tuple[float, ...] = ()
    exponent: float | None = None
    met: bool | None = None


def blob(events: int, changed: int = 0) -> bytes:
    """The BTF of a kernel with so many events; every `changed`th has another argument."""
    b = BtfBuilder()
    number, task = b.integer("int", 4, SIGNED), b.structure("task_struct", 8, [])
    pointer, header = b.ptr(task), b.structure("trace_entry", 8, [])
    data = b.array(b.integer("char", 1, SIGNED), 0)
    for at in range(events):
        name = f"event_{at % 97:02}_{at}"
        params = [("task", pointer), (f"value_{at % 13}", number)]
        if changed and at % changed == 0:
            params.append(("more", number))
        b.event(name, params)
        members = [("ent", header, 0), (f"field_{at % 29}", number, 8), ("pid", number, 12), ("__data", data, 16)]
        b.event_class(name, [ctype for _, ctype in params], 16, members)
    made: bytes = b.blob()
    return made


def curves() -> Iterator[Curve]:
    """The growth of each command."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as folder:
        bench = _Bench(Path(folder))
        elsewhere(bench.make)
        for what, sizes in (("events", EVENTS), ("kernels", KERNELS)):
            for command in bench.commands(what):
                yield bench.curve(command, sizes)


class _Bench:
    """The files of made-up kernels, and runs of commands over them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "TPGEN_DEBUG": ""}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))

    def make(self) -> None:
        """Write BTF, and catalogs of so many kernels: a file with all of them, and a file for each."""
        for events in EVENTS:
            (self._folder / f"{events}.btf").write_bytes(blob(events))
            (self._folder / f"{events}-changed.btf").write_bytes(blob(events, 10))
        for kernels in KERNELS:
            write_kernels(self._folder / f"all-{kernels}.tpgen", kernels)
            home = self._folder / f"home-{kernels}" / "tpgen" / "catalog"
            home.mkdir(parents=True)
        for number in range(max(KERNELS)):
            one = self._folder / f"kernel-{number}.tpgen"
            write_kernels(one, 1, number)
            for kernels in KERNELS:
                if number < kernels:
                    os.link(one, self._folder / f"home-{kernels}" / "tpgen" / "catalog" / one.name)
        compile_object(self._folder)

    def commands(self, what: str) -> Iterator[Sequence[str]]:
        """The commands that cost more with more events or kernels; N, FILES, NEW and the like are filled in."""
        if what == "events":
            btf = ("--btf", "N.btf", "--no-cache")
            yield "*", "--raw", "--classic", "-o", "NEW", *btf
            yield "list", *btf
            yield "show", "*", "--json", *btf
            yield "check", *btf
            yield "catalog", "add", "made", *btf
            yield "diff", "N.btf", "N-changed.btf"
            return
        yield "catalog", "merge", "NEW", "FILES"
        yield "catalog", "list"
        yield "event_00_0", "--raw", "--kernel", "kernel-0", "--no-cache"
        yield "event_00_0", "--raw", "--kernel", "all-N.tpgen", "--no-cache"
        yield "history", "event_*", "--kernel", "all-N.tpgen"
        yield "diff", "KERNELS"
        yield "doctor", OBJECT, "--kernel", "all-N.tpgen", "--exit-code", "never"

    def curve(self, command: Sequence[str], sizes: Sequence[int]) -> Curve:
        """Measure a command with each size."""
        costs = [self._cost(command, size) for size in sizes]
        found = [cost for cost in costs if cost]
        if len(found) < len(costs):
            return Curve(" ".join(command), tuple(sizes))
        cpu = [cost for cost, _ in found]
        growth = exponent(sizes, cpu)
        rounded = tuple(round(cost, 1) for cost in cpu), tuple(round(peak, 1) for _, peak in found)
        return Curve(" ".join(command), tuple(sizes), *rounded, round(growth, 2), growth <= MOST)

    def _cost(self, command: Sequence[str], size: int) -> tuple[float, float] | None:
        """CPU in milliseconds and memory in MiB; None where the command fails."""
        runs: list[Run] = []
        environment = {**self._environment, "XDG_DATA_HOME": str(self._folder / f"home-{size}")}
        program = shutil.which("tpgen", path=environment["PATH"]) or "tpgen"
        for _ in range(_RUNS):
            new = self._folder / "new"
            shutil.rmtree(new, ignore_errors=True)
            new.unlink(missing_ok=True)
            names = [f"kernel-{number}" for number in range(size)]
            words = {"KERNELS": names, "FILES": [str(self._folder / f"{name}.tpgen") for name in names]}
            argv = [word for each in command for word in words.get(each, [self._filled(each, size)])]
            runs.append(run_once(program, ["tpgen", *argv], environment))
            if runs[-1].exit_status not in (0, 1):
                return None
        return min(run.cpu_ms for run in runs), max(run.peak_kib for run in runs) / 1024

    def _filled(self, word: str, size: int) -> str:
        if word == "NEW":
            return str(self._folder / "new")
        if word.endswith((".btf", ".tpgen", ".o")):
            return str(self._folder / word.replace("N", str(size), 1))
        return word


def write_kernels(path: Path, kernels: int, first: int = 0) -> None:
    """A catalog of so many kernels of the same events, of which each kernel has a few in another form."""
    from tpgen.catalog.schema import KernelInfo
    from tpgen.catalog.write import CatalogWriter
    from tpgen.kernel.check import CheckedKernel
    from tpgen.kernel.sources import Sources
    from tpgen.sources.btf import Btf
    from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
    from tpgen.target import target_named

    target = target_named("x86_64")
    writer = CatalogWriter()
    names = {f"kernel-{number}": number for number in range(first, first + kernels)}
    for name in sorted(names):
        raw = blob(_EVENTS_OF_EACH, 2 + names[name] % 9)
        btf = BtfTracepoints(Btf(raw, "vmlinux", names=TRACEPOINT_NAMES, arch="x86_64"))
        release = f"6.{names[name]}.0"
        writer.add(
            KernelInfo(name, target, release, sources=("btf",)), CheckedKernel(Sources(name, target, release, (btf,)))
        )
    writer.save(str(path))


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The exponent p of costs a + b · size ** p, of three sizes that grow by one factor."""
    first, second, third = costs
    # Runs that take next to the same time differ by chance.
    least = second / 20
    return math.log(max(third - second, least) / max(second - first, least)) / math.log(sizes[1] / sizes[0])


def table(found: Sequence[Curve]) -> Iterator[str]:
    width = max(len(curve.command) for curve in found)
    yield f"{'command':{width}}  {'of':>18}  {'CPU ms':>26}  {'MiB':>20}  exponent"
    for curve in found:
        sizes = " ".join(map(str, curve.sizes))
        if not curve.cpu_ms:
            yield f"{curve.command:{width}}  {sizes:>18}  cannot be run here"
            continue
        cpu, peak = (
            " ".join(f"{each:.{digits}f}" for each in row) for row, digits in ((curve.cpu_ms, 0), (curve.peak_mib, 0))
        )
        met = "met" if curve.met else f"more than {MOST}"
        yield f"{curve.command:{width}}  {sizes:>18}  {cpu:>26}  {peak:>20}  {curve.exponent:.2f}: {met}"


def as_json(found: Sequence[Curve]) -> list[Mapping[str, object]]:
    return [asdict(curve) for curve in found]


def main(in_json: bool) -> int:
    """Measure and print all curves; 1 where one grows faster than it should."""
    measured = list(curves())
    print(json.dumps(as_json(measured), indent=1) if in_json else "\n".join(table(measured)))
    return int(any(curve.met is False for curve in measured))
