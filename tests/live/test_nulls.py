"""Pointers that are maybe NULL to the verifier: refused as they are, taken where the checked form tests them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.compilers import Compiler
from support.headers import write_header
from support.libbpf import BpfObject, VerifierError

pytestmark = [pytest.mark.live, pytest.mark.compilers]

# Arguments of the verifier's table since Linux 6.13, raw_tp_null_args[] of kernel/bpf/btf.c, and a member of each.
MAYBE_NULL = {("sched_pi_setprio", "pi_task"): "pid", ("kfree_skb", "rx_sk"): "__sk_common.skc_family"}
# One that is not in the table.
NEVER_NULL = {("sched_pi_setprio", "tsk"): "pid"}

SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "raw_{event}.h"
unsigned long out;
SEC(BTF_SEC_{event}) int on_event(void *ctx)
{{
	{body}
	return 0;
}}
char LICENSE[] SEC("license") = "GPL";
"""
Load = Callable[[str, str, str, str], None]
PLAIN = "out = raw_{event}_{arg}(ctx)->{member};"
CHECKED = "raw_{event}_if_{arg}(ctx, p) {{ out = p->{member}; }}"


@pytest.fixture
def load(compiler: Compiler, vmlinux_include: Path, libbpf_include: Path, tmp_path: Path) -> Load:
    """Loads a tp_btf program that follows an argument of an event."""

    def load_program(body: str, event: str, arg: str, member: str) -> None:
        write_header(tmp_path, event, "raw")
        source = SOURCE.format(event=event, body=body.format(event=event, arg=arg, member=member))
        system = (vmlinux_include, libbpf_include)
        obj = compiler.compile(source, tmp_path / "null.o", include=[tmp_path], system=system)
        with BpfObject(obj) as bpf:
            assert bpf.info("on_event").id

    return load_program


@pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (6, 13), reason="before Linux 6.13 no test is asked for"
)
@pytest.mark.parametrize(("argument", "member"), MAYBE_NULL.items(), ids=map(".".join, MAYBE_NULL))
def test_maybe_null(load: Load, argument: tuple[str, str], member: str) -> None:
    """The kernel asks for the test, and the checked form is one."""
    load(CHECKED, *argument, member)
    with pytest.raises(VerifierError, match="R1 invalid mem access 'trusted_ptr_or_null_'"):
        load(PLAIN, *argument, member)


@pytest.mark.parametrize("body", [PLAIN, CHECKED], ids=["plain", "checked"])
@pytest.mark.parametrize(("argument", "member"), NEVER_NULL.items(), ids=map(".".join, NEVER_NULL))
def test_never_null(load: Load, argument: tuple[str, str], member: str, body: str) -> None:
    """Where it asks for none, a test does no harm: the same program fits kernels of both sorts."""
    load(body, *argument, member)
