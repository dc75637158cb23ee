"""Accesses of a program to its context, and what it does with the pointers that it finds there.

`flow.analysis` finds these in the instructions; `judge` compares them with a kernel's event. Offsets and sizes are in
bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from tpgen.basics.frozen import frozen
from tpgen.sources.bpf_object.facts import Place


class AccessKind(StrEnum):
    LOAD = "load"
    STORE = "store"
    #: A helper copies [offset, offset + size) of the context; no check of the kernel bounds that.
    HELPER = "helper"
    #: A helper copies a string that begins at `offset`; `size` is the most that it copies.
    HELPER_STRING = "helper-string"
    #: What the locator (`__data_loc`) at `offset` leads to is copied.
    DYNAMIC = "dynamic"
    #: bpf_get_func_arg() asks for the argument at `offset`; it returns an error where there is none.
    ARGUMENT = "argument"
    #: The context, or a part of it, is handed to something that is not followed: `detail` says what.
    PASSED = "passed"


class Access(NamedTuple):
    """An access to the context: `offset` is None where it is not known, `size` where a helper is not told it.

    `register_offset` is what had been added to the context's pointer before (the verifier refuses a load where it is
    not 0). `signed` loads extend the sign.
    """

    kind: AccessKind
    place: Place
    offset: int | None
    size: int | None
    register_offset: int = 0
    signed: bool = False
    detail: str = ""


class PointerUse(NamedTuple):
    """A use of the pointer that was loaded from `offset` of the context.

    `struct_name` is that of the CO-RE relocation by which a member of it is reached, None without one. `followed` is
    true for a load through it by an instruction, false for a read by a helper or an address that is only computed.
    `checked` is true where it was compared with NULL on every way to here.
    """

    place: Place
    offset: int
    struct_name: str | None
    followed: bool
    checked: bool


class Unfollowed(StrEnum):
    """Why the accesses of a program may not be all that there are."""

    VARIABLE_OFFSET = "variable-offset"  # ctx + something that is known only at run time
    ESCAPED = "escaped"  # the context was stored where it is not followed
    UNKNOWN_RELOCATION = "unknown-relocation"  # at an offset that this kernel's types do not tell
    LIMIT = "limit"  # too many steps, states or frames
    CORRUPT = "corrupt"  # a jump out of the program, an instruction that does not exist


class Gap(NamedTuple):
    """A place where a program could not be followed."""

    reason: Unfollowed
    place: Place


@frozen
class ProgramAccesses:
    """Accesses of one program to its context, for one kernel's relocations and one choice of variables.

    `reached` are the places that it can reach: a relocation that failed matters only there; `failed` are those of
    them. `decided_by` are the variables of .rodata, and the kconfig values, on whose known value a branch that was
    reached depends; `undecided_by` those of which none is known, with unknown relocations (`what`) and symbols of the
    kernel, so that it was followed both ways. `tail_calls` is true where it hands the context to other programs.
    """

    accesses: frozenset[Access]
    pointers: frozenset[PointerUse]
    gaps: frozenset[Gap]
    reached: frozenset[Place]
    failed: frozenset[Place]
    decided_by: frozenset[str]
    undecided_by: frozenset[str]
    tail_calls: bool
