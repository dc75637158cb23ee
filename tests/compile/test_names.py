"""Headers with names of values compile without a warning, in every company and kind of C; their lists on the host."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.accessors import headers_in
from support.cli import tpgen
from support.compilers import CONVERSIONS, TARGETS, Compiler
from support.shipped import AMD64_OPTIONS

pytestmark = pytest.mark.compilers

_EVENTS = (
    "sched_switch", "kfree_skb", "kmalloc", "mm_compaction_end", "softirq_raise", "timer_start", "inet_sock_set_state",
    "ext4_da_write_pages_extent", "btrfs_chunk_alloc", "afs_call", "xfs_buf_read", "rxrpc_call", "kvm_exit",
)  # fmt: skip
_SET = re.compile(r"#define (RAW|TP)_VALUES_(\w+?)(?:\(| )")


@pytest.fixture(scope="session")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the headers of some events on several kernels, where values moved."""
    folder = tmp_path_factory.mktemp("names")
    done = tpgen("--values", *_EVENTS, *AMD64_OPTIONS, "-o", folder)
    assert done.code == 0, done.err
    assert {path.stem.removeprefix("values_") for path in headers_in(folder)} == set(_EVENTS)
    return folder


def sets(folder: Path) -> list[tuple[str, str]]:
    """The prefix and the stem of each list."""
    return [found for path in headers_in(folder) for found in _SET.findall(path.read_text())]


def includes(folder: Path) -> str:
    return "".join(f'#include "{path.name}"\n' for path in headers_in(folder))


def uses(folder: Path) -> str:
    """A function for each list that asks for each name in it."""
    text = "static volatile unsigned long long answer;\n"
    for prefix, stem in sets(folder):
        ask = f"{prefix}_HAS_VALUE_{stem}(name) ? (unsigned long long){prefix}_VALUE_{stem}(name) : 0"
        text += f"#define ASK_{prefix}_{stem}(name, text) answer = {ask};\n"
        text += f"void ask_{prefix}_{stem}(void);\nvoid ask_{prefix}_{stem}(void)\n"
        text += f"{{\n\t{prefix}_VALUES_{stem}(ASK_{prefix}_{stem})\n}}\n"
    return text


@pytest.mark.parametrize("std", ["c11", "gnu11", "c23", "gnu23"])
@pytest.mark.parametrize("bpf_target", TARGETS)
def test_alone(compiler: Compiler, bpf_target: str, std: str, headers: Path, tmp_path: Path) -> None:
    """Without vmlinux.h, all of them together and twice."""
    unit = includes(headers) * 2 + uses(headers)
    compiler.compile(unit, tmp_path / "u.o", target=bpf_target, std=std, include=[headers], options=CONVERSIONS)


@pytest.mark.kernel_btf
@pytest.mark.parametrize("first", ["vmlinux", "headers"])
def test_with_vmlinux(
    compiler: Compiler, first: str, headers: Path, vmlinux_include: Path, libbpf_include: Path, tmp_path: Path
) -> None:
    """With the enums themselves."""
    kernels = '#include "vmlinux.h"\n#include <bpf/bpf_core_read.h>\n'
    order = kernels + includes(headers) if first == "vmlinux" else includes(headers) + kernels
    system = [vmlinux_include, libbpf_include]
    compiler.compile(order + uses(headers), tmp_path / "unit.o", include=[headers], system=system)


def test_together_with_accessors(compiler: Compiler, headers: Path, tmp_path: Path) -> None:
    """A value is compared with what it is, with all warnings about signs."""
    assert tpgen("sched_switch", "kfree_skb", *AMD64_OPTIONS, "-o", tmp_path / "include").code == 0
    unit = """\
#include "raw_kfree_skb.h"
#include "tp_sched_switch.h"
#include "values_sched_switch.h"
#include "values_kfree_skb.h"
int f(const void *ctx);
int f(const void *ctx)
{
	_Bool has = raw_kfree_skb_has_reason() && RAW_HAS_VALUE_kfree_skb_reason(SKB_DROP_REASON_NO_SOCKET);

	if (has && raw_kfree_skb_reason(ctx) == RAW_VALUE_kfree_skb_reason(SKB_DROP_REASON_NO_SOCKET))
		return 1;
	if (tp_sched_switch_prev_state(ctx) & TP_VALUE_sched_switch_prev_state(S))
		return 2;
	return (tp_sched_switch_prev_state(ctx) & TP_MASK_sched_switch_prev_state) == TP_VALUE_sched_switch_prev_state(R);
}
"""
    options = (*CONVERSIONS, "-Wsign-compare")
    compiler.compile(unit, tmp_path / "u.o", include=[headers, tmp_path / "include"], options=options)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler for the host")
@pytest.mark.parametrize("std", ["c11", "gnu17"])
def test_lists_for_user_space(std: str, headers: Path, tmp_path: Path) -> None:
    """The names and texts, in one order on both sides."""
    lines = [includes(headers), "#include <stdio.h>\n#define ROW(name, text) #name, text,\n"]
    lines += [f"static const char *const {p}_{s}[] = {{ {p}_VALUES_{s}(ROW) }};\n" for p, s in sets(headers)]
    prints = "".join(
        f"\tfor (unsigned i = 0; i < sizeof({p}_{s}) / sizeof({p}_{s}[0]); i += 2)\n"
        f'\t\tprintf("{p} {s} %s %s\\n", {p}_{s}[i], {p}_{s}[i + 1]);\n'
        for p, s in sets(headers)
    )
    source, program = tmp_path / "user.c", tmp_path / "user"
    source.write_text("".join(lines) + f"int main(void)\n{{\n{prints}\treturn 0;\n}}\n")
    command = ("gcc", f"-std={std}", "-Wall", "-Wextra", "-Werror", f"-I{headers}", source, "-o", program)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = subprocess.run((program,), capture_output=True, text=True, check=True).stdout.splitlines()
    assert "RAW kfree_skb_reason SKB_DROP_REASON_NO_SOCKET NO_SOCKET" in told
    assert "TP sched_switch_prev_state X X" in told
    assert "TP kmalloc_gfp_flags GFP_KERNEL GFP_KERNEL" in told
