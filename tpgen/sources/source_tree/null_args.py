"""The verifier's table of raw arguments that may be NULL, which is in no BTF: `raw_tp_null_args[]` of kernel/bpf/btf.c.

Each entry names a tracepoint and a mask with a hexadecimal digit per argument, the first argument's lowest: 1 for a
pointer that may be NULL, 2 for one that may be an error and that the verifier therefore takes for a number.
Since Linux 838a10bd2ebf ("bpf: Augment raw_tp arguments with PTR_MAYBE_NULL") (in v6.13).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import reduce
from operator import or_

from tpgen.basics.patterns import pattern
from tpgen.model import Argument, Nullness, Pointer, Struct
from tpgen.typequery import stripped

#: What the name of an argument ends in that the verifier is to take for maybe NULL.
NULLABLE_SUFFIX = "__nullable"
#: Where a kernel tree has the table.
PATH = os.path.join("kernel", "bpf", "btf.c")

# Linux has a file of 250 KB there.
_BIGGEST = 1 << 23
_TABLE = pattern(r"\braw_tp_null_args\s*+\[\s*+\]\s*+=\s*+\{")
# Where a line begins with the brace that closes the table.
_END = pattern(r"\n[^\S\n]*+\}\s*+;")
_ENTRY = pattern(r'\{\s*+"(\w++)"\s*+,\s*+(0[xX][0-9a-fA-F]++(?:\s*+\|\s*+0[xX][0-9a-fA-F]++)*+)\s*+\}')
_COMMENT = pattern(r"(?s)/\*.*?(?:\*/|\Z)|//[^\n]*")


def read_null_args(root: str) -> dict[str, int] | None:
    """Read the masks by tracepoint of the tree at `root`; None where it lacks the file or its kernel the table."""
    path = os.path.join(root, PATH)
    try:
        if not os.path.isfile(path):  # nothing that never ends
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse_null_args(file.read(_BIGGEST))
    except OSError:
        return None


def parse_null_args(text: str) -> dict[str, int] | None:
    """Parse the masks by tracepoint out of a C text; None where it has no such table."""
    table = _TABLE.search(text)
    if table is None:
        return None
    masks: dict[str, int] = {}
    end = _END.search(text, table.end())
    if end is None:
        return None
    for name, bits in _ENTRY.findall(_COMMENT.sub(" ", text[table.end() : end.start()])):
        # The verifier takes the first entry of a name.
        masks.setdefault(name, reduce(or_, (int(bit, 16) for bit in bits.split("|"))))
    return masks


def nullness(event: str, arg: Argument, in_module: bool | None, masks: Mapping[str, int] | None) -> Nullness | None:
    """Return what the verifier assumes of a pointer argument; None where that is unknown.

    The suffix tells of itself; without the table nothing else does. Of a module's event that is not in the table the
    verifier knows nothing, so it expects NULL anywhere. `in_module` is None where it is unknown whose the event is.
    To what is no struct no program can follow a pointer, so the verifier assumes nothing of it.
    """
    if has_suffix(arg):
        return Nullness.MAYBE
    if masks is None:
        return None
    digit = masks.get(event, 0) >> 4 * arg.slot & 0xF
    if digit & 3:
        return Nullness.ERROR if digit & 2 else Nullness.MAYBE
    if not points_to_struct(arg) or (event not in masks and in_module is None):
        return None
    return Nullness.MAYBE if event not in masks and in_module else Nullness.NEVER


def has_suffix(arg: Argument) -> bool:
    """Whether the name of the argument has the suffix of those that may be NULL.

    Since Linux 8aeaed21befc ("bpf: Support __nullable argument suffix for tp_btf") (in v6.12).
    """
    return arg.name is not None and arg.name.endswith(NULLABLE_SUFFIX)


def points_to_struct(arg: Argument) -> bool:
    """Whether a tp_btf program can follow the argument, so that the verifier assumes something of it."""
    pointer = stripped(arg.type)
    return isinstance(pointer, Pointer) and isinstance(stripped(pointer.target), Struct)
