"""Accesses that CO-RE relocations describe, as the object's own types have them.

Source: bpf_core_parse_spec() of libbpf's relo_core.c. What has a name counts, and which element of an array; anonymous
structs in between do not.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tpgen.basics.memo import memoised
from tpgen.sources.bpf_object.btf_types import array_type, count_of, enumerators, member
from tpgen.sources.bpf_object.facts import CoreKind, CoreRelocation
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import SIZED, BtfKind

COMPOSITES = frozenset((BtfKind.STRUCT, BtfKind.UNION))
ENUMS = frozenset((BtfKind.ENUM, BtfKind.ENUM64))
FIELD_KINDS = frozenset(CoreKind(number) for number in range(CoreKind.FIELD_BYTE_OFFSET, CoreKind.TYPE_ID_LOCAL))
ENUMERATOR_KINDS = frozenset((CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE))
#: BPF_CORE_SPEC_MAX_LEN
MOST_PARTS = 64

_ACCESS = re.compile(r"\d{1,9}(?::\d{1,9})*")
_FLAVOUR = re.compile(r"(?s)(.*[^_])___[^_].*")
# btf__resolve_size() follows so many types.
_DEEPEST = 32
_MOST_BYTES = 0xFFFFFFFF


class Refusal(Exception):
    """libbpf refuses to load the object: `errno` is the name of the error, `reason` a clause."""

    def __init__(self, errno: str, reason: str) -> None:
        super().__init__(reason)
        self.errno = errno
        self.reason = reason


class Part(NamedTuple):
    """A named member or enumerator of the type, or an element of an array of the type; `name` is None for that."""

    type_id: int
    at: int
    name: str | None


class Spec(NamedTuple):
    """An access from the type `root` on, `parts` and the offset of what it ends at. Relocations of types have none."""

    root: int
    parts: tuple[Part, ...]
    bit_offset: int


def essential_name(name: str) -> str:
    """The name of a type without its flavour: `task_struct` of `task_struct___old`."""
    flavoured = _FLAVOUR.fullmatch(name) if "___" in name else None
    return flavoured[1] if flavoured else name


def size_in_bytes(btf: Btf, type_id: int, pointer_bytes: int) -> int:
    """The size of a type. Raises `Refusal` for one without."""
    elements = 1
    for _ in range(_DEEPEST):
        type_id = btf.strip(type_id)
        kind = btf.kind(type_id)
        if kind == BtfKind.ARRAY:
            array = array_type(btf, type_id)
            elements *= array.length
            type_id = array.element
            continue
        if kind != BtfKind.PTR and kind not in SIZED:
            break
        size = elements * (pointer_bytes if kind == BtfKind.PTR else btf.words(type_id)[2])
        if size > _MOST_BYTES:
            raise Refusal("E2BIG", f"type {type_id} has {size} bytes")
        return size
    raise Refusal("EINVAL", f"type {type_id} has no size")


def parse(btf: Btf, relocation: CoreRelocation) -> Spec:
    """The access that a relocation describes. Raises `Refusal` for one that its types do not have."""
    kind, root, text = relocation
    if not _ACCESS.fullmatch(text):
        raise Refusal("EINVAL", f"the access {text!r} cannot be read")
    indices = [int(number) for number in text.split(":")]
    if len(indices) > MOST_PARTS:
        raise Refusal("EINVAL", f"an access of {len(indices)} parts")
    if kind not in FIELD_KINDS and kind not in ENUMERATOR_KINDS:
        if text != "0":
            raise Refusal("EINVAL", f"the access {text!r} to a whole type")
        return Spec(root, (), 0)
    first = btf.strip(root)
    if kind in ENUMERATOR_KINDS:
        return Spec(root, (_enumerator(btf, first, indices),), 0)
    bit_offset = 8 * indices[0] * size_in_bytes(btf, first, 8)
    parts = [Part(first, indices[0], None)]
    type_id = first
    for index in indices[1:]:
        type_id, offset = _step(btf, btf.strip(type_id), index, parts)
        bit_offset += offset
    return Spec(root, tuple(parts), bit_offset)


def _enumerator(btf: Btf, type_id: int, indices: list[int]) -> Part:
    if btf.kind(type_id) not in ENUMS or len(indices) > 1 or indices[0] >= count_of(btf, type_id):
        raise Refusal("EINVAL", f"type {type_id} has no enumerator {indices[0]}")
    name = next(each.name for at, each in enumerate(enumerators(btf, type_id)) if at == indices[0])
    return Part(type_id, indices[0], name)


def _step(btf: Btf, type_id: int, index: int, parts: list[Part]) -> tuple[int, int]:
    """The type of a member or element and its offset in bits; it is added to `parts` unless it is anonymous."""
    kind = btf.kind(type_id)
    if kind in COMPOSITES:
        if index >= count_of(btf, type_id):
            raise Refusal("EINVAL", f"type {type_id} has no member {index}")
        found = member(btf, type_id, index)
        if found.name:
            parts.append(Part(type_id, index, found.name))
        return found.type_id, found.offset_bits
    if kind == BtfKind.ARRAY:
        array = array_type(btf, type_id)
        element = btf.strip(array.element)
        if index >= array.length and not is_flexible(btf, parts[-1], array.length):
            raise Refusal("EINVAL", f"type {type_id} has no element {index}")
        parts.append(Part(element, index, None))
        return element, 8 * index * size_in_bytes(btf, element, 8)
    raise Refusal("EINVAL", f"type {type_id} has no members")


def is_flexible(btf: Btf, holder: Part, length: int) -> bool:
    """Whether an array, which is the member `holder`, has any number of elements."""
    return holder.name is not None and length == 0 and holder.at == count_of(btf, holder.type_id) - 1


@memoised
def spelled(btf: Btf, relocation: CoreRelocation) -> str:
    """The access as C has it, as far as it can be read: `task_struct.se.vruntime`, `bpf_func_id.BPF_FUNC_loop`."""
    try:
        spec = parse(btf, relocation)
    except Refusal:
        spec = Spec(relocation.type_id, (), 0)
    name = essential_name(btf.name(relocation.type_id)) or "(anonymous)"
    kind = btf.kind(relocation.type_id)
    word = {BtfKind.STRUCT: "struct ", BtfKind.UNION: "union "}.get(kind, "enum " if kind in ENUMS else "")
    if not spec.parts:
        return word + name
    first, *others = spec.parts
    begin = name if first.name is None else f"{name}.{first.name}"
    return begin + (f"[{first.at}]" if first.name is None and first.at else "") + "".join(map(_suffix, others))


def _suffix(part: Part) -> str:
    return f"[{part.at}]" if part.name is None else f".{part.name}"
