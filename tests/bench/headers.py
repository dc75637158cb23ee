"""Time and memory of reading all trace headers of Linux 6.1, beside pcpp, and of Linux 7.2: `tox -e bench-headers`.

Each run is a process of its own. cold: nothing in the cache, and Python's bytecode made before; what was read is kept.
warm: nothing has changed since the run before. edited: one header with events has. "with types" looks up all sizes and
lengths besides, in the headers around, as a run needs it that has no BTF. pcpp preprocesses the headers that use the
family, each alone, without following an include. Ratios are of processor time, which other work on the machine changes
less. Where a second core is free two processes read: the processor's time is that of both.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import Run, own_peak_mib, run_once
from support.debian import Tree  # type: ignore[import-not-found]  # tox adds tests/ to the path

# SystemTap needs this for one event, its first, on the machine that the field guide was measured on.
SYSTEMTAP_SECONDS = 48

READ = """
import sys
from tpgen.sources.headers.read import Headers
from tpgen.target import target_named
facts = getattr(Headers(sys.argv[1], target_named("x86_64"), use_cache=True), sys.argv[2])
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
    with tempfile.TemporaryDirectory() as folder:
        tree = _copied(Tree("6.1").headers, Path(folder))
        headers = sorted(_headers_of_events(str(tree)))
        for line in table(_measured(tree, headers, options.rounds), len(headers)):
            print(line)
    with tempfile.TemporaryDirectory() as folder:
        tree = _copied(Tree("7.2").headers, Path(folder))
        for line in newest_table(*_measured_newest(tree, options.rounds)):
            print(line)
    return 0


def _copied(tree: Path, folder: Path) -> Path:
    """The tree's headers and what tells its release, where they can be edited."""
    for directory, _, names in os.walk(tree):
        place = folder / os.path.relpath(directory, tree)
        place.mkdir(exist_ok=True)
        for name in names:
            if name.endswith(".h") or name == "Makefile":
                shutil.copyfile(Path(directory, name), place / name)
    return folder


def _measured(tree: Path, headers: Sequence[str], rounds: int) -> Mapping[str, Sequence[Run]]:
    states = "cold", "warm", "edited"
    names = [*states, *(f"{state} types" for state in states), "pcpp"]
    runs: dict[str, list[Run]] = {name: [] for name in names}
    _run(_reading(tree, "resolved"), {})  # lets Python write its bytecode, and the system read the files
    for turn in range(rounds):
        for what, suffix in (("facts", ""), ("resolved", " types")):
            with tempfile.TemporaryDirectory() as folder:
                for state in states:
                    if state == "edited":
                        _edit(tree / "include/trace/events/sched.h")
                    runs[state + suffix].append(_run(_reading(tree, what), {"XDG_CACHE_HOME": folder}))
            time.sleep(2.5)  # what was edited just now is not kept
        if turn < 2:
            runs["pcpp"].append(_run((sys.executable, "-c", PREPROCESS, *headers), {}))
    return runs


def _measured_newest(tree: Path, rounds: int) -> tuple[Sequence[Run], Sequence[Run]]:
    """Cold runs with types, and runs after these when nothing has changed."""
    cold, warm = list[Run](), list[Run]()
    _run(_reading(tree, "resolved"), {})
    time.sleep(2.5)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for runs in (cold, warm):
                runs.append(_run(_reading(tree, "resolved"), {"XDG_CACHE_HOME": folder}))
    return cold, warm


def newest_table(cold: Sequence[Run], warm: Sequence[Run]) -> Iterator[str]:
    """The aims for Linux 7.2, held against the least of each."""
    yield f"Linux 7.2, with types; the least of {len(cold)} runs, of memory the most"
    yield str(Aim("cold, of the processor", min(run.cpu_ms for run in cold) / 1000, "s", 2.2))
    yield str(Aim("cold", min(run.milliseconds for run in cold) / 1000, "s", 1.5))
    yield str(Aim("nothing changed", min(run.milliseconds for run in warm) / 1000, "s", 0.15))
    yield str(Aim("cold, peak memory", max(run.peak_kib for run in cold) / 1024, "MiB", 70))


def _edit(header: Path) -> None:
    """Give an event another name, or its own again."""
    own, other = "TRACE_EVENT(sched_switch,", "TRACE_EVENT(sched_renamed,"
    text = header.read_text()
    header.write_text(text.replace(own, other) if own in text else text.replace(other, own))


def table(runs: Mapping[str, Sequence[Run]], headers: int) -> Iterator[str]:
    seconds = {name: statistics.median(run.milliseconds for run in own) / 1000 for name, own in runs.items()}
    processor = {name: statistics.median(run.cpu_ms for run in own) / 1000 for name, own in runs.items()}
    peak = {name: max(run.peak_kib for run in own) / 1024 for name, own in runs.items()}
    yield f"Linux 6.1, {headers} headers with events; medians of {len(runs['cold'])} runs, of pcpp {len(runs['pcpp'])}"
    for suffix, words in (("", ""), (" types", ", with types")):
        yield str(Aim(f"cold{words}", seconds[f"cold{suffix}"], "s", 1.0))
        yield str(Aim(f"cold{words}, peak memory", peak[f"cold{suffix}"], "MiB", 80))
        yield str(Aim(f"cold{words}, beside pcpp", processor[f"cold{suffix}"] / processor["pcpp"], "× pcpp", 0.3))
        yield str(Aim(f"warm{words}: nothing changed", seconds[f"warm{suffix}"], "s", 0.2))
        yield f"{f'warm{words}, peak memory':34} {peak[f'warm{suffix}']:8.2f} MiB"
        yield f"{f'edited{words}: one header':34} {seconds[f'edited{suffix}']:8.2f} s"
    for name in runs:
        yield f"{f'{name}, of the processor':34} {processor[name]:8.2f} s"
    yield f"{'pcpp, peak memory':34} {peak['pcpp']:8.2f} MiB"
    ratio = seconds["cold"] / SYSTEMTAP_SECONDS
    yield f"{'cold beside SystemTap, one event':34} {ratio:8.2f} × its {SYSTEMTAP_SECONDS} s"
    yield f"peak: never below {own_peak_mib():.1f} MiB, which is that of the process that runs them"


def _headers_of_events(tree: str) -> set[str]:
    """The headers of which tpgen takes events or classes. Asked in another process: this one is to stay small."""
    code = f"{READ}\nprint(*sorted({{f.position.path for f in (*facts.events, *facts.classes)}}), sep='\\n')"
    with tempfile.TemporaryDirectory() as folder:
        argv, variables = (sys.executable, "-c", code, tree, "facts"), {**os.environ, "XDG_CACHE_HOME": folder}
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, env=variables)
    return set(done.stdout.split())


def _reading(tree: Path, what: str) -> Sequence[str]:
    return sys.executable, "-c", READ, str(tree), what


def _run(argv: Sequence[str], variables: Mapping[str, str]) -> Run:
    environment = {**os.environ, **variables}
    # Set in many containers. It makes every start of Python compile all modules again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = run_once(argv[0], argv, environment)
    if run.exit_status:
        sys.exit(f"exit status {run.exit_status}: {' '.join(argv[:2])}")
    return run


if __name__ == "__main__":
    sys.exit(main())
