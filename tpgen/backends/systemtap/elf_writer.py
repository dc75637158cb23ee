"""Writing ELF relocatable objects, of either class and byte order: sections and symbols, and no relocations."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tpgen.basics.frozen import frozen
from tpgen.target import ELF_MACHINES, Target

_ET_REL, _EV_CURRENT = 1, 1
_SHT_PROGBITS, _SHT_SYMTAB, _SHT_STRTAB, _SHT_NOBITS = 1, 2, 3, 8
_SHF_WRITE, _SHF_ALLOC, _SHF_EXECINSTR = 1, 2, 4
_STB_GLOBAL, _STT_OBJECT, _STT_FUNC = 1, 1, 2
_EM_NONE, _MACHINES = 0, {arch: number for number, arch in ELF_MACHINES.items()}
# Where contents begin, of either class, and the alignment of each of them.
_HEADER_BYTES, _ALIGN = 64, 8


@frozen
class Section:
    """A section: of debugging information if it has no `flags`. One with `room_bytes` is that large and empty."""

    name: str
    content: bytes = b""
    flags: int = 0
    room_bytes: int | None = None


@frozen
class Symbol:
    """A global symbol: `size_bytes` at `offset_bytes` of the section of that name."""

    name: str
    section: str
    offset_bytes: int
    size_bytes: int
    is_function: bool


def code(room_bytes: int) -> Section:
    """The section in which the functions lie."""
    return Section(".text", flags=_SHF_ALLOC | _SHF_EXECINSTR, room_bytes=room_bytes)


def variables(room_bytes: int) -> Section:
    """The section in which the variables lie."""
    return Section(".bss", flags=_SHF_ALLOC | _SHF_WRITE, room_bytes=room_bytes)


def constant(name: str, content: bytes) -> Section:
    """Something to be read."""
    return Section(name, content, _SHF_ALLOC)


def relocatable(target: Target, sections: Sequence[Section], symbols: Sequence[Symbol]) -> bytes:
    """An object with these sections, behind which come a symbol table and one of all names."""
    records, names = _Records(target), _Names()
    index = {section.name: number for number, section in enumerate(sections, 1)}
    table = records.symbol(0, 0, 0, 0, 0) + b"".join(
        records.symbol(names.add(s.name), s.offset_bytes, s.size_bytes, _info(s), index[s.section]) for s in symbols
    )
    name_table = len(sections) + 2
    file = _File(records, names)
    for section in sections:
        file.add(section, _SHT_PROGBITS if section.room_bytes is None else _SHT_NOBITS)
    file.add(Section(".symtab", table), _SHT_SYMTAB, link=name_table, first_global=1, entry_bytes=records.symbol_bytes)
    names.add(".strtab")
    file.add(Section(".strtab", bytes(names.data)), _SHT_STRTAB)
    return file.data(_MACHINES.get(target.arch, _EM_NONE), name_table)


def _info(symbol: Symbol) -> int:
    return _STB_GLOBAL << 4 | (_STT_FUNC if symbol.is_function else _STT_OBJECT)


class _Names:
    """A table of names that end in NUL, each once."""

    def __init__(self) -> None:
        self.data = bytearray(1)
        self._at: dict[str, int] = {}

    def add(self, name: str) -> int:
        """The offset of the name in the table."""
        if name not in self._at:
            self._at[name] = len(self.data)
            self.data += name.encode() + b"\0"
        return self._at[name]


class _Records:
    """The records of ELF as the target has them: Elf64_* or Elf32_*."""

    def __init__(self, target: Target) -> None:
        self._wide = target.pointer_size == 8
        order, word = ">" if target.big_endian else "<", "Q" if self._wide else "I"
        self._ident = b"\x7fELF" + bytes((2 if self._wide else 1, 2 if target.big_endian else 1, _EV_CURRENT))
        self._header = struct.Struct(f"{order}16sHHI{3 * word}I6H")
        self._section = struct.Struct(f"{order}II{4 * word}II{2 * word}")
        self._symbol = struct.Struct(f"{order}IBBHQQ" if self._wide else f"{order}IIIBBH")
        self.symbol_bytes = self._symbol.size

    def header(self, machine: int, section_headers: int, count: int, names: int) -> bytes:
        sizes = (self._header.size, 0, 0, self._section.size, count, names)
        header = self._header.pack(self._ident, _ET_REL, machine, _EV_CURRENT, 0, 0, section_headers, 0, *sizes)
        return header.ljust(_HEADER_BYTES, b"\0")

    def section(self, name: int, kind: int, flags: int, offset: int, size: int, *rest: int) -> bytes:
        """`rest` are sh_link, sh_info, sh_addralign and sh_entsize."""
        return self._section.pack(name, kind, flags, 0, offset, size, *rest)

    def symbol(self, name: int, value: int, size: int, info: int, section: int) -> bytes:
        if self._wide:
            return self._symbol.pack(name, info, 0, section, value, size)
        return self._symbol.pack(name, value, size, info, 0, section)


class _File:
    """The file as it grows: contents one after the other, and the headers that tell of them."""

    def __init__(self, records: _Records, names: _Names) -> None:
        self._records = records
        self._names = names
        self._contents = bytearray()
        self._headers = [records.section(0, 0, 0, 0, 0, 0, 0, 0, 0)]

    def add(self, section: Section, kind: int, link: int = 0, first_global: int = 0, entry_bytes: int = 0) -> None:
        offset = _HEADER_BYTES + len(self._contents)
        size = len(section.content) if section.room_bytes is None else section.room_bytes
        name, rest = self._names.add(section.name), (link, first_global, _ALIGN, entry_bytes)
        self._headers.append(self._records.section(name, kind, section.flags, offset, size, *rest))
        self._contents += section.content + bytes(-len(section.content) % _ALIGN)

    def data(self, machine: int, names: int) -> bytes:
        """The file header, the sections and their headers; `names` is the number of the section that has the names."""
        end = _HEADER_BYTES + len(self._contents)
        header = self._records.header(machine, end, len(self._headers), names)
        return header + self._contents + b"".join(self._headers)
