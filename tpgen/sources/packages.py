"""Kernels in package files: the images and the configuration that a .deb or .rpm holds, without unpacking the rest.

A .deb is an ar archive whose data.tar holds the files; an .rpm is two headers and a cpio archive. Either archive is
compressed as a whole and read once from front to end; of its files only those of interest are kept, in memory.
Source: deb(5); https://rpm-software-management.github.io/rpm/manual/format_v4.html; cpio(5).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import struct
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from tpgen.basics.progress import tell
from tpgen.diagnostics import TpgenError, fail, unreadable
from tpgen.sources.compression import compression_of, missing, plausible_size, unknown

if TYPE_CHECKING:
    from tpgen.sources.btf_encoding import BtfSections

# No file of a kernel package is larger than this, in bytes; nor is what else there is for a file.
_BIGGEST_FILE = 1 << 30
_MOST_HEADERS = 1 << 20
_LONGEST_PATH = 4096
# Debian, Fedora and SUSE name it differently; the first part is /boot's name, the second that beside the modules.
_IMAGE = re.compile(
    r"boot/(?:vmlinu[xz]|[bz]?[Ii]mage)-(?P<boot>[^/]+)|(?:usr/)?lib/modules/(?P<lib>[^/]+)/(?:vmlinu[xz]|[bz]?[Ii]mage)"
)
_CONFIG = re.compile(r"boot/config-[^/]+|(?:usr/)?lib/modules/[^/]+/config")
_MODULE = re.compile(r"(?:usr/)?lib/modules/[^/]+/.+\.ko(?:\.(?:xz|zst|gz))?")
_AR_MAGIC, _RPM_MAGIC, _RPM_HEADER = b"!<arch>\n", b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01"
_AR_ENTRY = 60
_RPM_LEAD, _RPM_INTRO, _RPM_INDEX = 96, 16, 16
_CPIO_ENTRY = 110
_TRACEPOINT = b"btf_trace_"


@dataclass(slots=True)
class PackageContents:
    """The files of interest in the packages of one kernel, by the name that stands in messages.

    `btf` has the image first, then the BTF of every module that has a tracepoint. `modules_without_btf` has the
    tracepoints of modules without BTF, as those of Linux 5.10 are, by module. `build_ids` are the GNU build ids of the
    image, which is None, and of these modules, in hex, as far as they have one. `config` is the name of the
    configuration among `contents`, None where there is none. `release` is the kernel's uname -r, `arch` the
    architecture that its image shows, None where it shows none.
    """

    release: str = ""
    arch: str | None = None
    contents: dict[str, bytes] = field(default_factory=dict)
    btf: list[str] = field(default_factory=list)
    modules_without_btf: dict[str, tuple[str, ...]] = field(default_factory=dict)
    build_ids: dict[str | None, str] = field(default_factory=dict)
    config: str | None = None


def read_packages(paths: Sequence[str]) -> PackageContents:
    """The kernel that these packages hold together.

    Raises `TpgenError`: `unreadable`; `package-unknown` for a file that is no package; `package-corrupt`;
    `package-kernel` where there is no kernel in them, or more than one; and what `images` raises.
    """
    files = PackageContents()
    images: dict[str, _Image] = {}
    for package in paths:
        seen = 0
        for path, read in package_files(package):
            name = f"{package}:{path}"
            if match := _IMAGE.fullmatch(path):
                images.setdefault(match["boot"] or match["lib"], _image(name, read()))
            elif _CONFIG.fullmatch(path) and files.config is None:
                files.config, files.contents[name] = name, read()
            elif _MODULE.fullmatch(path):
                _add_module(files, name, read())
                seen += 1
                tell(f"{os.path.basename(package)}: modules", seen)
    _add_image(files, images, paths[0])
    return files


class _Image(NamedTuple):
    """An image and its BTF, or the error that reading it ended in."""

    name: str
    found: BtfSections | TpgenError


def _image(name: str, data: bytes) -> _Image:
    """The BTF of an image, found before any module is looked at. Raises `image-no-btf` for one that has none."""
    from tpgen.sources.images import btf_sections

    try:
        return _Image(name, btf_sections(data, name))
    except TpgenError as error:
        if error.diagnostics[0].code == "image-no-btf":
            raise
        return _Image(name, error)


def _add_image(files: PackageContents, images: dict[str, _Image], package: str) -> None:
    if len(images) != 1:
        what = f"several kernels: {', '.join(sorted(images))}" if images else "no kernel image"
        hint = "give the packages of one kernel" if images else "the image may be in a package of its own"
        raise fail("package-kernel", f"{what} in these packages", package, hint)
    ((files.release, (name, found)),) = images.items()
    if isinstance(found, TpgenError):
        raise found
    files.contents[name], files.arch = bytes(found.btf), found.arch
    if found.build_id:
        files.build_ids[None] = found.build_id
    files.btf = [name, *sorted(files.btf)]


def _add_module(files: PackageContents, name: str, data: bytes) -> None:
    """Add the BTF of a module that has tracepoints, or their names where it has no BTF."""
    from tpgen.sources.images import btf_sections, module_build_id, module_name, module_tracepoints

    try:
        sections = btf_sections(data, name)
    except TpgenError as error:
        if error.diagnostics[0].code != "image-no-btf":
            raise
        if tracepoints := module_tracepoints(data, name):
            files.modules_without_btf[module_name(name)] = tracepoints
            if build_id := module_build_id(data, name):
                files.build_ids[module_name(name)] = build_id
        return
    if _TRACEPOINT in sections.btf:
        files.contents[name] = bytes(sections.btf) if sections.base is None else data
        files.btf.append(name)
        if sections.build_id:
            files.build_ids[module_name(name)] = sections.build_id


# --- archives


def package_files(package: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every regular file of a package: its path without a leading `./`, and how to get its contents before the next.

    Both raise `TpgenError`: `unreadable`, `package-unknown`, `package-corrupt`, `image-compression`.
    """
    with _damage(package), open(os.open(package, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        for path, read in _files(file, package):
            yield path, partial(_guarded, read, package)


def _guarded(read: Callable[[], bytes], package: str) -> bytes:
    with _damage(package):
        return read()


@contextlib.contextmanager
def _damage(package: str) -> Iterator[None]:
    """Make a `TpgenError` of whatever the readers of archives and compressors raise."""
    try:
        yield
    except TpgenError:
        raise
    except (OSError, EOFError, ValueError, struct.error, tarfile.TarError, OverflowError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise unreadable(package, error) from None
        raise fail("package-corrupt", f"damaged package: {error or 'it ends early'}", package) from None
    except ImportError as error:
        raise missing(error, package) from None
    except Exception as error:
        # lzma.LZMAError, zlib.error and ZstdError have no base in common, and importing them all takes a while.
        if type(error).__module__.partition(".")[0] not in ("_lzma", "lzma", "zlib", "backports", "compression"):
            raise
        raise fail("package-corrupt", f"damaged package: {error}", package) from None


def _files(file: IO[bytes], package: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise fail("unreadable", "cannot read: not a regular file", package)
    limit = plausible_size(status.st_size)
    magic = file.read(8)
    if magic == _AR_MAGIC:
        yield from _tar_files(_Metered(_deb_data(file, package), limit))
    elif magic[:4] == _RPM_MAGIC:
        file.seek(_RPM_LEAD)
        yield from _cpio_files(_Metered(_rpm_payload(file, package), limit))
    else:
        raise fail("package-unknown", "neither a .deb nor an .rpm package", package)


def _deb_data(file: IO[bytes], package: str) -> IO[bytes]:
    """The data.tar of a .deb, whose magic has been read."""
    while entry := file.read(_AR_ENTRY):
        if len(entry) < _AR_ENTRY or entry[58:] != b"`\n":
            raise ValueError("not a member of an ar archive")
        name, size = entry[:16].decode("ascii", "replace").rstrip().rstrip("/"), int(entry[48:58])
        if size < 0:
            raise ValueError("a member of less than no bytes")
        if name.startswith("data.tar"):
            return _decompressed(_Part(file, size), package)
        file.seek(size + size % 2, os.SEEK_CUR)
    raise fail("package-kernel", "no data.tar in this package", package)


def _rpm_payload(file: IO[bytes], package: str) -> IO[bytes]:
    """The cpio archive of an .rpm, behind its two headers; the first, of signatures, is padded to 8 bytes."""
    for padding in (8, 1):
        intro = file.read(_RPM_INTRO)
        if intro[:4] != _RPM_HEADER:
            raise ValueError("not the header of an rpm")
        entries, size = struct.unpack(">II", intro[8:16])
        length = entries * _RPM_INDEX + size
        file.seek(length + -length % padding, os.SEEK_CUR)
    return _decompressed(_Part(file, None), package)


class _Part(io.RawIOBase):
    """The next `size` bytes of a file, all the rest of it with None."""

    def __init__(self, file: IO[bytes], size: int | None) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # whatever has a buffer, says io
        wanted = len(view) if self._left is None else min(len(view), self._left)
        data = self._file.read(wanted)
        if self._left is not None:
            self._left -= len(data)
        view[: len(data)] = data
        return len(data)


class _Metered:
    """A decompressed archive that ends where it grows beyond what it can be.

    It has a budget of bytes as a whole, and one for what stands between two files: headers are read into memory.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._expected = _MOST_HEADERS

    def expect(self, size: int) -> None:
        """Allow a file of `size` bytes and the headers behind it."""
        self._expected = size + _MOST_HEADERS

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        self._expected -= len(data)
        if self._left < 0:
            raise ValueError("it unpacks to more than a hundred times its size")
        if self._expected < 0:
            raise ValueError(f"headers of more than {_MOST_HEADERS >> 20} MiB in it")
        return data


def _decompressed(part: _Part, package: str) -> IO[bytes]:
    """The decompressed stream of one that begins with a known magic, any other stream itself."""
    source = io.BufferedReader(part, 1 << 16)
    compression = compression_of(source.peek(16)[:16])
    if compression is None:
        return source
    if compression.stream is None:
        raise unknown(compression, package)
    return compression.stream(source)


def _tar_files(stream: _Metered) -> Iterator[tuple[str, Callable[[], bytes]]]:
    stream.expect(0)
    # tarfile needs nothing but read() of a stream.
    with contextlib.closing(tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|")) as archive:
        for member in archive:
            stream.expect(member.size)
            if member.isreg() and not member.issparse():

                def read(member: tarfile.TarInfo = member) -> bytes:
                    _check_size(member.size)
                    contents = archive.extractfile(member)
                    assert contents is not None
                    return contents.read()

                yield member.name.removeprefix("./"), read
            archive.members = []  # type: ignore[attr-defined]  # which would be all of them, in the end


def _cpio_files(stream: _Metered) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The files of a cpio archive in the new ASCII format, in which all numbers are of eight hexadecimal digits."""
    while True:
        entry = _exactly(stream, _CPIO_ENTRY)
        if entry[:6] not in (b"070701", b"070702"):
            raise ValueError("not an entry of a cpio archive")
        numbers = [int(entry[at : at + 8], 16) for at in range(6, _CPIO_ENTRY, 8)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        if name_size > _LONGEST_PATH:
            raise ValueError(f"a name of {name_size} bytes")
        stream.expect(size + name_size)
        name = _exactly(stream, name_size)[:-1].decode("utf-8", "replace")
        _exactly(stream, -(_CPIO_ENTRY + name_size) % 4)
        if name == "TRAILER!!!":
            return
        unread = [size]

        def read(size: int = size, unread: list[int] = unread) -> bytes:
            _check_size(size)
            unread[0] = 0
            return _exactly(stream, size)

        if mode & 0o170000 == 0o100000:
            yield name.removeprefix("./").removeprefix("/"), read
        _skip(stream, unread[0] + -size % 4)


def _check_size(size: int) -> None:
    if size > _BIGGEST_FILE:
        raise ValueError(f"a file of {size} bytes in it")


def _exactly(stream: _Metered, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _skip(stream: _Metered, size: int) -> None:
    while size > 0:
        size -= len(_exactly(stream, min(size, 1 << 20)))
