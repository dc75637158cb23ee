"""Reading .BTF.ext: types and source lines of instructions, and CO-RE relocations.

Format: Documentation/bpf/btf.rst, section ".BTF.ext section"; struct btf_ext_header of libbpf.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tpgen.diagnostics import TpgenError, fail
from tpgen.sources.bpf_object.facts import CoreKind, CoreRelocation, LineInfo, Place
from tpgen.sources.bpf_object.instructions import INSTRUCTION_BYTES
from tpgen.sources.btf import Btf

# Words of a record that are read; longer ones are of newer compilers.
_FUNCTION_WORDS, _LINE_WORDS, _CORE_WORDS = 2, 4, 4
# Bytes of the header since LLVM 10, which added its last part.
_HEADER = 32
# The line and the column share a word.
_COLUMN_BITS = 10
# Of all strings. The largest object of 440 has 400 000.
_MOST_CHARACTERS = 16 << 20


class BtfExt(NamedTuple):
    """Contents of a section .BTF.ext, by places; lines are in the order of the instructions."""

    function_types: dict[Place, int]
    lines: dict[str, tuple[tuple[int, LineInfo], ...]]
    core_relocations: dict[Place, CoreRelocation]


class _Record(NamedTuple):
    place: Place
    words: tuple[int, ...]


def read_btf_ext(data: bytes, btf: Btf, path: str) -> BtfExt:
    """The contents of a section .BTF.ext, whose strings and types are in `btf`.

    Raises `TpgenError` `object-corrupt` for one that is cut short or whose parts do not lie in it.
    """
    return _Reader(data, btf, path).read()


class _Reader:
    def __init__(self, data: bytes, btf: Btf, path: str) -> None:
        self._data = data
        self._btf = btf
        self._path = path
        self._order = ">" if btf.big_endian else "<"
        self._texts: dict[int, str] = {}
        self._characters = 0

    def read(self) -> BtfExt:
        (header,) = self._unpack("I", 4)
        parts = self._unpack("IIIIII" if header >= _HEADER else "IIII", 8)
        functions, lines, *core = (
            self._records(header + parts[i], parts[i + 1], words)
            for i, words in zip(range(0, len(parts), 2), (_FUNCTION_WORDS, _LINE_WORDS, _CORE_WORDS), strict=False)
        )
        return BtfExt(
            {record.place: record.words[1] for record in functions},
            self._lines(lines),
            {record.place: self._core_relocation(record) for record in (core[0] if core else ())},
        )

    def _records(self, start: int, size: int, words: int) -> Iterator[_Record]:
        """The records of one part: for each section of instructions its name, their number, and so many of them."""
        if not size:
            return
        end = start + size
        if end > len(self._data):
            raise self._corrupt("a part ends behind the end")
        (record_bytes,) = self._unpack("I", start)
        if record_bytes < 4 * words or record_bytes % 4:
            raise self._corrupt(f"records of {record_bytes} bytes")
        layout = struct.Struct(f"{self._order}{words}I{record_bytes - 4 * words}x")
        at = start + 4
        while at < end:
            name, count = self._unpack("II", at)
            at += 8
            if at + count * record_bytes > end:
                raise self._corrupt(f"{count} records in {end - at} bytes")
            section = self._text(name)
            for found in layout.iter_unpack(self._data[at : at + count * record_bytes]):
                yield _Record(Place(section, found[0] // INSTRUCTION_BYTES), found)
            at += count * record_bytes

    def _lines(self, records: Iterator[_Record]) -> dict[str, tuple[tuple[int, LineInfo], ...]]:
        found: dict[str, dict[int, LineInfo]] = {}
        text, columns = self._text, (1 << _COLUMN_BITS) - 1
        for (section, at), (_, file, line, position) in records:
            info = LineInfo(text(file), position >> _COLUMN_BITS, position & columns, text(line))
            if info.line:  # none is for what the compiler added
                found.setdefault(section, {})[at] = info
        return {section: tuple(sorted(lines.items())) for section, lines in found.items()}

    def _core_relocation(self, record: _Record) -> CoreRelocation:
        _, type_id, access, kind = record.words
        try:
            return CoreRelocation(CoreKind(kind), type_id, self._text(access))
        except ValueError:
            raise fail("object-unknown", f"CO-RE relocation of kind {kind}", self._path, "use a newer tpgen") from None

    def _text(self, offset: int) -> str:
        found = self._texts.get(offset)
        if found is None:
            found = self._texts[offset] = self._btf.text(offset).strip()
            self._characters += len(found)
            if self._characters > _MOST_CHARACTERS:
                raise fail("object-too-large", f"more than {_MOST_CHARACTERS} characters of source text", self._path)
        return found

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = self._order + layout
        if offset + struct.calcsize(layout) > len(self._data):
            raise self._corrupt("it ends too early")
        return struct.unpack_from(layout, self._data, offset)

    def _corrupt(self, what: str) -> TpgenError:
        return fail("object-corrupt", f"corrupt section .BTF.ext: {what}", self._path)
