"""BTF found in everything that it hides in; readelf judges the ELF files built here."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder, bzimage, elf, stub_image
from support.compressors import ZSTD_MODULE, lz4, zstd, zstd_frame
from support.small_kernel import small_btf

from tpgen.diagnostics import TpgenError
from tpgen.sources import compression
from tpgen.sources.images import btf_sections, module_tracepoints

BLOB = small_btf().blob()
BIG = small_btf(big_endian=True).blob()
OTHER = {".text": b"\x90" * 37, ".data": b"BTF? \x9f\xeb not here", ".comment": b"GCC"}


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=9),
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "zstd": zstd,
    "lz4": lz4,
}
every_compression = pytest.mark.parametrize("compress", COMPRESSIONS.values(), ids=COMPRESSIONS)
ELF_SHAPES = {
    "x86_64": (False, True, 62),
    "s390x": (True, True, 22),
    "i386": (False, False, 3),
    "32 bits, big-endian": (True, False, 8),
}
every_elf = pytest.mark.parametrize(("big_endian", "wide", "machine"), ELF_SHAPES.values(), ids=ELF_SHAPES)


class TestFound:
    @pytest.mark.parametrize("blob", [BLOB, BIG], ids=["little", "big"])
    def test_raw_blob(self, blob: bytes) -> None:
        found = btf_sections(blob, "blob")
        assert (found.btf, found.base) == (blob, None)

    @every_elf
    @pytest.mark.parametrize("base", [None, BLOB], ids=["vmlinux", "out-of-tree .ko"])
    def test_elf(self, big_endian: bool, wide: bool, machine: int, base: bytes | None) -> None:
        sections = {**OTHER, ".BTF": BIG, ".BTF_ids": b"\0" * 8} | ({".BTF.base": base} if base else {})
        found = btf_sections(elf(sections, big_endian, wide, machine), "x.ko")
        assert (found.btf, found.base) == (BIG, base)

    @every_compression
    @pytest.mark.parametrize("content", [BLOB, elf({".BTF": BLOB})], ids=["blob", "elf"])
    def test_compressed(self, content: bytes, compress: Callable[[bytes], bytes]) -> None:
        assert btf_sections(compress(content), "file").btf == BLOB

    @every_compression
    @pytest.mark.parametrize("image", [bzimage, stub_image])
    @pytest.mark.parametrize("payload", [elf({".BTF": BLOB}), b"\x90" * 999 + BLOB + b"\0" * 99], ids=["elf", "flat"])
    def test_kernel_image(
        self, payload: bytes, image: Callable[[bytes], bytes], compress: Callable[[bytes], bytes]
    ) -> None:
        # The kernel's build appends the unpacked size to what it compresses.
        assert btf_sections(image(compress(payload) + len(payload).to_bytes(4, "little")), "vmlinuz").btf == BLOB

    @pytest.mark.parametrize("blob", [BLOB, BIG], ids=["little", "big"])
    def test_uncompressed_image(self, blob: bytes) -> None:
        """arm64 and riscv64 have one; the length is what the BTF's header says, though more follows."""
        assert btf_sections(stub_image(blob), "Image").btf == blob

    def test_compressed_image_in_a_compressed_file(self) -> None:
        assert btf_sections(gzip.compress(bzimage(zstd(elf({".BTF": BLOB})))), "vmlinuz.gz").btf == BLOB

    def test_misleading_magics_before_the_payload(self) -> None:
        """A stub can hold bytes that only look like a compressor's or BTF's."""
        bait = b"\x1f\x8b\x08\x00 \xfd7zXZ\x00 \x28\xb5\x2f\xfd BZh9 " + BLOB[:24]
        assert btf_sections(stub_image(bait + gzip.compress(elf({".BTF": BLOB}))), "Image").btf == BLOB


@every_elf
def test_builder_by_readelf(big_endian: bool, wide: bool, machine: int, tmp_path: Path) -> None:
    """The judge of the ELF files."""
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed")
    path = tmp_path / "x.ko"
    path.write_bytes(elf({**OTHER, ".BTF": BLOB}, big_endian, wide, machine))
    command = ("readelf", "--wide", "--file-header", "--sections", str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C"})
    assert not done.stderr
    (line,) = (line for line in done.stdout.splitlines() if " .BTF " in line)
    fields = line.partition("]")[2].split()
    at, size = int(fields[3], 16), int(fields[4], 16)
    assert path.read_bytes()[at : at + size] == BLOB
    assert f"Class:                             ELF{64 if wide else 32}" in done.stdout
    assert f"{'big' if big_endian else 'little'} endian" in done.stdout


UNKNOWN = (
    "f: neither BTF nor an ELF file nor a kernel image with BTF inside [image-unknown]; "
    "give /sys/kernel/btf/vmlinux, a vmlinux, a .ko, a vmlinuz or a raw BTF blob"
)
NO_BTF = "f: ELF file without a .BTF section [image-no-btf]; was it built with CONFIG_DEBUG_INFO_BTF?"
ELF_CUT = "f: truncated or corrupt ELF file [image-truncated]"
EARLY = "f: the compressed data ends early [image-truncated]"
LZ4 = (
    "f: compressed with lz4, which tpgen does not unpack [image-compression]; unpack it first, for example with lz4 -d"
)
LZO = (
    "f: compressed with lzo, which tpgen does not unpack [image-compression]; unpack it first, for example with lzop -d"
)
VMLINUX = elf({**OTHER, ".BTF": BLOB})


def nobits(data: bytes) -> bytes:
    """The ELF file with its section 1 of type SHT_NOBITS, as objcopy --only-keep-debug leaves it."""
    at = int.from_bytes(data[40:48], "little") + 64 + 4
    return data[:at] + (8).to_bytes(4, "little") + data[at + 4 :]


def moved(data: bytes, offset: int, size: int) -> bytes:
    """The 64-bit ELF file with its section 1 said to lie elsewhere."""
    at = int.from_bytes(data[40:48], "little") + 64 + 24
    return data[:at] + offset.to_bytes(8, "little") + size.to_bytes(8, "little") + data[at + 16 :]


def test_section_at_the_very_end() -> None:
    """Section headers may stand in front of the sections."""
    data = elf({".BTF": b""})
    assert btf_sections(moved(data, len(data), len(BLOB)) + BLOB, "f").btf == BLOB


@pytest.mark.parametrize("type_offset", [0, 4])
def test_misleading_header_before_the_blob(type_offset: int) -> None:
    """What looks like BTF in a flat image must also have sections that fit together."""
    lengths = (type_offset, 400, 300, 10)  # strings in the middle of the types
    bait = BLOB[:8] + b"".join(length.to_bytes(4, "little") for length in lengths)
    assert btf_sections(stub_image(bait + BLOB), "Image").btf == BLOB


REFUSED = {
    "empty file": (b"", UNKNOWN),
    "text": (b"name: sched_switch\nID: 1\n", UNKNOWN),
    "zeros": (b"\0" * 4096, UNKNOWN),
    "ELF magic alone": (b"\x7fELF", ELF_CUT),
    "ELF without BTF": (elf(OTHER), NO_BTF),
    "ELF with the headers of a BTF left out": (nobits(elf({".BTF": BLOB})), NO_BTF),
    "ELF cut in its header": (VMLINUX[:50], ELF_CUT),
    "ELF cut in a section": (VMLINUX[:900], ELF_CUT),
    "ELF cut in its section headers": (VMLINUX[:-50], ELF_CUT),
    "ELF section past the end": (moved(elf({".BTF": BLOB}), 64, 1 << 20), ELF_CUT),
    "ELF section one byte too long": (
        moved(elf({".BTF": BLOB}) + BLOB, len(elf({".BTF": BLOB})), len(BLOB) + 1),
        ELF_CUT,
    ),
    "ELF of no class": (b"\x7fELF\x03\x01" + VMLINUX[6:], ELF_CUT),
    "ELF of no byte order": (b"\x7fELF\x02\x07" + VMLINUX[6:], ELF_CUT),
    "ELF with compressed sections": (
        elf({".BTF": BLOB}, flags=0x800),
        "f: section .BTF is compressed [image-corrupt]; decompress it with objcopy",
    ),
    "boot image without BTF": (bzimage(gzip.compress(elf(OTHER))), NO_BTF),
    "boot image cut short": (bzimage(lzma.compress(VMLINUX)[:-60]), EARLY),
    "boot image with an unknown payload": (bzimage(b"\x02\x21\x4c\x19" + bytes(range(256))), UNKNOWN),
    "boot image of another lz4": (bzimage(b"\x04\x22\x4d\x18" + bytes(range(256))), LZ4),
    "file of lz4": (b"\x04\x22\x4d\x18" + bytes(range(256)), LZ4),
    "boot image of lzo": (bzimage(b"\x89LZO\x00\r\n\x1a\n" + bytes(range(256))), LZO),
    "four times compressed": (
        gzip.compress(gzip.compress(gzip.compress(gzip.compress(BLOB)))),
        "f: compressed more than three times [image-corrupt]",
    ),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, message: str) -> None:
    with pytest.raises(TpgenError) as caught:
        btf_sections(data, "f")
    assert str(caught.value) == message


@every_compression
@pytest.mark.parametrize("kept", [0.4, 0.9], ids=["early", "late"])
def test_cut_compressed_file(compress: Callable[[bytes], bytes], kept: float) -> None:
    """What could be unpacked until the cut is not taken for the whole."""
    packed = compress(BLOB)
    with pytest.raises(TpgenError) as caught:
        btf_sections(packed[: int(len(packed) * kept)], "f")
    assert str(caught.value) == EARLY


@every_compression
def test_garbled_compressed_file(compress: Callable[[bytes], bytes]) -> None:
    """The library's own words may differ between its versions, the rest does not."""
    packed = bytearray(compress(BLOB * 20))
    middle = len(packed) // 2
    packed[middle - 8 : middle + 8] = b"\xff" * 16
    with pytest.raises(TpgenError) as caught:
        btf_sections(bytes(packed), "f")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "image-corrupt"
    assert "\n" not in str(diagnostic)


@every_compression
def test_bomb(compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to unpacking, at a limit that is smaller here for the sake of memory."""
    monkeypatch.setattr(compression, "UNPACKED_LIMIT", 1 << 20)
    with pytest.raises(TpgenError) as caught:
        btf_sections(compress(b"\0" * (2 << 20)), "f")
    assert str(caught.value) == "f: unpacks to more than 1 MiB [image-too-large]"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstd itself")
def test_without_the_backport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12 has no package of it: who lacks it is told."""
    image = bzimage(zstd(VMLINUX))
    monkeypatch.setitem(sys.modules, ZSTD_MODULE, None)
    with pytest.raises(TpgenError) as caught:
        btf_sections(image, "f")
    expected = "f: reading this takes the Python module backports.zstd [image-compression]; pip install backports.zstd"
    assert str(caught.value) == expected


def test_python_without_a_compressor(monkeypatch: pytest.MonkeyPatch) -> None:
    image = bzimage(lzma.compress(VMLINUX))
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(TpgenError) as caught:
        btf_sections(image, "f")
    assert str(caught.value) == "f: this Python was built without lzma [image-compression]; unpack it first"


def test_stated_size_is_not_believed() -> None:
    """A frame that says 2^62 bytes gets no room for them."""
    assert btf_sections(zstd_frame(BLOB), "f").btf == BLOB
    with pytest.raises(TpgenError, match=r"\[image-corrupt\]|\[image-truncated\]"):
        btf_sections(zstd_frame(BLOB, content_size=1 << 62), "f")


def test_module_and_its_base_are_apart() -> None:
    """`.BTF` and `.BTF.base` are told apart by whole names, in any order."""
    base = BtfBuilder()
    base.integer("int", 4)
    found = btf_sections(elf({".BTF.base": base.blob(), ".BTF.extra": b"?", ".BTF": BLOB}), "x.ko")
    assert (found.btf, found.base) == (BLOB, base.blob())


@every_elf
def test_tracepoints_of_a_module_without_btf(big_endian: bool, wide: bool, machine: int) -> None:
    """NUL-terminated names in a section of their own, padded; what no macro can have made is no name."""
    names = b"\0".join((b"ext4_unlink", b"", b"", b"802154_ev", b"a;b", b"\xff\xfe", b"_", b"ext4_mark"))
    module = elf({".text": b"\x90", "__tracepoints_strings": names}, big_endian, wide, machine)
    expected = ("802154_ev", "ext4_mark", "ext4_unlink")
    assert module_tracepoints(module, "f") == module_tracepoints(lzma.compress(module), "f") == expected
    assert module_tracepoints(elf({".text": b"\x90"}), "f") == ()
    assert module_tracepoints(b"#!/bin/sh", "f") == ()


# --- what an image tells of itself


def with_mark(at: int, mark: bytes) -> bytes:
    """An image with BTF and some bytes at a place that its architecture's boot protocol states."""
    image = bytearray(stub_image(b"\0" * 0x11000 + BLOB))
    image[at : at + len(mark)] = mark
    return bytes(image)


def pe(machine: int) -> bytes:
    image = bytearray(with_mark(0x3C, (0x40).to_bytes(4, "little")))
    image[0x40:0x46] = b"PE\0\0" + machine.to_bytes(2, "little")
    return bytes(image)


ARCHITECTURES = {
    "arm64 Image": (with_mark(0x38, b"ARM\x64"), "aarch64"),
    "riscv64 Image": (with_mark(0x38, b"RSC\x05"), "riscv64"),
    "arm zImage": (with_mark(0x24, b"\x18\x28\x6f\x01"), "arm"),
    "s390x bzImage": (with_mark(0x10008, b"S390EP"), "s390x"),
    "arm64 with an EFI stub": (pe(0xAA64), "aarch64"),
    "x86-64 with an EFI stub": (pe(0x8664), "x86_64"),
    "loongarch with an EFI stub": (pe(0x6264), "loongarch64"),
    "another machine with an EFI stub": (pe(0x1234), None),
    "nothing": (with_mark(0x38, b"ARM\x65"), None),
    "ppc64el vmlinux": (elf({".BTF": BLOB}, machine=21), "ppc64le"),
    "ppc64 vmlinux": (elf({".BTF": BIG}, big_endian=True, machine=21), "ppc64"),
    "mips64el vmlinux": (elf({".BTF": BLOB}, machine=8), "mips64el"),
    "mipsel vmlinux": (elf({".BTF": BLOB}, wide=False, machine=8), "mipsel"),
    "loong64 vmlinux": (elf({".BTF": BLOB}, machine=258), "loongarch64"),
}


@pytest.mark.parametrize(("image", "arch"), ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_architecture(image: bytes, arch: str | None) -> None:
    found = btf_sections(image, "f")
    assert (found.btf in (BLOB, BIG), found.arch) == (True, arch)


def test_efi_image_that_states_its_payload() -> None:
    """`MZ`, `zimg`, then where the payload lies; bait stands in front of it."""
    bait, payload = gzip.compress(elf({".BTF": BIG}), mtime=0), zstd(b"\x90" * 100 + BLOB + b"\0" * 8)
    head = b"MZ\0\0zimg" + (64 + len(bait)).to_bytes(4, "little") + len(payload).to_bytes(4, "little")
    assert btf_sections(head.ljust(64, b"\0") + bait + payload, "f").btf == BLOB


@every_compression
@pytest.mark.parametrize("image", [bzimage, stub_image])
def test_kernel_without_btf(image: Callable[[bytes], bytes], compress: Callable[[bytes], bytes]) -> None:
    """One payload that unpacks to a kernel is all that there is: the bait behind it is not looked at."""
    kernel = bytes(range(256)) * (1 << 12)
    with pytest.raises(TpgenError) as caught:
        btf_sections(image(compress(kernel) + b"\0" * 64 + compress(elf({".BTF": BLOB}))), "f")
    assert str(caught.value) == ("f: kernel image without BTF [image-no-btf]; was it built with CONFIG_DEBUG_INFO_BTF?")


def test_false_starts_cost_little() -> None:
    """Thousands of what may be the headers of compressed data, in front of a kernel."""
    bait = (b"\x5d\x00\x00\x00\x02" + b"\xff" * 8 + b"\0" + b"\xa5" * 30) * 5000 + b"BZh9 \x1f\x8b\x08\x00 " * 5000
    assert btf_sections(stub_image(bait + COMPRESSIONS["xz"](elf({".BTF": BLOB}))), "f").btf == BLOB


@pytest.mark.parametrize(("magic", "message"), [(b"\x02\x21\x4c\x18", UNKNOWN), (b"\x04\x22\x4d\x18", LZ4)])
def test_lz4_in_an_image_that_states_nothing(magic: bytes, message: str) -> None:
    with pytest.raises(TpgenError) as caught:
        btf_sections(stub_image(magic + bytes(range(256))), "f")
    assert str(caught.value) == message


@pytest.mark.parametrize("size", [1, 12, 13, 8 << 20, (8 << 20) + 1])
def test_blocks_of_lz4(size: int) -> None:
    """As the kernel's build has it, with the unpacked size behind, by which a whole last block is told."""
    data = (bytes(range(256)) * (33 << 10))[:size]
    packed = lz4(data) + size.to_bytes(4, "little") + b"\0" * 5000
    assert compression.unpacked(compression.compression_of(packed), packed, "f") == data


def test_lz4_by_its_own_tool(tmp_path: Path) -> None:
    """The judge of what is read and of what is written here."""
    if shutil.which("lz4") is None:
        pytest.skip("lz4 is not installed")
    for number, data in enumerate((BLOB, bytes(range(256)) * (33 << 10), b"\0" * 70_000)):
        path = tmp_path / f"{number}"
        path.write_bytes(data)
        done = subprocess.run(["lz4", "-l", "-9", "-c", path], capture_output=True, check=True)
        assert compression.unpacked(compression.compression_of(done.stdout), done.stdout, "f") == data
        back = subprocess.run(["lz4", "-d", "-c"], input=lz4(data), capture_output=True, check=True)
        assert back.stdout == data


def _lz4_blocks(*blocks: bytes) -> bytes:
    return b"\x02\x21\x4c\x18" + b"".join(len(block).to_bytes(4, "little") + block for block in blocks)


@pytest.mark.parametrize(
    ("packed", "what"),
    {
        "a copy from before the beginning": (_lz4_blocks(b"\x10a\x02\0"), "refers to what is not there"),
        "a copy from nowhere": (_lz4_blocks(b"\x10a\0\0"), "refers to what is not there"),
        "a copy of more than a block": (
            _lz4_blocks(b"\x1fa\x01\0" + b"\xff" * 40_000 + b"\0\x10a"),
            "refers to what is not there",
        ),
        "copies of more than a block": (
            _lz4_blocks((b"\x1fa\x01\0" + b"\xff" * 20_000 + b"\0") * 3 + b"\x10a"),
            "unpacks to more than 8 MiB",
        ),
        "literals that are missing": (_lz4_blocks(b"\x50abc"), "ends early"),
        "a length that is missing": (_lz4_blocks(b"\xf0\xff\xff"), "ends early"),
        "a copy that is missing": (_lz4_blocks(b"\x10a\x01"), "ends early"),
        "nothing": (_lz4_blocks(b""), "ends early"),
    }.values(),
)
def test_damaged_lz4(packed: bytes, what: str) -> None:
    with pytest.raises(TpgenError) as caught:
        btf_sections(packed, "f")
    assert str(caught.value) == f"f: cannot decompress: a block of lz4 {what} [image-corrupt]"


@every_compression
def test_more_than_a_hundred_times_its_size(compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(TpgenError) as caught:
        btf_sections(compress(b"\0" * (65 << 20)), "f")
    assert str(caught.value) == "f: unpacks to more than 64 MiB [image-too-large]"
