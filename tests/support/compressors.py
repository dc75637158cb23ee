"""Compressors that Python lacks: zstd, which it reads and writes itself from 3.14 on, and lz4."""

from __future__ import annotations

import sys

#: The module that reads zstd here.
ZSTD_MODULE = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def zstd(data: bytes) -> bytes:
    """As the kernel's build does it: through a pipe, so that the frame does not tell the size."""
    if sys.version_info >= (3, 14):
        from compression.zstd import CompressionParameter, ZstdCompressor
    else:
        from backports.zstd import CompressionParameter, ZstdCompressor

    options = {CompressionParameter.content_size_flag: 0, CompressionParameter.checksum_flag: 1}
    compressor = ZstdCompressor(options=options)
    return compressor.compress(data) + compressor.flush()


def zstd_frame(data: bytes, content_size: int | None = None) -> bytes:
    """A frame of RFC 8878 around blocks of `data` as it is, whatever size the frame states."""
    stated = b"\x00\x88" if content_size is None else b"\xc0\x88" + content_size.to_bytes(8, "little")
    pieces = [data[at : at + 0x10000] for at in range(0, len(data), 0x10000)] or [b""]
    blocks = (
        (len(piece) << 3 | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    )
    return b"\x28\xb5\x2f\xfd" + stated + b"".join(blocks)


def lz4(data: bytes) -> bytes:
    """The legacy format, as `lz4 -l` writes it: blocks of 8 MiB, each behind its size."""
    blocks = [_lz4_block(data[at : at + (8 << 20)]) for at in range(0, len(data), 8 << 20)]
    return b"\x02\x21\x4c\x18" + b"".join(len(block).to_bytes(4, "little") + block for block in blocks)


def _lz4_block(data: bytes) -> bytes:
    """Sequences of literals and a copy; the last copy begins 12 bytes before the end, the last 5 bytes are literals."""
    seen: dict[bytes, int] = {}
    packed, at, plain = bytearray(), 0, 0
    while at < len(data) - 12:
        word = data[at : at + 4]
        start = seen.get(word, -1)
        seen[word] = at
        if start < 0 or at - start > 0xFFFF:
            at += 1
            continue
        length, longest = 4, len(data) - 5 - at
        for stride in (1 << 16, 1 << 8, 1):
            while length + stride <= longest and _same(data, start + length, at + length, stride):
                length += stride
        packed += _lz4_sequence(data[plain:at], length, at - start)
        at += length
        plain = at
    return bytes(packed + _lz4_sequence(data[plain:]))


def _same(data: bytes, one: int, other: int, length: int) -> bool:
    return data[one : one + length] == data[other : other + length]


def _lz4_sequence(literals: bytes, length: int = 4, offset: int = 0) -> bytes:
    """Literals, then a copy of `length` bytes from `offset` bytes before; without an offset the last of a block."""
    sizes = [len(literals), length - 4]
    token = min(sizes[0], 15) << 4 | min(sizes[1], 15)
    more = [b"\xff" * ((size - 15) // 255) + bytes([(size - 15) % 255]) if size >= 15 else b"" for size in sizes]
    behind = offset.to_bytes(2, "little") + more[1] if offset else b""
    return bytes([token]) + more[0] + literals + behind
