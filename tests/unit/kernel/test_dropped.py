"""A kernel that nobody uses any more is freed, with everything that was computed of it."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from support.small_kernel import small_btf, write_btf, write_tracefs

from tpgen.basics.memo import memoised
from tpgen.catalog.store import open_named
from tpgen.kernel.check import CheckedKernel, check_kernel
from tpgen.kernel.events import KernelEvents
from tpgen.kernel.sources import HeaderOptions, open_files

HEADER = """
TRACE_EVENT(sched_switch,
\tTP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state),
\tTP_ARGS(preempt, prev, next, prev_state),
\tTP_STRUCT__entry(__array(char, prev_comm, TASK_COMM_LEN)),
\tTP_fast_assign(), TP_printk("x"));
"""


def from_files(folder: Path) -> KernelEvents:
    (folder / "tree/include/trace/events").mkdir(parents=True)
    (folder / "tree/include/trace/events/sched.h").write_text(f"#define TRACE_SYSTEM sched\n{HEADER}")
    btf, tracefs = write_btf(folder / "btf"), write_tracefs(folder / "tracefs")
    return CheckedKernel(open_files([str(btf)], str(tracefs), HeaderOptions((str(folder / "tree"),))))


@pytest.mark.parametrize("opened", [from_files, lambda _: open_named("6.1")], ids=["files", "catalog"])
def test_a_dropped_kernel_is_freed(opened: Callable[[Path], KernelEvents], tmp_path: Path) -> None:
    kernel = opened(tmp_path)
    keys = kernel.keys()[:300]
    assert len(kernel.events(keys)) > 4
    assert [list(kernel.comparisons(key)) for key in keys]
    if isinstance(kernel, CheckedKernel):
        assert check_kernel(kernel, keys)
    watched = weakref.ref(kernel)
    del kernel
    assert watched() is None


MEMORY = """
import sys
from resource import RUSAGE_SELF, getrusage
from support.small_kernel import small_btf
from tpgen.catalog.store import open_named
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.sources import HeaderOptions, open_files

for turn in range(8):
    kernel = open_named("6.12", "x86_64") if sys.argv[1] == "catalog" else CheckedKernel(open_files([sys.argv[1]]))
    kernel.events(kernel.keys())
    del kernel
    if turn == 1:
        after_two = getrusage(RUSAGE_SELF).ru_maxrss
print(getrusage(RUSAGE_SELF).ru_maxrss - after_two)
"""


@pytest.mark.parametrize("what", ["catalog", "btf"])
def test_memory_of_eight_kernels(what: str, tmp_path: Path) -> None:
    """At its peak, of kernels that are dropped one after the other, at most 8 MiB above that of two."""
    if what == "btf":
        builder = small_btf()
        integer = builder.integer("int", 4)
        for number in range(5000):
            builder.event(f"event_{number}", [(f"argument_{number}", integer)])
        what = str(write_btf(tmp_path / "btf", builder))
    argv = (sys.executable, "-c", MEMORY, what)
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    assert int(done.stdout) <= 8 * 1024


def test_memoised() -> None:
    """A result for each object and argument, computed once, also where it is None."""

    class Asked:
        def __init__(self) -> None:
            self.questions: list[int] = []

        @memoised
        def answer(self, number: int) -> int | None:
            """The number, if it is odd."""
            self.questions.append(number)
            return number if number % 2 else None

    one, two = Asked(), Asked()
    assert [one.answer(3), one.answer(4), one.answer(3), one.answer(4), two.answer(4)] == [3, None, 3, None, None]
    assert (one.questions, two.questions) == ([3, 4], [4])
    assert Asked.answer.__doc__ == "The number, if it is odd."
