"""BPF programs that call the accessors of many headers, compiled and loaded many at a time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from support.accessors import Accessor, Header
from support.compilers import Compiler
from support.libbpf import BpfObject, VerifierError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
# Headers in a unit. Most of what a compiler does for one is to read vmlinux.h.
_UNIT = 400
# At a time: the compilers are processes that use a CPU each.
_JOBS = 2

# A compiler must make the value, and knows nothing of where it goes.
SINKS = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#define VALUE(accessor)                                                  \\
	do {                                                             \\
		__typeof__(accessor(ctx)) value = accessor(ctx);         \\
		__asm__ volatile("" : : "r"(&value) : "memory");         \\
	} while (0)
#define READ(accessor)                                                   \\
	do {                                                             \\
		char buffer[64];                                         \\
		long length = accessor(ctx, buffer, sizeof(buffer));     \\
		__asm__ volatile("" : : "r"(buffer), "r"(length) : "memory"); \\
	} while (0)
#define POINTER(checked) checked(ctx, pointer) { __asm__ volatile("" : : "r"(pointer)); }
char LICENSE[] SEC("license") = "GPL";
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that calls `accessors` and `checked` of one header."""

    name: str
    section: str
    header: Header
    accessors: tuple[Accessor, ...]
    checked: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """What its section begins with."""
        return self.section.partition("/")[0]

    def __str__(self) -> str:
        calls = "".join(f"\t{'READ' if call.copies else 'VALUE'}({call.name});\n" for call in self.accessors)
        calls += "".join(f"\tPOINTER({name});\n" for name in self.checked)
        return f'SEC("{self.section}") int {self.name}(void *ctx)\n{{\n\t(void)ctx;\n{calls}\treturn 0;\n}}\n'


def includes(headers: Iterable[Header]) -> str:
    """The lines that include these headers, each once."""
    return "".join(f'#include "{name}"\n' for name in dict.fromkeys(header.path.name for header in headers))


def source(programs: Sequence[Program]) -> str:
    """A unit with all of these programs."""
    return SINKS + includes(program.header for program in programs) + "".join(map(str, programs))


def chunks(items: Sequence[_Item], size: int = _UNIT) -> list[Sequence[_Item]]:
    """The items in order, in pieces of at most `size`."""
    return [items[at : at + size] for at in range(0, len(items), size)]


@dataclass(frozen=True, slots=True)
class Job:
    """A unit to compile, for one byte order, as the C of one standard, with more options of the compiler's."""

    compiler: Compiler
    text: str
    output: Path
    target: str = "bpfel"
    std: str = "gnu11"
    options: tuple[str, ...] = ()

    def run(self, include: Sequence[Path], system: Sequence[Path]) -> Path:
        """The object. CompileError on any warning."""
        self.output.parent.mkdir(parents=True, exist_ok=True)
        return self.compiler.compile(
            self.text,
            self.output,
            target=self.target,
            std=self.std,
            include=include,
            system=system,
            options=self.options,
        )


def compiled(jobs: Iterable[Job], include: Sequence[Path], system: Sequence[Path] = ()) -> list[Path]:
    """The object of each unit, in their order. CompileError on any warning."""
    return at_once(lambda job: job.run(include, system), jobs)


def at_once(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """What `work` makes of each item, in their order, a few at a time."""
    with ThreadPoolExecutor(_JOBS) as pool:
        return list(pool.map(work, items))


def verifier_reason(log: str) -> str:
    """Why a program was refused: the end of the verifier's log, without what differs from event to event."""
    lines = [line for line in log.splitlines() if line and not line.startswith("processed")]
    return re.sub(r"^func '\w+' arg\d+ ", "argument of ", lines[-2]) + "; " + re.sub(r"off=\d+ ", "", lines[-1])


@contextlib.contextmanager
def loaded(obj: Path, programs: Iterable[str]) -> Iterator[tuple[BpfObject, dict[str, str]]]:
    """The object with those of its programs that the kernel takes; the verifier's log by name of the others."""
    with contextlib.ExitStack() as stack:
        refused: dict[str, str] = {}
        while True:
            try:
                bpf = stack.enter_context(BpfObject(obj, programs=[name for name in programs if name not in refused]))
            except VerifierError as error:
                # libbpf ends at the first that is refused, so that each has its turn.
                if not error.log:
                    raise
                refused |= error.log
                continue
            yield bpf, refused
            return
