"""ELF files as compilers write them, and with every number in their headers wrong."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from support.btf_builder import elf

from tpgen.diagnostics import TpgenError
from tpgen.sources.elf import ElfFile

SMALL = elf({".text": b"\x90", ".BTF": b"types"})
CUT = "f: truncated or corrupt ELF file [image-truncated]"


@pytest.mark.parametrize("count", [65_279 - 6, 65_280 - 6, 70_000])
def test_more_sections_than_the_header_can_count(count: int, tmp_path: Path) -> None:
    """As a kernel built with -ffunction-sections has them; gcc adds six of its own."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    source, obj = tmp_path / "many.s", tmp_path / "many.o"
    lines = [f'.section .s{number},"a",%progbits\n.byte 1\n' for number in range(count)]
    source.write_text("".join([*lines, '.section .BTF,"",%progbits\n.ascii "types"\n']))
    subprocess.run(["gcc", "-c", source, "-o", obj], check=True)
    file = ElfFile(obj.read_bytes(), "f")
    assert file.contents_of(".BTF", f".s{count - 1}", ".s0x") == {".BTF": b"types", f".s{count - 1}": b"\x01"}
    assert len(file.sections) == count + 6


def test_names_are_whole() -> None:
    """A name may end another, and the linker stores it there."""
    names = ElfFile(elf({".rel.BTF": b"no", ".BTF": b"yes", ".BTF.ext": b"no"}), "f")
    assert names.contents_of(".BTF") == {".BTF": b"yes"}
    assert names.contents_of("") == {"": b""}


HUGE = (0, 1, 1 << 31, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
#: Where a 64-bit file of little endian has its numbers, and their format: e_shoff, e_shentsize, e_shnum, e_shstrndx,
#: then those of the headers of sections 0 (size, link), 2 (name, offset, size) and the last (offset, size).
TABLE = struct.unpack_from("<Q", SMALL, 40)[0]
FIELDS = {
    "e_shoff": (40, "Q"),
    "e_shentsize": (58, "H"),
    "e_shnum": (60, "H"),
    "e_shstrndx": (62, "H"),
    "sh_size of section 0": (TABLE + 32, "Q"),
    "sh_link of section 0": (TABLE + 40, "I"),
    "sh_name": (TABLE + 2 * 64, "I"),
    "sh_offset": (TABLE + 2 * 64 + 24, "Q"),
    "sh_size": (TABLE + 2 * 64 + 32, "Q"),
    "sh_offset of the names": (TABLE + 3 * 64 + 24, "Q"),
    "sh_size of the names": (TABLE + 3 * 64 + 32, "Q"),
}


def said_of(data: bytes) -> str:
    """The message that reading a file ends in, "" where it was read."""
    try:
        ElfFile(data, "f").contents_of(".BTF")
    except TpgenError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("counted", [True, False], ids=["counted in the header", "counted in section 0"])
@pytest.mark.parametrize("field", FIELDS)
def test_any_number(field: str, counted: bool) -> None:
    """The file is read, or refused in one line; nothing else."""
    at, layout = FIELDS[field]
    for value in HUGE:
        data = bytearray(SMALL)
        if not counted:
            struct.pack_into("<HH", data, 60, 0, 0xFFFF)
            struct.pack_into("<QI", data, TABLE + 32, 4, 3)
        struct.pack_into(f"<{layout}", data, at, value & ((1 << 8 * struct.calcsize(layout)) - 1))
        assert said_of(bytes(data)) in (CUT, "")


def test_counted_in_section_0() -> None:
    data = bytearray(SMALL)
    struct.pack_into("<HH", data, 60, 0, 0xFFFF)
    struct.pack_into("<QI", data, TABLE + 32, 4, 3)
    assert ElfFile(bytes(data), "f").contents_of(".BTF") == {".BTF": b"types"}


def test_headers_that_do_not_end() -> None:
    """Sixteen million headers of no bytes each are not read."""
    data = bytearray(SMALL)
    struct.pack_into("<HH", data, 58, 0, 0)
    struct.pack_into("<Q", data, TABLE + 32, 1 << 24)
    with pytest.raises(TpgenError) as caught:
        ElfFile(bytes(data), "f").contents_of(".BTF")
    assert str(caught.value) == CUT


def test_no_sections() -> None:
    """An executable may be stripped of its section headers."""
    data = bytearray(SMALL)
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HH", data, 60, 0, 0)
    assert ElfFile(bytes(data), "f").sections == ()
