"""Pointers that are maybe NULL to the verifier: refused as they are, taken where the checked form tests them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.compilers import Compiler
from support.headers import ROOT, write_header
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


def nullable(event: str, *before: str) -> dict[str, bool | None]:
    """What `tpgen show` tells of an event's arguments, to the process that the words `before` make of it."""
    command = (*before, sys.executable, "-m", "tpgen", "show", event, "--json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {arg["name"]: arg["nullable"] for entry in json.loads(done.stdout) for arg in entry["args"]}


@pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (6, 13), reason="before Linux 6.13 no test is asked for"
)
@pytest.mark.parametrize(("argument", "member"), MAYBE_NULL.items(), ids=map(".".join, MAYBE_NULL))
def test_maybe_null(load: Load, argument: tuple[str, str], member: str) -> None:
    """The kernel asks for the test, and the checked form is one."""
    event, arg = argument
    assert nullable(event)[arg] is True
    load(CHECKED, *argument, member)
    with pytest.raises(VerifierError, match="R1 invalid mem access 'trusted_ptr_or_null_'"):
        load(PLAIN, *argument, member)


@pytest.mark.parametrize("body", [PLAIN, CHECKED], ids=["plain", "checked"])
@pytest.mark.parametrize(("argument", "member"), NEVER_NULL.items(), ids=map(".".join, NEVER_NULL))
def test_never_null(load: Load, argument: tuple[str, str], member: str, body: str) -> None:
    """Where it asks for none, a test does no harm: the same program fits kernels of both sorts."""
    event, arg = argument
    assert nullable(event)[arg] is False
    load(body, *argument, member)


def test_unknown_to_who_may_not_load_programs() -> None:
    """And to who may, once more: neither answer is the other's in a cache."""
    event, arg = "sched_pi_setprio", "tsk"
    for _ in range(2):
        assert nullable(event, "setpriv", "--bounding-set=-all", "--inh-caps=-all")[arg] is None
        assert nullable(event)[arg] is False
