"""The stapprobe_ structs and functions as C, in SystemTap's own form.

A C compiler for the kernel's machine lays them out as the kernel does. Where it would not by itself, an attribute or an
unnamed bit-field says where a member lies: SystemTap takes every named member for an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tpgen.backends.base import GeneratedFile, KernelRequests
from tpgen.backends.naming import c_identifier
from tpgen.backends.requests import told_apart
from tpgen.backends.systemtap.probes import ProbeKind, Stapprobe, member_type, pad_type, parameter_type, plain_type
from tpgen.backends.templates import template
from tpgen.layout import SLOT_BYTES, round_up
from tpgen.model import CType, Pointer, Void
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import align_of, stripped
from tpgen.values import Value

_NAMELESS = "{...}"


_HEAD = """\
/* SPDX-License-Identifier: 0BSD */
/* clang-format off */
/* Made by tpgen for {kernel}, and for that kernel alone. */
"""


def headers(
    kind: ProbeKind, probes: Sequence[Stapprobe], kernel: KernelRequests, flat: bool
) -> Iterator[GeneratedFile]:
    """A file for each probe."""
    head = _HEAD.format(kernel=f"Linux {kernel.release_text}" if kernel.release_text else "one kernel")
    for probe, word in zip(probes, told_apart([(probe.name, probe.event) for probe in probes]), strict=True):
        text = _function(probe) if kind == ProbeKind.LKM else _struct(kind, probe, kernel.target, flat)
        yield GeneratedFile(f"{probe.name}.h" if word is None else f"{probe.name}.{word}.h", head + text)


def _function(probe: Stapprobe) -> str:
    parameters = [
        _declared(_named(parameter_type(value), value.size_bytes), name)
        for value, name in zip(probe.values, probe.names, strict=True)
    ]
    return template("systemtap", "function.h").render(name=probe.name, parameters=parameters)


def _struct(kind: ProbeKind, probe: Stapprobe, target: Target, flat: bool) -> str:
    members = list(_slots(probe) if kind == ProbeKind.RAW else _fields(probe, target))
    pad = [f"{spell(pad_type(probe.pad_bytes), 'pad')};"] if probe.pad_bytes else []
    if flat:
        return template("systemtap", "struct.h").render(name=probe.name, outer=pad + members, inner=None)
    return template("systemtap", "struct.h").render(name=probe.name, outer=pad, inner=members)


def _slots(probe: Stapprobe) -> Iterator[str]:
    """Raw arguments, each in a slot of its own: at the start of it, or on a big-endian machine at the end."""
    for value, name in zip(probe.values, probe.names, strict=True):
        before = value.offset_bytes % SLOT_BYTES
        if before:
            yield _hole(before, SLOT_BYTES)
        yield f"{_declared(_member(value), name)}{'' if before else ' __attribute__ ((aligned (8)))'};"


def _fields(probe: Stapprobe, target: Target) -> Iterator[str]:
    """The fields of a record. The struct itself is aligned as the end of the pad is, to 8 bytes at most."""
    most = min(SLOT_BYTES, probe.pad_bytes & -probe.pad_bytes)
    end = probe.pad_bytes
    for value, name in zip(probe.values, probe.names, strict=True):
        ctype = _member(value)
        attribute = _placing(end, value.offset_bytes, align_of(ctype, target), most)
        if attribute is None:
            yield _hole(value.offset_bytes - end, end & -end)
            attribute = " __attribute__ ((packed))"
        yield f"{_declared(ctype, name)}{attribute};"
        assert value.size_bytes is not None, "the fields of a record are placed"
        end = value.offset_bytes + value.size_bytes


def _member(value: Value) -> CType:
    return _named(member_type(value), value.size_bytes)


def _placing(end: int, at: int, align: int | None, most: int) -> str | None:
    """The attribute with which a member of that alignment comes from `end` to `at`; None where it takes a hole."""
    if align is not None and align <= most and round_up(end, align) == at:
        return ""
    for wanted in (1, 2, 4, 8):
        if wanted <= most and round_up(end, wanted) == at:
            words = "aligned" if align is not None and align <= wanted else "packed, aligned"
            return f" __attribute__ (({words} ({wanted})))"
    return None


def _hole(size: int, align: int) -> str:
    """Bytes that are nobody's, after an end with that alignment."""
    if size < SLOT_BYTES == align:
        return f"unsigned long long : {8 * size};"
    return " ".join(["unsigned char : 8;"] * size)


def _named(ctype: CType, size: int | None) -> CType:
    """The type, or what stands for one that has no name in C, of that size in bytes."""
    if _NAMELESS not in spell(ctype):
        return ctype
    return Pointer(Void()) if isinstance(stripped(ctype), Pointer) else plain_type(size or SLOT_BYTES)


def _declared(ctype: CType, name: str) -> str:
    return spell(ctype, c_identifier(name))
