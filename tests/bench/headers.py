"""Time and memory of reading all trace headers of Linux 6.1, beside pcpp on the same headers: `tox -e bench-headers`.

Each run is a process of its own. cold: no cache, and Python's bytecode made before; warm: nothing has changed since the
run before. pcpp preprocesses the headers that use the
family, each alone, without following an include.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench import Run, own_peak_mib, run_once
from support.debian import Tree  # type: ignore[import-not-found]  # tox adds tests/ to the path

# SystemTap needs this for one event, its first, on the machine that the field guide was measured on.
SYSTEMTAP_SECONDS = 48

READ = """
import sys
from tpgen.sources.headers.read import read_headers
from tpgen.target import target_named
facts = read_headers(sys.argv[1], target_named("x86_64"), **eval(sys.argv[2]))
assert len(facts.events) > 4800, len(facts.events)
"""

PREPROCESS = """
import io, sys
from pcpp import Action, OutputDirective, Preprocessor

class WithoutIncludes(Preprocessor):
    def on_include_not_found(self, is_malformed, is_system_include, curdir, includepath):
        raise OutputDirective(Action.IgnoreAndPassThrough)

for path in sys.argv[1:]:
    preprocessor = WithoutIncludes()
    preprocessor.rewrite_paths = []
    with open(path, encoding="utf-8") as file:
        preprocessor.parse(file.read(), "header.h")
    preprocessor.write(io.StringIO())
"""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure is meant to be at most."""

    what: str
    value: float
    unit: str
    most: float

    def __str__(self) -> str:
        met = "met" if self.value <= self.most else "missed"
        return f"{self.what:34} {self.value:8.2f} {self.unit:8} aim ≤ {self.most:g}: {met}"


def main() -> int:
    parser = argparse.ArgumentParser(description="time and memory of reading the trace headers of Linux 6.1")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    options = parser.parse_args()
    tree = Tree("6.1").headers
    headers = sorted(_headers_of_events(str(tree)))
    reading = (sys.executable, "-c", READ, str(tree), "{'use_cache': True}")
    preprocessing = (sys.executable, "-c", PREPROCESS, *headers)
    cold, warm, pcpp = [], [], []
    _run(reading, {})  # lets Python write its bytecode, and the system read the files
    for turn in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_run(reading, {"XDG_CACHE_HOME": folder}))
            warm.append(_run(reading, {"XDG_CACHE_HOME": folder}))
        if turn < 2:
            pcpp.append(_run(preprocessing, {}))
    for line in table(cold, warm, pcpp, len(headers)):
        print(line)
    return 0


def table(cold: Sequence[Run], warm: Sequence[Run], pcpp: Sequence[Run], headers: int) -> Iterator[str]:
    seconds = {name: _seconds(runs) for name, runs in (("cold", cold), ("warm", warm), ("pcpp", pcpp))}
    yield f"Linux 6.1, {headers} headers with events; medians, of {len(cold)} runs and {len(pcpp)} of pcpp"
    yield str(Aim("cold", seconds["cold"], "s", 1.0))
    yield str(Aim("cold, peak memory", _peak(cold), "MiB", 80))
    yield str(Aim("cold beside pcpp", seconds["cold"] / seconds["pcpp"], "× pcpp", 0.3))
    yield str(Aim("warm: nothing changed", seconds["warm"], "s", 0.2))
    yield f"{'warm, peak memory':34} {_peak(warm):8.2f} MiB"
    yield f"{'pcpp':34} {seconds['pcpp']:8.2f} s"
    yield f"{'pcpp, peak memory':34} {_peak(pcpp):8.2f} MiB"
    ratio = seconds["cold"] / SYSTEMTAP_SECONDS
    yield f"{'cold beside SystemTap, one event':34} {ratio:8.2f} × its {SYSTEMTAP_SECONDS} s"
    yield f"peak: never below {own_peak_mib():.1f} MiB, which is this script's"


def _headers_of_events(tree: str) -> set[str]:
    """The headers of which tpgen takes events or classes. Asked in another process: this one is to stay small."""
    code = f"{READ}\nprint(*sorted({{f.position.path for f in (*facts.events, *facts.classes)}}), sep='\\n')"
    done = subprocess.run((sys.executable, "-c", code, tree, "{}"), stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def _run(argv: Sequence[str], variables: Mapping[str, str]) -> Run:
    environment = {**os.environ, **variables}
    # Set in many containers. It makes every start of Python compile all modules again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = run_once(argv[0], argv, environment)
    if run.exit_status:
        sys.exit(f"exit status {run.exit_status}: {' '.join(argv[:2])}")
    return run


def _seconds(runs: Sequence[Run]) -> float:
    return statistics.median(run.milliseconds for run in runs) / 1000


def _peak(runs: Sequence[Run]) -> float:
    return max(run.peak_kib for run in runs) / 1024


if __name__ == "__main__":
    sys.exit(main())
