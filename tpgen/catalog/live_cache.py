"""The running kernel's catalog in the user's cache, which `keep` puts there.

It holds for as long as `kernel_identity.current` and the installation are what they were.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

from tpgen.cache import kernel_identity
from tpgen.cache.fingerprint import installation
from tpgen.cache.private_files import PrivateFiles
from tpgen.diagnostics import TpgenError
from tpgen.paths import CATALOG_SUFFIX

if TYPE_CHECKING:
    from tpgen.catalog.read import CatalogKernel


def kept_files() -> PrivateFiles:
    """Where running kernels are kept, an old one for a while."""
    return PrivateFiles("kernels", most=4, biggest=1 << 26)


def kept_kernel(label: str) -> CatalogKernel | None:
    """The running kernel as it was kept, under a label for messages; None where it was not."""
    files = kept_files()
    try:
        # Often there is none: that must not take as long as to know which one it would be.
        names = [name for name in os.listdir(files.directory or "") if name.endswith(CATALOG_SUFFIX)]
        if not names or (key := kept_key()) is None:
            return None
        for name in names:
            # The checksum of a file is in its name, since a catalog with a flipped bit may still be one.
            if name.startswith(key) and name == kept_name(key, files.read(name)):
                from tpgen.catalog.read import Catalog

                return Catalog(files.path(name)).kernel(None, label)
    except (OSError, TpgenError):
        pass
    return None


def kept_key() -> str | None:
    """What the running kernel is kept under; None where it cannot be told from others."""
    import hashlib

    identity = kernel_identity.current()
    if identity is None:
        return None
    return hashlib.sha256(f"{identity}\0{installation()}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def kept_name(key: str, content: bytes) -> str:
    """The name of the file with that content."""
    return f"{key}-{zlib.crc32(content):08x}{CATALOG_SUFFIX}"
