"""Headers for renamed members compile without a warning, together with those of events, in every kind of C."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import CONVERSIONS, STANDARDS, TARGETS, Compiler

pytestmark = pytest.mark.compilers

_UNIT = """\
#include "core_task_struct_state.h"
#include "core_request_q.h"
#include "raw_sched_switch.h"
#include "core_task_struct_state.h"
unsigned long long use(const void *ctx);
unsigned long long use(const void *ctx)
{
	const struct task_struct *task = raw_sched_switch_next(ctx);

	return core_task_struct_has_state() ? core_task_struct_state(task) + core_request_q(task) : core_request_has_q();
}
"""


@pytest.mark.parametrize("std", STANDARDS)
@pytest.mark.parametrize("bpf_target", TARGETS)
def test_no_warning(compiler: Compiler, bpf_target: str, std: str, tmp_path: Path) -> None:
    members = ("--member", "task_struct:__state|state", "--member", "request:q|__q|queue")
    assert tpgen(*members, "-o", tmp_path).code == 0
    kernels = ("--kernel", "debian-5.10-amd64", "--kernel", "debian-7.2-amd64")
    assert tpgen("sched_switch", "--raw", *kernels, "-o", f"{tmp_path}/").code == 0
    compiler.compile(_UNIT, tmp_path / "unit.o", target=bpf_target, std=std, include=(tmp_path,), options=CONVERSIONS)
