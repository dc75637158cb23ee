"""The stapprobe_ structs and functions as DWARF: objects that SystemTap's reader takes in place of those it builds.

It looks at the structs, functions and types of a unit, at `.stap_trace_system`, which holds the system's name, and at
the file that declares a probe, whose header it includes in a kernel module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from tpgen import __version__
from tpgen.backends.base import GeneratedFile
from tpgen.backends.systemtap.dwarf_writer import At, Attribute, Die, Encoding, Tag, Unit
from tpgen.backends.systemtap.elf_writer import Symbol, code, constant, relocatable, variables
from tpgen.backends.systemtap.probes import ProbeKind, Stapprobe, member_type, pad_type, parameter_type
from tpgen.layout import SLOT_BYTES, round_up
from tpgen.model import (
    Array,
    CType,
    Enum,
    Float,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.target import Target

_QUALIFIERS = {"const": Tag.CONST_TYPE, "volatile": Tag.VOLATILE_TYPE, "restrict": Tag.RESTRICT_TYPE}


def objects(kind: ProbeKind, probes: Sequence[Stapprobe], target: Target, flat: bool) -> Iterator[GeneratedFile]:
    """An object for each system; in one of its own what two modules have under the same name."""
    systems: dict[str, dict[str, Stapprobe]] = {}
    for probe in probes:
        name = probe.event.system or "unknown"
        if probe.name in systems.get(name, {}):
            name = f"{name}-{probe.event.module or 'vmlinux'}"
        systems.setdefault(name, {})[probe.name] = probe
    for name, found in systems.items():
        yield GeneratedFile(f"{name}.o", _object(kind, list(found.values()), target, flat))


def _object(kind: ProbeKind, probes: Sequence[Stapprobe], target: Target, flat: bool) -> bytes:
    writer = _Writer(target)
    functions = kind == ProbeKind.LKM
    section = ".text" if functions else ".bss"
    symbols, end = [], 0
    for probe in probes:
        size = SLOT_BYTES if functions else _size(probe)  # functions are told apart by their addresses
        symbols.append(Symbol(probe.name, section, end, size, functions))
        end += round_up(size, SLOT_BYTES)
        if functions:
            writer.function(probe)
        else:
            writer.struct(probe, flat)
    sections = [code(end) if functions else variables(end), *writer.unit.sections()]
    if (system := probes[0].event.system) is not None:
        sections.append(constant(".stap_trace_system", system.encode() + b"\0"))
    return relocatable(target, sections, symbols)


def _size(probe: Stapprobe) -> int:
    """The size in bytes of a probe's struct."""
    record = probe.event.record
    if probe.pad_bytes == 0:
        return len(probe.values) * SLOT_BYTES
    assert record is not None
    ends = [value.offset_bytes + (value.size_bytes or 0) for value in probe.values]
    return max([record.size_bytes or 0, probe.pad_bytes, *ends])


class _Writer:
    """Adds probes to a unit, and each type that they need once, in front of the first that needs it."""

    def __init__(self, target: Target) -> None:
        self.unit = Unit(target, f"tpgen {__version__}")
        self._target = target
        self._types: dict[CType, int] = {}

    def struct(self, probe: Stapprobe, flat: bool) -> None:
        """The struct of a probe, and the variable of that type and name."""
        size, pad = _size(probe), probe.pad_bytes
        members = [self._member("pad", pad_type(pad), 0)] if pad else []
        if flat:
            members += self._members(probe, 0)
        else:
            inner = Die(Tag.STRUCTURE_TYPE, ((At.BYTE_SIZE, size - pad),), self._members(probe, pad))
            members.append(_member("data", self.unit.add(inner), pad))
        file, line = self._declared(probe)
        attributes = ((At.NAME, probe.name), (At.BYTE_SIZE, size), file, line)
        made = self.unit.add(Die(Tag.STRUCTURE_TYPE, attributes, members))
        self.unit.add(Die(Tag.VARIABLE, ((At.NAME, probe.name), (At.TYPE, made), (At.EXTERNAL, True))))

    def function(self, probe: Stapprobe) -> None:
        """A function of the raw arguments."""
        parameters = [
            Die(Tag.FORMAL_PARAMETER, ((At.NAME, name), (At.TYPE, self._type(parameter_type(value)))))
            for value, name in zip(probe.values, probe.names, strict=True)
        ]
        file, line = self._declared(probe)
        attributes = ((At.EXTERNAL, True), (At.NAME, probe.name), file, line, (At.PROTOTYPED, True))
        self.unit.add(Die(Tag.SUBPROGRAM, attributes, parameters))

    def _declared(self, probe: Stapprobe) -> tuple[Attribute, Attribute]:
        """File and line of the probe's declaration; for unknown ones the place of headers of its system."""
        where = probe.event.header
        path = where.path if where else f"include/trace/events/{probe.event.system or 'unknown'}.h"
        return (At.DECL_FILE, self.unit.file(path)), (At.DECL_LINE, where.line if where else None)

    def _members(self, probe: Stapprobe, start: int) -> list[Die]:
        return [
            self._member(name, member_type(value), value.offset_bytes - start)
            for value, name in zip(probe.values, probe.names, strict=True)
        ]

    def _member(self, name: str, ctype: CType, offset: int) -> Die:
        return _member(name, self._type(ctype), offset)

    def _type(self, ctype: CType) -> int | None:
        """The DIE of a type; None stands for void."""
        if isinstance(ctype, Void):
            return None
        if isinstance(ctype, TypeTag):  # which gcc leaves out of DWARF
            return self._type(ctype.target)
        if ctype not in self._types:
            die = self._type_die(ctype)  # which adds those that it refers to
            self._types[ctype] = self.unit.add(die)
        return self._types[ctype]

    def _type_die(self, ctype: CType) -> Die:
        match ctype:
            case Int() | Float():
                size, encoding = (At.BYTE_SIZE, ctype.size_bytes), (At.ENCODING, _encoding(ctype))
                return Die(Tag.BASE_TYPE, (size, encoding, (At.NAME, _gcc_name(ctype.name))))
            case Pointer():
                size = (At.BYTE_SIZE, self._target.pointer_size)
                return Die(Tag.POINTER_TYPE, (size, (At.TYPE, self._type(ctype.target))))
            case Array():
                length = Die(Tag.SUBRANGE_TYPE, ((At.COUNT, ctype.length),))
                return Die(Tag.ARRAY_TYPE, ((At.TYPE, self._type(ctype.element)),), (length,))
            case Struct():
                tag = Tag.STRUCTURE_TYPE if ctype.keyword == "struct" else Tag.UNION_TYPE
                return Die(tag, _opaque(ctype))
            case Enum():
                return Die(Tag.ENUMERATION_TYPE, _opaque(ctype))
            case Typedef():
                target = None if ctype.target is None else self._type(ctype.target)
                return Die(Tag.TYPEDEF, ((At.NAME, ctype.name), (At.TYPE, target)))
            case Qualified():
                return Die(_QUALIFIERS[ctype.qualifier], ((At.TYPE, self._type(ctype.target)),))
            case FuncProto():
                parameters = [Die(Tag.FORMAL_PARAMETER, ((At.TYPE, self._type(p)),)) for p in ctype.params]
                parameters += [Die(Tag.UNSPECIFIED_PARAMETERS, ())] * ctype.variadic
                attributes = ((At.PROTOTYPED, True), (At.TYPE, self._type(ctype.result)))
                return Die(Tag.SUBROUTINE_TYPE, attributes, parameters)
            case Void() | TypeTag():
                raise AssertionError("there is no DIE for these")
            case _:
                assert_never(ctype)


def _member(name: str, type_at: int | None, offset: int) -> Die:
    return Die(Tag.MEMBER, ((At.NAME, name), (At.TYPE, type_at), (At.DATA_MEMBER_LOCATION, offset)))


def _opaque(ctype: Struct | Enum) -> tuple[Attribute, ...]:
    """Attributes of a struct, a union or an enum: its name, and its size where it is handed out itself."""
    declaration = True if ctype.size_bytes is None else None
    return (At.NAME, ctype.name), (At.BYTE_SIZE, ctype.size_bytes), (At.DECLARATION, declaration)


def _encoding(ctype: Int | Float) -> Encoding:
    match ctype:
        case Float():
            return Encoding.FLOAT
        case Int(is_bool=True):
            return Encoding.BOOLEAN
        case Int(size_bytes=1):
            return Encoding.SIGNED_CHAR if ctype.signed else Encoding.UNSIGNED_CHAR
        case Int():
            return Encoding.SIGNED if ctype.signed else Encoding.UNSIGNED
        case _:
            assert_never(ctype)


def _gcc_name(name: str) -> str:
    """A type's name as gcc writes it.

    >>> _gcc_name("unsigned long"), _gcc_name("long long"), _gcc_name("unsigned char")
    ('long unsigned int', 'long long int', 'unsigned char')
    """
    words = name.split()
    longs = [word for word in words if word in ("long", "short")]
    rest = [word for word in words if word not in ("long", "short")]
    return " ".join(longs + [word for word in rest if word != "int"] + ["int"]) if longs else name
