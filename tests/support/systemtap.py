"""Debian's SystemTap: what it finds by compiling the trace headers of Linux 6.1, and what from tpgen's objects."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from support.debian import cache_dir

CHECKOUT = Path(__file__).parents[2]
MAKE_TREE = CHECKOUT / "examples" / "systemtap" / "make-tree"
RELEASE = "6.1.0"
_SOURCES = Path("/usr/src")
_PROBE = re.compile(r'kernel\.trace\("([^"]*)"\) ?(.*)')
_QUERY = re.compile(r"^Processing tracepoint header (\S+) with query (\S+)\.c$", re.MULTILINE)
_KEPT = re.compile(r'^Keeping temporary directory "(.*)"$', re.MULTILINE)


class Mode(StrEnum):
    """The ways in which SystemTap looks at tracepoints, by the name of tpgen's option for it."""

    RAW = "raw"
    CLASSIC = "classic"
    LKM = "lkm"

    @property
    def options(self) -> tuple[str, ...]:
        return {"raw": ("--runtime=bpf",), "classic": ("--runtime=bpf", "--compatible=4.1"), "lkm": ()}[self]


def missing_systemtap() -> str | None:
    """Why SystemTap cannot be asked, None where it can."""
    if shutil.which("stap") is None:
        return "systemtap is not installed"
    return None if _headers() else "linux-headers-6.1 are not installed"


def version() -> str:
    """SystemTap's version, such as 4.8."""
    done = subprocess.run(("stap", "--version"), capture_output=True, text=True, check=True)
    found = re.search(r"version ([\d.]+)", done.stdout + done.stderr)
    assert found
    return found[1]


def headers_common() -> Path:
    """Debian's headers that are the same for all flavours of a kernel."""
    headers = _headers()
    assert headers is not None
    return headers.with_name(headers.name.replace("-amd64", "-common"))


def _headers() -> Path | None:
    """Debian's headers of the newest 6.1."""
    found = sorted(_SOURCES.glob(f"linux-headers-{RELEASE}-*-amd64"))
    return found[-1] if found else None


def stap(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A run in `folder`, where what it caches goes, too."""
    environment = {**os.environ, "SYSTEMTAP_DIR": str(folder / "systemtap"), "LC_ALL": "C"}
    command = ("stap", *arguments)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def probes(listing: str) -> dict[str, str]:
    """By `system:name`, the arguments as `stap -L` lists them."""
    return {match[1]: match[2].strip() for line in listing.splitlines() if (match := _PROBE.fullmatch(line))}


@dataclass(frozen=True)
class Compiled:
    """What SystemTap makes of a kernel's trace headers by compiling them."""

    probes: dict[str, str]
    # By header, relative to its tree, the object; None where the header does not compile.
    objects: dict[str, Path | None]


def compiled(mode: Mode) -> Compiled:
    """The same for Debian's headers of 6.1. It takes minutes, and is kept for this SystemTap and these headers."""
    headers = _headers()
    assert headers is not None
    kept = cache_dir() / "systemtap" / f"{version()}-{headers.name}-{mode}"
    if not kept.exists():
        partial = kept.with_name(f"{kept.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _compile(mode, headers, partial)
        partial.rename(kept)
    found = json.loads((kept / "objects.json").read_text())
    objects = {header: kept / name if name else None for header, name in found.items()}
    return Compiled(probes((kept / "list.txt").read_text()), objects)


def _compile(mode: Mode, headers: Path, folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir()
    for path in headers.iterdir():
        (tree / path.name).symlink_to(path)
    (tree / "source").symlink_to(headers_common())
    # Debian's System.map is a stub; that of this kernel has it.
    (tree / "System.map").write_text("ffffffff81000000 T bpf_raw_tracepoint_release\n")
    done = stap(folder, "-k", "-vvv", *mode.options, "-L", 'kernel.trace("*")', "-r", tree)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder / "list.txt").write_text(done.stdout)
    temporary = _KEPT.search(done.stderr)
    assert temporary
    objects = {}
    for header, query in _QUERY.findall(done.stderr):
        found = Path(f"{query}.o")
        if found.exists():
            shutil.copy(found, folder)
        objects[header.removeprefix(f"{tree}/").removeprefix("source/")] = found.name if found.exists() else None
    (folder / "objects.json").write_text(json.dumps(objects, indent=1))
    shutil.rmtree(temporary[1])


def make_tree(*arguments: str | Path) -> None:
    """Run the example, with the tpgen that is tested."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    subprocess.run((MAKE_TREE, *arguments), env={**os.environ, "PATH": path}, check=True)


class Tree:
    """A build tree for SystemTap, of tpgen's objects or of others."""

    def __init__(self, folder: Path, mode: Mode, *sources: str) -> None:
        self.mode = mode
        self._folder = folder
        self._tree = folder / "tree"
        make_tree(self._tree, f"{RELEASE}-1-amd64", f"--{mode}", *sources)

    def stap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return stap(self._folder, *self.mode.options, "-r", self._tree, *arguments)

    def list(self, pattern: str) -> dict[str, str]:
        """The probes of a pattern."""
        return probes(self.stap("-L", f'kernel.trace("{pattern}")').stdout)

    def program(self, script: str) -> bytes:
        """The object of BPF programs that a script becomes."""
        done = self.stap("-p4", "-m", "program", "-e", script)
        assert done.returncode == 0, done.stderr
        return (self._folder / "program.bo").read_bytes()

    def translated(self, script: str) -> dict[str, str]:
        """The C files that a script becomes, by name."""
        done = self.stap("-k", "-p3", "-e", script)
        assert done.returncode == 0, done.stderr
        temporary = _KEPT.search(done.stderr)
        assert temporary
        made = {path.name: path.read_text() for path in Path(temporary[1]).glob("*.c")}
        shutil.rmtree(temporary[1])
        return made

    def objects(self) -> Iterator[Path]:
        return (self._tree / "objects").glob("*.o")

    def take(self, objects: dict[str, Path]) -> None:
        """Give SystemTap these objects, by system, instead."""
        for path in self.objects():
            path.unlink()
        for header in (self._tree / "include/trace/events").iterdir():
            header.unlink()
        for system, path in objects.items():
            shutil.copy(path, self._tree / "objects" / f"{system}.o")
            (self._tree / "include/trace/events" / f"{system}.h").touch()
