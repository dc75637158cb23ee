"""BTF sections of images: raw blobs, ELF files (vmlinux, .ko), compressed files and compressed kernel images.

Everything here turns bytes into BTF sections; no section is decoded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from tpgen.diagnostics import TpgenError, fail
from tpgen.sources.btf_encoding import BtfSections, blob_in
from tpgen.sources.compression import COMPRESSIONS, Compression, compression_of, unknown, unpacked
from tpgen.sources.elf import ELF_MAGIC, ElfFile, build_id_of, elf_build_id, image_build_id
from tpgen.target import elf_arch

_BTF_MAGICS = (b"\x9f\xeb", b"\xeb\x9f")


# Where DEFINE_TRACE of include/linux/tracepoint.h puts the names.
_TRACEPOINT_NAMES = "__tracepoints_strings"
_BUILT_WITH = "was it built with CONFIG_DEBUG_INFO_BTF?"


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
    raise fail("image-corrupt", "compressed more than three times", path)


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


def image_build_id_in(data: bytes, path: str) -> str | None:
    """The GNU build id of an image or a module, maybe a compressed one, in hex; None where it shows none.

    It needs no BTF. Raises as `btf_sections` does.
    """
    try:
        return btf_sections(data, path).build_id
    except TpgenError as error:
        if error.diagnostics[0].code != "image-no-btf":
            raise
    return module_build_id(data, path)


def module_build_id(data: bytes, path: str) -> str | None:
    """The GNU build id of a module, maybe a compressed one, in hex; None where it has none.

    Raises as `btf_sections` does.
    """
    compression = compression_of(data)
    return elf_build_id(unpacked(compression, data, path) if compression else data, path)


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
        raise fail("image-no-btf", "ELF file without a .BTF section", path, _BUILT_WITH)
    arch = elf_arch(elf.machine, elf.pointer_size, elf.big_endian)
    return BtfSections(sections[".BTF"], sections.get(".BTF.base"), arch, build_id_of(elf))


# --- kernel images

# A kernel is not smaller than this; what unpacks to less, in an image that does not state its payload, may be anything.
_KERNEL_BYTES = 1 << 20


def _inside_image(data: bytes, path: str) -> BtfSections:
    """The BTF in a bootable image: behind a boot loader stub lies the kernel, compressed or plain.

    Each architecture has its own stub. What they share is a payload that starts with its compressor's magic and unpacks
    to something that holds BTF, so that is what is looked for, unless the image itself states where its payload is.
    """
    found = _found_inside(data, path)
    return found._replace(arch=found.arch or _image_arch(data))


def _found_inside(data: bytes, path: str) -> BtfSections:
    if stated := _stated_payload(data):
        start, compression = stated
        return _in_payload(unpacked(compression, memoryview(data)[start:], path), path)
    if (blob := blob_in(data)) is not None:
        return BtfSections(blob, build_id=image_build_id(data))
    for start, compression in _payloads(data):
        try:
            payload = unpacked(compression, memoryview(data)[start:], path)
        except TpgenError as error:
            if error.diagnostics[0].code == "image-compression":
                raise
            continue
        try:
            return _in_payload(payload, path)
        except TpgenError:
            if len(payload) >= _KERNEL_BYTES:
                raise
    raise _not_found(data, path)


def _in_payload(payload: bytes, path: str) -> BtfSections:
    if payload[:4] == ELF_MAGIC:
        return _elf_sections(payload, path)
    if (blob := blob_in(payload)) is not None:
        return BtfSections(blob, build_id=image_build_id(payload))
    if len(payload) >= _KERNEL_BYTES:
        raise fail("image-no-btf", "kernel image without BTF", path, _BUILT_WITH)
    raise _unknown(path)


def _not_found(data: bytes, path: str) -> TpgenError:
    """The error for an image in which nothing was found."""
    for compression in COMPRESSIONS:
        if compression.decompressor is None and any(magic in data for magic in compression.magics):
            return unknown(compression, path)
    return _unknown(path)


def _unknown(path: str) -> TpgenError:
    return fail(
        "image-unknown",
        "neither BTF nor an ELF file nor a kernel image with BTF inside",
        path,
        "give /sys/kernel/btf/vmlinux, a vmlinux, a .ko, a vmlinuz or a raw BTF blob",
    )


def _stated_payload(data: bytes) -> tuple[int, Compression] | None:
    """The offset and compression of the payload that an x86 or EFI image states; None for any other image.

    Source: Documentation/arch/x86/boot.rst; drivers/firmware/efi/libstub/zboot-header.S of Linux.
    """
    if data[0x202:0x206] == b"HdrS" and len(data) > 0x250:
        setup_sectors = data[0x1F1] or 4
        start = (setup_sectors + 1) * 512 + int.from_bytes(data[0x248:0x24C], "little")
    elif data[:2] == b"MZ" and data[4:8] == b"zimg":
        start = int.from_bytes(data[8:12], "little")
    else:
        return None
    compression = compression_of(data[start : start + 16])
    return (start, compression) if compression else None


# IMAGE_FILE_MACHINE_* of the PE header that a kernel with an EFI stub has.
_PE_MACHINES = {
    0x14C: "i386", 0x1C0: "arm", 0x1C2: "arm", 0x1C4: "arm", 0x8664: "x86_64", 0xAA64: "aarch64", 0x5064: "riscv64",
    0x6264: "loongarch64",
}  # fmt: skip
# What else marks the images of one architecture, and where. Source: Documentation/arch/arm64/booting.rst,
# Documentation/arch/riscv/boot-image-header.rst, arch/arm/boot/compressed/head.S, arch/s390/boot/head.S.
_MARKS = {
    "aarch64": (0x38, b"ARM\x64"),
    "riscv64": (0x38, b"RSC\x05"),
    "arm": (0x24, b"\x18\x28\x6f\x01"),
    "s390x": (0x10008, b"S390EP"),
}


def _image_arch(data: bytes) -> str | None:
    """The architecture of a bootable image, as uname calls it; None where it does not show."""
    if data[:2] == b"MZ":
        pe = int.from_bytes(data[0x3C:0x40], "little")
        if data[pe : pe + 4] == b"PE\0\0":
            return _PE_MACHINES.get(int.from_bytes(data[pe + 4 : pe + 6], "little"))
    return next((arch for arch, (at, mark) in _MARKS.items() if data[at : at + len(mark)] == mark), None)


# How the kernel's build calls the compressors: gzip -n9, bzip2 -9, lzma -9. The magics of some are so short that they
# occur by the thousand. An lzma header goes on with an uncompressed size of -1, or of less than a TiB.
_PAYLOADS = {
    "gzip": rb"\x1f\x8b\x08\x00",
    "xz": rb"\xfd7zXZ\x00",
    "lzma": rb"(?s:\x5d\x00\x00[\x00\x80].(?:\xff{8}|.{5}\x00{3})\x00)",
    "zstd": rb"\x28\xb5\x2f\xfd",
    "bzip2": rb"BZh9",
    "lz4": rb"\x02\x21\x4c\x18",
}


def _payloads(data: bytes) -> Iterator[tuple[int, Compression]]:
    """Candidate payloads: wherever the header of a compressor's output may stand."""
    for compression in COMPRESSIONS:
        if compression.decompressor and (pattern := _PAYLOADS.get(compression.name)):
            yield from ((match.start(), compression) for match in re.finditer(pattern, data))
