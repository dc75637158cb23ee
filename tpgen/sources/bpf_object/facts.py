"""Facts of a BPF object: its programs, functions, maps and variables, with what BTF and BTF.ext tell of them.

A place is a section's name and the number of an instruction in it, counted in units of 8 bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from tpgen.basics.frozen import frozen
from tpgen.programs.sections import ProgramSection
from tpgen.sources.bpf_object.instructions import Instruction
from tpgen.sources.btf import Btf


class Place(NamedTuple):
    """An instruction: the name of its section, and its number in it."""

    section: str
    at: int


class Function(NamedTuple):
    """A program, a subprogram or a callback; `length` is in instructions, of which a wide one is two."""

    name: str
    place: Place
    length: int
    is_global: bool


class Program(NamedTuple):
    """A function that libbpf loads as a program. `section` is None where its section is not one of tracepoints'."""

    function: Function
    section_name: str
    section: ProgramSection | None


class ReferenceKind(StrEnum):
    """Kinds of targets of ELF relocations."""

    FUNCTION = "function"  # a subprogram that is called, or the address of one (a callback)
    DATA = "data"  # .rodata, .data, .bss and the like
    MAP = "map"
    EXTERN = "extern"  # a kconfig value, or a symbol or function of the kernel


class Reference(NamedTuple):
    """The target of an instruction's ELF relocation: `name` is the symbol's.

    For `DATA`, `section` and `offset` say where, the addend included; for `FUNCTION`, `target` says where. `weak` is
    for an `EXTERN` that may be missing.
    """

    kind: ReferenceKind
    name: str
    section: str | None = None
    offset: int = 0
    target: Place | None = None
    weak: bool = False


class Variable(NamedTuple):
    """A variable of a data section: bytes [offset, offset + size)."""

    name: str
    section: str
    offset: int
    size: int


class LineInfo(NamedTuple):
    """The source of an instruction: `text` is that line, `file` as the compiler was given it."""

    file: str
    line: int
    column: int
    text: str


class CoreKind(IntEnum):
    """Kinds of CO-RE relocations, enum bpf_core_relo_kind of include/uapi/linux/bpf.h."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


class CoreRelocation(NamedTuple):
    """A CO-RE relocation as BTF.ext has it: `access` is the text that says which member of `type_id`."""

    kind: CoreKind
    type_id: int
    access: str


class MapDefinition(NamedTuple):
    """A map: `type` is its BPF_MAP_TYPE_* number, `value_size` in bytes; None where the object does not say it."""

    name: str
    type: int | None
    value_size: int | None = None


@frozen
class BpfObject:
    """A BPF object. `name` is the file, with @OFFSET where it lies inside another one.

    `code` has the instructions of each section that has any; None is the second place of a wide one. `references`,
    `core_relocations` and `lines` are by place; a place without a line has that of the nearest one before it in its
    function (`line_of`). `function_types` are type ids in `btf` of functions by place. `data` has the bytes of data
    sections by name, `kernel_symbols` what BTF's section .ksyms declares: "func", or "var" with a type, or "void".
    """

    name: str
    big_endian: bool
    btf: Btf | None
    code: dict[str, tuple[Instruction | None, ...]]
    functions: tuple[Function, ...]
    programs: tuple[Program, ...]
    references: dict[Place, Reference]
    core_relocations: dict[Place, CoreRelocation]
    lines: dict[str, tuple[tuple[int, LineInfo], ...]]
    function_types: dict[Place, int]
    variables: tuple[Variable, ...]
    data: dict[str, bytes]
    maps: tuple[MapDefinition, ...]
    kernel_symbols: dict[str, str]
    license: str | None

    def line_of(self, place: Place) -> LineInfo | None:
        """The source of an instruction: its line, or the nearest one before it in its function."""
        lines = self.lines.get(place.section, ())
        index = bisect_right(lines, place.at, key=itemgetter(0)) - 1
        if index < 0 or any(lines[index][0] < begin <= place.at for begin in self._begins(place.section)):
            return None
        return lines[index][1]

    def _begins(self, section: str) -> Iterator[int]:
        return (function.place.at for function in self.functions if function.place.section == section)


#: Objects by the names that they were given.
Objects: TypeAlias = tuple[BpfObject, ...]
