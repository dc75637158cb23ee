"""Outcomes of the CO-RE relocations of an object on one kernel."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tpgen.sources.bpf_object.facts import Place


class Resolved(NamedTuple):
    """The value that the loader writes into the instruction.

    `value` is signed where the immediate of 32 bits or an offset takes it, else the 64 bits of a wide immediate.
    `size` is what a load of an integer becomes where the kernel's member has another size in bytes, else None.
    `struct_name` is the root struct's name, without its flavour, for the offset of a field. `module` is that in whose
    BTF the type was found: it holds while the module is loaded.
    """

    value: int
    size: int | None = None
    struct_name: str | None = None
    module: str | None = None


class Failed(NamedTuple):
    """The kernel does not have it; the loader poisons the code. `what` is the access as C: `task_struct.__state`.

    Where the loader refuses the whole object instead, whatever its programs reach, `refused` says why and `errno` with
    what: the kernel has two such types that differ, or the instruction is not what the relocation says.
    """

    what: str
    refused: str | None = None
    errno: str | None = None


class Unknown(NamedTuple):
    """The result is unknown for this kernel: `what` is the access as C, `struct_name` as in `Resolved`."""

    what: str
    struct_name: str | None = None


Relocated: TypeAlias = Resolved | Failed | Unknown
#: By the place of the instruction. A place that is missing has no relocation.
Relocations: TypeAlias = dict[Place, Relocated]
