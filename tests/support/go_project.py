"""examples/go in a directory of its own, generated and built with what Debian has of Go.

No module proxy is asked: cilium/ebpf and golang.org/x/sys are those that Debian packages, which a workspace puts in the
place of what go.mod names. Go 1.19, which reads no such go.mod, finds them below GOPATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.debian import cache_dir
from support.projects import CHECKOUT

_REPLACED = ("github.com/cilium/ebpf", "golang.org/x/sys")


class GoProject:
    """A copy of the example below `folder`, for a program `go` and a directory with packages' sources."""

    def __init__(self, folder: Path, go: Path, sources: Path, *, modules: bool) -> None:
        self.here = folder / "src" / "procwatch"
        kept = shutil.ignore_patterns("include", "tracepoints", "procwatch", "*.o", "procwatch_*", ".tpgen.manifest")
        shutil.copytree(CHECKOUT / "examples" / "go", self.here, ignore=kept)
        tools = folder / "bin"
        tools.mkdir()
        (tools / "tpgen").write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m tpgen "$@"\n')
        (tools / "tpgen").chmod(0o755)
        self._environment = os.environ | {
            "PATH": os.pathsep.join(map(str, (tools, go.parent, os.environ["PATH"]))),
            "CGO_ENABLED": "0", "GOCACHE": str(cache_dir() / "go-build"), "GOFLAGS": "", "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
        }  # fmt: skip
        self._environment |= _workspace(folder, sources) if modules else _gopath(folder, sources)

    def run(self, *command: str) -> str:
        """What the command says, stdout and stderr; it must succeed."""
        done = subprocess.run(
            command, cwd=self.here, env=self._environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def build(self) -> None:
        """As its README says; nothing has a word to say against it."""
        self.run("go", "generate")
        assert self.run("go", "vet", "./...") == ""
        assert self.run("gofmt", "-l", ".") == ""
        assert self.run("go", "build") == ""

    @property
    def object(self) -> Path:
        """The BPF object that bpf2go made."""
        (found,) = self.here.glob("*.o")
        return found


def _workspace(folder: Path, sources: Path) -> dict[str, str]:
    """A go.work with the project, and Debian's directories for the modules that it needs."""
    file = folder / "go.work"
    replaced = "".join(f"\nreplace {module} => {sources / module}\n" for module in _REPLACED)
    version = max(_version(sources / module / "go.mod") for module in _REPLACED)
    file.write_text(f"go {'.'.join(map(str, version))}\n\nuse ./src/procwatch\n{replaced}")
    return {"GOWORK": str(file)}


def _version(mod: Path) -> tuple[int, ...]:
    """The version of Go that a go.mod asks for."""
    (line,) = (line for line in mod.read_text().splitlines() if line.startswith("go "))
    return tuple(int(part) for part in line.removeprefix("go ").split("."))


def _gopath(folder: Path, sources: Path) -> dict[str, str]:
    return {"GO111MODULE": "off", "GOPATH": f"{folder}{os.pathsep}{sources.parent}"}
