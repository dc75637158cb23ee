"""A header for one member of a kernel's struct that is not called the same on every kernel.

It is made without a kernel: the loader finds the member by each of its names (CO-RE).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tpgen.backends.base import GeneratedFile, OptionValue
from tpgen.backends.bpf.prelude import Prelude
from tpgen.backends.prerendered import fill
from tpgen.diagnostics import fail
from tpgen.spelling import KEYWORDS

_NAMES = re.compile(r"([A-Za-z_]\w*):([A-Za-z_]\w*(?:\|[A-Za-z_]\w*)*)", re.ASCII)
_MOST_NAMES = 8

#: A member as a local struct declares it, for each kind of value that a loader tells apart; whether it is an integer.
_KINDS = (("int {}", True), ("void *{}", False), ("tpgen_any_enum {}", False))


class RenamedMember(NamedTuple):
    """A member of `struct <struct>` under its `names`, of which a kernel has one."""

    struct: str
    names: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The name of the accessor: that of the first name, without underscores in front."""
        return self.names[0].lstrip("_") or self.names[0]


def parsed(text: str) -> RenamedMember:
    """Read `STRUCT:NAME|NAME...`. Raises `usage` for anything else."""
    matched = _NAMES.fullmatch(text)
    names = tuple(dict.fromkeys(matched[2].split("|"))) if matched else ()
    if matched is None or len(names) > _MOST_NAMES or KEYWORDS.intersection((matched[1], *names)):
        raise fail("usage", f"no member of a struct: {text!r}", hint="as in --member 'task_struct:__state|state'")
    return RenamedMember(matched[1], names)


def member_headers(texts: Iterable[str], option: OptionValue, in_directory: bool) -> list[GeneratedFile]:
    """The headers of members, each once, and the files that they include, as the value of the option prelude has it.

    Raises `usage` for a text that `parsed` does not take.
    """
    members = list(dict.fromkeys(map(parsed, texts)))
    prelude = Prelude.of(option, len(members), in_directory)
    headers = [_header(member, prelude) for member in members]
    return [*headers, *prelude.files()]


def _header(member: RenamedMember, prelude: Prelude) -> GeneratedFile:
    """The header with `core_<struct>_<name>(pointer)`, and `core_<struct>_has_<name>()`."""
    name, has = f"core_{member.struct}_{member.stem}", f"core_{member.struct}_has_{member.stem}"
    records: list[str] = []
    exists: list[str] = []
    reads: list[str] = []
    for called in member.names:
        for declared, is_integer in _KINDS:
            record = f"struct {member.struct}___{name}_{len(records) + 1}"
            records.append(f"{record} {{ {declared.format(called)}; }} __attribute__((preserve_access_index));\n")
            exists.append(f"TPGEN_FIELD_EXISTS({record}, {called})")
            flags = ("integer",) if is_integer else ()
            reads.append(fill("bpf", "member_read.h", flags, record=record, member=called))
    text = fill(
        "bpf",
        "member.h",
        struct=member.struct,
        names=", or ".join(member.names),
        name=name,
        has=has,
        guard=f"TPGEN_{name.upper()}_H",
        preamble=prelude.text("prelude.h", "portable.h"),
        records="".join(records),
        exists=" ||\n\t       ".join(exists),
        reads="".join(reads),
    )
    return GeneratedFile(f"{name}.h", text)
