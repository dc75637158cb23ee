"""The programs of tests/doctor_cases, compiled, and what became of each on a kernel, as tests/vm/doctor.c tells it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from support.compilers import COMPILERS, Compiler, libbpf_program

TESTS = Path(__file__).parents[1]
CASES = TESTS / "doctor_cases"
SOURCES = sorted(CASES.glob("*.bpf.c"))
_DRIVER = TESTS / "vm" / "doctor.c"
_OUTCOME = re.compile(r"(\w+) (load|attach|runs) (\w+)(?: 0x([0-9a-f]+))?")


class Outcome(NamedTuple):
    """What became of a program: the stage that failed with an errno, or that it runs and what it saw last."""

    stage: str
    errno: str | None = None
    times: int = 0
    value: int = 0

    def __str__(self) -> str:
        return f"{self.stage} {self.errno}" if self.errno else f"runs {self.times} {self.value:#x}"


class Expected(NamedTuple):
    """What is known of a program on a kernel: the verdict, errno and code; of a wrong one the value that it reads."""

    verdict: str
    errno: str | None = None
    code: str | None = None
    value: int | None = None

    def agrees(self, outcome: Outcome) -> bool:
        """Whether that is what became of it. What depends on something may be either."""
        match self.verdict:
            case "refused-load" | "refused-attach":
                return (f"refused-{outcome.stage}", outcome.errno) == (self.verdict, self.errno)
            case "depends":
                return True
            case _:
                return outcome.stage == "runs" and (self.value is None or self.value == outcome.value)


def compiled(folder: Path, compiler: Compiler = COMPILERS[0], target: str = "bpfel") -> list[Path]:
    """The objects of all cases."""
    how = {"target": target, "system": [Path("/usr/include")], "options": ("-Wno-unused-parameter",)}
    return [compiler.compile(path, folder / f"{path.name.removesuffix('.c')}.o", **how) for path in SOURCES]


def driver(folder: Path, *, static: bool = True) -> Path:
    """tests/vm/doctor.c as a program, which the machines of tests/vm need to be a static one."""
    return libbpf_program(_DRIVER, folder / "doctor", static=static)


def outcomes(lines: Iterable[str]) -> dict[str, Outcome]:
    """The outcomes by program in the driver's output, without the mark in front of each line."""
    found = {}
    for match in filter(None, map(_OUTCOME.fullmatch, lines)):
        name, stage, word, value = match.groups()
        found[name] = Outcome(stage, None, int(word), int(value, 16)) if value else Outcome(stage, word)
    return found


def expected(kernel: str) -> dict[str, Expected]:
    """What is known of each program on a kernel: of expected.toml, where `else` is for the kernels not named."""
    table: Mapping[str, Mapping[str, str]] = tomllib.loads((CASES / "expected.toml").read_text())
    return {name: _expected(of_kernels.get(kernel) or of_kernels["else"]) for name, of_kernels in table.items()}


def _expected(text: str) -> Expected:
    verdict, *words = text.split()
    errno = next((word for word in words if word.isupper()), None)
    value = next((int(word, 16) for word in words if word.startswith("0x")), None)
    code = next((word for word in words if word.islower() and not word.startswith("0x")), None)
    return Expected(verdict, errno, code, value)
