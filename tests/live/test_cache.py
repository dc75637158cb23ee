"""The cache and the catalog where things go wrong: full disks, events that come and go."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("tracefs")]
ROOT = Path(__file__).parents[2]


def tpgen(*arguments: str | Path, cache: Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tpgen", *map(str, arguments))
    return subprocess.run(command, cwd=ROOT, env=environment(cache, data), capture_output=True, text=True, check=False)


def environment(cache: Path, data: Path | None = None) -> dict[str, str]:
    return os.environ | {"XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(data or cache)}


# --- disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


def fill(disk: Path) -> None:
    with open(disk / "fill", "wb", buffering=0) as file:
        for size in (4096, 512, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


@pytest.mark.parametrize("state", ["small", "full", "read-only"])
def test_a_cache_that_cannot_be_written(state: str, disk: Path, tmp_path: Path) -> None:
    wanted = tpgen("sched_switch", "--raw", "--no-cache", cache=tmp_path).stdout
    listed = tpgen("list", "--no-cache", cache=tmp_path).stdout
    if state == "full":
        fill(disk)
    if state == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for _ in range(2):
        for words, out in ((("sched_switch", "--raw"), wanted), (("list",), listed)):
            done = tpgen(*words, cache=disk)
            assert (done.returncode, done.stdout, done.stderr) == (0, out, "")
    assert not list(disk.rglob("*.tmp"))


def test_a_catalog_that_finds_no_room(disk: Path, tmp_path: Path) -> None:
    fill(disk)
    done = tpgen("catalog", "export", "live", "-o", disk / "x.tpgen", cache=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{disk / 'x.tpgen'}: error: cannot write: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in disk.iterdir()] == ["fill"]


# --- events that come and go


def test_dynamic_events_do_not_go_stale(tracefs: Path, tmp_path: Path) -> None:
    """A probe that somebody makes, changes and removes, between runs that keep what they see. It is never enabled."""
    events, name = tracefs / "dynamic_events", f"tpgen_{os.getpid()}"
    if not events.exists():
        pytest.skip("this kernel has no dynamic events")
    place = f"p:uprobes/{name} {os.path.realpath(sys.executable)}:0x1000"

    def fields() -> list[str] | None:
        done = tpgen("show", f"uprobes:{name}", cache=tmp_path)
        assert tpgen("list", cache=tmp_path).returncode == 0, "which keeps all"
        return (
            [line.split()[-2] for line in done.stdout.splitlines() if "arg_" in line] if not done.returncode else None
        )

    def write(line: str) -> None:
        # Not open(events, "a"), which seeks, and this file refuses that.
        descriptor = os.open(events, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    assert fields() is None
    write(f"{place} arg_one=$stack0")
    try:
        assert fields() == ["arg_one"]
        write(f"-:uprobes/{name}")
        assert fields() is None
        write(f"{place} arg_one=$stack0 arg_two=$stack1")
        assert fields() == ["arg_one", "arg_two"]
    finally:
        write(f"-:uprobes/{name}")
    assert fields() is None
