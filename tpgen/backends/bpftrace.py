"""Backend `bpftrace`: a script that prints the values of events, each with its name and type.

bpftrace takes the fields of a record from the kernel that it runs on; of the raw arguments it knows no more than that
they are 64 bits each, so that the script cuts them to their types.
"""

from __future__ import annotations

from collections.abc import Iterator

from tpgen.backends.base import API, Form, GeneratedFile, Job, Option, Request
from tpgen.backends.requests import values_of, with_tracepoints
from tpgen.backends.scalars import Scalar, ScalarShape, shape_of
from tpgen.backends.templates import template
from tpgen.basics.frozen import frozen
from tpgen.model import CType, Dynamic, FuncProto, Struct
from tpgen.spelling import GNU_KEYWORDS, KEYWORDS
from tpgen.target import Target
from tpgen.typequery import stripped
from tpgen.values import Value, value_names

# Members that bpftrace takes for types (0.23), and for a statement (0.17).
_NO_MEMBERS = frozenset("buffer inet string bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 unroll".split())
# It makes a struct of a whole format file, and has its own clang compile that; it knows no __rel_loc.
_WORDS_OF_C = KEYWORDS | GNU_KEYWORDS
# How many of arg0, arg1, … bpftrace has: as many as a function has arguments in registers.
_REGISTERS = {"x86_64": 6, "aarch64": 8, "riscv64": 8, "s390x": 5, "arm": 4}
_FEWEST = 3


class BpftraceBackend:
    """Renders one script with a probe for each form of each event."""

    api = API
    description = "a bpftrace script that prints the values by name, for rawtracepoint and tracepoint"
    forms = (Form.RAW, Form.CLASSIC)
    options: tuple[Option, ...] = ()
    several_kernels = False

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        requests = with_tracepoints(job.kernel.requests)
        probes = [_probe(request, job.kernel.target) for request in requests]
        text = template("bpftrace", "tracepoints.bt").render(probes=probes, release=job.kernel.release_text)
        yield GeneratedFile("tracepoints.bt", text)


@frozen
class _Variable:
    """`$name = value`, and what it is in C."""

    name: str
    value: str
    declaration: str


@frozen
class _Print:
    """A call of printf: the text around the values, and the values."""

    text: str
    values: tuple[str, ...]


@frozen
class _Probe:
    """A probe at `point`. Only one of raw arguments has variables. `lacking` names the values that are out of reach."""

    point: str
    lacking: tuple[str, ...]
    variables: tuple[_Variable, ...]
    prints: tuple[_Print, ...]


def _probe(request: Request, target: Target) -> _Probe:
    event = request.event
    values = values_of(request, target)
    there, lacking = [], []
    trouble = next(filter(None, map(_trouble, values)), None)
    for value, name in zip(values, value_names(values), strict=True):
        if reason := trouble or _out_of_reach(value, name, target):
            lacking.append(f"{value.declaration or name}: {reason}")
        else:
            there.append((value, name))
    if request.form == Form.RAW:
        variables = tuple(_variable(value, name, target) for value, name in there)
        printed = [(name, _format(shape_of(value, target)), f"${name}") for value, name in there]
        return _Probe(f"rawtracepoint:{event.attach_name}", tuple(lacking), variables, _prints(event.name, printed))
    printed = [(name, *_printed(value, shape_of(value, target))) for value, name in there]
    return _Probe(f"tracepoint:{event.system or '*'}:{event.name}", tuple(lacking), (), _prints(event.name, printed))


def _trouble(value: Value) -> str | None:
    """Why bpftrace cannot compile a record with this field, None where it can."""
    if value.dynamic == Dynamic.REL_LOC:
        return "bpftrace cannot compile a record with a __rel_loc"
    if value.slot is None and value.name in _WORDS_OF_C:
        return f"bpftrace cannot compile a record with a field {value.name}"
    return None


def _out_of_reach(value: Value, name: str, target: Target) -> str | None:
    """Why a script cannot have the value, None where it can."""
    if value.slot is None:
        if name in _NO_MEMBERS:
            return f"to bpftrace {name} is a word of its own"
        return f"a {value.kind}, which bpftrace cannot print" if value.kind in ("struct", "union") else None
    if value.slot >= _REGISTERS.get(target.arch, _FEWEST):
        return f"there is no arg{value.slot}, but args.{name} since bpftrace 0.24"
    if value.pointee is not None and isinstance(stripped(value.pointee), FuncProto):
        # bpftrace 0.24 and later makes tp_btf programs, which the verifier does not let load one.
        return f"arg{value.slot}, up to bpftrace 0.23"
    return None


def _variable(value: Value, name: str, target: Target) -> _Variable:
    shape = shape_of(value, target)
    argument = f"arg{value.slot}"
    struct = _struct(value.pointee)
    if shape.scalar == Scalar.POINTER and struct is not None:
        argument = f"({struct} *){argument}"
    elif shape.size_bytes < 8 or shape.signed:
        argument = f"({'int' if shape.signed else 'uint'}{8 * shape.size_bytes}){argument}"
    return _Variable(name, argument, value.declaration or name)


def _struct(ctype: CType | None) -> str | None:
    """The name of the struct or union that a pointer points to."""
    match None if ctype is None else stripped(ctype):
        case Struct(keyword=keyword, name=str(name)):
            return f"{keyword} {name}"
        case _:
            return None


def _format(shape: ScalarShape) -> str:
    if shape.scalar == Scalar.POINTER:
        return "%p"
    return "%d" if shape.signed else "%u"


def _printed(value: Value, shape: ScalarShape) -> tuple[str, str]:
    """The expression and the format that print a field: text, a number, an array's bytes; a dynamic array's address."""
    member = f"args->{value.name}"
    if shape.scalar == Scalar.TEXT:
        return "%s", f"str({member})" if value.dynamic else member
    if value.dynamic:
        return "%p", member
    if shape.array:
        return "%r", f"buf({member}, {value.size_bytes})"
    return _format(shape), member


def _prints(event: str, terms: list[tuple[str, str, str]]) -> tuple[_Print, ...]:
    text = "".join(f" {name}={form}" for name, form, _ in terms)
    return (_Print(f"{event}{text}\\n", tuple(value for *_, value in terms)),)
