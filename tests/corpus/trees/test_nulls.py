"""The verifier's table of arguments that may be NULL, of the kernels that have it."""

from __future__ import annotations

import re

from corpus.trees.case import Case
from tpgen.sources.source_tree.null_args import read_null_args

# `sed -n '/raw_tp_null_args\[\]/,/^};/p' kernel/bpf/btf.c | grep -c '{ *"'`
_ENTRIES = {"6.12": 66, "7.2": 140}


def test_null_args(case: Case, report: list[str]) -> None:
    lines = (case.tree.headers / "kernel/bpf/btf.c").read_text().split("\n")
    masks = read_null_args(str(case.tree.headers))
    if case.release < (6, 12):
        assert not any("raw_tp_null_args" in line for line in lines)
        assert masks is None
        return
    # Line by line, from the table's first to its end: an entry is a name in quotes and its mask.
    start = next(number for number, line in enumerate(lines) if "raw_tp_null_args[]" in line)
    table = lines[start : lines.index("};", start)]
    entries = {line.split('"')[1]: _sum(line.split('"')[2]) for line in table if '"' in line}
    assert masks == entries
    assert len(masks) == _ENTRIES[case.kernel]
    report.append(f"Linux {case.tree.version}: {len(masks)} entries in the verifier's table of NULLs")


def _sum(mask: str) -> int:
    """`, 0x1 | 0x200 },` as a number: the masks of one entry have no bit in common."""
    return sum(int(number, 16) for number in re.findall(r"0x[0-9a-f]+", mask))
