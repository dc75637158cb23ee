"""Beliefs: what the author of a program expected in its context, by the source text, structs and relocations.

Objects keep a line of source for their instructions. Where BPF_PROG names the arguments, that line has the signature,
or as much of it as is on its first line; elsewhere a load may say `(struct sock *)ctx[0]`. Programs at records declare
the struct that their context points to. A belief explains what a program does. It proves nothing by itself: a name may
be the author's own, and a struct be one that begins with the kernel's.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from tpgen.doctor.accesses import Access
from tpgen.doctor.findings import Expected
from tpgen.doctor.relocated import Relocations, Resolved
from tpgen.model import Array, CType, Enum, Int, Pointer, Struct, Void
from tpgen.sources.bpf_object.facts import BpfObject, CoreKind, Function, Place
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind
from tpgen.spelling import spell
from tpgen.typequery import kind_of, stripped


class Shape(NamedTuple):
    """A type, as far as it says what a value is: its kind, the tag of a struct that is pointed to, a number's size.

    `kind` is ptr, int, array, struct or None; `tag` is None for a pointer to anything else.
    """

    kind: str | None
    tag: str | None = None
    size: int | None = None


class Belief(NamedTuple):
    """A belief about a value. `struct_name` is the struct that has it as a member, None for an argument."""

    name: str | None
    type: str
    shape: Shape
    source: str
    struct_name: str | None = None

    @property
    def expected(self) -> Expected:
        return Expected(self.name, self.type, self.source)

    @property
    def declaration(self) -> str:
        """The value as the author declared it."""
        if not self.name:
            return self.type
        return f"{self.type}{'' if self.type.endswith('*') else ' '}{self.name}"


# --- types as text

_NOISE = re.compile(r"\b(?:const|volatile|restrict|__restrict|__user|__rcu|__percpu|__iomem)\b")
_POINTER = re.compile(r"(?:(?:struct|union)\s+(\w+)|[\w\s]*\w)\s*((?:\*\s*)+)")
_SIZES = {
    **dict.fromkeys(("bool", "_Bool", "char", "u8", "s8", "__u8", "__s8", "unsigned char", "signed char"), 1),
    **dict.fromkeys(("short", "unsigned short", "u16", "s16", "__u16", "__s16"), 2),
    **dict.fromkeys(("int", "unsigned", "unsigned int", "signed int", "u32", "s32", "__u32", "__s32", "pid_t"), 4),
    **dict.fromkeys(
        ("long", "unsigned long", "long long", "unsigned long long", "u64", "s64", "__u64", "__s64", "size_t"), 8
    ),
}


def shape_of_text(text: str) -> Shape:
    """The shape of a type that is written as C."""
    words = " ".join(_NOISE.sub(" ", text).split())
    if (pointer := _POINTER.fullmatch(words)) is not None:
        return Shape("ptr", pointer[1] if pointer[2].count("*") == 1 else None)
    if words in _SIZES:
        return Shape("int", None, _SIZES[words])
    return Shape("int", None, 4) if words.startswith("enum ") else Shape(None)


def shape_of(ctype: CType | None) -> Shape:
    """The shape of a type."""
    match None if ctype is None else stripped(ctype):
        case None:
            return Shape(None)
        case Pointer(target=target):
            pointee = stripped(target)
            return Shape("ptr", pointee.name if isinstance(pointee, Struct) else None)
        case Int() | Enum() as number:
            return Shape("int", None, number.size_bytes)
        case Struct():
            return Shape("struct")
        case Void():
            return Shape(None)
        case other:
            return Shape("array" if kind_of(other) == "ptr" else None)


# --- arguments

_SIGNATURE = re.compile(r"\bBPF_PROG2?\s*\(\s*\w+\s*(?:,(.*)|\))")
_DECLARATION = re.compile(r"(.*[\s*])(\w+)\s*")
_CAST = re.compile(
    r"\(\s*((?:const\s+)?(?:struct\s+|union\s+|enum\s+|unsigned\s+)?\w+\s*\**)\s*\)\s*\(?\s*ctx\s*(?:->\s*args)?\s*"
    r"\[\s*(\d+)\s*\]"
)
_ASSIGNED = re.compile(r"(\w+)\s*=\s*\Z")
# Lines of source are somebody else's.
_LONGEST = 4096


def argument_beliefs(obj: BpfObject, function: Function, loads: Iterable[Access]) -> dict[int, Belief]:
    """Beliefs about the raw arguments, by slot: the signature, else casts where they are loaded."""
    named = _signature(obj, function)
    if named is not None:
        return named
    found: dict[int, Belief] = {}
    for access in loads:
        line = obj.line_of(access.place)
        if access.offset is not None and line is not None:
            for slot, belief in _casts(line.text):
                if slot == access.offset // 8:
                    found.setdefault(slot, belief)
    return found


def _signature(obj: BpfObject, function: Function) -> dict[int, Belief] | None:
    """The arguments that BPF_PROG names; None where no line of the function has it."""
    start = function.place
    lines = obj.lines.get(start.section, ())
    for at, line in islice(lines, bisect_left(lines, (start.at,)), None):
        if at >= start.at + function.length:
            break
        if (found := _SIGNATURE.search(line.text[:_LONGEST])) is not None:
            return dict(_declared(found[1] or ""))
    return None


def _declared(text: str) -> Iterator[tuple[int, Belief]]:
    """The parameters in the text, which may end in the middle of one."""
    parts, is_whole = _split(text)
    for slot, part in enumerate(parts if is_whole else parts[:-1]):
        if (found := _DECLARATION.fullmatch(part.strip())) is not None:
            ctype = " ".join(found[1].split()).replace(" *", " *")
            yield slot, Belief(found[2], ctype, shape_of_text(ctype), "text")


def _split(text: str) -> tuple[list[str], bool]:
    """The parameters up to the parenthesis that ends them, and whether there is one."""
    parts: list[str] = []
    depth = begin = 0
    for at, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")" and depth == 0:
            return [*parts, text[begin:at]], True
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]], False


def _casts(text: str) -> Iterator[tuple[int, Belief]]:
    """The casts of `ctx[n]` and `ctx->args[n]` in a line, by slot."""
    for found in _CAST.finditer(text[:_LONGEST]):
        ctype = " ".join(found[1].split())
        name = _ASSIGNED.search(text[: found.start()])
        yield int(found[2]), Belief(name[1] if name else None, ctype, shape_of_text(ctype), "text")


# --- members of a record

_FLAVOR = re.compile(r"___.*\Z", re.DOTALL)
_LOCATORS = ("__data_loc_", "__rel_loc_")
_DEEPEST = 8


def essential(name: str) -> str:
    """The name of a struct without its flavour."""
    return _FLAVOR.sub("", name)


def bare(name: str) -> str:
    """The name of a field without the prefix of a locator."""
    return next((name.removeprefix(prefix) for prefix in _LOCATORS if name.startswith(prefix)), name)


def member_belief(
    obj: BpfObject, function: Function | None, access: Access, relocated: Mapping[int, Belief]
) -> Belief | None:
    """The member that the author meant by an access to a record; None if unknown.

    `relocated` are the members that the program finds by relocations, by where these put them.
    """
    assert access.offset is not None
    at_place = relocation_belief(obj, access.place)
    if at_place is not None:
        return at_place
    if relocated:
        return relocated.get(access.offset)
    struct = None if function is None else _context_struct(obj, function)
    return None if struct is None or obj.btf is None else _member_at(obj.btf, struct, access)


def relocated_members(obj: BpfObject, places: Iterable[Place], relocations: Relocations) -> dict[int, Belief]:
    """The members of records that the program finds by relocations, by their offsets on this kernel."""
    found: dict[int, Belief] = {}
    for place in places:
        relocated = relocations.get(place)
        if isinstance(relocated, Resolved) and (relocated.struct_name or "").startswith("trace_event_raw_"):
            belief = relocation_belief(obj, place)
            if belief is not None:
                found.setdefault(relocated.value, belief)
    return found


def relocation_belief(obj: BpfObject, place: Place) -> Belief | None:
    """The member whose offset a relocation asks for; None where there is no such relocation."""
    core = obj.core_relocations.get(place)
    if core is None or core.kind != CoreKind.FIELD_BYTE_OFFSET or obj.btf is None:
        return None
    numbers = core.access.split(":")
    if len(numbers) < 2 or not numbers[1].isdecimal():
        return None
    struct = obj.btf.strip(core.type_id)
    if obj.btf.kind(struct) not in _STRUCTS:
        return None
    members = obj.btf.members(struct)
    if int(numbers[1]) >= len(members):
        return None
    member = members[int(numbers[1])]
    return _belief(obj.btf, struct, member.name, member.type_id, "relocation")


_STRUCTS = (BtfKind.STRUCT, BtfKind.UNION)


def _context_struct(obj: BpfObject, function: Function) -> int | None:
    """The struct that the function's first parameter points to; None for `void *` and the like."""
    type_id = obj.function_types.get(function.place)
    if type_id is None or obj.btf is None or obj.btf.kind(type_id) not in (BtfKind.FUNC, BtfKind.FUNC_PROTO):
        return None
    params = obj.btf.params(type_id)
    pointer = obj.btf.strip(params[0].type_id) if params else 0
    if obj.btf.kind(pointer) != BtfKind.PTR:
        return None
    struct = obj.btf.strip(obj.btf.target_id(pointer))
    return struct if obj.btf.kind(struct) in _STRUCTS else None


def _member_at(btf: Btf, struct: int, access: Access, base: int = 0, depth: int = 0) -> Belief | None:
    """The member that an access is of, within structs in the struct too; of unions the first that fits."""
    assert access.offset is not None
    begin, end = access.offset, access.offset + (access.size or 1)
    for member in btf.members(struct):
        offset = base + member.offset_bits // 8
        if not offset <= begin < offset + max(_size(btf, member.type_id), 1):
            continue
        inner = btf.strip(member.type_id)
        if btf.kind(inner) in _STRUCTS and depth < _DEEPEST:
            found = _member_at(btf, inner, access, offset, depth + 1)
            if found is not None and not member.name:
                return found
        if member.name and (end <= offset + _size(btf, member.type_id) or begin == offset):
            return _belief(btf, struct, member.name, member.type_id, "struct", access.size)
    return None


def _size(btf: Btf, type_id: int) -> int:
    return btf.size(type_id) if btf.kind(btf.strip(type_id)) not in _WITHOUT_SIZE else 0


_WITHOUT_SIZE = (BtfKind.VOID, BtfKind.FWD, BtfKind.FUNC_PROTO)


def _belief(btf: Btf, struct: int, name: str, type_id: int, source: str, size: int | None = None) -> Belief:
    ctype = btf.ctype(type_id)
    shape = _shape_of_member(ctype, size)
    return Belief(name or None, spell(ctype).replace(" [", "["), shape, source, btf.name(struct) or None)


def _shape_of_member(ctype: CType, size: int | None) -> Shape:
    """The shape of a member of which an access takes `size` bytes: that of an element where it takes one number."""
    array = stripped(ctype)
    if not isinstance(array, Array):
        return shape_of(ctype)
    element = shape_of(array.element)
    takes_one = size is not None and element.size == size and size > 1
    return element if takes_one or element.kind == "ptr" else Shape("array")


# --- structs that begin with another

#: As many members has no struct that somebody writes down for a program: it is a copy of the kernel's.
_MANY = 12


def begins_with(btf: Btf, outer: str, inner: str) -> bool | None:
    """Whether `struct outer` begins with a `struct inner`; None where this BTF does not define it as a whole."""
    known = False
    for struct in btf.own_ids_of(outer):
        if btf.kind(struct) not in _STRUCTS:
            continue
        if _begins(btf, struct, inner):
            return True
        known |= len(btf.members(struct)) >= _MANY
    return False if known else None


def _begins(btf: Btf, struct: int, inner: str) -> bool:
    for _ in range(_DEEPEST):
        members = btf.members(struct)
        if not members or members[0].offset_bits:
            return False
        struct = btf.strip(members[0].type_id)
        if btf.kind(struct) not in _STRUCTS:
            return False
        if btf.name(struct) == inner:
            return True
    return False
