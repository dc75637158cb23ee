"""Headers of one event for two kernels in one unit are an error that names both; the same header twice is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import CompileError, Compiler
from support.small_kernel import small_btf, write_tracefs

pytestmark = pytest.mark.compilers

RELEASES = ("6.1.2", "6.12.3-rt")


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    """The headers of two kernels that differ in their release alone, `raw-RELEASE.h` and `classic-RELEASE.h`."""
    btf = tmp_path / "vmlinux"
    btf.write_bytes(small_btf().blob())
    tracefs = write_tracefs(tmp_path / "tracefs")
    for release in RELEASES:
        for form in ("raw", "classic"):
            source = ("--btf", btf, "--tracefs", tracefs, "--arch", "x86_64", "--release", release)
            done = tpgen("sched_switch", f"--{form}", *source, "-o", tmp_path / f"{form}-{release}.h")
            assert (done.code, done.err) == (0, "")
    return tmp_path


@pytest.mark.parametrize("form", ["raw", "classic"])
def test_two_kernels_in_one_unit(compiler: Compiler, headers: Path, form: str) -> None:
    first, second = (f'#include "{form}-{release}.h"\n' for release in RELEASES)
    with pytest.raises(CompileError) as refused:
        compiler.compile(first + second, headers / "unit.o", include=[headers])
    told = refused.value.stderr
    assert told.count("error:") == 2
    assert "two kernels' headers of" in told
    assert all(f"Linux {release}" in told for release in RELEASES)
    compiler.compile(first + first, headers / "unit.o", include=[headers])


@pytest.mark.parametrize("form", ["raw", "classic"])
def test_a_header_says_what_it_is(headers: Path, form: str) -> None:
    licence, _, _, heading, _, _, made, *_ = (headers / f"{form}-6.1.2.h").read_text().splitlines()
    assert licence == "/* SPDX-License-Identifier: 0BSD */"
    assert heading.startswith(" * sched:sched_switch: the ")
    assert made == " * Made by tpgen for Linux 6.1.2, and for that kernel alone: another may hand out something else."
