"""The text of a header: the templates of templates/bpf/, filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from zlib import crc32

from tpgen.backends.bpf.header import Accessor, ContextMember, ContextStruct, Copy, Header, Test
from tpgen.backends.prerendered import fill

_fill = partial(fill, "bpf")

#: The sets of flags of every template: one flag of each row, or none where the row has "".
FLAG_SETS: Mapping[str, Sequence[Sequence[str]]] = {
    "bool.h": (),
    "copy.h": (("", "fixed", "relative"), ("", "string")),
    "has.h": (),
    "header.h": (),
    "prelude.h": (),
    "registers.h": (),
    "sections.h": (),
    "struct.h": (("", "packed", "aligned"), ("", "sized")),
    "tags.h": (),
    "test.h": (),
    "accessor.h": (("", "own", "typedef"), ("", "bytes", "bool"), ("", "if_pointer", "if_valid")),
}


def text(header: Header) -> str:
    """The header as C. Its digest tells it from that of another kernel, which may not stand in the same unit."""
    struct = _struct(header.tag, header.struct) if header.struct.members else ""
    accessors = "".join(_functions(header))
    kernel = f"Linux {header.release}" if header.release is not None else "one kernel, of unknown release"
    return _fill(
        "header.h",
        (),
        heading=header.heading,
        kernel=kernel,
        tag=header.tag,
        guard=f"TPGEN_{header.tag.upper()}_H",
        digest=f"{crc32(f'{header.heading}{kernel}{struct}{accessors}'.encode()):08x}",
        preamble="".join(_preamble(header)),
        context=header.context,
        struct=struct,
        accessors=accessors,
    )


def _preamble(header: Header) -> Iterator[str]:
    """Declarations and macros in front of the struct."""
    yield _fill("prelude.h")
    if header.from_registers:
        yield _fill("registers.h")
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
        tests = [f"TPGEN_INLINE _Bool {name}(void) {{ return 1; }}" for name in header.presence]
        yield _fill("has.h", (), functions="\n".join(tests))


def _member(member: ContextMember) -> str:
    if member.slot_bytes:
        return f"\tTPGEN_SLOT({member.declaration}, {member.slot_bytes});\n"
    return f"\t{member.declaration};\n"


def _assertion(tag: str, member: ContextMember) -> str:
    name, at = member.name, member.offset
    where = f"TPGEN_IN_SLOT({at}, {member.slot_bytes})" if member.slot_bytes else at
    return f'_Static_assert(__builtin_offsetof(struct {tag}, {name}) == {where}, "{name}");\n'


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
        "bytes" if ctype.by_bytes else "bool" if ctype.is_bool else "",
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
    )


def _copy(copy: Copy) -> str:
    fixed = copy.size_bytes is not None
    flags = ("fixed" if fixed else "relative" if copy.relative else "", "string" if copy.is_string else "")
    return _fill(
        "copy.h",
        flags,
        comment=copy.comment,
        name=copy.name,
        offset=copy.offset,
        end=copy.offset + 4,
        size_bytes=copy.size_bytes,
    )
