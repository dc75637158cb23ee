"""Outcomes of the CO-RE relocations of an object on one kernel."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from tpgen.sources.bpf_object.facts import Place


class Resolved(NamedTuple):
    """The value that the loader writes into the instruction.

    `size` is what a load of an integer becomes where the kernel's member has another size in bytes, else None.
    `struct_name` is the root struct's name, without its flavour, for the offset of a field.
    """

    value: int
    size: int | None = None
    struct_name: str | None = None


class Failed(NamedTuple):
    """The kernel lacks it: the loader poisons the instruction. `what` is the access as C: `task_struct.__state`."""

    what: str


class Unknown(NamedTuple):
    """Nothing that is known of the kernel tells: `what` is the access as C, `struct_name` as in `Resolved`."""

    what: str
    struct_name: str | None = None


Relocated: TypeAlias = Resolved | Failed | Unknown
#: By the place of the instruction. A place that is missing has no relocation.
Relocations: TypeAlias = dict[Place, Relocated]
