"""Backend `rust`: accessors for BPF programs that are written with aya.

A module for each form of each event, with a function for each argument or field. They load from the context, and call
bpf_probe_read_kernel for what is no single value.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from tpgen.backends.base import API, Form, GeneratedFile, Job, Option, Request
from tpgen.backends.bpf.header import loads_of
from tpgen.backends.naming import distinct
from tpgen.backends.requests import request_names, values_of, with_tracepoints
from tpgen.backends.scalars import Scalar, ScalarShape, shape_of
from tpgen.backends.templates import template
from tpgen.basics.frozen import frozen
from tpgen.layout import LOCATOR_BYTES
from tpgen.model import CType, Dynamic, Int, Qualified, Struct, TypeTag
from tpgen.target import Target
from tpgen.typequery import stripped
from tpgen.values import Value, value_names

# Strict and reserved keywords, in any edition.
_KEYWORDS = frozenset(
    "abstract as async await become box break const continue do dyn else enum extern false final fn for gen if impl in "
    "let loop macro match mod move mut override priv pub ref return static struct trait true try type typeof unsafe "
    "unsized use virtual where while yield".split()
)
# Of a line, to rustfmt.
_WIDTH = 100
# Those that not even `r#` makes names of.
_NO_NAMES = frozenset("self Self super crate _".split())


class RustBackend:
    """Renders one Rust module."""

    api = API
    description = "Rust accessors for BPF programs written with aya, as a module for no_std"
    forms = (Form.RAW, Form.CLASSIC)
    options: tuple[Option, ...] = ()
    several_kernels = False

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        target = job.kernel.target
        requests = with_tracepoints(job.kernel.requests)
        names = request_names(requests)
        modules = [_module(name, request, target) for name, request in zip(names, requests, strict=True)]
        structs = {function.struct for module in modules for function in module.functions} - {None}
        text = template("rust", "tracepoints.rs").render(
            modules=modules,
            structs=sorted(map(str, structs)),
            release=job.kernel.release_text,
            target=target,
        )
        yield GeneratedFile("tracepoints.rs", text)


class _Reads(StrEnum):
    """Ways of reading: a value from the context, or by a helper an array, a string, or bytes without a type."""

    VALUE = "value"
    ARRAY = "array"
    TEXT = "text"
    BYTES = "bytes"


@frozen
class _Function:
    """An accessor. `type` is that of a value or of an array.

    The `loads` are joined to a value, of which `result` makes that of the type; or the `start` and `size_bytes` of the
    rest are expressions, too. `struct` is the opaque type that a pointer points to, None where it points to none.
    """

    name: str
    comment: str
    reads: _Reads
    type: str = ""
    loads: tuple[str, ...] = ()
    result: str = ""
    start: str = ""
    size_bytes: str = ""
    struct: str | None = None

    def signature(self, context: str) -> str:
        """The head of the function, broken where rustfmt would."""
        buffer = self.reads in (_Reads.TEXT, _Reads.BYTES)
        name, arguments = self.name, [f"ctx: &{context}"]
        result = self.type if self.reads == _Reads.VALUE else f"Result<{self.type}, i64>"
        if buffer:
            name, result = f"{name}<'a>", "Result<&'a [u8], i64>"
            arguments.append("dst: &'a mut [u8]")
        line = f"pub fn {name}({', '.join(arguments)}) -> {result}"
        if len(f"    {line} {{") <= _WIDTH:
            return line
        lines = "".join(f"        {argument},\n" for argument in arguments)
        return f"pub fn {name}(\n{lines}    ) -> {result}"


@frozen
class _Module:
    name: str
    comment: str
    context: str
    functions: tuple[_Function, ...]


def _module(name: str, request: Request, target: Target) -> _Module:
    event = request.event
    values = values_of(request, target)
    keys = value_names(values)
    pairs = zip(values, distinct(map(identifier, keys)), strict=True)
    functions = tuple(_function(value, function, target) for value, function in pairs)
    of_module = f" of module {event.module}" if event.module else ""
    if request.form == Form.RAW:
        comment = f"The raw arguments of `{event.attach_name}`{of_module}."
        return _Module(name, comment, "impl super::Arguments", functions)
    return _Module(name, f"The record of `{event.title}`{of_module}.", "super::TracePointContext", functions)


def identifier(name: str) -> str:
    """The name as Rust can write it."""
    if name in _NO_NAMES:
        return f"{name}_"
    return f"r#{name}" if name in _KEYWORDS else name


def _function(value: Value, name: str, target: Target) -> _Function:
    comment = f"`{value.declaration}`" if value.declaration else f"{value.size_bytes} bytes of unknown type."
    shape = shape_of(value, target)
    if shape.array:
        return _copy(value, name, comment, shape)
    narrow = f"u{8 * shape.size_bytes}"
    if value.slot is None:
        loads = _record_loads(value, shape, target)
    else:
        loads = (f"super::slot(ctx, {value.slot})" + ("" if narrow == "u64" else f" as {narrow}"),)
    *before, last = loads
    number = f"value | {last}" if before else last
    if shape.scalar == Scalar.BOOL:
        return _Function(name, comment, _Reads.VALUE, "bool", loads, f"{number} != 0")
    if shape.scalar == Scalar.POINTER:
        pointer, struct = _pointer(value.pointee)
        return _Function(
            name, comment, _Reads.VALUE, pointer, loads, f"{_one(number)} as usize as {pointer}", struct=struct
        )
    ctype = _number(shape)
    result = number if ctype == narrow else f"{_one(number)} as {ctype}"
    return _Function(name, comment, _Reads.VALUE, ctype, loads, result)


def _one(expression: str) -> str:
    """The expression as an operand of `as`: those of `|` are weaker."""
    return f"({expression})" if " | " in expression else expression


def _number(shape: ScalarShape) -> str:
    return f"{'i' if shape.signed else 'u'}{8 * shape.size_bytes}"


def _record_loads(value: Value, shape: ScalarShape, target: Target) -> tuple[str, ...]:
    """The unsigned number of a field. Where the field is not aligned, the verifier wants it in parts."""
    loads = loads_of(value.offset_bytes, shape.size_bytes)
    terms = [f"super::load::<{load.width}>(ctx, {load.offset})" for load in loads]
    if len(terms) == 1:
        return (terms[0],)
    shifts = [load.shift_big if target.big_endian else load.shift_little for load in loads]
    return tuple(f"(({term} as u{8 * shape.size_bytes}) << {shift})" for term, shift in zip(terms, shifts, strict=True))


def _pointer(pointee: CType | None) -> tuple[str, str | None]:
    """The pointer's type, and the opaque struct that it mentions."""
    const = _is_const(pointee)
    match None if pointee is None else stripped(pointee):
        case Struct(name=str(name)):
            struct = identifier(name)
            return f"*{const} super::types::{struct}", struct
        case Int(size_bytes=1 | 2 | 4 | 8, is_bool=False) as number:
            return f"*{const} {'i' if number.signed else 'u'}{8 * number.size_bytes}", None
        case _:
            return f"*{const} core::ffi::c_void", None


def _is_const(ctype: CType | None) -> str:
    while isinstance(ctype, Qualified | TypeTag):
        if isinstance(ctype, Qualified) and ctype.qualifier == "const":
            return "const"
        ctype = ctype.target
    return "mut"


def _copy(value: Value, name: str, comment: str, shape: ScalarShape) -> _Function:
    """An accessor that copies: a string, an array whose length is known, or as many bytes as there are."""
    if value.dynamic:
        base = value.offset_bytes + LOCATOR_BYTES if value.dynamic == Dynamic.REL_LOC else 0
        start = f"super::dynamic_start(ctx, {value.offset_bytes}, {base})"
        size = f"super::dynamic_size(ctx, {value.offset_bytes})"
        reads = _Reads.TEXT if shape.scalar == Scalar.TEXT else _Reads.BYTES
        return _Function(name, comment, reads, start=start, size_bytes=size)
    start, size = f"super::at(ctx, {value.offset_bytes})", str(value.size_bytes)
    if shape.scalar == Scalar.TEXT:
        return _Function(name, comment, _Reads.TEXT, start=start, size_bytes=size)
    # Not every byte is a Rust bool, and a pointer in an array is as wide as the kernel's.
    element = f"u{8 * shape.size_bytes}" if shape.scalar in (Scalar.BOOL, Scalar.POINTER) else _number(shape)
    return _Function(name, comment, _Reads.ARRAY, f"[{element}; {shape.count}]", start=start)
