"""zstd, which Python reads and writes itself from 3.14 on."""

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
