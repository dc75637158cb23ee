"""Backend `go`: records and raw arguments as Go types, for user space beside cilium/ebpf.

A record is a struct whose every hole is spelled out, as encoding/binary reads it. Raw arguments are an array of u64, as
a BPF program copies them from its context, with a method for each.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.backends.base import API, Form, GeneratedFile, Job, Option, Request
from tpgen.backends.naming import camel_case, distinct
from tpgen.backends.requests import request_names, values_of, with_tracepoints
from tpgen.backends.scalars import Scalar, ScalarShape, shape_of
from tpgen.backends.templates import template
from tpgen.basics.frozen import frozen
from tpgen.diagnostics import fail
from tpgen.model import Dynamic
from tpgen.target import Target
from tpgen.values import Value, value_names

# What templates/go declares for all events.
_TAKEN = ("ByteOrder", "DataLoc", "RelLoc", "ErrShort", "Read")
_KEYWORDS = frozenset(
    "break case chan const continue default defer else fallthrough for func go goto if import interface map package "
    "range return select struct switch type var".split()
)


# The type that records embed, and its size: the template has it.
_COMMON, _COMMON_BYTES = "Common", 8


class GoBackend:
    """Renders one Go file."""

    api = API
    description = "Go types and constants for user space beside cilium/ebpf: records for encoding/binary, raw arguments"
    forms = (Form.RAW, Form.CLASSIC)
    options = (Option("package", "the name of the package", "tracepoints"),)
    several_kernels = False

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        package, target = str(job.options["package"]), job.kernel.target
        if not (package.isascii() and package.isidentifier()) or package in _KEYWORDS:
            raise fail("usage", f"{package!r} cannot be the name of a Go package")
        requests = with_tracepoints(job.kernel.requests)
        names = distinct(map(camel_case, request_names(requests)), _TAKEN)
        types = [_type(name, r, target) for name, r in zip(names, requests, strict=True)]
        text = template("go", "tracepoints.go").render(
            package=package, types=types, release=job.kernel.release_text, target=target
        )
        yield GeneratedFile("tracepoints.go", text)


@frozen
class _Method:
    """A raw argument: `expression` makes a `type` of the slots `args`."""

    name: str
    type: str
    expression: str
    declaration: str


@frozen
class _Type:
    """A Go type. One of a record has `members`, which are lines, and `constants`; one of raw arguments has `methods`.

    `lines` tell what it holds, as the kernel declares it.
    """

    name: str
    title: str
    lines: tuple[str, ...]
    slots: int | None = None
    methods: tuple[_Method, ...] = ()
    members: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()


def _type(name: str, request: Request, target: Target) -> _Type:
    values = values_of(request, target)
    keys = value_names(values)
    fields = distinct(map(_exported, keys), [_COMMON] if request.form == Form.CLASSIC else ())
    lines = tuple(_line(value, key) for value, key in zip(values, keys, strict=True))
    title = request.event.title + (f" of module {request.event.module}" if request.event.module else "")
    if request.form == Form.RAW:
        methods = tuple(_method(value, method, target) for value, method in zip(values, fields, strict=True))
        return _Type(name, title, lines, slots=len(values), methods=methods)
    record = request.event.record
    assert record is not None
    members = list(_members(values, fields, record.header_bytes, record.size_bytes, target))
    constants = _constants(name, values, fields, sum(member.size_bytes for member in members))
    return _Type(name, title, lines, members=_aligned_members(members), constants=constants)


def _exported(name: str) -> str:
    """The name as Go exports it: with a capital first."""
    made = camel_case(name)
    return made if made[:1].isalpha() else f"X{made}"


def _line(value: Value, key: str) -> str:
    at = value.offset_bytes if value.slot is None else value.slot
    return f"{at}: {value.declaration or key}"


# --- raw arguments


def _method(value: Value, name: str, target: Target) -> _Method:
    shape = shape_of(value, target)
    slot = f"args[{value.slot}]"
    narrow = f"uint{8 * shape.size_bytes}({slot})" if shape.size_bytes < 8 else slot
    if shape.scalar == Scalar.BOOL:
        return _Method(name, "bool", f"{narrow} != 0", _declared(value))
    ctype = _number(shape)
    return _Method(name, ctype, slot if ctype == "uint64" else f"{ctype}({slot})", _declared(value))


def _declared(value: Value) -> str:
    return value.declaration or "an argument of unknown type"


def _number(shape: ScalarShape) -> str:
    return f"{'int' if shape.signed else 'uint'}{8 * shape.size_bytes}"


# --- records


@frozen
class _Member:
    name: str
    type: str
    size_bytes: int


def _members(
    values: tuple[Value, ...], names: list[str], header_bytes: int, size_bytes: int | None, target: Target
) -> Iterator[_Member]:
    """The members in their order, and between them the bytes that are nobody's."""
    if header_bytes >= _COMMON_BYTES:
        yield _Member(_COMMON, "", _COMMON_BYTES)
        if header_bytes > _COMMON_BYTES:
            yield _hole(header_bytes - _COMMON_BYTES)
    else:
        yield _hole(header_bytes)
    at = header_bytes
    for value, name in zip(values, names, strict=True):
        if value.offset_bytes > at:
            yield _hole(value.offset_bytes - at)
        assert value.size_bytes is not None, "the fields of a record are placed"
        yield _Member(name, _member_type(value, target), value.size_bytes)
        at = value.offset_bytes + value.size_bytes
    if size_bytes is not None and size_bytes > at:
        yield _hole(size_bytes - at)


def _hole(size_bytes: int) -> _Member:
    return _Member("_", f"[{size_bytes}]byte", size_bytes)


def _member_type(value: Value, target: Target) -> str:
    if value.dynamic:
        return "RelLoc" if value.dynamic == Dynamic.REL_LOC else "DataLoc"
    shape = shape_of(value, target)
    if shape.scalar in (Scalar.TEXT, Scalar.OPAQUE):
        return f"[{value.size_bytes}]byte"
    one = "bool" if shape.scalar == Scalar.BOOL else _number(shape)
    return f"[{shape.count}]{one}" if shape.array else one


def _constants(name: str, values: tuple[Value, ...], fields: list[str], size_bytes: int) -> tuple[str, ...]:
    """The declarations of the constants. No name of a type has a `_` that it could share with one of another type."""
    constants = {f"{name}_Size": size_bytes}
    for value, field in zip(values, fields, strict=True):
        assert value.size_bytes is not None, "the fields of a record are placed"
        constants[f"{name}_{field}Offset"] = value.offset_bytes
        constants[f"{name}_{field}Size"] = value.size_bytes
    width = max(map(len, constants))
    return tuple(f"{constant:{width}} = {number}" for constant, number in constants.items())


def _aligned_members(members: list[_Member]) -> tuple[str, ...]:
    """The members' lines, in gofmt's columns: one without a type, which is embedded, is in none."""
    width = max((len(member.name) for member in members if member.type), default=0)
    return tuple(f"{member.name:{width}} {member.type}" if member.type else member.name for member in members)
