"""The example projects under examples/, each with the build system that it is for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
#: What the kernel of a project is called there.
KERNEL = "vmlinux.btf"
_OPTIONAL = ("bazel",)


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """How to configure and to build a project. `{here}` is the project's directory, `{build}` the build's."""

    name: str
    example: str
    tools: tuple[str, ...]
    configure: tuple[str, ...]
    build: tuple[str, ...]
    objects: str = "{build}"

    @property
    def missing(self) -> str | None:
        """What of it is not installed."""
        return ", ".join(f"{tool} is not installed" for tool in self.tools if shutil.which(tool) is None) or None

    @property
    def required(self) -> bool:
        """Whether a machine that must run everything must have it."""
        return not set(self.tools) & set(_OPTIONAL)


_CMAKE = ("cmake", "-S", "{here}", "-B", "{build}", f"-DKERNEL=--btf;{{here}}/{KERNEL}")
SYSTEMS = (
    BuildSystem("make", "make", ("make",), (), ("make", "B={build}", f"KERNEL=--btf {KERNEL}")),
    BuildSystem("make -j", "make", ("make",), (), ("make", "-j4", "B={build}", f"KERNEL=--btf {KERNEL}")),
    BuildSystem("cmake+ninja", "cmake", ("cmake", "ninja"), (*_CMAKE, "-GNinja"), ("cmake", "--build", "{build}")),
    BuildSystem(
        "cmake+make", "cmake", ("cmake", "make"), (*_CMAKE, "-GUnix Makefiles"), ("cmake", "--build", "{build}", "-j4")
    ),
    BuildSystem(
        "meson", "meson", ("meson", "ninja"),
        ("meson", "setup", f"-Dkernel=--btf,{{here}}/{KERNEL}", "{build}", "{here}"), ("ninja", "-C", "{build}"),
    ),
    BuildSystem(
        "bazel", "bazel", ("bazel",), (),
        ("bazel", "--output_user_root={here}-bazel", "build", "--sandbox_writable_path={log}", "//:all"),
        objects="{here}/bazel-bin",
    ),
)  # fmt: skip


def missing_build_systems() -> str | None:
    """Which of the build systems that every machine can have is not there, None when all are."""
    missing = [system.missing for system in SYSTEMS if system.required and system.missing]
    if shutil.which("clang") is None:
        missing.append("clang is not installed")
    return "; ".join(dict.fromkeys(missing)) or None


class Project:
    """A copy of an example in `folder`, built with tools that note each of their runs."""

    def __init__(self, system: BuildSystem, folder: Path) -> None:
        self.system = system
        self.here = folder / "project"
        shutil.copytree(CHECKOUT / "examples" / system.example, self.here)
        self._log = folder / "log"
        self._log.mkdir()
        self._path = folder / "bin"
        self._path.mkdir()
        self._note("tpgen", f'PYTHONPATH={CHECKOUT} exec {sys.executable} -m tpgen "$@"')
        self._note("clang", f'exec {shutil.which("clang")} "$@"')

    def _note(self, tool: str, command: str) -> None:
        """A program of that name that notes that it runs and then is the real one."""
        path = self._path / tool
        noting = f'case "$*" in *--cmake-dir*|*--version*) ;; *) mktemp -q {self._log}/{tool}.XXXXXX >/dev/null ;; esac'
        path.write_text(f"#!/bin/sh\n{noting}\n{command}\n")
        path.chmod(0o755)

    def start(self, build: str = "build") -> subprocess.Popen[str]:
        """A build that is under way, in a directory of that name that is configured if need be."""
        configured = self.here / build
        if self.system.configure and not configured.exists():
            self._run(self.system.configure, build).communicate()
        return self._run(self.system.build, build)

    def build(self) -> list[str]:
        """The tools that a build ran, sorted. It must succeed."""
        for noted in self._log.iterdir():
            noted.unlink()
        self.finish(self.start())
        return sorted(noted.stem for noted in self._log.iterdir())

    @staticmethod
    def finish(build: subprocess.Popen[str]) -> None:
        said, _ = build.communicate()
        assert build.returncode == 0, said

    def objects(self, build: str = "build") -> dict[str, bytes]:
        """The BPF objects that were built, by name."""
        folder = Path(self._filled(self.system.objects, build))
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.bpf.o"))}

    def close(self) -> None:
        """Ends what a build system leaves running."""
        if self.system.name == "bazel":
            self._run((*self.system.build[:2], "shutdown"), "build").communicate()

    def _run(self, command: tuple[str, ...], build: str) -> subprocess.Popen[str]:
        environment = os.environ | {"PATH": f"{self._path}{os.pathsep}{os.environ['PATH']}"}
        for inherited in ("MAKEFLAGS", "MAKELEVEL", "PYTHONPATH"):
            environment.pop(inherited, None)
        return subprocess.Popen(
            [self._filled(word, build) for word in command], cwd=self.here, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def _filled(self, word: str, build: str) -> str:
        return word.format(here=self.here, build=self.here / build, log=self._log)
