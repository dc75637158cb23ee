"""docs/troubleshooting.md against the running kernel: each heading is provoked, and the verifier says just that."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.libbpf import BpfObject, LibbpfError, VerifierError
from support.projects import CHECKOUT

pytestmark = [pytest.mark.live, pytest.mark.compilers]

PAGE = (CHECKOUT / "docs" / "troubleshooting.md").read_text()
PROGRAM = """
typedef unsigned int __u32; typedef unsigned long long __u64; typedef int __s32; typedef unsigned char __u8;
typedef unsigned short __u16; typedef long long __s64; typedef __u16 __be16; typedef __u32 __be32; typedef __u32 __wsum;
#include <bpf/bpf_helpers.h>
SEC("{section}") int program(__u64 *ctx) {{ {body} return 0; }}
char LICENSE[] SEC("license") = "{licence}";
"""

_FOLLOW = 'asm volatile("r2 = *(u64 *)(%0 + 8); r2 = *(u64 *)(r2 + 0)" :: "r"(ctx) : "r2");'

#: By what the kernel says: the section, the body, the licence.
PROVOKED = {
    "dereference of modified ctx ptr": (
        "raw_tp/sched_switch", 'asm volatile("r2 = %0; r2 += 8; r2 = *(u64 *)(r2 + 0)" :: "r"(ctx) : "r2");', "GPL",
    ),
    "invalid bpf_context access": (
        "tp/sched/sched_switch", 'asm volatile("*(u64 *)(%0 + 8) = %0" :: "r"(ctx));', "GPL",
    ),
    "doesn't have N-th argument": (
        "tp_btf/sched_switch", 'asm volatile("r2 = *(u64 *)(%0 + 32)" :: "r"(ctx) : "r2");', "GPL",
    ),
    "invalid mem access 'scalar'": (
        "raw_tp/sched_switch", _FOLLOW, "GPL",
    ),
    "invalid mem access 'trusted_ptr_or_null_'": (
        "tp_btf/sched_pi_setprio", _FOLLOW, "GPL",
    ),
    # A read without a test ends in this call: TPGEN_ABSENT() of a header for several kernels.
    "invalid func unknown#195896080": (
        "raw_tp/sched_switch", 'asm volatile("call 195896080" ::: "r0", "r1", "r2", "r3", "r4", "r5");', "GPL",
    ),
    "cannot call GPL-restricted function from non-GPL compatible program": (
        "raw_tp/sched_switch", 'bpf_printk("x");', "Proprietary",
    ),
    "failed to find kernel BTF type ID": ("tp_btf/no_such_tracepoint", "", "GPL"),
}  # fmt: skip


def headings() -> list[str]:
    at_load = PAGE.partition("## At load")[2].partition("\n## ")[0]
    return re.findall(r"^### `([^`]+)`", at_load, re.MULTILINE)


def test_each_heading_is_provoked() -> None:
    assert headings() == list(PROVOKED)


def said(section: str, body: str, licence: str, folder: Path) -> str:
    """What the kernel and libbpf say when the program is loaded."""
    source = folder / "program.bpf.c"
    source.write_text(PROGRAM.format(section=section, body=body, licence=licence))
    command = ("clang", "-target", "bpf", "-O2", "-g", "-c", source, "-o", folder / "program.bpf.o")
    subprocess.run(command, check=True)
    try:
        with BpfObject(folder / "program.bpf.o"):
            raise AssertionError("it was loaded")
    except VerifierError as error:
        return error.messages + "".join(error.log.values())
    except LibbpfError as error:
        return error.messages


@pytest.mark.parametrize("heading", PROVOKED)
def test_the_kernel_says_so(heading: str, tmp_path: Path) -> None:
    assert re.search(re.escape(heading).replace("N\\-th", r"\d+-th"), said(*PROVOKED[heading], tmp_path))
