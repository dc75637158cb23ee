"""BPF objects built by hand, byte by byte, so that a test can have each of their numbers wrong.

Nothing of tpgen is used here; readelf, bpftool and libbpf judge what is built. Formats: elf(5),
Documentation/bpf/btf.rst, Documentation/bpf/standardization/instruction-set.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EM_BPF = 247
PROGBITS, SYMTAB, STRTAB, NOBITS, REL = 1, 2, 3, 8, 9
ALLOC, EXECINSTR = 2, 4
LOCAL, GLOBAL, WEAK = 0, 1, 2
NOTYPE, OBJECT, FUNC, SECTION = 0, 1, 2, 3
R_BPF_64_64, R_BPF_64_32 = 1, 10


def instruction(
    opcode: int, destination: int = 0, source: int = 0, offset: int = 0, immediate: int = 0, big_endian: bool = False
) -> bytes:
    """The eight bytes of an instruction."""
    registers = destination << 4 | source if big_endian else source << 4 | destination
    return struct.pack((">" if big_endian else "<") + "BBhi", opcode, registers, offset, immediate)


def wide(destination: int, value: int, source: int = 0, big_endian: bool = False) -> bytes:
    """The sixteen bytes of a load of a constant of 64 bits."""
    low, high = ((half & 0xFFFFFFFF ^ 1 << 31) - (1 << 31) for half in (value, value >> 32))
    return instruction(0x18, destination, source, 0, low, big_endian) + instruction(0, 0, 0, 0, high, big_endian)


@dataclass
class ElfSection:
    """A section in the making; `size` is stated instead of that of the content."""

    name: str
    content: bytes
    kind: int = PROGBITS
    flags: int = ALLOC
    link: int = 0
    info: int = 0
    entry_bytes: int = 0
    size: int | None = None


@dataclass
class ObjectBuilder:
    """A BPF object in the making; the methods return indices of sections and symbols."""

    big_endian: bool = False
    sections: list[ElfSection] = field(default_factory=lambda: [ElfSection("", b"", 0, 0)])
    symbols: list[bytes] = field(default_factory=lambda: [bytes(24)])
    names: bytearray = field(default_factory=lambda: bytearray(1))
    relocations: dict[int, list[bytes]] = field(default_factory=dict)
    machine: int = EM_BPF

    @property
    def order(self) -> str:
        return ">" if self.big_endian else "<"

    def section(
        self, name: str, content: bytes, kind: int = PROGBITS, flags: int = ALLOC, size: int | None = None
    ) -> int:
        """Add a section."""
        self.sections.append(ElfSection(name, content, kind, flags, size=size))
        return len(self.sections) - 1

    def code(self, name: str, *instructions: bytes) -> int:
        """Add a section of instructions."""
        return self.section(name, b"".join(instructions), flags=ALLOC | EXECINSTR)

    def symbol(
        self, name: str, section: int, value: int = 0, size: int = 0, kind: int = OBJECT, binding: int = GLOBAL
    ) -> int:
        """Add a symbol."""
        at = len(self.names)
        self.names += name.encode() + b"\0"
        self.symbols.append(struct.pack(self.order + "IBBHQQ", at, binding << 4 | kind, 0, section, value, size))
        return len(self.symbols) - 1

    def function(self, name: str, section: int, at: int = 0, length: int | None = None, binding: int = GLOBAL) -> int:
        """Add a function of so many instructions, all from `at` on by default."""
        rest = len(self.sections[section].content) // 8 - at
        return self.symbol(name, section, 8 * at, 8 * (rest if length is None else length), FUNC, binding)

    def relocation(self, section: int, at: int, symbol: int, kind: int = R_BPF_64_64) -> None:
        """Add a relocation of instruction `at` of a section."""
        made = struct.pack(self.order + "QQ", 8 * at, symbol << 32 | kind)
        self.relocations.setdefault(section, []).append(made)

    def blob(self) -> bytes:
        """The file."""
        tables = [ElfSection(".strtab", bytes(self.names), STRTAB, 0)]
        strings = len(self.sections)
        tables.append(ElfSection(".symtab", b"".join(self.symbols), SYMTAB, 0, strings, 1, 24))
        for section, made in self.relocations.items():
            name = f".rel{self.sections[section].name}"
            tables.append(ElfSection(name, b"".join(made), REL, 0, strings + 1, section, 16))
        return self._file([*self.sections, *tables])

    def _file(self, sections: list[ElfSection]) -> bytes:
        names = bytearray()
        sections = [*sections, ElfSection(".shstrtab", b"", STRTAB, 0)]
        places = []
        for section in sections:
            places.append(len(names))
            names += section.name.encode() + b"\0"
        sections[-1].content = bytes(names)
        body, headers = bytearray(64), bytearray()
        for section, place in zip(sections, places, strict=True):
            body += bytes(-len(body) % 8)
            size = len(section.content) if section.size is None else section.size
            headers += struct.pack(
                self.order + "IIQQQQIIQQ", place, section.kind, section.flags, 0, len(body), size, section.link,
                section.info, 8, section.entry_bytes,
            )  # fmt: skip
            body += section.content
        body += bytes(-len(body) % 8)
        ident = b"\x7fELF" + bytes((2, 2 if self.big_endian else 1, 1)) + bytes(9)
        rest = struct.pack(
            self.order + "HHIQQQIHHHHHH", 1, self.machine, 1, 0, 0, len(body), 0, 64, 0, 0, 64, len(sections),
            len(sections) - 1,
        )  # fmt: skip
        return ident + rest + bytes(body[64:]) + bytes(headers)


def btf_ext(
    functions: Mapping[int, Sequence[tuple[int, ...]]] | None = None,
    lines: Mapping[int, Sequence[tuple[int, ...]]] | None = None,
    core: Mapping[int, Sequence[tuple[int, ...]]] | None = None,
    big_endian: bool = False,
    record_words: tuple[int, int, int] = (2, 4, 4),
) -> bytes:
    """A section .BTF.ext: records by the offset of their section's name. Records may be longer than known ones."""
    order = ">" if big_endian else "<"
    parts, places = b"", []
    for records, words in zip((functions, lines, core), record_words, strict=True):
        made = struct.pack(order + "I", 4 * words)
        for name, rows in (records or {}).items():
            made += struct.pack(order + "II", name, len(rows))
            for row in rows:
                made += struct.pack(f"{order}{words}I", *row, *([0] * (words - len(row))))
        places += [len(parts), len(made)]
        parts += made
    return struct.pack(order + "HBBI6I", 0xEB9F, 1, 0, 32, *places) + parts
