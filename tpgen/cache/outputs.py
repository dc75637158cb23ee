"""What the running kernel's events were made into before: a second run with the same words gives the same at once.

What a run makes of the running kernel follows from the kernel (`live.identity`), from tpgen itself (`private.program`)
and from the words on the command line, and from nothing else. So an answer is kept under all three, in full, and holds
for ever. Whatever is wrong with the cache, the kernel is asked instead.

Nothing here imports what a run without an answer needs: to find one takes less than to start.
"""

from __future__ import annotations

import zlib

from tpgen.cache import kernel_identity
from tpgen.cache.fingerprint import installation
from tpgen.cache.private_files import PrivateFiles, discard

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from typing import TypeAlias

    #: What is in a file: text or bytes, of kept files that are not joined bytes alone.
    Content: TypeAlias = str | bytes | memoryview
    Parts: TypeAlias = Sequence[bytes | memoryview]

# All headers of a kernel with all modules are 40 MB.
_BIGGEST = 1 << 27
_MOST = 64
# An entry begins with the checksum of the rest.
_CHECK_BYTES = 4
_BUFFER = 1 << 16
# The options whose values are files, which can change, and those that forbid to keep anything.
_OTHERWISE = ("--kernel", "--btf", "--tracefs", "--headers", "--config", "--arch", "--no-cache", "-h", "--help")


class Question:
    """Words of a command line whose answer only depends on the running kernel, and where the answer is to go.

    `output` is what -o says, None where it says nothing; it is no part of the question.
    """

    def __init__(self, words: Sequence[str], output: str | None) -> None:
        self.output = output
        self._words = "\0".join(words)
        self._files = PrivateFiles("answers", _MOST, _BIGGEST)
        self._key: bytes | None = None

    @classmethod
    def of(cls, words: Iterable[str]) -> Question | None:
        """The question that the words are; None where its answer depends on more than the kernel."""
        left: list[str] = []
        output: str | None = None
        rest = iter(words)
        for word in rest:
            name, _, value = word.partition("=")
            if name in _OTHERWISE or word == "--":
                return None
            if word in ("-o", "--output"):
                output = next(rest, "")
            elif name == "--output":
                output = value
            elif word.startswith("-o"):
                output = word[2:]
            else:
                left.append(word)
        return None if output == "" else cls(left, output)  # which is an error, and told by who parses options

    def answer(self) -> Answer | None:
        """What was kept; None where nothing is."""
        try:
            key = self._full_key()
            kept = self._files.read(self._name(key))
            check, content = kept[:_CHECK_BYTES], memoryview(kept)[_CHECK_BYTES:]
            if zlib.crc32(content).to_bytes(_CHECK_BYTES, "big") != check:
                return None
            said, *parts = _unpacked(content)
            answer = Answer.of_parts(parts)
            return answer if said == key and not (answer.separate and self.output is None) else None
        except (OSError, ValueError):
            return None

    def kept(self, answer: Answer) -> Answer:
        """The same answer, which is kept, if that can be done, once all of its files are taken."""
        return Answer(self._keeping(answer), answer.notes, answer.separate)

    def _keeping(self, answer: Answer) -> Iterator[tuple[str, Content]]:
        """The files of the answer, each written down on its way: all of them may be more than memory should hold."""
        entry = self._entry()
        _tell(entry, None)
        notes = "\n".join(answer.notes).encode("utf-8", "surrogateescape")
        _tell(entry, (b"separate" if answer.separate else b"joined", notes))
        for name, content in answer.files:
            kind, data = (b"text", content.encode()) if isinstance(content, str) else (b"bytes", content)
            _tell(entry, (kind, name.encode(), data))
            yield name, content
        _tell(entry, ())

    def _entry(self) -> Generator[None, Parts | None, None]:
        """Is told the parts of an entry, which is in place once there are no more: `()`. It ends where it cannot be."""
        temporary = None
        try:
            key = self._full_key()
            temporary = self._files.new(self._name(key))
            with open(temporary, "wb", _BUFFER) as file:
                file.write(bytes(_CHECK_BYTES))
                check = 0
                parts: Parts | None = (key,)
                while parts:
                    for piece in _packed(parts):
                        check = zlib.crc32(piece, check)
                        file.write(piece)
                    if file.tell() > _BIGGEST:
                        return
                    parts = yield
                file.seek(0)
                file.write(check.to_bytes(_CHECK_BYTES, "big"))
            self._files.place(temporary, self._name(key))
        except (OSError, ValueError):
            pass
        finally:
            if temporary is not None:
                discard(temporary)

    def _full_key(self) -> bytes:
        """Raises `OSError` where this kernel cannot be told from others."""
        if self._key is None:
            identity = kernel_identity.current()
            if identity is None:
                raise OSError("the running kernel has no identity")
            self._key = "\0".join((identity, installation(), self._words)).encode("utf-8", "surrogateescape")
        return self._key

    @staticmethod
    def _name(key: bytes) -> str:
        # Only where to look: what is found says in full what it is the answer to.
        return f"{zlib.crc32(key):08x}"


class Answer:
    """Files, each with its name and content, which may be made as they are taken, and then but once.

    `notes` are the lines that were said to the user. `separate` tells that the files are not to be joined.
    """

    def __init__(self, files: Iterable[tuple[str, Content]], notes: Sequence[str], separate: bool) -> None:
        self.files = files
        self.notes = notes
        self.separate = separate

    @classmethod
    def of_parts(cls, parts: list[memoryview]) -> Answer:
        """The answer that an entry's parts say, behind its key. Raises `ValueError` for anything else."""
        how, notes, *rest = parts
        if len(rest) % 3:
            raise ValueError("not an answer")
        separate = bytes(how) == b"separate"
        # Those are written to files as they are: to hold them in memory once is enough.
        files = [
            (str(name, "utf-8"), str(content, "utf-8") if bytes(kind) == b"text" and not separate else content)
            for kind, name, content in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        ]
        return cls(files, str(notes, "utf-8", "surrogateescape").splitlines(), separate)


def _tell(entry: Generator[None, Parts | None, None], parts: Parts | None) -> None:
    try:  # noqa: SIM105  # contextlib takes as long to import as an answer to find
        entry.send(parts)
    except StopIteration:  # nothing is kept
        pass


def _packed(parts: Parts) -> Iterator[bytes | memoryview]:
    """Each part behind its length: `5:hello`."""
    for part in parts:
        yield b"%d:" % len(part)
        yield part


def _unpacked(content: memoryview) -> Iterator[memoryview]:
    """The parts that were packed. Raises `ValueError`."""
    at, end = 0, len(content)
    while at < end:
        head = bytes(content[at : at + 12])
        digits = head.partition(b":")[0]
        length, start = int(digits), at + len(digits) + 1
        at = start + length
        if at > end:
            raise ValueError("cut short")
        yield content[start:at]
