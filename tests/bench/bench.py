"""Time and peak memory of tpgen beside the tools that answer similar questions: `tox -e bench`.

The commands take turns, so that whatever else the machine does falls on all of them. A first round, not counted, warms
the caches and lets Python write its bytecode. tpgen's own cache is empty at the start, and anew for each run of a cold
command.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

VMLINUX_BTF = "/sys/kernel/btf/vmlinux"
ONE_EVENT = ("bpftrace", "-lv", "tracepoint:sched:sched_switch")
ALL_EVENTS = ("bpftrace", "-lv", "t:*")
# Stands in a command line for a folder that each run gets anew, empty. In memory where that can be had: to make 4600
# files takes a disk longer than all else here, whoever makes them, and never the same.
FOLDER = "DIR"
MEMORY = "/dev/shm"
# Stands for the tpgen.toml of a project of 100 headers that are built: from the second run on there is nothing to do.
PROJECT = "100-headers.toml"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, its peer, how many times the peer's time it may take, and how much memory.

    A `cold` one finds nothing in tpgen's cache.
    """

    argv: tuple[str, ...]
    peer: tuple[str, ...] | None = None
    aim: float | None = None
    aim_mib: float | None = None
    cold: bool = False

    def __str__(self) -> str:
        return " ".join(self.argv) + (" (cold)" if self.cold else "")


COMMANDS = (
    Command(("tpgen", "sched_switch", "--raw"), ONE_EVENT, aim=1),
    Command(("tpgen", "sched_switch", "--raw"), ONE_EVENT, aim=2, cold=True),
    Command(("tpgen", "sched_switch", "--classic"), ONE_EVENT, cold=True),
    Command(("tpgen", "build", PROJECT), ONE_EVENT, aim=1),
    Command(ONE_EVENT),
    Command(("tpgen", "show", "*", "--json"), ALL_EVENTS, aim=5),
    Command(("tpgen", "*", "-o", FOLDER), ALL_EVENTS, aim=3, aim_mib=60),
    Command(("tpgen", "*", "-o", FOLDER), ALL_EVENTS, aim=3, aim_mib=60, cold=True),
    Command(("tpgen", "check"), ALL_EVENTS),
    Command(ALL_EVENTS),
    Command(("bpftool", "btf", "dump", "file", VMLINUX_BTF, "format", "c")),
    Command(("pahole", "-C", "trace_event_raw_sched_switch", VMLINUX_BTF)),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command, from fork to exit."""

    milliseconds: float
    peak_kib: int
    exit_status: int


@dataclass(frozen=True, slots=True)
class Result:
    """What the counted runs of a command come to. All but `command` are None for a command that is not installed."""

    command: str
    median_ms: float | None = None
    min_ms: float | None = None
    peak_mib: float | None = None
    exit_status: int | None = None
    ratio: float | None = None
    aim: float | None = None
    met: bool | None = None
    aim_mib: float | None = None
    met_mib: bool | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description="time and memory of tpgen beside its peers")
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()

    results = list(summarised(measured(COMMANDS, options.rounds)))
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        print("\n".join(table(results)))
    return 1 if any(result.exit_status for result in results) else 0


def _folder(in_memory: bool = False) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=MEMORY if in_memory and os.path.isdir(MEMORY) else None)


def measured(commands: Sequence[Command], rounds: int) -> dict[Command, list[Run]]:
    """The counted runs of each command: one per round, none for a command that is not installed."""
    environment = dict(os.environ)
    # Set in many containers. It makes every start of Python compile all modules again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"], "/usr/sbin"))
    programs = {command: shutil.which(command.argv[0], path=environment["PATH"]) for command in commands}
    runs: dict[Command, list[Run]] = {command: [] for command in commands}
    with tempfile.TemporaryDirectory() as project, tempfile.TemporaryDirectory() as cache:
        environment["XDG_CACHE_HOME"] = cache
        toml = write_project(Path(project, PROJECT), environment)
        for turn in range(rounds + 1):
            for command, program in programs.items():
                if program is not None:
                    with _folder(in_memory=True) as folder, _folder() as empty:
                        argv = [{FOLDER: folder, PROJECT: toml}.get(word, word) for word in command.argv]
                        run = run_once(program, argv, environment | ({"XDG_CACHE_HOME": empty} if command.cold else {}))
                    if turn:
                        runs[command].append(run)
    return runs


def write_project(toml: Path, environment: dict[str, str]) -> str:
    """A tpgen.toml that asks for the raw arguments of 100 of the running kernel's events; its path is returned."""
    listed = subprocess.run(("tpgen", "list", "--json"), env=environment, stdout=subprocess.PIPE, check=True).stdout
    names = dict.fromkeys(event["name"] for event in json.loads(listed) if event["args"] is not None)
    toml.write_text(f'[[generate]]\nforms = ["raw"]\nevents = {json.dumps([*names][:100])}\n')
    return str(toml)


def run_once(program: str, argv: Sequence[str], environment: dict[str, str]) -> Run:
    """Run to the end, with all that it prints going nowhere."""
    start = time.perf_counter()
    process = subprocess.Popen(
        argv, executable=program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    # Told to the object too, which would otherwise wait for a process that is gone.
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(elapsed * 1000, usage.ru_maxrss, process.returncode)


def summarised(runs: dict[Command, list[Run]]) -> Iterator[Result]:
    peers = {
        command.argv: statistics.median(run.milliseconds for run in counted)
        for command, counted in runs.items()
        if counted
    }
    for command, counted in runs.items():
        name = str(command)
        if not counted:
            yield Result(name, aim=command.aim, aim_mib=command.aim_mib)
            continue
        median, peer = statistics.median(run.milliseconds for run in counted), peers.get(command.peer or ())
        ratio = median / peer if peer else None
        peak = max(run.peak_kib for run in counted) / 1024
        yield Result(
            name,
            median_ms=round(median, 1),
            min_ms=round(min(run.milliseconds for run in counted), 1),
            peak_mib=round(peak, 1),
            exit_status=next((run.exit_status for run in counted if run.exit_status), 0),
            ratio=None if ratio is None else round(ratio, 2),
            aim=command.aim,
            met=None if ratio is None or command.aim is None else ratio <= command.aim,
            aim_mib=command.aim_mib,
            met_mib=None if command.aim_mib is None else peak <= command.aim_mib,
        )


def table(results: Sequence[Result]) -> Iterator[str]:
    width = max(len(result.command) for result in results)
    yield f"{'command':{width}} {'median ms':>10} {'min ms':>8} {'peak MiB':>9} {'ratio':>6}  aim"
    for result in results:
        if result.median_ms is None:
            yield f"{result.command:{width}}  not installed"
            continue
        ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
        aim = "" if result.met is None else f"≤ {result.aim:g}: {'met' if result.met else 'missed'}"
        if result.met_mib is not None:
            aim += f", ≤ {result.aim_mib:g} MiB: {'met' if result.met_mib else 'missed'}"
        failed = f"  exit status {result.exit_status}" if result.exit_status else ""
        yield (
            f"{result.command:{width}} {result.median_ms:>10.1f} {result.min_ms:>8.1f} {result.peak_mib:>9.1f}"
            f" {ratio:>6}  {aim}{failed}".rstrip()
        )
    yield "ratio: to the median of bpftrace's one event or of bpftrace's all"
    yield f"peak: never below {own_peak_mib():.1f} MiB, which is this script's"


def own_peak_mib() -> float:
    """The least that ru_maxrss of a child can be: Linux counts what it was before its exec, which is a copy of us."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
