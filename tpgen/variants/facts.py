"""Facts of several kernels about one event: the place of each value, and the conditions that are true on these kernels.

Conditions are relocations, which a loader resolves on the kernel where it loads a program (CO-RE). Kernels have the
names that the caller gave them, oldest first.
"""

from __future__ import annotations

from typing import TypeAlias

from tpgen.basics.frozen import frozen
from tpgen.model import CType, Field, Nullness

# --- conditions


@frozen
class PrototypeExists:
    """Whether the kernel has a typedef `btf_trace_<tracepoint>` whose parameters are of these kinds.

    `parameters` are kinds alone: structs, unions and enums without a name, any integer as `int`.
    """

    tracepoint: str
    parameters: tuple[CType, ...]


@frozen
class RecordExists:
    """Whether the kernel has a `struct trace_event_raw_<class_name>`."""

    class_name: str


@frozen
class Member:
    """A member of `struct trace_event_raw_<class_name>` as a relocation looks for it: by name and kind.

    `type` has the size and sign with which it is loaded: an integer, an enum, a pointer to void, or an array of one
    element of such a kind.
    """

    class_name: str
    name: str
    type: CType


@frozen
class MemberExists:
    member: Member


@frozen
class MemberSize:
    """Whether the member has that size in bytes; false where it does not exist."""

    member: Member
    size_bytes: int


@frozen
class MemberSigned:
    """Whether the member has that sign; false where it does not exist."""

    member: Member
    signed: bool


@frozen
class Not:
    """The opposite of a condition."""

    condition: PrototypeExists | RecordExists | MemberExists


Condition: TypeAlias = PrototypeExists | RecordExists | MemberExists | MemberSize | MemberSigned | Not
#: Conditions that hold together.
Conjunction: TypeAlias = tuple[Condition, ...]

# --- values


@frozen
class ArgumentPlace:
    """The place of a raw argument on `kernels`, where any of the conjunctions `when` holds; without any, everywhere.

    `type` is the argument's type there.
    """

    kernels: tuple[str, ...]
    when: tuple[Conjunction, ...]
    slot: int
    type: CType


@frozen
class FieldPlace:
    """The place of a field of the classic record on `kernels`, where any of the conjunctions `when` holds.

    Without any it is there everywhere. `member` is what a relocation finds it by; None where it is at the offset of
    `field` on all of the kernels. `field` is that of the newest of them. `type` is the type of a scalar there, None for
    one whose bytes are copied; `size_bytes` is the size of a field that is no dynamic one, where all have the same.
    """

    kernels: tuple[str, ...]
    when: tuple[Conjunction, ...]
    member: Member | None
    field: Field
    type: CType | None
    size_bytes: int | None


@frozen
class JoinedArgument:
    """A raw argument by name, with the type `type` in which all kernels' values fit.

    The first of `places` whose condition is true counts; if none is, the argument is absent. `struct` is the tag of the
    struct that it points to, if kernels have pointers to different structs under one name. `nullness` is the strictest
    of all kernels. `unseen` are kernels that have it, but no BTF in which a loader could see it.
    """

    name: str
    struct: str | None
    type: CType
    places: tuple[ArgumentPlace, ...]
    nullness: Nullness | None
    unseen: tuple[str, ...] = ()

    @property
    def is_everywhere(self) -> bool:
        return not self.places[0].when


@frozen
class JoinedField:
    """A field of the classic record by name. The first of `places` whose condition is true counts.

    `type` is that in which all kernels' values fit; None for a field whose bytes are copied, which are a string where
    `is_string`, and of which nobody knows what they are where not `is_known`. `struct` and `unseen` are as for an
    argument.
    """

    name: str
    struct: str | None
    type: CType | None
    places: tuple[FieldPlace, ...]
    is_string: bool = False
    is_known: bool = True
    unseen: tuple[str, ...] = ()

    @property
    def is_everywhere(self) -> bool:
        return not self.places[0].when


@frozen
class Omitted:
    """An argument or a field that no header can offer for all of the kernels, and why."""

    name: str
    reason: str


@frozen
class JoinedArguments:
    """The raw arguments of an event of several kernels, in the order of the newest, then of the older ones."""

    values: tuple[JoinedArgument, ...]
    omitted: tuple[Omitted, ...]


@frozen
class JoinedRecord:
    """The classic record of an event of several kernels, its fields in the order of the newest."""

    values: tuple[JoinedField, ...]
    omitted: tuple[Omitted, ...]
