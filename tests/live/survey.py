"""What becomes of programs that call every accessor: compiled, loaded, attached and detached, a few at a time.

Attaching is a proof of its own. It is then that the kernel compares what a program reads with what the event has: the
number of a tracepoint's arguments (EINVAL), the size of an event's record (EACCES).
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.accessors import Accessor, Header
from support.compilers import COMPILERS
from support.libbpf import BpfObject, LibbpfError
from support.programs import Job, Program, chunks, compiled, loaded, source, verifier_reason

from live.population import Population

PROGRAM_TYPES = ("raw_tp", "raw_tp.w", "tp_btf", "tp")
COMPILER_NAMES = tuple(compiler.name for compiler in COMPILERS)
# Programs that are attached together: for a moment, of which most is the kernel's waiting, when they are detached, for
# what still runs on other CPUs. One wait does for several.
_TOGETHER = 32


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a compiled program: the verifier's log if it was refused, the error if it was not attached."""

    program: Program
    compiler: str
    log: str | None
    error: str | None

    @property
    def reason(self) -> str | None:
        """Why the program was refused, without what differs from event to event."""
        return self.error if self.log is None else verifier_reason(self.log)


Survey = Mapping[tuple[str, str], Sequence[Outcome]]


# --- the programs


def programs(population: Population, program_type: str) -> Iterator[Program]:
    """For each header that fits, a program that calls all it has, and one for each accessor that is refused as such."""
    for number, (header, section) in enumerate(fitting(population, program_type)):
        name = f"{program_type.replace('.', '_')}_{number}"
        alone = unreadable(population, header) if program_type == "tp_btf" else ()
        rest = tuple(accessor for accessor in header.accessors if accessor not in alone)
        yield Program(name, section, header, rest, () if alone else header.checked)
        for accessor in alone:
            yield Program(f"{name}_{accessor.name}", section, header, (accessor,))


def fitting(population: Population, program_type: str) -> list[tuple[Header, str]]:
    """Headers that have a section for this type of program, with it."""
    pairs = ((header, section) for header in population.headers for section in header.sections)
    return [(header, section) for header, section in pairs if section.startswith(f"{program_type}/")]


def unreadable(population: Population, header: Header) -> tuple[Accessor, ...]:
    """The arguments that are pointers to functions: tp_btf takes pointers to structs, void and integers only."""
    params = population.image.params.get(header.event, ())
    names = {f"{header.prefix}_{param.name}" for param in params if param.target == "FUNC_PROTO"}
    return tuple(accessor for accessor in header.accessors if accessor.name in names)


# --- what becomes of them


def surveyed(population: Population, system: Sequence[Path], folder: Path) -> Survey:
    """What becomes of all programs."""
    parts = [part for kind in PROGRAM_TYPES for part in chunks(tuple(programs(population, kind)))]
    jobs = [
        Job(compiler, source(part), folder / compiler.name / f"{number}.o")
        for number, part in enumerate(parts)
        for compiler in COMPILERS
    ]
    objects = iter(compiled(jobs, [population.folder], system))
    made = [({name: next(objects) for name in COMPILER_NAMES}, part) for part in parts]
    found: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    with ThreadPoolExecutor(len(PROGRAM_TYPES)) as pool:
        for outcomes in pool.map(lambda pair: outcomes_of(*pair), made):
            for outcome in outcomes:
                found[outcome.program.type, outcome.compiler].append(outcome)
    return found


def outcomes_of(objects: Mapping[str, Path], part: Sequence[Program]) -> list[Outcome]:
    """What the kernel says to each program of a unit, as each compiler made it."""
    names = [program.name for program in part]
    with ExitStack() as stack:
        opened = {name: stack.enter_context(loaded(path, names)) for name, path in objects.items()}
        return [outcome for few in chunks(part, _TOGETHER) for outcome in attached(opened, few)]


def attached(opened: Mapping[str, tuple[BpfObject, Mapping[str, str]]], few: Sequence[Program]) -> list[Outcome]:
    """Attaches the programs of both compilers and detaches them at once."""
    found, links = [], []
    try:
        for program in few:
            for compiler, (bpf, refused) in opened.items():
                links.append(ExitStack())
                error = attach(links[-1], bpf, program.name) if program.name not in refused else None
                found.append(Outcome(program, compiler, refused.get(program.name), error))
    finally:
        with ThreadPoolExecutor(len(links)) as pool:
            list(pool.map(ExitStack.close, links))
    return found


def attach(link: ExitStack, bpf: BpfObject, program: str) -> str | None:
    """The name of the error with which the kernel refuses to attach the program, None where it is attached."""
    try:
        link.enter_context(bpf.attached(program))
    except LibbpfError as error:
        return errno.errorcode[error.errno or 0]
    return None


def table(population: Population, survey: Survey) -> Iterator[str]:
    """Events by type of program and compiler, then every refusal with its reason."""
    yield f"{'program':8} {'compiler':9} generated compiled loaded attached | accessors called refused"
    for (kind, compiler), outcomes in survey.items():
        events = len({outcome.program.header.prefix for outcome in outcomes})
        on = {outcome.program.header.prefix for outcome in outcomes if outcome.log is None}
        fine = [outcome for outcome in outcomes if outcome.reason is None]
        calls = sum(len(outcome.program.accessors) for outcome in fine)
        rest = sum(len(outcome.program.accessors) for outcome in outcomes) - calls
        counts = f"{len(fitting(population, kind)):9} {events:8} {len(on):6}"
        yield f"{kind:8} {compiler:9} {counts} {len({o.program.header.prefix for o in fine}):8} | {calls:16} {rest:7}"
    for reason, names in refusals(survey).items():
        yield f"refused: {reason}: {', '.join(sorted(names))}"


def refusals(survey: Survey) -> dict[str, set[str]]:
    """By type of program and reason, the accessors that only refused programs call."""
    found: dict[str, set[str]] = defaultdict(set)
    for (kind, _), outcomes in survey.items():
        for outcome in outcomes:
            if outcome.reason:
                found[f"{kind}: {outcome.reason}"] |= {accessor.name for accessor in outcome.program.accessors}
    return found
