"""The text of a header: the templates of templates/bpf/, filled in by their forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from tpgen.backends.bpf.header import Accessor, ContextMember, ContextStruct, Copy, Header, Test
from tpgen.backends.prerendered import form

_form = partial(form, "bpf")

#: Every template, and what its shapes are made of: a word of each row, or none where the row has "".
SHAPES: Mapping[str, Sequence[Sequence[str]]] = {
    "bool.h": (),
    "copy.h": (("", "fixed", "relative"), ("", "string")),
    "header.h": (("", "release"),),
    "prelude.h": (),
    "registers.h": (),
    "sections.h": (),
    "struct.h": (("", "packed", "aligned"), ("", "sized")),
    "tags.h": (),
    "test.h": (),
    "value.h": (("", "own", "typedef"), ("", "bytes", "bool"), ("", "if_pointer", "if_valid")),
}


def text(header: Header) -> str:
    """The header as C."""
    return _form("header.h", "release" if header.release is not None else "") % {
        "heading": header.heading,
        "release": header.release,
        "guard": f"TPGEN_{header.tag.upper()}_H",
        "preamble": "".join(_preamble(header)),
        "context": header.context,
        "struct": _struct(header.tag, header.struct) if header.struct.members else "",
        "accessors": "".join(_functions(header)),
    }


def _preamble(header: Header) -> Iterator[str]:
    """What stands in front of the struct."""
    yield _form("prelude.h")
    if header.from_registers:
        yield _form("registers.h")
    if header.uses_bool:
        yield _form("bool.h")
    if header.tags:
        yield _form("tags.h") % {"tags": "\n".join(f"{tag};" for tag in header.tags)}
    if header.sections:
        macros = (f'#define {section.name} "{section.text}"' for section in header.sections)
        yield _form("sections.h") % {"sections": "\n".join(macros)}


def _struct(tag: str, struct: ContextStruct) -> str:
    shape = (
        "packed" if struct.packed else "aligned" if struct.align > 1 else "",
        "sized" if struct.size_bytes is not None else "",
    )
    return _form("struct.h", *shape) % {
        "tag": tag,
        "members": "".join(map(_member, struct.members)),
        "assertions": "".join(_assertion(tag, member) for member in struct.members),
        "align": struct.align,
        "size_bytes": struct.size_bytes,
    }


def _functions(header: Header) -> Iterator[str]:
    yield from map(_test, header.tests)
    yield from map(_accessor, header.accessors)
    yield from map(_copy, header.copies)


def _member(member: ContextMember) -> str:
    if member.slot_bytes:
        return f"\tTPGEN_SLOT({member.declaration}, {member.slot_bytes});\n"
    return f"\t{member.declaration};\n"


def _assertion(tag: str, member: ContextMember) -> str:
    name, at = member.name, member.offset
    where = f"TPGEN_IN_SLOT({at}, {member.slot_bytes})" if member.slot_bytes else at
    return f'_Static_assert(__builtin_offsetof(struct {tag}, {name}) == {where}, "{name}");\n'


def _test(test: Test) -> str:
    return _form("test.h") % {
        "comment": test.comment,
        "name": test.name,
        "condition": " &&\n\t       ".join(test.conditions),
    }


def _accessor(accessor: Accessor) -> str:
    ctype = accessor.type
    spelling, own, name = ctype.type, ctype.own, accessor.name
    alias = f"{name}_t" if own or spelling.wraps_its_name else None
    shape = (
        "own" if own else "typedef" if alias else "",
        "bytes" if ctype.by_bytes else "bool" if ctype.is_bool else "",
        "" if not accessor.if_name else "if_valid" if accessor.errors else "if_pointer",
    )
    return _form("value.h", *shape) % {
        "comment": accessor.comment,
        "name": name,
        "result": alias or spelling.text,
        "function": f"{alias} {name}" if alias else spelling.declare(name),
        "own": own,
        "substitute": spelling.text,
        "typedef": spelling.declare(alias) if alias else None,
        "narrow": ctype.narrow,
        "bits": accessor.bits,
        "if_name": accessor.if_name,
    }


def _copy(copy: Copy) -> str:
    fixed = copy.size_bytes is not None
    return _form("copy.h", "fixed" if fixed else "relative" if copy.relative else "", "string" * copy.is_string) % {
        "comment": copy.comment,
        "name": copy.name,
        "offset": copy.offset,
        "end": copy.offset + 4,
        "size_bytes": copy.size_bytes,
    }
