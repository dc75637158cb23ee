"""Finding stored kernels by their images: by the GNU build id of an image or a module."""

from __future__ import annotations

import re

from tpgen.catalog.schema import KernelInfo
from tpgen.diagnostics import TpgenError

# The whole of one has 40 digits; so many tell it.
_BUILD_ID = re.compile(r"[0-9a-f]{12,128}")
# No image is larger, in bytes.
_BIGGEST_IMAGE = 1 << 30


def is_build_id(word: str) -> bool:
    """Whether a word could be the beginning of a build id."""
    return bool(_BUILD_ID.fullmatch(word))


def has_build_id(info: KernelInfo, wanted: str) -> bool:
    """Whether the image of a kernel has the build id that begins so."""
    return info.build_id is not None and is_build_id(wanted) and info.build_id.startswith(wanted)


def build_id_of(path: str) -> str | None:
    """The build id of the image or the module in a file, in hex; None where it is none, or shows none."""
    from tpgen.sources.files import read_bytes
    from tpgen.sources.images import image_build_id_in

    try:
        return image_build_id_in(read_bytes(path, _BIGGEST_IMAGE), path)
    except TpgenError:
        return None
