"""Catalogs of the small kernel, and ways to tamper with one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from support.small_kernel import small_btf, write_tracefs
from tpgen.catalog.schema import KernelInfo
from tpgen.catalog.write import CatalogWriter
from tpgen.kernel.check import CheckedKernel
from tpgen.kernel.sources import Sources
from tpgen.sources.btf import Btf
from tpgen.sources.btf_tracepoints import TRACEPOINT_NAMES, BtfTracepoints
from tpgen.sources.tracefs import TraceFs
from tpgen.target import target_named

X86_64 = target_named("x86_64")


def small_kernel(folder: Path) -> CheckedKernel:
    """The small kernel from its BTF and its tracefs, which are written below `folder`."""
    tracefs = folder / "tracefs"
    if not tracefs.exists():
        write_tracefs(tracefs)
    btf = BtfTracepoints(Btf(small_btf().blob(), "vmlinux", names=TRACEPOINT_NAMES, arch="x86_64"))
    return CheckedKernel(Sources("small", X86_64, "6.18.1", (btf,), TraceFs(str(tracefs), X86_64)))


def small_catalog(folder: Path, *infos: KernelInfo, name: str = "small.tpgen") -> Path:
    """A catalog file that has the small kernel under each of the names given, `small` by default."""
    writer = CatalogWriter()
    for info in infos or (KernelInfo("small", X86_64, "6.18.1", sources=("btf", "tracefs")),):
        writer.add(info, small_kernel(folder))
    path = folder / name
    writer.save(str(path))
    return path


def changed(path: Path, *statements: str) -> Path:
    """The catalog after some SQL, which any program could have run on it."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path
