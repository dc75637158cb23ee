"""The text of a header: the templates of templates/bpf/, filled in.

A kernel has thousands of headers in a handful of shapes: with and without a bool, a tag, a module. So jinja2 renders
each template once for every shape, with `%(name)s` where the names go, and the rest is Python's `%`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tpgen.backends.bpf_header import Copy, Header, Member, Test, Value
from tpgen.backends.templates import template


def text(header: Header) -> str:
    """The header as C."""
    struct = header.struct
    shape = {
        "release": header.release is not None,
        "registers": header.from_registers,
        "bool": header.uses_bool,
        "tags": bool(header.tags),
        "sections": bool(header.sections),
        "members": bool(struct.members),
        "packed": struct.packed,
        "aligned": struct.align > 1,
        "sized": struct.size_bytes is not None,
    }
    return _form("header", *filter(shape.get, shape)) % {
        "heading": header.heading,
        "release": header.release,
        "tag": header.tag,
        "guard": f"TPGEN_{header.tag.upper()}_H",
        "prelude": _form("prelude"),
        "registers": _form("registers"),
        "tags": "\n".join(f"{tag};" for tag in header.tags),
        "sections": "\n".join(f'#define {section.name} "{section.text}"' for section in header.sections),
        "context": header.context,
        "members": "".join(map(_member, struct.members)),
        "assertions": "".join(_assertion(header.tag, member) for member in struct.members),
        "align": struct.align,
        "size_bytes": struct.size_bytes,
        "accessors": "".join(_accessors(header)),
    }


def _accessors(header: Header) -> Iterator[str]:
    yield from map(_test, header.tests)
    yield from map(_value, header.values)
    yield from map(_copy, header.copies)


def _member(member: Member) -> str:
    if member.slot_bytes:
        return f"\tTPGEN_SLOT({member.declaration}, {member.slot_bytes});\n"
    return f"\t{member.declaration};\n"


def _assertion(tag: str, member: Member) -> str:
    name, at = member.name, member.offset
    where = f"TPGEN_IN_SLOT({at}, {member.slot_bytes})" if member.slot_bytes else at
    return f'_Static_assert(__builtin_offsetof(struct {tag}, {name}) == {where}, "{name}");\n'


def _test(test: Test) -> str:
    return _form("test") % {
        "comment": test.comment,
        "name": test.name,
        "condition": " &&\n\t       ".join(test.conditions),
    }


def _value(value: Value) -> str:
    ctype = value.type
    spelling, own, name = ctype.type, ctype.own, value.name
    alias = f"{name}_t" if own or spelling.wraps_its_name else None
    shape = (
        "own" if own else "typedef" if alias else "",
        "bytes" if ctype.by_bytes else "bool" if ctype.is_bool else "",
        "" if not value.if_name else "if_valid" if value.errors else "if_pointer",
    )
    return _form("value", *shape) % {
        "comment": value.comment,
        "name": name,
        "result": alias or spelling.text,
        "function": f"{alias} {name}" if alias else spelling.declare(name),
        "own": own,
        "substitute": spelling.text,
        "typedef": spelling.declare(alias) if alias else None,
        "narrow": ctype.narrow,
        "bits": value.bits,
        "if_name": value.if_name,
    }


def _copy(copy: Copy) -> str:
    fixed = copy.size_bytes is not None
    return _form("copy", "fixed" if fixed else "relative" if copy.relative else "", "string" * copy.is_string) % {
        "comment": copy.comment,
        "name": copy.name,
        "offset": copy.offset,
        "end": copy.offset + 4,
        "size_bytes": copy.size_bytes,
    }


@cache
def _form(name: str, *shape: str) -> str:
    """The template with everything decided but what `%` fills in."""
    return template("bpf", f"{name}.h").render(shape=frozenset(shape))
