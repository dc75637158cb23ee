"""The running kernel's catalog in the user's cache: stored by the second run that resolves all events.

To store it takes as long as to resolve them, so that the first run leaves a mark only: on a build machine, in a
container, there is no second. It is valid as long as `kernel_identity.current` and the installation are what they were.
A run that asks for a few events resolves no others for the sake of it, and one that shows nothing of NULL does not ask
the verifier about all of them: its catalog leaves that open.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from tpgen.basics.frozen import replace
from tpgen.basics.typing import TYPE_CHECKING
from tpgen.cache import kernel_identity
from tpgen.cache.fingerprint import installation
from tpgen.cache.private_files import PrivateFiles, discard
from tpgen.diagnostics import TpgenError
from tpgen.kernel.events import EventKey, KernelEvents
from tpgen.kernel.options import CATALOG_SUFFIX

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel
    from tpgen.catalog.schema import KernelInfo
    from tpgen.diagnostics import Diagnostic
    from tpgen.kernel.comparison import Comparison
    from tpgen.kernel.sources import Sources
    from tpgen.kernel.symbols.facts import EventSymbols
    from tpgen.model import Event, Record


# How many kernels stay, and their bytes.
_MOST, _BIGGEST, _TOTAL = 4, 1 << 26, 1 << 27

# Of how many catalogs the marks stay that say that a run could have stored them. A mark is empty.
_MOST_MARKS = 16

# Begins the name of a file of which the verifier was not asked.
_UNASKED = "unasked-"


def cached_kernel(label: str) -> CatalogKernel | None:
    """The running kernel from the cache, under a label for messages; None where it is not there."""
    files = _files()
    try:
        # Often there is none: that must not take as long as to know which one it would be.
        names = [name for name in os.listdir(files.directory or "") if name.endswith(CATALOG_SUFFIX)]
        if not names or (key := _key()) is None:
            return None
        for stem in (key, _UNASKED + key):
            for name in names:
                # The checksum of a file is in its name, since a catalog with a flipped bit may still be one.
                if name.startswith(stem) and name == _file_name(stem, files.read(name)):
                    return _opened(files.path(name), label, asked=stem == key)
    except (OSError, TpgenError):
        pass
    return None


def _opened(path: str, label: str, asked: bool) -> CatalogKernel:
    from tpgen.catalog.read import Catalog

    kernel = Catalog(path).kernel(None, label)
    if asked:
        return kernel
    from tpgen.catalog.unasked import UnaskedKernel

    return UnaskedKernel(kernel, _store)


class CachingKernel(KernelEvents):
    """The running kernel from its sources. When all of its events are asked for, its catalog is stored in the cache.

    A wrapper and no `CheckedKernel`, so that a run that finds a catalog does not import what reads sources.
    """

    def __init__(self, sources: Sources) -> None:
        from tpgen.kernel.check import CheckedKernel

        super().__init__(sources.label, sources.target, sources.release, sources.notes)
        self._kernel = CheckedKernel(sources)
        self._keys: list[EventKey] | None = None
        self._stored = False
        # Where they are stored they are asked for twice: by the catalog, and by who asked for the events.
        self._comparisons: dict[EventKey, tuple[Comparison, ...]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self._kernel.names

    def keys_of(self, name: str) -> list[EventKey]:
        keys = self._kernel.keys_of(name)
        self.notes = self._kernel.notes  # which may have got one about a name
        return keys

    def keys(self) -> list[EventKey]:
        if self._keys is None:
            self._keys = self._kernel.keys()
            self.notes = self._kernel.notes
        return self._keys

    def events(self, keys: list[EventKey], raw_only: bool = False, nullness: bool = True) -> list[Event]:
        events = self._kernel.events(keys, raw_only, nullness)
        if not raw_only and not self._stored and keys == self._keys:
            self._stored = True
            self._store(nullness)
        return events

    def _store(self, nullness: bool) -> None:
        verifier = self._kernel.sources.verifier
        asked = nullness or verifier is None or not verifier.answers
        _store(self, lambda: self._info(asked), asked)

    def _info(self, asked: bool) -> KernelInfo:
        from tpgen.catalog.write import info_of

        self._comparisons = {}
        info = info_of(self._kernel.sources, "live", build_id=kernel_identity.build_id())
        return info if asked else replace(info, sources=tuple(word for word in info.sources if word != "verifier"))

    def comparisons(self, key: EventKey, raw_only: bool = False) -> Iterable[Comparison]:
        if raw_only or self._comparisons is None:
            return self._kernel.comparisons(key, raw_only)
        if key not in self._comparisons:
            self._comparisons[key] = tuple(self._kernel.comparisons(key))
        return self._comparisons[key]

    def symbols(self, key: EventKey) -> EventSymbols:
        return self._kernel.symbols(key)

    def unreadable(self, keys: Iterable[EventKey]) -> Sequence[Diagnostic]:
        return self._kernel.unreadable(keys)

    def records_of(self, class_name: str) -> Sequence[Record]:
        return self._kernel.records_of(class_name)

    def build_ids(self) -> Mapping[str | None, str]:
        return self._kernel.build_ids()

    def tells_null(self) -> bool | None:
        return self._kernel.tells_null()

    def broken_headers(self) -> Sequence[Diagnostic]:
        return self._kernel.broken_headers()

    def left_out(self) -> Sequence[Diagnostic]:
        return self._kernel.left_out()

    def clues(self, name: str) -> list[str]:
        return self._kernel.clues(name)

    def raw_evidence(self) -> Iterable[tuple[str, bool | None]]:
        return self._kernel.raw_evidence()


def _store(kernel: KernelEvents, info: Callable[[], KernelInfo], asked: bool) -> None:
    """Store the catalog of `kernel`, if that can be done, with what only the verifier tells where it was `asked`.

    The first run that could do so does not.
    """
    key = _key()
    if key is None or not _is_marked(stem := key if asked else _UNASKED + key):
        return
    from tpgen.catalog.write import CatalogWriter

    files = _files()
    try:
        temporary = files.new(key)
        try:
            writer = CatalogWriter()
            writer.add(info(), kernel, nullness=asked)
            writer.fill(temporary)
            with open(temporary, "rb") as file:
                name = _file_name(stem, file.read())
            files.place(temporary, name)
        finally:
            discard(temporary)
    except (OSError, TpgenError):  # no room, no permission
        pass


def _is_marked(stem: str) -> bool:
    """Whether a run before this one could have stored the catalog whose name begins so; marks that this one could."""
    marks = PrivateFiles("marks", _MOST_MARKS, 0)
    try:
        marks.read(stem)
    except OSError:
        with contextlib.suppress(OSError):
            marks.write(stem)
        return False
    return True


def _files() -> PrivateFiles:
    """The directory of catalogs of running kernels, in which an old one stays for a while."""
    return PrivateFiles("kernels", _MOST, _BIGGEST, total=_TOTAL)


def _key() -> str | None:
    """The beginning of the name of the running kernel's file; None if the kernel cannot be identified."""
    import hashlib

    identity = kernel_identity.current()
    if identity is None:
        return None
    return hashlib.sha256(f"{identity}\0{installation()}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _file_name(stem: str, content: bytes) -> str:
    """The name of the file with that content."""
    return f"{stem}-{zlib.crc32(content):08x}{CATALOG_SUFFIX}"
