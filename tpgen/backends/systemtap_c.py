"""The stapprobe_ structs and functions as C, in SystemTap's own form.

A C compiler for the kernel's machine lays them out as the kernel does. Where it would not by itself, an attribute or an
unnamed bit-field says where a member lies: SystemTap takes every named member for an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from tpgen.backends.base import GeneratedFile
from tpgen.backends.bpf_header import identifier
from tpgen.backends.systemtap_probes import Shape, Stapprobe
from tpgen.layout import SLOT_BYTES
from tpgen.model import CType, Pointer, Void
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import align_of, stripped
from tpgen.values import Value

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_NAMELESS = "{...}"
_UNSIGNED = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}


def headers(shape: Shape, probes: Sequence[Stapprobe], target: Target, flat: bool) -> Iterator[GeneratedFile]:
    """A file for each probe."""
    for probe in probes:
        text = _function(probe) if shape == Shape.LKM else _struct(shape, probe, target, flat)
        yield GeneratedFile(f"{probe.name}.h", text)


def _function(probe: Stapprobe) -> str:
    parameters = [_declared(value, name) for value, name in zip(probe.values, probe.names, strict=True)]
    return _template("function").render(name=probe.name, parameters=parameters)


def _struct(shape: Shape, probe: Stapprobe, target: Target, flat: bool) -> str:
    members = list(_slots(probe) if shape == Shape.RAW else _fields(probe, target))
    pad = [_pad(probe.pad_bytes)] if probe.pad_bytes else []
    if flat:
        return _template("struct").render(name=probe.name, outer=pad + members, inner=None)
    return _template("struct").render(name=probe.name, outer=pad, inner=members)


def _pad(size: int) -> str:
    if size == SLOT_BYTES:
        return "unsigned long long pad;"
    # The common header ends where its int pid can: real-time kernels have 12 bytes and more.
    unit = SLOT_BYTES if size % SLOT_BYTES == 0 else 4
    return f"{_UNSIGNED[unit]} pad[{size // unit}];"


def _slots(probe: Stapprobe) -> Iterator[str]:
    """Raw arguments, each in a slot of its own: at the start of it, or on a big-endian machine at the end."""
    for value, name in zip(probe.values, probe.names, strict=True):
        before = value.offset_bytes % SLOT_BYTES
        if before:
            yield _hole(before, SLOT_BYTES)
        yield f"{_declared(value, name)}{'' if before else ' __attribute__ ((aligned (8)))'};"


def _fields(probe: Stapprobe, target: Target) -> Iterator[str]:
    """The fields of a record. The struct itself is aligned as the end of the pad is, to 8 bytes at most."""
    most = min(SLOT_BYTES, probe.pad_bytes & -probe.pad_bytes)
    end = probe.pad_bytes
    for value, name in zip(probe.values, probe.names, strict=True):
        attribute = _placing(end, value, most, target)
        if attribute is None:
            yield _hole(value.offset_bytes - end, end & -end)
            attribute = " __attribute__ ((packed))"
        yield f"{_declared(value, name)}{attribute};"
        assert value.size_bytes is not None, "the fields of a record are placed"
        end = value.offset_bytes + value.size_bytes


def _placing(end: int, value: Value, most: int, target: Target) -> str | None:
    """The attribute with which a member after `end` lies where the value does; None where it takes a hole."""
    at = value.offset_bytes
    align = _align(value, target)
    if align is not None and align <= most and _round_up(end, align) == at:
        return ""
    for wanted in (1, 2, 4, 8):
        if wanted <= most and _round_up(end, wanted) == at:
            words = "aligned" if align is not None and align <= wanted else "packed, aligned"
            return f" __attribute__ (({words} ({wanted})))"
    return None


def _align(value: Value, target: Target) -> int | None:
    if value.dynamic or _ctype(value) is None:
        return value.size_bytes if value.size_bytes in _UNSIGNED else 1
    assert value.type is not None
    return align_of(value.type, target)


def _hole(size: int, align: int) -> str:
    """Bytes that are nobody's, after an end with that alignment."""
    if size < SLOT_BYTES == align:
        return f"unsigned long long : {8 * size};"
    return " ".join(["unsigned char : 8;"] * size)


def _declared(value: Value, name: str) -> str:
    """The declaration of the value as `name`. What cannot be written is a number of its size, or its bytes."""
    name = identifier(name)
    if value.dynamic:
        return f"u32 {name}"
    if (ctype := _ctype(value)) is not None:
        return spell(ctype, name)
    size = SLOT_BYTES if value.size_bytes is None else value.size_bytes
    return f"{_UNSIGNED[size]} {name}" if size in _UNSIGNED else f"unsigned char {name}[{size}]"


def _ctype(value: Value) -> CType | None:
    """The type that the value is declared with; None where it is unknown or has no name."""
    if value.type is None or value.size_bytes is None:
        return None
    if _NAMELESS not in spell(value.type):
        return value.type
    return Pointer(Void()) if isinstance(stripped(value.type), Pointer) else None


def _round_up(offset: int, align: int) -> int:
    return -(-offset // align) * align


@cache
def _template(name: str) -> Template:
    return _environment().get_template(f"{name}.h.j2")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from tpgen.resources import resource_dir

    return Environment(
        loader=FileSystemLoader(resource_dir("templates") / "systemtap"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # C is not HTML
        auto_reload=False,  # nobody edits a template while we run
    )
