"""Members that kernels call by different names, read on the running kernel: of a task that knows its own values."""

from __future__ import annotations

import os
import signal
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import Compiler
from support.libbpf import BpfObject, VerifierError

pytestmark = [pytest.mark.live, pytest.mark.compilers]

#: A name that no kernel has before one that all have; a negative number, one of a single bit, a pointer; none at all.
_MEMBERS = (
    "no_such_name|tgid", "__state|state", "exit_signal", "sched_reset_on_fork", "mm", "active_mm", "policy",
    "absent|gone",
)  # fmt: skip
_NAMES = ("no_such_name", "state", "exit_signal", "sched_reset_on_fork", "mm", "active_mm", "policy")
_PROGRAM = """\
%(includes)s
#define SEC(name) __attribute__((section(name), used))
char LICENSE[] SEC("license") = "GPL";
static void *(*current)(void) = (void *(*)(void))35; /* bpf_get_current_task */
static unsigned int (*random)(void) = (unsigned int (*)(void))7; /* bpf_get_prandom_u32 */
unsigned long long seen[8];
SEC("raw_tp") int values(const void *ctx)
{
	const void *task = current();

	(void)ctx;
%(reads)s	return 0;
}
SEC("raw_tp") int guarded(const void *ctx)
{
	_Bool has = core_task_struct_has_absent();
	const void *task = current();

	(void)ctx;
	#pragma clang loop unroll(disable)
	for (int i = 0; i < 10; i++)
		if (has && (random() & 1))
			seen[7] += core_task_struct_absent(task);
	return 0;
}
SEC("raw_tp") int unguarded(const void *ctx)
{
	(void)ctx;
	seen[7] = core_task_struct_absent(current());
	return 0;
}
"""


@pytest.fixture
def members(compiler: Compiler, tmp_path: Path) -> Path:
    """An object that reads the members of the running task."""
    options = (word for member in _MEMBERS for word in ("--member", f"task_struct:{member}"))
    assert tpgen(*options, "-o", tmp_path).code == 0
    text = _PROGRAM % {
        "includes": "\n".join(f'#include "{path.name}"' for path in sorted(tmp_path.glob("core_*.h"))),
        "reads": "".join(f"\tseen[{at}] = core_task_struct_{name}(task);\n" for at, name in enumerate(_NAMES)),
    }
    return compiler.compile(text, tmp_path / "members.o", include=(tmp_path,))


def test_values(members: Path) -> None:
    policy = os.sched_getscheduler(0)
    with BpfObject(members, programs=("values", "guarded")) as obj:
        before = _seen(obj)
        os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        try:
            batch = _seen(obj)
        finally:
            os.sched_setscheduler(0, policy, os.sched_param(0))
        in_thread: list[dict[str, int]] = []
        thread = threading.Thread(target=lambda: in_thread.append(_seen(obj)))
        thread.start()
        thread.join()
        obj.test_run("guarded", [0])
    task = {"no_such_name": os.getpid(), "state": 0, "exit_signal": int(signal.SIGCHLD), "policy": policy & 0xFF}
    assert before.items() >= (task | {"sched_reset_on_fork": 0}).items()
    assert batch["policy"] == os.SCHED_BATCH
    assert batch["sched_reset_on_fork"] == 1
    assert in_thread[0]["exit_signal"] == 2**64 - 1  # -1: a thread that ends tells nobody
    # A process that runs uses its own memory, as its threads do.
    assert before["mm"] == before["active_mm"] == in_thread[0]["mm"] > 2**63


def test_a_member_that_the_kernel_lacks_is_refused_by_name(members: Path) -> None:
    with pytest.raises(VerifierError) as refused, BpfObject(members, programs=("unguarded",)):
        pass
    assert "TPGEN_ABSENT(core_task_struct_absent)" in refused.value.log["unguarded"]


def _seen(obj: BpfObject) -> dict[str, int]:
    obj.test_run("values", [0])
    return dict(zip(_NAMES, _numbers(obj.section(".bss")), strict=False))


def _numbers(data: bytes) -> Iterator[int]:
    return (number for (number,) in struct.iter_unpack("=Q", bytes(data)[:64]))
