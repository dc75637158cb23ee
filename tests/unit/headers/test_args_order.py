"""A class whose TP_ARGS has another order than its TP_PROTO: the kernel passes TP_ARGS, BTF shows TP_PROTO.

btrfs__prelim_ref was such a class until Linux bc7e09750935 ("btrfs: correct the order of prelim_ref arguments in
btrfs__prelim_ref") (Debian's 5.10.262 has it). Its events write
the order of TP_PROTO, which does not matter: what BPF programs get is what the class's function passes on.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import COMPILERS

HEADER = """
#undef TRACE_SYSTEM
#define TRACE_SYSTEM btrfs
DECLARE_EVENT_CLASS(btrfs__prelim_ref,
	TP_PROTO(const struct btrfs_fs_info *fs_info, const struct prelim_ref *oldref,
		const struct prelim_ref *newref, u64 tree_size),
	TP_ARGS(fs_info, %s, tree_size),
	TP_STRUCT__entry(__field(u64, root_id) __field(u64, tree_size)),
	TP_fast_assign(__entry->tree_size = tree_size;),
	TP_printk("%%llu", __entry->tree_size)
);
DEFINE_EVENT(btrfs__prelim_ref, btrfs_prelim_ref_insert,
	TP_PROTO(const struct btrfs_fs_info *fs_info, const struct prelim_ref *oldref,
		const struct prelim_ref *newref, u64 tree_size),
	TP_ARGS(fs_info, oldref, newref, tree_size)
);
"""

# What the kernel's macros make of it, as far as it ends up in BTF.
KERNEL = """
typedef unsigned long long u64;
struct btrfs_fs_info { int x; };
struct prelim_ref { int x; };
struct trace_entry { unsigned short type; unsigned char flags; unsigned char preempt_count; int pid; };
struct trace_event_raw_btrfs__prelim_ref { struct trace_entry ent; u64 root_id; u64 tree_size; char __data[]; } record;
#define PROTO const struct btrfs_fs_info *fs_info, const struct prelim_ref *oldref, \\
	const struct prelim_ref *newref, u64 tree_size
typedef void (*btf_trace_btrfs_prelim_ref_insert)(void *__data, PROTO);
btf_trace_btrfs_prelim_ref_insert handler;
int __traceiter_btrfs_prelim_ref_insert(void *__data, PROTO) { return 0; }
void __bpf_trace_btrfs__prelim_ref(void *__data, PROTO) { }
"""

SWAPPED, STRAIGHT = "newref, oldref", "oldref, newref"

pytestmark = pytest.mark.compilers


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BTF that clang made."""
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.c").write_text(KERNEL)
    clang = COMPILERS[0].command[0]
    command = [clang, "-target", "bpfel", "-g", "-O2", "-c", "kernel.c", "-o", "kernel.o"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "kernel.o"


def _headers(folder: Path, order: str) -> Path:
    (folder / "btrfs.h").write_text(HEADER % order)
    return folder


def test_check_reports_the_order(btf: Path, tmp_path: Path) -> None:
    headers = _headers(tmp_path, SWAPPED)
    done = tpgen("check", "--btf", btf, "--headers", headers)
    assert done.code == 1
    assert f"{headers}/btrfs.h:12:1: " in done.out + done.err
    assert "TP_ARGS passes fs_info, newref, oldref, tree_size, BTF has fs_info, oldref, newref, tree_size" in (
        done.out + done.err
    )
    assert (done.out + done.err).count("[raw-order]") == 1


def test_check_is_content_with_the_same_order(btf: Path, tmp_path: Path) -> None:
    done = tpgen("check", "--btf", btf, "--headers", _headers(tmp_path, STRAIGHT))
    assert done.code == 0
    assert "raw-order" not in done.out + done.err


@pytest.mark.parametrize("order", [SWAPPED, STRAIGHT])
@pytest.mark.parametrize("with_btf", [True, False], ids=["btf", "headers alone"])
def test_arguments_come_in_the_order_of_tp_args(btf: Path, tmp_path: Path, order: str, with_btf: bool) -> None:
    sources: list[str | Path] = ["--btf", btf] if with_btf else []
    headers = _headers(tmp_path, order)
    done = tpgen("show", "btrfs_prelim_ref_insert", "--json", *sources, "--headers", headers, "--arch", "x86_64")
    (event,) = json.loads(done.out)
    names = [arg["name"] for arg in event["args"]]
    assert names == ["fs_info", *order.split(", "), "tree_size"]
    assert [arg["slot"] for arg in event["args"]] == [0, 1, 2, 3]
