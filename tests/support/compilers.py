"""The C compilers that generated headers must satisfy: Debian's clang and the clang 22 inside ziglang."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# clang 14 of Debian 12 is the oldest that generated headers are for. A later Debian has a later one only.
CLANG = "clang-14" if shutil.which("clang-14") else "clang"
TARGETS = ("bpfel", "bpfeb")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
# What the generated code passes too; the units around it, and headers of libbpf, need not.
CONVERSIONS = ("-Wconversion", "-Wshorten-64-to-32")
# clang 14 knows C23 only under its working title, which clang 22 still takes.
STANDARDS = {"c11": "c11", "gnu11": "gnu11", "c23": "c2x", "gnu23": "gnu2x"}


class CompileError(Exception):
    """The compiler refused a unit; `stderr` is what it said."""

    def __init__(self, command: tuple[str, ...], stderr: str) -> None:
        super().__init__(f"{' '.join(command)}\n{stderr}")
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Compiler:
    """One compiler that can make BPF objects."""

    name: str
    command: tuple[str, ...]
    target_suffix: str
    missing: str | None

    def compile(
        self,
        source: str | Path,
        output: Path,
        *,
        target: str = "bpfel",
        std: str = "gnu11",
        include: Iterable[Path] = (),
        system: Iterable[Path] = (),
        options: Iterable[str] = (),
    ) -> Path:
        """The BPF object at `output`, made from C text or from a file, which is then the main file of the unit.

        `include` directories hold what is under test and warn like it; `system` ones hold other people's headers.
        Raises CompileError on any warning.
        """
        if isinstance(source, str):
            unit = output.with_suffix(".c")
            unit.write_text(source)
        else:
            unit = source
        command = (
            *self.command,
            *("-target", target + self.target_suffix, f"-std={STANDARDS[std]}", "-O2", "-g", *WARNINGS, *options),
            *(f"-I{folder}" for folder in include),
            *(f"-isystem{folder}" for folder in system),
            *("-x", "c", "-c", str(unit), "-o", str(output)),
        )
        # zig keeps every object in a cache, by default in the home directory: ours goes away with the test's folder.
        cache = str(output.parent / "zig-cache")
        environment = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0 or done.stderr:
            raise CompileError(command, done.stderr)
        return output


def _clang(name: str) -> Compiler:
    missing = None if shutil.which(name) else f"{name} is not installed"
    return Compiler(name, (name,), "", missing)


def _ziglang() -> Compiler:
    missing = None if importlib.util.find_spec("ziglang") else "ziglang is not installed"
    # zig reads the target itself, and wants an operating system and an ABI in it.
    return Compiler("ziglang", (sys.executable, "-m", "ziglang", "cc"), "-freestanding-none", missing)


COMPILERS = (_clang(CLANG), _ziglang())


def libbpf_program(source: Path, output: Path, *, static: bool) -> Path:
    """A program that uses libbpf. A `static` one runs in a machine that has nothing else; Debian 13 cannot link one."""
    options = ("-std=gnu11", "-O1", "-Wall", "-Wextra", *(("-static",) if static else ()))
    command = ("gcc", *options, str(source), "-o", str(output), "-lbpf", "-lelf", "-lz")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(command, done.stderr)
    return output


def disassembly(obj: Path) -> str:
    """llvm-objdump's text for the code of `obj`, without raw bytes."""
    tool = shutil.which("llvm-objdump-14") or shutil.which("llvm-objdump")
    if tool is None:
        raise FileNotFoundError("llvm-objdump is not installed")
    command = (tool, "-d", "--no-show-raw-insn", str(obj))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
