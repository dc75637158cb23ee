"""The numbers of system calls in the sources of whole kernels: none is missing from ours, and none differs."""

from __future__ import annotations

from support.syscall_tables import ARCHES, numbers, tables

from corpus.trees.case import Case
from tpgen.kernel.syscalls import syscall
from tpgen.target import target_named

# Linux 5.10 has no fewer: a table that was read in part would.
_LEAST = {"x86_64": 330, "i386": 380, "aarch64": 290, "arm": 380, "riscv64": 290, "s390x": 330}


def test_numbers(case: Case, report: list[str]) -> None:
    stated = numbers(tables(case.kernel))
    for arch in ARCHES:
        target = target_named(arch)
        said = {entry: found for (of, entry), found in stated.items() if of == arch}
        assert len(said) >= _LEAST[arch]
        ours = {entry: {syscall(f"sys_enter_{entry}", target, None).number} for entry in said}
        assert ours == said
    report.append(
        f"Linux {case.tree.version}: {len(stated)} numbers of system calls, those of {len(ARCHES)} architectures"
    )
