"""The kernel release of a tree of headers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from tpgen.sources.source_tree.listing import parents

_MAKEFILE = "Makefile"
_KERNEL_RELEASE, _UTS_RELEASE_H = "include/config/kernel.release", "include/generated/utsrelease.h"
_VERSION = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)[ \t]*$", re.MULTILINE)
_UTS_RELEASE = re.compile(r'^#define[ \t]+UTS_RELEASE[ \t]+"([^"]+)"', re.MULTILINE)


def find_release(root: str) -> str | None:
    """Return the release of the kernel whose tree `root` is or lies in (`6.1.192`); None where it is unknown."""
    for directory in (os.path.abspath(root), *parents(root)):
        if release := _release_of(directory):
            return release
    return None


def release_files(root: str) -> Iterator[str]:
    """Yield the paths that `find_release` may look at."""
    for directory in (os.path.abspath(root), *parents(root)):
        yield from (os.path.join(directory, name) for name in (_MAKEFILE, _KERNEL_RELEASE, _UTS_RELEASE_H))


def is_kernel_tree(root: str) -> bool:
    """Return whether `root` is the directory of a whole kernel tree, of which the release is known."""
    return _release_of(root) is not None


_VERSION_CODE = re.compile(r"^#define[ \t]+LINUX_VERSION_CODE[ \t]+(\d{1,9})\b", re.MULTILINE)


def find_version_code(root: str) -> int | None:
    """Return LINUX_VERSION_CODE as the kernel that `root` is or lies in was configured; None where it was not.

    Distributions call 6.1.174 `6.1.0-57-amd64`: there only this tells the sublevel.
    """
    for directory in (os.path.abspath(root), *parents(root)):
        if match := _VERSION_CODE.search(_text(directory, "include/generated/uapi/linux/version.h")):
            return int(match[1])
    return None


def _release_of(directory: str) -> str | None:
    version: dict[str, str] = dict(_VERSION.findall(_text(directory, _MAKEFILE)))
    if version.get("VERSION", "").isdigit() and version.get("PATCHLEVEL", "").isdigit():
        numbers = ".".join(version[part] for part in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if version.get(part))
        return numbers + version.get("EXTRAVERSION", "")
    if release := _text(directory, _KERNEL_RELEASE).strip():
        return release
    match = _UTS_RELEASE.search(_text(directory, _UTS_RELEASE_H))
    return match[1] if match else None


def _text(directory: str, name: str) -> str:
    path = os.path.join(directory, name)
    try:
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
