"""Headers for several kernels with other loaders than Debian's libbpf: the kernel gets the very same instructions.

Every accessor of every event of which the shipped kernels and the running one differ has a program; the newest libbpf
and cilium/ebpf are those of Debian's unstable suite, unpacked and not installed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import COMPILERS, Compiler
from support.debian import cache_dir
from support.portable import differing, objects

pytestmark = [pytest.mark.live, pytest.mark.compilers, pytest.mark.usefixtures("tracefs")]

_SHIPPED = ("debian-5.10-amd64", "debian-6.1-amd64", "debian-6.12-amd64", "debian-7.2-amd64")
_HERE = Path(__file__).parent
_FEWEST = 2000


@pytest.fixture(scope="session")
def events() -> Sequence[str]:
    return differing((*_SHIPPED, "live"))


@pytest.fixture(scope="session")
def portable(events: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portable")
    done = tpgen(*events, *(word for kernel in (*_SHIPPED, "live") for word in ("--kernel", kernel)), "-o", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def fixed(events: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers of the running kernel, which has not all of the events."""
    folder = tmp_path_factory.mktemp("fixed")
    names = {event["name"] for event in json.loads(tpgen("list", "--json", "--kernel", "live").out)}
    done = tpgen(*(name for name in events if name in names), "--module", "vmlinux", "--kernel", "live", "-o", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def made(compiler: Compiler, portable: Path, fixed: Path, tmp_path: Path) -> Sequence[Path]:
    return [ours for ours, _ in objects(portable, fixed, tmp_path / "objects", compiler).files]


@pytest.fixture(scope="session")
def with_libbpf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("load") / "load"
    command = ("gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", str(_HERE / "load.c"), "-o", str(output), "-lbpf")
    subprocess.run(command, check=True)
    return output


@pytest.fixture(scope="session")
def with_cilium(unstable: Path, newest_go: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("load") / "load"
    environment = {
        "GO111MODULE": "off", "GOPATH": str(unstable / "usr/share/gocode"), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0",
        "GOCACHE": str(cache_dir() / "go-build"), "GOFLAGS": "",
    }  # fmt: skip
    command = (str(newest_go), "build", "-o", str(output), str(_HERE / "load.go"))
    subprocess.run(command, check=True, env=os.environ | environment)
    return output


def instructions(command: Sequence[str | Path], loaded: Sequence[Path]) -> tuple[list[str], Mapping[str, str]]:
    """The lines that are not of a program, and the instructions of each program by name."""
    done = subprocess.run([*map(str, command), *map(str, loaded)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    return [line[0] for line in lines if len(line) == 1], {line[0]: line[1] for line in lines if len(line) == 2}


def test_newest_libbpf(made: Sequence[Path], with_libbpf: Path, unstable: Path, report: list[str]) -> None:
    """The same program with another libbpf, and the C library that it needs."""
    libraries = unstable / "usr/lib/x86_64-linux-gnu"
    newest = (libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, with_libbpf)
    (own,), expected = instructions((with_libbpf,), made)
    (other,), found = instructions(newest, made)
    assert own != other
    assert found == expected
    assert len(found) > _FEWEST
    report.append(f"libbpf {other} beside {own}: {len(found)} programs with the same instructions")


def test_cilium_ebpf(made: Sequence[Path], with_libbpf: Path, with_cilium: Path, report: list[str]) -> None:
    expected, found = instructions((with_libbpf,), made)[1], instructions((with_cilium,), made)[1]
    assert found == expected
    assert len(found) > _FEWEST
    report.append(f"cilium/ebpf beside libbpf: {len(found)} programs with the same instructions")


_UNGUARDED = """
#include "raw_sched_stat_runtime.h"

__attribute__((section(RAW_SEC_sched_stat_runtime), used)) int on_runtime(void *ctx)
{
	return raw_sched_stat_runtime_vruntime(ctx) > 7;
}
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
"""


def test_cilium_ebpf_tells_of_an_argument_that_is_absent(with_cilium: Path, tmp_path: Path) -> None:
    """Of vruntime, which Linux 6.1 hands out and 6.12 does not."""
    options = ("--raw", "--kernel", "debian-5.10-amd64", "--kernel", "live")
    assert tpgen("sched_stat_runtime", *options, "-o", tmp_path).code == 0
    made = COMPILERS[0].compile(_UNGUARDED, tmp_path / "unguarded.o", include=(tmp_path,))
    done = subprocess.run((with_cilium, made), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "load program: bad CO-RE relocation" in done.stderr
    assert "; TPGEN_ABSENT(raw_sched_stat_runtime_vruntime); @ raw_sched_stat_runtime.h:" in done.stderr
