"""The examination of BPF objects on kernels, for the command line and for programs."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeAlias

from tpgen import opening
from tpgen.basics.progress import counted
from tpgen.catalog.read import CatalogKernel
from tpgen.diagnostics import Diagnostic, Position, Severity, TpgenError, fail
from tpgen.doctor.judge import Judge
from tpgen.doctor.kernels import KnownKernel
from tpgen.doctor.reports.folding import Examined
from tpgen.kernel.events import KernelEvents
from tpgen.kernel.request import KernelRequest
from tpgen.opening import Report
from tpgen.sources.bpf_object.facts import BpfObject, Objects, Program
from tpgen.sources.bpf_object.read import read_objects
from tpgen.sources.btf import Btf
from tpgen.sources.files import read_bytes

# --- kernels


def known_kernels(requests: Iterable[KernelRequest], report: Report) -> dict[str, KnownKernel]:
    """Open the kernels of the requests, oldest first, by names that tell them apart.

    A kernel of a catalog that is named beside files with BTF has the types of these. Raises `TpgenError`.
    """
    requests = opening.expanded(requests)
    if not any(request.btf and request.kernel not in (None, "live") for request in requests):
        opened = opening.open_by_name(requests, report)
        return {name: KnownKernel.of(name, events) for name, events in opened.items()}
    if len(requests) > 1:
        raise fail("usage", f"--btf has the types of one kernel, not of {len(requests)}", hint="give one --kernel")
    request = requests[0]
    events = opening.open_kernel(request._replace(btf=()), report)
    return {events.label: KnownKernel(events.label, events, _types_for(events, request))}


def _types_for(events: KernelEvents, request: KernelRequest) -> dict[str | None, Btf]:
    """The BTF of the files of a request. Raises `btf-other-kernel` where `events` are another kernel's."""
    sources = opening.open_sources(KernelRequest(btf=request.btf, arch=request.arch))
    if isinstance(events, CatalogKernel) and "btf" in events.info.sources:
        own = [key for key in events.keys() if key.module is None]  # noqa: SIM118
        named = {event.attach_name for event in events.events(own)} - {None}
        if other := sorted(name for name in named ^ {*sources.btfs[0].events} if name):
            message = f"this is not the BTF of {events.label}: {other[0]} is a tracepoint of only one of them"
            raise fail("btf-other-kernel", message, request.btf[0], "give the file alone, or that of this kernel")
    return {tracepoints.module: tracepoints.btf for tracepoints in sources.btfs}


def of_byte_order(kernels: Mapping[str, KnownKernel]) -> KernelsOf:
    """The kernels by their byte order."""
    fitting = {
        order: {name: kernel for name, kernel in kernels.items() if kernel.target.big_endian == order}
        for order in (False, True)
    }
    return fitting.__getitem__


# --- objects

#: An object, or an executable with objects in it.
_MOST_OBJECT_BYTES = 1 << 30


def read(file: str | os.PathLike[str] | bytes) -> Objects:
    """The objects in a file. Raises `TpgenError`."""
    if isinstance(file, bytes):
        return read_objects(file, "<bytes>")
    path = os.fspath(file)
    return read_objects(read_bytes(path, _MOST_OBJECT_BYTES), path)


class Question(NamedTuple):
    """The programs that are meant, by globs of their names or sections, all without any; and values of variables."""

    programs: Sequence[str] = ()
    variables: Mapping[str, int] = {}

    def selected(self, obj: BpfObject) -> list[Program]:
        """The programs of an object that are meant."""
        return [program for program in obj.programs if not self.programs or any(self.meaning(program))]

    def meaning(self, program: Program) -> Iterable[str]:
        """The globs that mean the program."""
        names = program.function.name, program.section_name
        return (glob for glob in self.programs if any(fnmatchcase(name, glob) for name in names))


class _Asked:
    """The names in a question, and those of the objects so far."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._unused = set(question.programs)
        self._programs: set[str] = set()
        self._variables: set[str] = set()

    def see(self, obj: BpfObject) -> None:
        self._variables |= {variable.name for variable in obj.variables}
        self._programs |= {program.function.name for program in obj.programs}
        if self._unused:
            self._unused -= {glob for program in obj.programs for glob in self._question.meaning(program)}

    def check(self) -> None:
        """Raise `usage` for a glob that means no program of any object, and for a variable that none has."""
        for glob in (glob for glob in self._question.programs if glob in self._unused):
            raise fail("usage", f"--program {glob!r} matches no program", hint=_choices("there is", self._programs))
        for name in self._question.variables.keys() - self._variables:
            hint = _choices("there is", self._variables)
            raise fail("usage", f"--set {name!r}: no object has such a variable", hint=hint)


def _choices(before: str, names: Iterable[str]) -> str | None:
    found = sorted(set(names))
    return f"{before} {', '.join(found[:8])}{', …' if len(found) > 8 else ''}" if found else None


# Of so many instructions the memory is given back at the latest.
_MANY_INSTRUCTIONS = 1 << 17

#: The kernels of a byte order, big-endian or not, by their names.
KernelsOf: TypeAlias = Callable[[bool], Mapping[str, KnownKernel]]


def examine_files(
    files: Iterable[str | os.PathLike[str] | bytes], kernels: KernelsOf, question: Question, report: Report
) -> list[Examined]:
    """Examine the objects in files, one after the other.

    One of a byte order that no kernel has is reported, and left out. Raises `TpgenError`: all that is wrong with the
    files, `usage` for a question that is about none of the objects, `arch-mismatch` where all are left out.
    """
    found: list[Examined] = []
    broken: list[Diagnostic] = []
    left_out: list[Diagnostic] = []
    asked, instructions = _Asked(question), 0
    for file in files:
        try:
            objects = read(file)
        except TpgenError as error:
            broken += error.diagnostics
            continue
        instructions += sum(len(code) for obj in objects for code in obj.code.values())
        if instructions > _MANY_INSTRUCTIONS:  # what was followed refers to itself
            instructions = 0
            gc.collect()
        for obj in objects:
            asked.see(obj)
            if not (fitting := kernels(obj.big_endian)):
                left_out.append(_left_out(obj))
            elif not broken:
                found.append(_examined(obj, fitting, question))
    if broken:
        raise TpgenError(*broken)
    asked.check()
    if left_out and not found:
        raise TpgenError(*left_out)
    for note in left_out:
        report(note._replace(severity=Severity.NOTE))
    return found


def _left_out(obj: BpfObject) -> Diagnostic:
    order = "big" if obj.big_endian else "little"
    hint = "`tpgen catalog list --json` shows the byte order of each"
    message = f"this object is {order}-endian, but none of these kernels is"
    return Diagnostic("arch-mismatch", message, Position(obj.name), hint)


def _examined(obj: BpfObject, kernels: Mapping[str, KnownKernel], question: Question) -> Examined:
    """The judgements on the programs that are meant, program by program, on each kernel."""
    selected = question.selected(obj)
    programs = [program for program in selected if program.section is not None]
    judge = Judge(obj)
    of_kernels = [
        list(judge.judgements(kernel, programs, question.variables))
        for kernel in counted(f"{obj.name}: kernels", kernels.values())
    ]
    by_program = tuple(judgement for same in zip(*of_kernels, strict=True) for judgement in same)
    return Examined(obj.name, tuple(kernels), by_program, len(selected) - len(programs))
