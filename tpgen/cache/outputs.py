"""Cache of generated output, keyed by identity of the kernels, fingerprint of the installation and command line.

The output of a run depends only on these three, so an entry has all of them in full and stays valid. It is only stored
for a command line of which every option is known
to be decided by its own text and by what the kernels are (`CachedInvocation.storing`): an option that is not known here
makes a run uncached, never stale. Whatever is wrong with the cache, the kernel is asked instead.

Nothing here imports what a run without an entry needs: to find one takes less than to start.
"""

from __future__ import annotations

import zlib

from tpgen.cache import kernel_identity
from tpgen.cache.fingerprint import installation
from tpgen.cache.private_files import PrivateFiles, discard
from tpgen.kernel.options import KERNEL_OPTIONS, NAMED, TEXT
from tpgen.paths import names_directory

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO, TypeAlias

    #: The content of a file: text or bytes; of cached files that are not joined bytes alone.
    Content: TypeAlias = str | bytes | memoryview

# All headers of a kernel with all modules are 15 MB, and 40 with the prelude in each.
_BIGGEST = 1 << 26
_MOST, _TOTAL = 64, 1 << 27
# An entry begins with the checksum of the rest.
_CHECK_BYTES = 4
_LENGTH_BYTES = 4
_BUFFER = 1 << 16

#: The options of the kernel that nothing but their own text, and the identity of what it names, decides about, by name.
_CACHEABLE = {option.name for option in KERNEL_OPTIONS if option.cache in (TEXT, NAMED)}
# With these there never is an entry, which takes less to see than to look for one; -q is not about the output.
_UNCACHED = ("-q", "--quiet", *(option.flag for option in KERNEL_OPTIONS if option.cache not in (TEXT, NAMED)))
_NAMING = tuple(option.flag for option in KERNEL_OPTIONS if option.cache == NAMED)


class CachedInvocation:
    """A command line whose output can be in the cache. `output` is the value of -o; whether that is a directory is in
    the key, and no more of it.

    `kernels` are those that it names; without any it is about the running one.
    """

    def __init__(self, words: Sequence[str], output: str, kernels: Sequence[str] = ()) -> None:
        self.output = output
        self.kernels = kernels
        self.files = PrivateFiles("outputs", _MOST, _BIGGEST, total=_TOTAL)
        self._words = "\0".join(words)
        # Files beside each other may include one that several have in common.
        self._where = "directory" if output != "-" and names_directory(output) else ""
        self._key: bytes | None = None

    @classmethod
    def of(cls, words: Iterable[str]) -> CachedInvocation | None:
        """The invocation with these words; None where its output is never cached."""
        left: list[str] = []
        kernels: list[str] = []
        output = "-"
        rest = iter(words)
        for word in rest:
            name, _, value = word.partition("=")
            if name in _UNCACHED or word == "--":
                return None
            if word in ("-o", "--output"):
                output = next(rest, "")
            elif name == "--output":
                output = value
            elif word.startswith("-o"):
                output = word[2:]
            else:
                left.append(word)
                if name in _NAMING:
                    kernels.append(value)
                    if word == name:
                        kernels[-1] = next(rest, "")
                        left.append(kernels[-1])
        return None if output == "" else cls(left, output, kernels)  # which is an error, and told by who parses options

    def lookup(self) -> CachedOutput | None:
        """The stored output; None where there is none."""
        try:
            key = self.key()
            entry = self.files.read(self.name(key))
            check, content = entry[:_CHECK_BYTES], memoryview(entry)[_CHECK_BYTES:]
            if zlib.crc32(content).to_bytes(_CHECK_BYTES, "big") != check:
                return None
            stored_key, *parts = _unpacked(content)
            output = CachedOutput.of_parts(parts)
            return output if stored_key == key and not (output.separate and self.output == "-") else None
        except (OSError, ValueError):
            return None

    def storing(self, output: CachedOutput, given: Iterable[str], known: Iterable[str]) -> CachedOutput:
        """The given output, which is stored, if that can be done, once all of its files are consumed.

        `given` are the names of the options that the command line sets. Each must be one of the kernel's that is
        decided by its own text, or one of those that the caller has `known` to be; otherwise nothing is stored.
        """
        if not _CACHEABLE.union(known).issuperset(given):
            return output
        if output.separate and self.kernels:  # of all events: it is made of a catalog in seconds, and takes much room
            return output
        return CachedOutput(self._storing(output), output.notes, output.separate)

    def _storing(self, output: CachedOutput) -> Iterator[tuple[str, Content]]:
        """The files of the output, each written to the entry on its way: all together may be more than memory holds."""
        with _EntryWriter(self) as entry:
            notes = "\n".join(output.notes).encode("utf-8", "surrogateescape")
            entry.write(b"separate" if output.separate else b"joined", notes)
            for name, content in output.files:
                kind, data = (b"text", content.encode()) if isinstance(content, str) else (b"bytes", content)
                entry.write(kind, name.encode(), data)
                yield name, content

    def key(self) -> bytes:
        """The full key of the entry. Raises `OSError` if this kernel cannot be identified."""
        if self._key is None:
            identity = kernel_identity.of(self.kernels)
            if identity is None:
                raise OSError("the kernel has no identity")
            self._key = "\0".join((identity, installation(), self._where, self._words)).encode(
                "utf-8", "surrogateescape"
            )
        return self._key

    @staticmethod
    def name(key: bytes) -> str:
        """The name of the entry's file. Keys may share one: the entry itself has the key in full."""
        return f"{zlib.crc32(key):08x}"


class CachedOutput:
    """Generated files, each with its name and content; `files` can be an iterator that renders as it is consumed.

    `notes` are the lines for the user. `separate` means that the files must not be joined.
    """

    def __init__(self, files: Iterable[tuple[str, Content]], notes: Sequence[str], separate: bool) -> None:
        self.files = files
        self.notes = notes
        self.separate = separate

    @classmethod
    def of_parts(cls, parts: list[memoryview]) -> CachedOutput:
        """The output from the parts of an entry behind its key. Raises `ValueError` for anything else."""
        how, notes, *rest = parts
        if len(rest) % 3:
            raise ValueError("not an entry")
        separate = bytes(how) == b"separate"
        # Those are written to files as they are: to hold them in memory once is enough.
        files = [
            (str(name, "utf-8"), str(content, "utf-8") if bytes(kind) == b"text" and not separate else content)
            for kind, name, content in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        ]
        return cls(files, str(notes, "utf-8", "surrogateescape").splitlines(), separate)


class _EntryWriter:
    """Writes an entry part by part, and puts it in place when its block ends without an exception.

    Whatever prevents that raises nothing: no entry is stored.
    """

    def __init__(self, invocation: CachedInvocation) -> None:
        self._invocation = invocation
        self._name = ""
        self._temporary: str | None = None
        self._file: BinaryIO | None = None
        self._check = self._size = 0

    def __enter__(self) -> _EntryWriter:
        try:
            key = self._invocation.key()
            self._name = self._invocation.name(key)
            self._temporary = self._invocation.files.new(self._name)
            self._file = open(self._temporary, "wb", _BUFFER)
            self._file.write(bytes(_CHECK_BYTES))
        except (OSError, ValueError):
            self._give_up()
        else:
            self.write(key)
        return self

    def write(self, *parts: bytes | memoryview) -> None:
        """Append some parts; no more than an entry may have."""
        if self._file is None:
            return
        try:
            for piece in _packed(parts):
                self._check = zlib.crc32(piece, self._check)
                self._size += self._file.write(piece)
            if self._size > _BIGGEST:
                self._give_up()
        except OSError:
            self._give_up()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._file is not None and self._temporary is not None:
            try:
                self._file.seek(0)
                self._file.write(self._check.to_bytes(_CHECK_BYTES, "big"))
                self._file.close()
                self._invocation.files.place(self._temporary, self._name)
                self._file = self._temporary = None
            except OSError:
                pass
        self._give_up()

    def _give_up(self) -> None:
        """Remove what was written, if that is not in place."""
        file, self._file = self._file, None
        if file is not None:
            try:  # noqa: SIM105  # contextlib takes as long to import as an entry to find
                file.close()
            except OSError:
                pass
        if self._temporary is not None:
            discard(self._temporary)
            self._temporary = None


def _packed(parts: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Each part behind its length."""
    for part in parts:
        yield len(part).to_bytes(_LENGTH_BYTES, "big")
        yield part


def _unpacked(content: memoryview) -> Iterator[memoryview]:
    """The parts that were packed. Raises `ValueError`."""
    at, end = 0, len(content)
    while at < end:
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(content[at:start], "big")
        if at > end:
            raise ValueError("cut short")
        yield content[start:at]
