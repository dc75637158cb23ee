"""CPU, time and peak memory of tpgen beside the tools that answer similar questions: `tox -e bench`.

The commands take turns, so that whatever else the machine does falls on all of them. A first round, not counted, warms
the caches and lets Python write its bytecode. tpgen's own cache is empty at the start, and anew for each run of a cold
command. Of CPU the least counts, of time the median: each as a ratio to the same of another command.

Behind them stand the instructions of generated accessors beside those of programs written by hand: code_size.py.

record.json has these ratios by release. `--compare` fails where one is a tenth worse than in the last, `--record NAME`
adds those of this run. `--scale` tells instead how costs grow with events and kernels: scale.py.
"""

from __future__ import annotations

import argparse
import json
import marshal
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import code_size as code

RECORD = Path(__file__).with_name("record.json")
VMLINUX_BTF = "/sys/kernel/btf/vmlinux"
ONE_EVENT = ("bpftrace", "-lv", "tracepoint:sched:sched_switch")
ALL_EVENTS = ("bpftrace", "-lv", "t:*")
# Stands in a command line for a folder that does not exist, in one that each run gets anew. In memory where that can be
# had: to make 4600 files takes a disk longer than all else here, whoever makes them, and never the same.
FOLDER = "DIR"
MEMORY = "/dev/shm"
# Stands for the tpgen.toml of a project of 100 headers that are built: from the second run on there is nothing to do.
PROJECT = "100-headers.toml"
# Stands for a compiled BPF object, of more programs than most have.
OBJECT = "tool.bpf.o"
TRACEFS = "/sys/kernel/tracing", "/sys/kernel/debug/tracing"
FIVE_KERNELS = (
    *(word for kernel in ("5.10", "6.1", "6.12", "7.2") for word in ("--kernel", f"debian-{kernel}-amd64")),
    *("--kernel", "live"),
)
# Stands for `--btf FILE` of a kernel and each of its modules with tracepoints, as TPGEN_CORPUS has them.
MODULES = "--btf VMLINUX MODULES..."
_CORPUS_BTF, _CORPUS_MODULES = "btf/6.1-amd64.btf.xz", "btf/6.1-amd64-modules.tar.xz"
CATALOGS = 1000
_LOSS = 1.1


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, its peer, how many times the peer's CPU it may take, and how much memory.

    A `cold` one finds nothing in tpgen's cache; one without `bytecode` starts as the first after an installation does
    that compiles nothing. With `catalogs` the user has a thousand.
    """

    argv: tuple[str, ...]
    peer: tuple[str, ...] | None = None
    aim: float | None = None
    aim_mib: float | None = None
    cold: bool = False
    bytecode: bool = True
    catalogs: bool = False

    def __str__(self) -> str:
        said = ("cold" * self.cold, "no bytecode" * (not self.bytecode), f"{CATALOGS} catalogs" * self.catalogs)
        notes = ", ".join(filter(None, said))
        return " ".join(self.argv) + (f" ({notes})" if notes else "")


RAW = ("tpgen", "sched_switch", "--raw")
STORED = (*RAW, "--kernel", "6.12", "--no-cache")
SEVERAL = (
    "tpgen",
    "sched_switch",
    *(word for kernel in ("5.10", "6.1", "6.12", "7.2") for word in ("--kernel", kernel)),
)

COMMANDS = (
    Command(RAW, ONE_EVENT, aim=0.3, aim_mib=16),
    Command(RAW, ONE_EVENT, aim=1.1, aim_mib=16, cold=True),
    Command(RAW, ONE_EVENT, cold=True, bytecode=False),
    Command(("tpgen", "sched_switch", "--classic"), ONE_EVENT, aim=2, cold=True),
    Command(("tpgen", "sched_wakeup", "--classic"), ONE_EVENT, aim=2, cold=True),
    Command((*RAW, MODULES), ONE_EVENT, aim=2.5, cold=True),
    Command(("tpgen", "build", PROJECT), ONE_EVENT, aim=1),
    Command(STORED, ONE_EVENT),
    Command(STORED, STORED, aim=1.2, catalogs=True),
    Command(SEVERAL, ONE_EVENT, cold=True),
    Command(("tpgen", "doctor", OBJECT, *FIVE_KERNELS, "--exit-code", "never"), ONE_EVENT, aim=6),
    Command(ONE_EVENT),
    Command(("tpgen", "show", "*", "--json"), ALL_EVENTS, aim=1.8),
    Command(("tpgen", "list"), ALL_EVENTS, aim=1.2),
    Command(("tpgen", "diff", "6.1", "7.2"), ALL_EVENTS, aim=6),
    Command(("tpgen", "*", "-o", FOLDER), ALL_EVENTS, aim=1.3, aim_mib=40),
    Command(("tpgen", "*", "-o", FOLDER), ALL_EVENTS, aim=6, aim_mib=40, cold=True),
    Command(("tpgen", "check"), ALL_EVENTS, aim=5, aim_mib=38),
    Command(ALL_EVENTS),
    Command(("bpftool", "btf", "dump", "file", VMLINUX_BTF, "format", "c")),
    Command(("pahole", "-C", "trace_event_raw_sched_switch", VMLINUX_BTF)),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command, from fork to exit: the time that passed, and that of CPUs for it and for the kernel."""

    milliseconds: float
    cpu_ms: float
    peak_kib: int
    exit_status: int


@dataclass(frozen=True, slots=True)
class Result:
    """What the counted runs of a command come to; all but `command` are None for one that cannot be run here.

    `ratio` is that of the least CPU to the peer's, `ratio_wall` that of the medians of time.
    """

    command: str
    cpu_ms: float | None = None
    median_cpu_ms: float | None = None
    median_ms: float | None = None
    min_ms: float | None = None
    peak_mib: float | None = None
    exit_status: int | None = None
    ratio: float | None = None
    ratio_wall: float | None = None
    aim: float | None = None
    met: bool | None = None
    aim_mib: float | None = None
    met_mib: bool | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU, time and memory of tpgen beside its peers")
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    parser.add_argument(
        "--only", metavar="WORDS", help="only commands with these words in them, and what they are compared with"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument(
        "--compare", action="store_true", help="fail where a ratio is a tenth worse than in the last record"
    )
    parser.add_argument("--record", metavar="NAME", help="add the ratios to the record under this name")
    parser.add_argument("--scale", action="store_true", help="measure how costs grow with events and kernels: minutes")
    options = parser.parse_args()
    if options.scale:
        import scale

        return scale.main(options.json)

    if not any(os.path.isdir(f"{path}/events") for path in TRACEFS):
        parser.error("tracefs is not mounted: bpftrace would list nothing")
    wanted = [command for command in COMMANDS if options.only is None or options.only in str(command)]
    peers = {command.peer for command in wanted}
    commands = [command for command in COMMANDS if command in wanted or (command.argv in peers and not command.peer)]
    results = list(summarised(measured(commands, options.rounds)))
    rows = [] if options.only else code.measured()
    if options.json:
        results_and_code = [asdict(result) for result in results], code.as_json(rows)
        print(json.dumps(dict(zip(("commands", "code"), results_and_code, strict=True)), indent=1))
    else:
        print("\n".join([*table(results), *code.table(rows)]))
    record = json.loads(RECORD.read_text())
    losses = [*worse(results, record), *code.worse(rows, record)] if options.compare else []
    print("".join(f"{line}\n" for line in losses), end="", file=sys.stderr)
    if options.record:
        RECORD.write_text(json.dumps(recorded(results, record, options.record, code.as_json(rows)), indent=1) + "\n")
    return 1 if losses or any(result.exit_status for result in results) else 0


def recorded(
    results: Sequence[Result], record: list[dict[str, Any]], name: str, sizes: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """The record with the ratios of a run and the sizes of generated code in it, as the last of its name."""
    ratios = {
        result.command: {"cpu": result.ratio, "wall": result.ratio_wall, "mib": result.peak_mib}
        for result in results
        if result.ratio is not None and not result.exit_status
    }
    own = {"name": name, "ratios": ratios, **({"code": sizes} if sizes else {})}
    return [*(entry for entry in record if entry["name"] != name), own]


def worse(results: Sequence[Result], record: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What takes more CPU than in the last record, beside its peer: one line for each."""
    last: Mapping[str, Any] = record[-1] if record else {"name": "no record", "ratios": {}}
    for result in results:
        before = last["ratios"].get(result.command)
        if before is not None and result.ratio is not None and result.ratio > _LOSS * before["cpu"]:
            yield f"{result.command}: {result.ratio:.2f} times its peer's CPU, in {last['name']} {before['cpu']:.2f}"


def _folder(in_memory: bool = False) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=MEMORY if in_memory and os.path.isdir(MEMORY) else None)


def measured(commands: Sequence[Command], rounds: int) -> dict[Command, list[Run]]:
    """The counted runs of each command: one per round, none for a command that cannot be run here."""
    environment = dict(os.environ)
    # Set in many containers. It makes every start of Python compile all modules again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"], "/usr/sbin"))
    programs = {command: shutil.which(command.argv[0], path=environment["PATH"]) for command in commands}
    runs: dict[Command, list[Run]] = {command: [] for command in commands}
    with _folder() as project, _folder() as cache, _folder() as data, _folder(in_memory=True) as btf:
        environment |= {"XDG_CACHE_HOME": cache, "XDG_DATA_HOME": os.path.join(data, "empty")}
        words = {PROJECT: [os.path.join(project, PROJECT)], MODULES: unpack_modules(Path(btf))}
        words[OBJECT] = compile_object(Path(project))
        elsewhere(lambda: write_project(Path(project, PROJECT), environment))
        write_catalogs(Path(data, "full", "tpgen", "catalog"), environment)
        for turn in range(rounds + 1):
            for command, program in programs.items():
                if program is None or any(not words.get(word, word) for word in command.argv):
                    continue
                with _folder(in_memory=True) as folder, _folder() as empty:
                    own = dict(environment)
                    own |= {"XDG_CACHE_HOME": empty} if command.cold else {}
                    own |= {} if command.bytecode else {"PYTHONPYCACHEPREFIX": os.path.join(empty, "bytecode")}
                    own |= {"XDG_DATA_HOME": os.path.join(data, "full")} if command.catalogs else {}
                    argv = [
                        one
                        for word in command.argv
                        for one in (words | {FOLDER: [os.path.join(folder, "out")]}).get(word, [word])
                    ]
                    run = run_once(program, argv, own)
                if turn:
                    runs[command].append(run)
    return runs


def elsewhere(work: Callable[[], object]) -> None:
    """Work in a process of its own, which leaves nothing behind in this one."""
    if (child := os.fork()) == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def unpack_modules(folder: Path) -> list[str]:
    """The words for MODULES; none where TPGEN_CORPUS has no modules."""
    corpus = Path(os.environ.get("TPGEN_CORPUS", "/nonexistent"))
    if not (corpus / _CORPUS_MODULES).exists():
        return []
    modules = folder / "modules"
    modules.mkdir()
    with open(folder / "vmlinux", "wb") as file:
        subprocess.run(("xz", "-dc", str(corpus / _CORPUS_BTF)), stdout=file, check=True)
    subprocess.run(
        ("tar", "-xJf", str(corpus / _CORPUS_MODULES), "-C", str(modules), "--strip-components=1"), check=True
    )
    return [word for path in (folder / "vmlinux", *sorted(modules.iterdir())) for word in ("--btf", str(path))]


def compile_object(folder: Path) -> list[str]:
    """The programs about pointers of tests/doctor_cases, compiled; nothing where clang or libbpf is missing."""
    source, output = Path(__file__).parents[1] / "doctor_cases" / "pointers.bpf.c", folder / OBJECT
    command = ("clang-14", "-target", "bpf", "-O2", "-g", "-I/usr/include", "-c", str(source), "-o", str(output))
    if shutil.which(command[0]) is None:
        return []
    done = subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    return [] if done.returncode else [str(output)]


def write_catalogs(folder: Path, environment: dict[str, str]) -> None:
    """A thousand catalogs of one kernel, each of another name."""
    folder.mkdir(parents=True)
    first = folder / "kernel-0.tpgen"
    command = ("tpgen", "catalog", "export", "live", "-o", str(first))
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    for number in range(1, CATALOGS):
        os.link(first, folder / f"kernel-{number}.tpgen")


def write_project(toml: Path, environment: dict[str, str]) -> None:
    """A tpgen.toml that asks for the raw arguments of 100 of the running kernel's events."""
    listed = subprocess.run(("tpgen", "list", "--json"), env=environment, stdout=subprocess.PIPE, check=True).stdout
    names = dict.fromkeys(event["name"] for event in json.loads(listed) if event["args"] is not None)
    toml.write_text(f'[[generate]]\nforms = ["raw"]\nevents = {json.dumps([*names][:100])}\n')


def run_once(program: str, argv: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Run to the end, with all that it prints going nowhere."""
    spawner = _spawner()
    assert spawner.stdin is not None
    assert spawner.stdout is not None
    marshal.dump((program, [*argv], dict(environment)), spawner.stdin)
    spawner.stdin.flush()
    return Run(*marshal.load(spawner.stdout))


@cache
def _spawner() -> subprocess.Popen[bytes]:
    """The process that runs commands, a small one, which ends with this one."""
    command = (sys.executable, "-I", "-S", str(Path(__file__).with_name("spawn.py")))
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def summarised(runs: Mapping[Command, Sequence[Run]]) -> Iterator[Result]:
    """A result for each command; a peer is the command of these words that is nothing special."""
    plain = {command.argv: counted for command, counted in runs.items() if not (command.cold or command.catalogs)}
    for command, counted in runs.items():
        name = str(command)
        if not counted:
            yield Result(name, aim=command.aim, aim_mib=command.aim_mib)
            continue
        cpu, median = min(run.cpu_ms for run in counted), statistics.median(run.milliseconds for run in counted)
        peer = plain.get(command.peer) if command.peer else None
        ratio = cpu / min(run.cpu_ms for run in peer) if peer else None
        wall = median / statistics.median(run.milliseconds for run in peer) if peer else None
        peak = max(run.peak_kib for run in counted) / 1024
        yield Result(
            name,
            cpu_ms=round(cpu, 1),
            median_cpu_ms=round(statistics.median(run.cpu_ms for run in counted), 1),
            median_ms=round(median, 1),
            min_ms=round(min(run.milliseconds for run in counted), 1),
            peak_mib=round(peak, 1),
            exit_status=next((run.exit_status for run in counted if run.exit_status), 0),
            ratio=None if ratio is None else round(ratio, 2),
            ratio_wall=None if wall is None else round(wall, 2),
            aim=command.aim,
            met=None if ratio is None or command.aim is None else ratio <= command.aim,
            aim_mib=command.aim_mib,
            met_mib=None if command.aim_mib is None else peak <= command.aim_mib,
        )


def table(results: Sequence[Result]) -> Iterator[str]:
    width = max(len(result.command) for result in results)
    titles = f"{'CPU ms':>8} {'median':>8} {'time ms':>8} {'min':>8} {'MiB':>6} {'CPU':>6} {'time':>6}  aim"
    yield f"{'command':{width}} {titles}"
    for result in results:
        if result.cpu_ms is None:
            yield f"{result.command:{width}}  cannot be run here"
            continue
        ratio, wall = ("" if each is None else f"{each:.2f}" for each in (result.ratio, result.ratio_wall))
        aim = "" if result.met is None else f"≤ {result.aim:g}: {'met' if result.met else 'missed'}"
        if result.met_mib is not None:
            aim += f", ≤ {result.aim_mib:g} MiB: {'met' if result.met_mib else 'missed'}"
        failed = f"  exit status {result.exit_status}" if result.exit_status else ""
        yield (
            f"{result.command:{width}} {result.cpu_ms:>8.1f} {result.median_cpu_ms:>8.1f} {result.median_ms:>8.1f}"
            f" {result.min_ms:>8.1f} {result.peak_mib:>6.1f} {ratio:>6} {wall:>6}  {aim}{failed}".rstrip()
        )
    yield "CPU of user and system: the least, the median; time: the median, the least; ratios: of the least CPU, of the"
    yield "median time, to those of bpftrace's one event, its all, or the same command without the catalogs"
    yield f"peak: never below {own_peak_mib():.1f} MiB, which is that of the process that runs them"


def own_peak_mib() -> float:
    """The least that ru_maxrss of a run can be: Linux counts what it was before its exec, a copy of who made it."""
    status = Path(f"/proc/{_spawner().pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
