"""ELF files of 32 or 64 bits in either byte order: their sections; of 64 bits also symbols and relocations.

Source: elf(5); the System V gABI for files with more than 65 279 sections.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from tpgen.cache.kernel_identity import build_id_in
from tpgen.diagnostics import TpgenError, fail

ELF_MAGIC = b"\x7fELF"

_SHT_SYMTAB, SHT_NOBITS, _SHT_REL = 2, 8, 9
_STB_LOCAL, _STB_WEAK = 0, 2
_SYMBOL_BYTES, _RELOCATION_BYTES = 24, 16
# In bytes, the NUL included; mangled names are long.
_LONGEST_NAME = 1 << 16
_SHF_COMPRESSED = 0x800
# e_shstrndx where the index does not fit in it and is the sh_link of section 0. Then e_shnum is 0, and the number of
# sections is section 0's sh_size.
_SHN_XINDEX = 0xFFFF


class Section(NamedTuple):
    """A section header. `offset` and `size` in bytes, as the file states them; `name_offset` is into the names."""

    name_offset: int
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int


class SymbolType(IntEnum):
    """Types of symbols that matter here, the low four bits of st_info."""

    NOTYPE = 0
    OBJECT = 1
    FUNC = 2
    SECTION = 3


class Symbol(NamedTuple):
    """A symbol. `section` is an index, 0 where it is not defined; `value` is an offset in the section."""

    name: str
    type: int
    binding: int
    visibility: int
    section: int
    value: int
    size: int

    @property
    def is_local(self) -> bool:
        return self.binding == _STB_LOCAL

    @property
    def is_weak(self) -> bool:
        return self.binding == _STB_WEAK


class Relocation(NamedTuple):
    """A relocation without addend: `offset` is in the section that it changes, `symbol` an index."""

    offset: int
    symbol: int
    type: int


class ElfFile:
    """An ELF file in memory; `path` is used in messages only.

    Raises `TpgenError` `image-truncated` for one whose headers or sections do not lie in it.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self._data = data
        self._path = path
        try:
            self._order = {1: "<", 2: ">"}[data[5]]
            self._wide = {1: False, 2: True}[data[4]]
        except (IndexError, KeyError):
            raise self._truncated() from None

    @property
    def big_endian(self) -> bool:
        return self._order == ">"

    @property
    def pointer_size(self) -> int:
        """In bytes: 4 or 8."""
        return 8 if self._wide else 4

    @property
    def machine(self) -> int:
        """EM_* of include/uapi/linux/elf-em.h."""
        return self._unpack("H", 18)[0]

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """All section headers, by index."""
        return tuple(self._headers())

    def contents(self, section: Section) -> bytes:
        """The bytes of a section; none of one that a file of debugging information leaves out (SHT_NOBITS)."""
        size = 0 if section.kind == SHT_NOBITS else section.size
        if section.offset + size > len(self._data):
            raise self._truncated()
        return self._data[section.offset : section.offset + size]

    def contents_of(self, *names: str) -> dict[str, bytes]:
        """The contents of the sections that have one of `names`.

        Raises `image-corrupt` where one of them is compressed.
        """
        wanted = {name.encode() + b"\0": name for name in names}
        starts, last_end = tuple(wanted), self._names.rfind(b"\0")
        found = {}
        for section in self.sections:
            if section.name_offset > last_end:
                raise self._truncated()
            if self._names.startswith(starts, section.name_offset):
                end = self._names.index(b"\0", section.name_offset) + 1
                name = wanted[self._names[section.name_offset : end]]
                if section.flags & _SHF_COMPRESSED:
                    hint = "decompress it with objcopy"
                    raise fail("image-corrupt", f"section {name} is compressed", self._path, hint)
                found[name] = self.contents(section)
        return found

    def name(self, section: Section) -> str:
        """The name of a section; what is not ASCII in it is replaced."""
        return self._string(self._names, section.name_offset)

    def symbols(self) -> Iterator[Symbol]:
        """The symbols of a file of 64 bits, in their order: the first is nobody's."""
        for table in self.sections:
            if table.kind == _SHT_SYMTAB:
                names = self._linked(table)
                for name, info, other, section, value, size in self._entries(table, "IBBHQQ", _SYMBOL_BYTES):
                    yield Symbol(self._string(names, name), info & 15, info >> 4, other & 3, section, value, size)

    def relocations(self, changed: int) -> Iterator[Relocation]:
        """The relocations without addends of the section with that index, in a file of 64 bits."""
        for table in self.sections:
            if table.kind == _SHT_REL and table.info == changed:
                for offset, info in self._entries(table, "QQ", _RELOCATION_BYTES):
                    yield Relocation(offset, info >> 32, info & 0xFFFFFFFF)

    def _entries(self, table: Section, layout: str, entry_bytes: int) -> Iterator[tuple[int, ...]]:
        contents = self.contents(table)
        whole = len(contents) // entry_bytes * entry_bytes
        return struct.iter_unpack(self._order + layout, contents[:whole])

    def _linked(self, table: Section) -> bytes:
        if table.link >= len(self.sections):
            raise self._truncated()
        return self.contents(self.sections[table.link])

    def _string(self, strings: bytes, offset: int) -> str:
        end = strings.find(b"\0", offset, offset + _LONGEST_NAME)
        if end < 0:
            raise self._truncated()
        return strings[offset:end].decode("ascii", "replace")

    @cached_property
    def _names(self) -> bytes:
        (index,) = self._unpack("H", 62 if self._wide else 50)
        if index == _SHN_XINDEX and self.sections:
            index = self.sections[0].link
        if index >= len(self.sections):
            raise self._truncated()
        return self.contents(self.sections[index])

    def _headers(self) -> Iterator[Section]:
        (table,) = self._unpack("Q" if self._wide else "I", 40 if self._wide else 32)
        entry_size, count = self._unpack("HH", 58 if self._wide else 46)
        if table and not count:
            count = self._header(table).size
        if count and (entry_size < self._header_bytes or table + count * entry_size > len(self._data)):
            raise self._truncated()
        for index in range(count):
            yield self._header(table + index * entry_size)

    @property
    def _header_bytes(self) -> int:
        return 64 if self._wide else 40

    def _header(self, offset: int) -> Section:
        name, kind, flags, _, start, size, link, info = self._unpack("IIQQQQII" if self._wide else "8I", offset)
        return Section(name, kind, flags, start, size, link, info)

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """The numbers at `offset`, of the sizes that `layout` states."""
        layout = self._order + layout
        if offset + struct.calcsize(layout) > len(self._data):
            raise self._truncated()
        return struct.unpack_from(layout, self._data, offset)

    def _truncated(self) -> TpgenError:
        return fail("image-truncated", "truncated or corrupt ELF file", self._path)


# --- build ids

# Where vmlinux and where modules have their notes.
_SECTIONS = (".notes", ".note.gnu.build-id")
# An image without section headers has the notes somewhere: three words, of which the second is the size of the id.
_NOTE = re.compile(rb"\x04\0\0\0[\x08-\x40]\0\0\0\x03\0\0\0GNU\0|\0\0\0\x04\0\0\0[\x08-\x40]\0\0\0\x03GNU\0", re.DOTALL)
# Inside of a kernel lie vdso images, ELF files with a note of their own, which stands in the first page of each.
_VDSO_BYTES = 4096
_BIGGEST_ID = 64


def elf_build_id(data: bytes, path: str) -> str | None:
    """The build id of an ELF file in hex; None where it has none, or its notes are damaged."""
    try:
        return build_id_of(ElfFile(data, path))
    except TpgenError:
        return None


def build_id_of(elf: ElfFile) -> str | None:
    """The build id of an ELF file as `elf_build_id` has it."""
    try:
        sections = elf.contents_of(*_SECTIONS)
    except TpgenError:
        return None
    found = (build_id_in(notes, "big" if elf.big_endian else "little") for notes in sections.values())
    return next(filter(None, found), None)


def image_build_id(data: bytes) -> str | None:
    """The build id of a kernel image without section headers, in hex; None where it has none, or several."""
    found = set()
    for match in _NOTE.finditer(data):
        if data.rfind(ELF_MAGIC, max(0, match.start() - _VDSO_BYTES), match.start()) < 0:
            note = data[match.start() : match.end() + _BIGGEST_ID]
            found.add(build_id_in(note, "little" if match[0][0] else "big"))
    return found.pop() if len(found) == 1 else None
