"""A header for several kernels on the running one: programs load, attach, and read what those on its own header read.

The kernels are the shipped ones and this one, so that each event is one of which they differ.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import Compiler
from support.libbpf import BpfObject, VerifierError
from support.portable import EVENTS, Verdict, comparer, extra, is_explained, objects, verdicts
from support.shipped import AMD64_OPTIONS

pytestmark = [pytest.mark.live, pytest.mark.compilers, pytest.mark.usefixtures("tracefs")]

KERNELS = (*AMD64_OPTIONS, "--kernel", "live")


@pytest.fixture(scope="module")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portable")
    done = tpgen(*EVENTS, *KERNELS, "-o", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers of the running kernel alone, for those of the events that it has in vmlinux."""
    folder = tmp_path_factory.mktemp("fixed")
    for event in EVENTS:
        tpgen(event, "--module", "vmlinux", "--kernel", "live", "-o", f"{folder}/")
    assert len(list(folder.glob("*.h"))) > len(EVENTS)
    return folder


@pytest.fixture
def compared(compiler: Compiler, portable: Path, fixed: Path, tmp_path: Path) -> list[Verdict]:
    """What becomes of the program of each accessor."""
    made = objects(portable, fixed, tmp_path / "objects", compiler)
    command = [str(comparer(tmp_path, static=False)), *(str(path) for pair in made.files for path in pair)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return verdicts(done.stdout)


def test_same_reads(compared: list[Verdict]) -> None:
    known = {"same", "absent", "differs", "instructions", "extra"}
    assert [each for each in compared if each.verdict not in known] == extra(compared) == []
    assert [each for each in compared if each.verdict == "differs" and not is_explained(each)] == []
    assert sum(each.verdict == "same" for each in compared) > 100


ABSENT = """
#include "tp_tcp_send_reset.h"
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
int seen;
SEC(TP_SEC_tcp_send_reset) int program(void *ctx)
{
	%s
	return 0;
}
"""


def test_what_the_kernel_lacks(compiler: Compiler, portable: Path, tmp_path: Path) -> None:
    """tcp_send_reset has had no `sport` since Linux 6.7: a guarded read is dead code, another is refused by name."""
    read = "seen = tp_tcp_send_reset_sport(ctx);"
    guarded = compiler.compile(
        ABSENT % f"if (tp_tcp_send_reset_has_sport()) {read}", tmp_path / "guarded.o", include=[portable]
    )
    with BpfObject(guarded) as loaded:
        loaded.attach("program")
    unguarded = compiler.compile(ABSENT % read, tmp_path / "unguarded.o", include=[portable])
    with pytest.raises(VerifierError) as refused, BpfObject(unguarded):
        pass
    assert "TPGEN_ABSENT(tp_tcp_send_reset_sport);" in refused.value.log["program"]
