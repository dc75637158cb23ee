"""GNU build ids: the notes of images, by which a linker tells what it makes apart."""

from __future__ import annotations

import re

from tpgen.cache.kernel_identity import build_id_in
from tpgen.diagnostics import TpgenError
from tpgen.sources.elf import ELF_MAGIC, ElfFile

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
        elf = ElfFile(data, path)
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
