"""Flavours: local types by which relocations ask a kernel for prototypes of tracepoints and members of records.

A loader compares them with the kernel's type of the name in front of `___`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never

from tpgen.backends.bpf.types import sized_integer
from tpgen.model import Array, CType, Enum, FuncProto, Int, Pointer, Struct, Typedef
from tpgen.spelling import spell
from tpgen.typequery import mapped
from tpgen.variants.facts import (
    Condition,
    Conjunction,
    Member,
    MemberExists,
    MemberSigned,
    MemberSize,
    Not,
    PrototypeExists,
    RecordExists,
)


class Flavours(NamedTuple):
    """The local types of one header, and what C calls them.

    `prototypes` are the names of typedefs, `records` the tags of structs, of which one has each member.
    """

    prototypes: Mapping[PrototypeExists, str]
    records: Mapping[str, tuple[Mapping[str, Member], ...]]
    suffix: str

    def text(self, comments: Mapping[PrototypeExists, str]) -> str:
        """The declarations, those of prototypes with a comment above each."""
        return "".join((*self._typedefs(comments), *self._structs()))

    def _typedefs(self, comments: Mapping[PrototypeExists, str]) -> Iterator[str]:
        for prototype, name in self.prototypes.items():
            parameters = ", ".join(("void *", *(spell(_local(kind)) for kind in prototype.parameters)))
            yield f"/* {comments[prototype]} */\ntypedef void (*{name})({parameters});\n"

    def _structs(self) -> Iterator[str]:
        for class_name, flavours in self.records.items():
            for number, members in enumerate(flavours, 1):
                lines = "".join(f"\t{_declared(member)};\n" for member in members.values())
                attribute = " __attribute__((preserve_access_index))" if members else ""
                yield f"struct {self._tag(class_name, number)} {{\n{lines or _EMPTY}}}{attribute};\n"

    def _tag(self, class_name: str, number: int) -> str:
        return f"trace_event_raw_{class_name}___{self.suffix}_{number}"

    def record_of(self, member: Member) -> str:
        """The local struct that has the member."""
        flavours = self.records[member.class_name]
        number = next(at for at, members in enumerate(flavours, 1) if members.get(member.name) == member)
        return f"struct {self._tag(member.class_name, number)}"

    def any_of(self, conjunctions: Sequence[Conjunction], indent: str) -> str:
        """The C expression for any of the conjunctions."""
        several = len(conjunctions) > 1
        texts = []
        for each in conjunctions:
            text = f" &&\n{indent}".join(map(self._condition, each))
            texts.append(f"({text})" if several and len(each) > 1 else text)
        return f" ||\n{indent}".join(texts)

    def _condition(self, condition: Condition) -> str:
        match condition:
            case PrototypeExists():
                return f"TPGEN_TYPE_EXISTS({self.prototypes[condition]})"
            case RecordExists(class_name=name):
                return f"TPGEN_TYPE_EXISTS(struct {self._tag(name, 1)})"
            case MemberExists(member=member):
                return f"TPGEN_FIELD_EXISTS({self.record_of(member)}, {member.name})"
            case MemberSize(member=member, size_bytes=size):
                return f"TPGEN_FIELD_SIZE({self.record_of(member)}, {member.name}) == {size}"
            case MemberSigned(member=member, signed=signed):
                return f"{'' if signed else '!'}TPGEN_FIELD_SIGNED({self.record_of(member)}, {member.name})"
            case Not(condition=positive):
                return f"!{self._condition(positive)}"
            case _:
                assert_never(condition)


_EMPTY = "\tint unused;\n"


def flavours(
    conditions: Iterable[Condition],
    members: Iterable[Member],
    forms: Sequence[PrototypeExists],
    suffix: str,
    of_prototypes: str = "tpgen",
) -> Flavours:
    """The local types for these conditions and members. `forms` has all prototypes, newest first.

    Behind `___` structs have `suffix`, and typedefs `of_prototypes`, which tell those of headers for one event apart.
    """
    asked = [c.condition if isinstance(c, Not) else c for c in conditions]
    used = {c for c in asked if isinstance(c, PrototypeExists)}
    ordered = [form for form in dict.fromkeys(forms) if form in used]
    prototypes = {
        form: f"btf_trace_{form.tracepoint}___{of_prototypes}{number}" for number, form in enumerate(ordered, 1)
    }
    records: dict[str, list[dict[str, Member]]] = {}
    for condition in asked:
        if isinstance(condition, RecordExists):
            records.setdefault(condition.class_name, [{}])
    of_conditions = [c.member for c in asked if isinstance(c, MemberExists | MemberSize | MemberSigned)]
    for member in (*members, *of_conditions):
        of_class = records.setdefault(member.class_name, [{}])
        # A name has another type in the next one.
        place = next((each for each in of_class if each.get(member.name, member) == member), None)
        if place is None:
            of_class.append(place := {})
        place[member.name] = member
    return Flavours(prototypes, {name: tuple(each) for name, each in records.items()}, suffix)


def _local(kind: CType) -> CType:
    """A type of that kind: one with a name that headers for several kernels declare."""
    match kind:
        case Struct(forward=True):
            return Struct(kind.keyword, f"tpgen_forward_{kind.keyword}")
        case Struct():
            return Struct(kind.keyword, f"tpgen_{kind.keyword}")
        case Enum():
            return Enum("tpgen_enum")
        case _:
            return mapped(kind, _local)


def _declared(member: Member) -> str:
    return spell(_member_type(member.type), member.name)


def _member_type(ctype: CType) -> CType:
    match ctype:
        case Int(name=""):
            return sized_integer(ctype.size_bytes, ctype.signed)
        case Enum(size_bytes=1):
            return Typedef("tpgen_byte_enum")
        case Enum():
            return Typedef("tpgen_any_enum")
        case Array():
            return Array(_member_type(ctype.element), ctype.length)
        case Pointer() | FuncProto():
            return ctype
        case _:
            return _local(ctype)
