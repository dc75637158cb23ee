"""Compressors: told by their magics, unpacked in memory up to a limit or read as a stream.

The only module that imports compressors, each when it is needed: the standard library's, and its backport for zstd
before Python 3.14.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import IO, NamedTuple, Protocol, cast

from tpgen.diagnostics import TpgenError, fail

#: The size in bytes beyond which no file is unpacked: a vmlinux with debugging information has up to 900 MB.
UNPACKED_LIMIT = 1 << 30
# Kernels and packages shrink to a third, debugging information to an eighth. What shrinks more than a hundredfold was
# made to fill the memory, unless it is small.
_RATIO = 100
_SMALL = 64 << 20
# So many bytes at a time become 32 MiB at most, with any of the compressors.
_PIECE = 1 << 10
# A dictionary of 128 MiB is the largest that kernels are compressed with.
_XZ_MEMORY = 256 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: memoryview, /) -> bytes: ...


class Compression(NamedTuple):
    """A compressor. `decompressor` and `stream` are None for one that tpgen does not unpack."""

    name: str
    magics: tuple[bytes, ...]
    decompressor: Callable[[], _Decompressor] | None = None
    stream: Callable[[IO[bytes]], IO[bytes]] | None = None


def _gzip() -> _Decompressor:
    import zlib

    return cast(_Decompressor, zlib.decompressobj(31))


def _gzip_stream(source: IO[bytes]) -> IO[bytes]:
    import gzip

    return cast(IO[bytes], gzip.GzipFile(fileobj=source))


def _xz() -> _Decompressor:
    import lzma

    return cast(_Decompressor, lzma.LZMADecompressor(memlimit=_XZ_MEMORY))


def _xz_stream(source: IO[bytes]) -> IO[bytes]:
    import lzma

    return cast(IO[bytes], lzma.LZMAFile(source))


def _bzip2() -> _Decompressor:
    import bz2

    return cast(_Decompressor, bz2.BZ2Decompressor())


def _bzip2_stream(source: IO[bytes]) -> IO[bytes]:
    import bz2

    return cast(IO[bytes], bz2.BZ2File(source))


def _zstd() -> _Decompressor:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor
    else:
        from backports.zstd import ZstdDecompressor

    return cast(_Decompressor, ZstdDecompressor())


def _zstd_stream(source: IO[bytes]) -> IO[bytes]:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdFile
    else:
        from backports.zstd import ZstdFile

    return cast(IO[bytes], ZstdFile(source))


# The bytes that a block of lz4's legacy format unpacks to, but for the last, which is smaller.
_LZ4_BLOCK = 8 << 20


class _Lz4:
    """lz4's legacy format, which kernels are compressed with: blocks, each behind its size, and no mark of the end.

    Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, "Legacy frame"; scripts/Makefile.lib of Linux,
    which appends the unpacked size.
    """

    def __init__(self) -> None:
        self.eof = False
        self._waiting = bytearray()
        self._unpacked = 0
        self._wanted = 8  # the magic, then the size of the first block

    def decompress(self, data: memoryview, /) -> bytes:
        self._waiting += data
        found = b""
        while len(self._waiting) >= self._wanted and not self.eof:
            block = bytes(self._waiting[8 : self._wanted])
            size = int.from_bytes(self._waiting[4:8], "little")
            if len(block) < size:
                if size == self._unpacked & 0xFFFFFFFF:
                    self.eof = True
                self._wanted = 8 + size
                continue
            try:
                piece = _lz4_block(block)
            except IndexError:
                raise ValueError("a block of lz4 ends early") from None
            found += piece
            self._unpacked += len(piece)
            self.eof = len(piece) < _LZ4_BLOCK
            del self._waiting[4 : self._wanted]
            self._wanted = 8
        return found


def _lz4_block(packed: bytes) -> bytes:
    """The contents of a block: literals and copies of what came before, in turn. Raises ValueError, IndexError."""
    found = bytearray()
    at, end = 0, len(packed)
    while True:
        token = packed[at]
        at += 1
        if literals := token >> 4:
            if literals == 15:
                while (more := packed[at]) == 255:
                    literals += 255
                    at += 1
                literals += more
                at += 1
            if at + literals > end:
                raise ValueError("a block of lz4 ends early")
            found += packed[at : at + literals]
            at += literals
        if at == end:
            break
        start = len(found) - packed[at] - 256 * packed[at + 1]
        at += 2
        length = token & 15
        if length == 15:
            while (more := packed[at]) == 255:
                length += 255
                at += 1
            length += more
            at += 1
        length += 4
        behind = len(found) - start
        if start < 0 or not behind or length > _LZ4_BLOCK:
            raise ValueError("a block of lz4 refers to what is not there")
        if behind >= length:
            found += found[start : start + length]
        else:  # a copy that runs into itself repeats what is there
            found += (found[start:] * (length // behind + 1))[:length]
        if len(found) > _LZ4_BLOCK:
            raise ValueError("a block of lz4 unpacks to more than 8 MiB")
    return bytes(found)


COMPRESSIONS = (
    Compression("gzip", (b"\x1f\x8b\x08",), _gzip, _gzip_stream),
    Compression("xz", (b"\xfd7zXZ\x00",), _xz, _xz_stream),
    # Properties lc=3 lp=0 pb=2, then the low bytes of a dictionary size that is a multiple of 64 KiB.
    Compression("lzma", (b"\x5d\x00\x00",), _xz, _xz_stream),
    Compression("zstd", (b"\x28\xb5\x2f\xfd",), _zstd, _zstd_stream),
    Compression("bzip2", (b"BZh",), _bzip2, _bzip2_stream),
    Compression("lz4", (b"\x02\x21\x4c\x18",), _Lz4),
    Compression("lz4", (b"\x04\x22\x4d\x18",)),
    Compression("lzo", (b"\x89LZO\x00\r\n\x1a\n",)),
)


def compression_of(data: bytes) -> Compression | None:
    """The compressor whose magic `data` begins with."""
    return next((known for known in COMPRESSIONS if data.startswith(known.magics)), None)


def plausible_size(packed_bytes: int) -> int:
    """The size in bytes that `packed_bytes` of compressed data may have when they are unpacked."""
    return max(_SMALL, _RATIO * packed_bytes)


def unpacked(compression: Compression, data: bytes | memoryview, path: str) -> bytes:
    """The contents of `data`, which may have something else behind it; `path` is used in messages only.

    Raises `TpgenError`: `image-compression` where no module that unpacks it is installed or known, `image-corrupt`,
    `image-too-large`, `image-truncated`.
    """
    if compression.decompressor is None:
        raise unknown(compression, path)
    view = memoryview(data)
    limit = min(UNPACKED_LIMIT, plausible_size(len(view)))
    found = io.BytesIO()  # getvalue() makes no second copy
    try:
        stream = compression.decompressor()
        for at in range(0, len(view), _PIECE):
            found.write(stream.decompress(view[at : at + _PIECE]))
            if stream.eof or found.tell() >= limit:
                break
    except ImportError as error:
        raise missing(error, path) from None
    # Every library has an error class of its own (zlib.error, LZMAError, ZstdError, OSError, EOFError).
    except Exception as error:
        raise fail("image-corrupt", f"cannot decompress: {error}", path) from None
    if found.tell() >= limit:
        raise fail("image-too-large", f"unpacks to more than {limit >> 20} MiB", path)
    if not stream.eof:
        raise fail("image-truncated", "the compressed data ends early", path)
    return found.getvalue()


def missing(error: ImportError, path: str) -> TpgenError:
    """The `TpgenError` for a file whose compressor's module cannot be imported."""
    if (error.name or "").startswith("backports"):
        message, hint = "reading this takes the Python module backports.zstd", "pip install backports.zstd"
    else:
        message, hint = f"this Python was built without {error.name}", "unpack it first"
    return fail("image-compression", message, path, hint)


def unknown(compression: Compression, path: str) -> TpgenError:
    """The `TpgenError` for a file of a compression that tpgen does not unpack."""
    name = compression.name
    hint = f"unpack it first, for example with {'lz4 -d' if name == 'lz4' else 'lzop -d'}"
    return fail("image-compression", f"compressed with {name}, which tpgen does not unpack", path, hint)
