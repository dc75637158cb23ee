"""BTF sections of images: raw blobs, ELF files (vmlinux, .ko), compressed files and compressed kernel images.

Everything here turns bytes into BTF sections; no section is decoded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from tpgen.diagnostics import TpgenError, fail
from tpgen.sources.btf_encoding import blob_in
from tpgen.sources.compression import COMPRESSIONS, Compression, compression_of, unpacked
from tpgen.sources.elf import ELF_MAGIC, ElfFile
from tpgen.target import ELF_MACHINES

_BTF_MAGICS = (b"\x9f\xeb", b"\xeb\x9f")


# Where DEFINE_TRACE of include/linux/tracepoint.h puts the names.
_TRACEPOINT_NAMES = "__tracepoints_strings"


class BtfSections(NamedTuple):
    """The BTF of one image: its `.BTF` section, and the distilled `.BTF.base` of an out-of-tree module, else None.

    `arch` is the machine that the image is for, as uname calls it; None where the image does not show it.
    """

    btf: bytes
    base: bytes | None = None
    arch: str | None = None


def btf_sections(data: bytes, path: str) -> BtfSections:
    """The BTF sections in `data`, the contents of `path` (used in messages only).

    Raises `TpgenError`: `image-unknown`, `image-no-btf`, `image-truncated`, `image-corrupt`, `image-too-large`,
    `image-compression` where a module that can unpack it is not installed.
    """
    for _ in range(4):  # a compressed kernel image can itself lie in a compressed file
        if data[:2] in _BTF_MAGICS:
            return BtfSections(data)
        if data[:4] == ELF_MAGIC:
            return _elf_sections(data, path)
        compression = compression_of(data)
        if compression is None:
            return _inside_image(data, path)
        data = unpacked(compression, data, path)
    raise fail("image-corrupt", "compressed more than three times over", path)


def module_tracepoints(data: bytes, path: str) -> tuple[str, ...]:
    """The sorted names of the tracepoints that a module, maybe a compressed one, defines. The module needs no BTF.

    Each `struct tracepoint` has its name in a section for just these names. Raises as `btf_sections` does.
    """
    compression = compression_of(data)
    module = unpacked(compression, data, path) if compression else data
    if module[:4] != ELF_MAGIC:
        return ()
    names = ElfFile(module, path).contents_of(_TRACEPOINT_NAMES).get(_TRACEPOINT_NAMES, b"").split(b"\0")
    return tuple(sorted(name.decode() for name in names if name.replace(b"_", b"").isalnum()))


def module_name(path: str) -> str:
    """The name of the module in a file: i2c_core for `i2c-core.ko.xz`."""
    name = os.path.basename(path)
    for suffix in (".xz", ".zst", ".gz", ".debug", ".btf", ".ko"):
        name = name.removesuffix(suffix)
    return name.replace("-", "_")


# --- ELF


def _elf_sections(data: bytes, path: str) -> BtfSections:
    elf = ElfFile(data, path)
    sections = elf.contents_of(".BTF", ".BTF.base")
    if not sections.get(".BTF"):
        raise fail("image-no-btf", "ELF file without a .BTF section", path, "was it built with CONFIG_DEBUG_INFO_BTF?")
    return BtfSections(sections[".BTF"], sections.get(".BTF.base"), ELF_MACHINES.get(elf.machine))


# --- kernel images


def _inside_image(data: bytes, path: str) -> BtfSections:
    """The BTF in a bootable image: behind a boot loader stub lies the kernel, compressed or plain.

    Each architecture has its own stub. What they share is a payload that starts with its compressor's magic and unpacks
    to something that holds BTF, so that is what is looked for, unless the image itself says where its payload is.
    """
    if stated := _stated_payload(data):
        return _in_payload(*stated, data, path)
    for start, compression in _payloads(data):
        try:
            return _in_payload(start, compression, data, path)
        except TpgenError:
            continue
    return BtfSections(_blob_in(data, path))


def _in_payload(start: int, compression: Compression, data: bytes, path: str) -> BtfSections:
    payload = unpacked(compression, memoryview(data)[start:], path)
    return _elf_sections(payload, path) if payload[:4] == ELF_MAGIC else BtfSections(_blob_in(payload, path))


def _stated_payload(data: bytes) -> tuple[int, Compression] | None:
    """The offset and compression of the payload that an x86 boot image states; None for any other image.

    Source: Documentation/arch/x86/boot.rst.
    """
    if data[0x202:0x206] != b"HdrS" or len(data) <= 0x250:
        return None
    setup_sectors = data[0x1F1] or 4
    start = (setup_sectors + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    compression = compression_of(data[start : start + 16])
    return (start, compression) if compression else None


# How the kernel's build calls the compressors: gzip -n9, bzip2 -9, lzma -9. The magics of some are so short that they
# occur by the thousand. An lzma header goes on with an uncompressed size of -1, or of less than a TiB.
_PAYLOADS = {
    "gzip": rb"\x1f\x8b\x08\x00",
    "xz": rb"\xfd7zXZ\x00",
    "lzma": rb"(?s:\x5d\x00\x00[\x00\x80].(?:\xff{8}|.{5}\x00{3})\x00)",
    "zstd": rb"\x28\xb5\x2f\xfd",
    "bzip2": rb"BZh9",
}


def _payloads(data: bytes) -> Iterator[tuple[int, Compression]]:
    """Candidate payloads: wherever the header of a compressor's output may stand."""
    for compression in COMPRESSIONS:
        if pattern := _PAYLOADS.get(compression.name):
            yield from ((match.start(), compression) for match in re.finditer(pattern, data))


def _blob_in(data: bytes, path: str) -> bytes:
    blob = blob_in(data)
    if blob is None:
        raise fail(
            "image-unknown",
            "neither BTF nor an ELF file nor a kernel image with BTF inside",
            path,
            "give /sys/kernel/btf/vmlinux, a vmlinux, a .ko, a vmlinuz or a raw BTF blob",
        )
    return blob
