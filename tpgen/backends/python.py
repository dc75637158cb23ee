"""Backend `python`: decoders for the records from trace_pipe_raw and perf, in a module of their own.

The generated module needs nothing but Python's standard library, and reads records of the kernel's byte order on any
machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from keyword import iskeyword

from tpgen.backends.base import API, Form, GeneratedFile, Job, Option, Request
from tpgen.backends.naming import distinct
from tpgen.backends.requests import request_names
from tpgen.backends.scalars import Scalar, ScalarShape, shape_of
from tpgen.backends.templates import template
from tpgen.basics.frozen import frozen
from tpgen.layout import LOCATOR_BYTES
from tpgen.model import CType, Dynamic, Typedef
from tpgen.target import Target
from tpgen.values import Value, classic_values, value_names

# What the classes have beside the fields.
_TAKEN = ("SYSTEM", "NAME", "SIZE", "common_type", "common_pid", "as_dict")
_LETTERS = {1: "b", 2: "h", 4: "i", 8: "q"}


class PythonBackend:
    """Renders one module with a class for each record."""

    api = API
    description = "decoders for the records of trace_pipe_raw and perf, as a Python module that needs nothing else"
    forms = (Form.CLASSIC,)
    options: tuple[Option, ...] = ()
    several_kernels = False
    dynamic_events = True

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        kernel = job.kernel
        names = request_names(kernel.requests)
        records = [_record(name, r, kernel.target) for name, r in zip(names, kernel.requests, strict=True)]
        text = template("python", "tracepoints.py").render(
            records=records,
            release=kernel.release_text,
            target=kernel.target,
            order=">" if kernel.target.big_endian else "<",
        )
        yield GeneratedFile("tracepoints.py", text)


@frozen
class _Field:
    """The attribute `name`: an object of the class `reader` made with `arguments`. `key` is the kernel's name."""

    name: str
    reader: str
    arguments: tuple[object, ...]
    key: str
    declaration: str


@frozen
class _Record:
    """A class. `size_bytes` is what a record has at least."""

    name: str
    title: str
    system: str | None
    event: str
    size_bytes: int
    fields: tuple[_Field, ...]


def _record(name: str, request: Request, target: Target) -> _Record:
    event, record = request.event, request.event.record
    assert record is not None
    values = classic_values(event, target)
    keys = value_names(values)
    names = distinct(map(_attribute, keys), _TAKEN)
    fields = [_field(*each, target) for each in zip(values, names, keys, strict=True)]
    ends = (value.offset_bytes + (value.size_bytes or 0) for value in values)
    title = f"{event.title} of module {event.module}" if event.module else event.title
    size = record.size_bytes or max(ends, default=record.header_bytes)
    return _Record(name, title, event.system, event.name, size, tuple(fields))


def _attribute(name: str) -> str:
    """A name that can be written in and outside of a class: Python mangles those that begin with two underscores."""
    bare = name.lstrip("_")
    if not bare.isidentifier():
        return f"field{name}"
    return f"{bare}_" if iskeyword(bare) else bare


def _field(value: Value, name: str, key: str, target: Target) -> _Field:
    reader, arguments = _reader(value, target)
    return _Field(name, reader, arguments, key, value.declaration or f"{value.size_bytes} bytes")


def _reader(value: Value, target: Target) -> tuple[str, tuple[object, ...]]:
    """The class that reads a value, and what it is made with: the offset first."""
    shape, at = shape_of(value, target), value.offset_bytes
    if value.dynamic:
        base = at + LOCATOR_BYTES if value.dynamic == Dynamic.REL_LOC else 0
        return _array_reader("_Dynamic", shape, value.type, target, (at, base))
    if shape.array:
        assert shape.count is not None
        return _array_reader("_Fixed", shape, value.pointee, target, (at, shape.count * shape.size_bytes))
    return "_Bool" if shape.scalar == Scalar.BOOL else "_Int", (at, _letter(shape))


def _array_reader(
    prefix: str, shape: ScalarShape, element: CType | None, target: Target, place: tuple[int, int]
) -> tuple[str, tuple[object, ...]]:
    if shape.scalar == Scalar.TEXT:
        return f"{prefix}Text", place
    if _is_cpumask(element):
        return f"{prefix}Numbers", (*place, "Q" if target.pointer_size == 8 else "I")
    if shape.scalar == Scalar.OPAQUE or _letter(shape) == "B":
        return f"{prefix}Bytes", place
    return f"{prefix}Numbers", (*place, _letter(shape))


def _is_cpumask(element: CType | None) -> bool:
    """Whether the elements are a cpumask, which the kernel stores as the words that it needs of it."""
    return isinstance(element, Typedef) and element.name == "cpumask_t"


def _letter(shape: ScalarShape) -> str:
    """The letter of `struct` for a number."""
    if shape.scalar == Scalar.BOOL:
        return "?"
    letter = _LETTERS[shape.size_bytes]
    return letter if shape.signed else letter.upper()
