"""Programs of real packages, and what kernels make of them: tests/vm/loads.c loads and attaches each.

The objects are cut out of the packages' binaries here too: the doctor's own way of doing that is under test.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from support.compilers import libbpf_program
from support.debian import AptRoot, Tree, cache_dir
from support.vm import Line, boot

_ELF, _ELF64, _LITTLE, _BPF = b"\x7fELF", 2, 1, 247
_HEADER_BYTES = 64


class Cut(NamedTuple):
    """An object that is the whole of a file or inside one: named as the doctor names it."""

    name: str
    content: bytes


def objects_in(path: Path) -> Iterator[Cut]:
    """The BPF objects of little endian in a file: each ends with its table of sections."""
    data = path.read_bytes()
    start = data.find(_ELF)
    while start >= 0:
        header = data[start : start + _HEADER_BYTES]
        if len(header) == _HEADER_BYTES and (header[4], header[5]) == (_ELF64, _LITTLE):
            machine, table, size, count = (
                int.from_bytes(header[at : at + width], "little") for at, width in ((18, 2), (40, 8), (58, 2), (60, 2))
            )
            if machine == _BPF:
                name = f"{path.name}@{start}" if start else path.name
                yield Cut(name, data[start : start + table + size * count])
        start = data.find(_ELF, start + 1)


def unpacked(suite: str, package: str, folder: Path) -> list[Path]:
    """The regular files of a package of Debian's."""
    archive = AptRoot(suite, cache_dir()).download(package)
    subprocess.run(["dpkg-deb", "-x", str(archive), str(folder)], check=True)
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]


class Program(NamedTuple):
    """A program of an object."""

    object: str
    name: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a program: see tests/vm/loads.c."""

    loaded: bool | None
    attached: bool | None
    stage: str
    errno: int
    log: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        errno = told["load_errno"] or told["attach_errno"]
        return cls(told["loaded"], told["attached"], told["stage"], errno, told["log"])


Fates = Mapping[Program, Fate]


def loader(folder: Path) -> Path:
    """loads.c as a static program with libbpf in it."""
    source = Path(__file__).parents[1] / "vm" / "loads.c"
    return libbpf_program(source, folder / "loads", static=True)


def fates_here(loads: Path, objects: Sequence[Cut], folder: Path) -> Fates:
    """On the running kernel, sparing other processes."""
    files = []
    for number, cut in enumerate(objects):
        files.append(folder / f"{number}.o")
        files[-1].write_bytes(cut.content)
    command = [str(loads), "-s", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    return _fates(done.stdout.splitlines(), objects)


def fates_in_machine(tree: Tree, loads: Path, objects: Sequence[Cut], folder: Path) -> Fates:
    """On a kernel that is booted for it."""
    files = {f"{number}.o": cut.content for number, cut in enumerate(objects)}
    # Where libbpf looks for the values of CONFIG_ that programs ask for.
    files[f"boot/{tree.config.name}"] = tree.config.read_bytes()
    lines = [Line(f"loads /{number}.o") for number in range(len(objects))]
    run = boot(tree, loads.read_bytes(), lines, folder, {}, files)
    return _fates((line for answer in run.answers for line in answer.text), objects)


def _fates(lines: Iterable[str], objects: Sequence[Cut]) -> Fates:
    found = {}
    for told in map(json.loads, lines):
        number = int(Path(told["object"]).stem)
        found[Program(objects[number].name, told["program"])] = Fate.of(told)
    return found
