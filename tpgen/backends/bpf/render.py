"""The text of a header: the templates of templates/bpf/, filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from zlib import crc32

from tpgen.backends.bpf.header import (
    Accessor,
    Choice,
    ContextMember,
    ContextStruct,
    Copy,
    CopyChoice,
    Header,
    Presence,
    Test,
)
from tpgen.backends.bpf.prelude import Prelude
from tpgen.backends.bpf.types import ValueType
from tpgen.backends.naming import member_declarator
from tpgen.backends.prerendered import fill
from tpgen.model import Dynamic

_fill = partial(fill, "bpf")

#: The sets of flags of every template: one flag of each row, or none where the row has "".
FLAG_SETS: Mapping[str, Sequence[Sequence[str]]] = {
    "bool.h": (),
    "choice.h": (("", "bool"),),
    "copies.h": (("", "guarded"),),
    "copy.h": (("", "fixed", "relative"),),
    "copy_member.h": (("", "fixed", "relative"), ("", "guarded")),
    "has.h": (("", "several"),),
    "header.h": (("", "several"), ("raw", "raw_only", "registers", "classic")),
    "member.h": (),
    "member_read.h": (("", "integer"),),
    "names.h": (),
    "portable.h": (),
    "prelude.h": (),
    "registers.h": (),
    "sections.h": (),
    "struct.h": (("", "packed", "aligned"), ("", "sized")),
    "tags.h": (),
    "test.h": (),
    "accessor.h": (("", "own", "typedef"), ("", "bytes", "bool", "chosen"), ("", "if_pointer", "if_valid")),
}


def text(header: Header, prelude: Prelude) -> str:
    """The header as C, with what it takes of the prelude.

    Its digest tells it from that of another kernel, which may not stand in the same unit.
    """
    struct = _struct(header.tag, header.struct) if header.struct.members else header.local_types
    accessors = "".join(_functions(header))
    kernel = f"Linux {header.release}" if header.release is not None else "one kernel, of unknown release"
    return _fill(
        "header.h",
        ("several" if header.several else "", _kind(header)),
        heading=header.heading,
        kernel=kernel,
        tag=header.tag,
        guard=f"TPGEN_{header.tag.upper()}_H",
        digest=f"{crc32(f'{header.heading}{kernel}{struct}{accessors}'.encode()):08x}",
        preamble="".join(_preamble(header, prelude)),
        context=header.context,
        struct=struct,
        accessors=accessors,
        notes="".join(f" * {note}\n" for note in header.notes),
    )


def _kind(header: Header) -> str:
    """The kind of programs that the header is for, as its first lines explain it."""
    if header.from_registers or header.tag.startswith("tp_"):
        return "registers" if header.from_registers else "classic"
    return "raw" if any(section.name.startswith("BTF_SEC_") for section in header.sections) else "raw_only"


def _preamble(header: Header, prelude: Prelude) -> Iterator[str]:
    """Declarations and macros in front of the struct."""
    yield prelude.text("prelude.h")
    if header.several:
        yield prelude.text("portable.h")
    if header.from_registers:
        yield prelude.text("registers.h")
    if header.uses_bool:
        yield _fill("bool.h")
    if header.tags:
        yield _fill("tags.h", (), tags="\n".join(f"{tag};" for tag in header.tags))
    if header.sections:
        macros = (f'#define {section.name} "{section.text}"' for section in header.sections)
        yield _fill("sections.h", (), sections="\n".join(macros))


def _struct(tag: str, struct: ContextStruct) -> str:
    flags = (
        "packed" if struct.packed else "aligned" if struct.align > 1 else "",
        "sized" if struct.size_bytes is not None else "",
    )
    return _fill(
        "struct.h",
        flags,
        tag=tag,
        members="".join(map(_member, struct.members)),
        assertions="".join(_assertion(tag, member) for member in struct.members),
        align=struct.align,
        size_bytes=struct.size_bytes,
    )


def _functions(header: Header) -> Iterator[str]:
    yield from map(_test, header.tests)
    yield from map(_accessor, header.accessors)
    yield from map(_copy, header.copies)
    if header.presence:
        flags = ("several",) if header.several else ()
        yield _fill("has.h", flags, functions="\n".join(map(_presence, header.presence)))


def _presence(presence: Presence) -> str:
    head, condition = f"TPGEN_INLINE _Bool {presence.name}(void)", presence.condition
    if condition == "1":
        return f"{head} {{ return 1; }}"
    return f"{head}\n{{\n\treturn {condition};\n}}"


def _member(member: ContextMember) -> str:
    if member.slot_bytes:
        return f"\tTPGEN_SLOT({member.declaration}, {member.slot_bytes});\n"
    return f"\t{member.declaration};\n"


def _assertion(tag: str, member: ContextMember) -> str:
    name, at = member.name, member.offset
    where = f"TPGEN_IN_SLOT({at}, {member.slot_bytes})" if member.slot_bytes else at
    return f'_Static_assert(__builtin_offsetof(struct {tag}, {member_declarator(name)}) == {where}, "{name}");\n'


def _test(test: Test) -> str:
    return _fill(
        "test.h",
        (),
        comment=test.comment,
        name=test.name,
        condition=" &&\n\t       ".join(test.conditions),
    )


def _accessor(accessor: Accessor) -> str:
    ctype = accessor.type
    spelling, own, name = ctype.type, ctype.own, accessor.name
    alias = f"{name}_t" if own or spelling.wraps_its_name else None
    flags = (
        "own" if own else "typedef" if alias else "",
        "chosen" if accessor.choices else "bytes" if ctype.by_bytes else "bool" if ctype.is_bool else "",
        "" if not accessor.if_name else "if_valid" if accessor.errors else "if_pointer",
    )
    return _fill(
        "accessor.h",
        flags,
        comment=accessor.comment,
        name=name,
        result=alias or spelling.text,
        function=f"{alias} {name}" if alias else spelling.declare(name),
        own=own,
        substitute=spelling.text,
        typedef=spelling.declare(alias) if alias else None,
        narrow=ctype.narrow,
        bits=accessor.bits,
        if_name=accessor.if_name,
        choices="".join(_choice(choice, ctype, alias or spelling.text) for choice in accessor.choices),
    )


def _choice(choice: Choice, ctype: ValueType, result: str) -> str:
    flags = ("bool",) if ctype.is_bool else ()
    about = {"condition": choice.condition, "narrow": ctype.narrow, "bits": choice.bits, "result": result}
    return _fill("choice.h", flags, **about)


def _copies(copy: Copy) -> str:
    guarded = "guarded" if copy.choices[0].condition else ""
    reads = "".join(_copy_member(choice, copy.function) for choice in copy.choices)
    return _fill("copies.h", (guarded,), comment=copy.comment, name=copy.name, reads=reads)


def _copy_member(choice: CopyChoice, function: str) -> str:
    return _fill(
        "copy_member.h",
        (
            "relative" if choice.dynamic == Dynamic.REL_LOC else "" if choice.dynamic else "fixed",
            "guarded" if choice.condition else "",
        ),
        read=function,
        condition=choice.condition,
        record=choice.record,
        member=choice.member,
        length=choice.length,
    )


def _copy(copy: Copy) -> str:
    if copy.choices:
        return _copies(copy)
    fixed = copy.size_bytes is not None
    flags = ("fixed" if fixed else "relative" if copy.relative else "",)
    return _fill(
        "copy.h",
        flags,
        comment=copy.comment,
        name=copy.name,
        read=copy.function,
        offset=copy.offset,
        end=copy.offset + 4,
        size_bytes=copy.size_bytes,
    )
