"""Reading BPF objects: ELF files of EM_BPF, alone or inside any other file.

What a section, a symbol and a relocation mean is libbpf's: bpf_object__elf_collect(), bpf_object__add_programs(),
bpf_program__record_reloc() and bpf_object__reloc_code() of libbpf.c.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from functools import cached_property

from tpgen.diagnostics import TpgenError, fail
from tpgen.programs.sections import parse_section
from tpgen.sources.bpf_object.btf_ext import BtfExt, read_btf_ext
from tpgen.sources.bpf_object.btf_types import expected, in_section
from tpgen.sources.bpf_object.facts import (
    BpfObject,
    Function,
    MapDefinition,
    Objects,
    Place,
    Program,
    Reference,
    Variable,
)
from tpgen.sources.bpf_object.instructions import INSTRUCTION_BYTES, Instruction, decode
from tpgen.sources.bpf_object.maps import map_definitions
from tpgen.sources.bpf_object.references import Targets, references
from tpgen.sources.btf import Btf
from tpgen.sources.btf_encoding import BtfKind, split_sections
from tpgen.sources.elf import ELF_MAGIC, SHT_NOBITS, ElfFile, Relocation, Section, Symbol, SymbolType

_EM_BPF = 247
_SHT_PROGBITS = 1
_SHF_EXECINSTR = 4
_STV_DEFAULT, _STV_PROTECTED = 0, 3
#: The section of subprograms.
_SUBPROGRAMS = ".text"

# Bounds for one file. The largest of 1 100 real ones has 9 MiB, 430 000 instructions and 160 000 lines; the
# kernel takes a million instructions in one program.
_MOST_OBJECTS = 1024
_MOST_BYTES = 128 << 20
_MOST_INSTRUCTIONS = 1 << 20
_MOST_FUNCTIONS = 1 << 12
_MOST_SYMBOLS = 1 << 17
_MOST_CHARACTERS = 1 << 24
_MOST_RELOCATIONS = 1 << 19
_LONGEST_STRING = 1 << 14

# An ELF file of 64 bits, relocatable, for EM_BPF, in either byte order: e_ident, e_type, e_machine, e_version.
_BPF_HEADER = re.compile(
    rb"\x7fELF\x02(?:\x01\x01.{9}\x01\0\xf7\0\x01\0\0\0|\x02\x01.{9}\0\x01\0\xf7\0\0\0\x01)", re.DOTALL
)
_ELF_HEADER_BYTES, _SECTION_HEADER_BYTES = 64, 64


def read_objects(data: bytes, name: str) -> Objects:
    """The BPF object that a file is, or all those inside it, named FILE@OFFSET.

    Raises `TpgenError`: `object-none` where there is none, `object-corrupt` and the codes of ELF files and BTF for one
    that cannot be read, `object-too-large`.
    """
    if _BPF_HEADER.match(data):
        return (_ObjectReader(data, name).read(),)
    if data[:4] == ELF_MAGIC and data[18:20] in (b"\xf7\0", b"\0\xf7"):
        raise fail("object-corrupt", "an ELF file for BPF, but not a relocatable one of 64 bits", name)
    found = tuple(_embedded(data))
    if not found:
        hint = "give the output of clang -target bpf, or an executable or a library that contains it uncompressed"
        raise fail("object-none", "not a BPF object, and none inside", name, hint)
    if len(found) > _MOST_OBJECTS:
        raise fail("object-too-large", f"more than {_MOST_OBJECTS} BPF objects inside", name)
    return tuple(_ObjectReader(data[start:end], f"{name}@{start}").read() for start, end in found)


def _embedded(data: bytes) -> Iterator[tuple[int, int]]:
    """Where BPF objects begin and end in a file; none lies in another one."""
    at = 0
    while hit := _BPF_HEADER.search(data, at):
        start = hit.start()
        end = _end_of(data, start)
        if end is not None:
            yield start, end
        at = end or hit.end()


def _end_of(data: bytes, start: int) -> int | None:
    """Where the ELF file ends that begins at `start`; None where its section headers do not lie in `data`."""
    order = "<" if data[start + 5] == 1 else ">"
    header = data[start : start + _ELF_HEADER_BYTES]
    if len(header) < _ELF_HEADER_BYTES:
        return None
    table, _, header_bytes, _, _, entry_bytes, count, _ = struct.unpack_from(order + "QI6H", header, 40)
    end = table + entry_bytes * count
    if header_bytes != _ELF_HEADER_BYTES or entry_bytes != _SECTION_HEADER_BYTES or not count or not table:
        return None
    if start + end > len(data):
        return None
    for at in range(start + table, start + end, entry_bytes):
        kind, _, _, offset, size = struct.unpack_from(order + "IQQQQ", data, at + 4)
        if kind != SHT_NOBITS:
            end = max(end, offset + size)
    return start + end if start + end <= len(data) else None


class _ObjectReader:
    """Reads one object; `path` is its name in messages."""

    def __init__(self, data: bytes, path: str) -> None:
        if len(data) > _MOST_BYTES:
            raise _too_large(f"{len(data)} bytes", path)
        self._elf = ElfFile(data, path)
        self._path = path
        self._relocated = 0
        self._names = [self._elf.name(section) for section in self._elf.sections]

    def read(self) -> BpfObject:
        code = self._code
        functions = self._functions
        ext = self._ext()
        return BpfObject(
            name=self._path,
            big_endian=self._elf.big_endian,
            btf=self._btf,
            code=code,
            functions=functions,
            programs=tuple(self._programs(functions)),
            references=self._references(functions),
            core_relocations={
                place: relocation for place, relocation in ext.core_relocations.items() if self._has_place(place)
            },
            lines=ext.lines,
            function_types=ext.function_types,
            variables=tuple(self._variables()),
            data={self._names[index]: self._elf.contents(self._elf.sections[index]) for index in self._data},
            maps=tuple(self._maps()),
            kernel_symbols=self._kernel_symbols(),
            license=self._license(),
        )

    def _has_place(self, place: Place) -> bool:
        code = self._code.get(place.section, ())
        return place.at < len(code) and code[place.at] is not None

    # --- sections

    def _indices(self, *, executable: bool) -> Iterator[int]:
        for index, section in enumerate(self._elf.sections):
            has_code = section.kind == _SHT_PROGBITS and bool(section.flags & _SHF_EXECINSTR)
            if section.kind in (_SHT_PROGBITS, SHT_NOBITS) and section.size and has_code == executable:
                yield index

    @cached_property
    def _code_indices(self) -> dict[int, str]:
        """The names of the sections of instructions by their indices."""
        return {index: self._names[index] for index in self._indices(executable=True)}

    @cached_property
    def _code(self) -> dict[str, tuple[Instruction | None, ...]]:
        sections = self._elf.sections
        total = sum(sections[index].size for index in self._code_indices) // INSTRUCTION_BYTES
        if total > _MOST_INSTRUCTIONS:
            raise _too_large(f"{total} instructions", self._path)
        found: dict[str, tuple[Instruction | None, ...]] = {}
        for index, name in self._code_indices.items():
            if name in found:
                raise self._corrupt(f"two sections of instructions have the name {name!r}")
            found[name] = decode(self._elf.contents(sections[index]), self._elf.big_endian, self._path)
        return found

    @cached_property
    def _data(self) -> tuple[int, ...]:
        """The indices of the sections of variables: those that libbpf makes a map of."""
        found = tuple(index for index in self._indices(executable=False) if _holds_variables(self._names[index]))
        if sum(self._size(self._elf.sections[index]) for index in found) > _MOST_BYTES:
            raise _too_large("sections of variables that are larger than the file", self._path)
        return found

    @staticmethod
    def _size(section: Section) -> int:
        return 0 if section.kind == SHT_NOBITS else section.size

    def _contents(self, name: str) -> bytes | None:
        """The contents of the first section of that name."""
        if name not in self._names:
            return None
        return self._elf.contents(self._elf.sections[self._names.index(name)])

    def _license(self) -> str | None:
        contents = self._contents("license")
        return None if contents is None else contents.partition(b"\0")[0].decode("ascii", "replace")

    # --- symbols

    @cached_property
    def _symbols(self) -> tuple[Symbol, ...]:
        found, characters = [], 0
        for symbol in self._elf.symbols():
            found.append(symbol)
            characters += len(symbol.name)
            if len(found) > _MOST_SYMBOLS or characters > _MOST_CHARACTERS:
                raise _too_large(f"more than {_MOST_SYMBOLS} symbols, or with longer names than any has", self._path)
        return tuple(found)

    @cached_property
    def _functions(self) -> tuple[Function, ...]:
        found = tuple(self._all_functions())
        # More than there are instructions only where they overlap.
        total = sum(function.length for function in found)
        if len(found) > _MOST_FUNCTIONS or total > _MOST_INSTRUCTIONS:
            raise _too_large(f"{len(found)} functions of {total} instructions", self._path)
        return found

    def _all_functions(self) -> Iterator[Function]:
        for symbol in self._symbols:
            if symbol.type != SymbolType.FUNC or symbol.section not in self._code_indices:
                continue
            name = self._code_indices[symbol.section]
            at, length = symbol.value // INSTRUCTION_BYTES, symbol.size // INSTRUCTION_BYTES
            if symbol.value % INSTRUCTION_BYTES or symbol.size % INSTRUCTION_BYTES or not length:
                raise self._corrupt(f"function {symbol.name!r} does not consist of instructions")
            if at + length > len(self._code[name]):
                raise self._corrupt(f"function {symbol.name!r} ends behind its section")
            visible = symbol.visibility in (_STV_DEFAULT, _STV_PROTECTED)
            yield Function(symbol.name, Place(name, at), length, visible and not symbol.is_local)

    def _programs(self, functions: tuple[Function, ...]) -> Iterator[Program]:
        for function in functions:
            section = function.place.section
            if section != _SUBPROGRAMS:
                yield Program(function, section, parse_section(section))

    def _variables(self) -> Iterator[Variable]:
        data = frozenset(self._data)
        for symbol in self._symbols:
            if symbol.type == SymbolType.OBJECT and symbol.section in data:
                yield Variable(symbol.name, self._names[symbol.section], symbol.value, symbol.size)

    # --- maps

    def _maps(self) -> Iterator[MapDefinition]:
        """The maps, of BTF's kind and of the old one, whose struct begins with the type."""
        definitions = {} if self._btf is None else map_definitions(self._btf)
        for symbol in self._symbols:
            section = self._names[symbol.section] if self._is_object(symbol) else ""
            if section == ".maps":
                yield definitions.get(symbol.name, MapDefinition(symbol.name, None))
            elif section.partition("/")[0] == "maps":
                yield self._old_map(symbol)

    def _is_object(self, symbol: Symbol) -> bool:
        return symbol.type == SymbolType.OBJECT and 0 < symbol.section < len(self._names)

    def _old_map(self, symbol: Symbol) -> MapDefinition:
        """A map of a struct bpf_map_def: type, size of the key, size of the value."""
        contents = self._elf.contents(self._elf.sections[symbol.section])[symbol.value : symbol.value + 12]
        if len(contents) < 12:
            return MapDefinition(symbol.name, None)
        kind, _, value_size = struct.unpack(">3I" if self._elf.big_endian else "<3I", contents)
        return MapDefinition(symbol.name, kind, value_size)

    # --- BTF

    @cached_property
    def _btf(self) -> Btf | None:
        contents = self._contents(".BTF")
        if not contents:
            return None
        start, end = split_sections(contents, self._path).strings
        # A string of twice the length has no NUL between two multiples of the length.
        for at in range(start, end - _LONGEST_STRING, _LONGEST_STRING):
            if contents.find(b"\0", at, at + _LONGEST_STRING) < 0:
                raise _too_large("a string that is no name and no line of source", self._path)
        return Btf(contents, self._path)

    def _ext(self) -> BtfExt:
        contents = self._contents(".BTF.ext")
        return read_btf_ext(contents, self._btf, self._path) if contents and self._btf else BtfExt({}, {}, {})

    def _kernel_symbols(self) -> dict[str, str]:
        btf = self._btf
        if btf is None:
            return {}
        found = {}
        for type_id in in_section(btf, ".ksyms"):
            if btf.kind(expected(btf, type_id, BtfKind.VAR, BtfKind.FUNC)) == BtfKind.FUNC:
                found[btf.name(type_id)] = "func"
            else:
                found[btf.name(type_id)] = "var" if btf.strip(btf.target_id(type_id)) else "void"
        return found

    # --- relocations

    def _references(self, functions: tuple[Function, ...]) -> dict[Place, Reference]:
        targets = Targets(
            self._names,
            self._code,
            self._symbols,
            {function.place: function.name for function in functions},
            {(self._names[s.section], s.value): s.name for s in self._symbols if self._is_object(s)},
            self._path,
        )
        found: dict[Place, Reference] = {}
        for index, name in self._code_indices.items():
            found.update(references(name, self._relocations(index), targets))
        return found

    def _relocations(self, changed: int) -> Iterator[Relocation]:
        for relocation in self._elf.relocations(changed):
            self._relocated += 1
            if self._relocated > _MOST_RELOCATIONS:
                raise _too_large(f"more than {_MOST_RELOCATIONS} relocations", self._path)
            yield relocation

    def _corrupt(self, what: str) -> TpgenError:
        return fail("object-corrupt", f"corrupt BPF object: {what}", self._path)


def _holds_variables(section: str) -> bool:
    """Whether libbpf makes a map of the section: .data, .rodata and .bss, also with another word behind."""
    return section.startswith((".data.", ".rodata.", ".bss.")) or section in (".data", ".rodata", ".bss")


def _too_large(what: str, path: str) -> TpgenError:
    return fail("object-too-large", f"BPF object with {what}", path)
