"""Paths: the package's data files, this user's caches and catalogs, and what the running kernel shows of itself.

A run that finds its output in the cache imports this, so it imports next to nothing.
"""

from __future__ import annotations

import os

from tpgen.kernel.options import CATALOG_SUFFIX

TYPE_CHECKING = False  # as in typing, whose import a run that finds its output in the cache goes without
if TYPE_CHECKING:
    import pathlib
    from typing import Literal

#: The directory of the running kernel's BTF: vmlinux and the modules.
LIVE_BTF = "/sys/kernel/btf"
#: Where tracefs is mounted by itself, and where debugfs shows it.
MOUNT_POINTS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")

#: What is mounted where.
MOUNTS = "/proc/self/mounts"


# --- what travels with the package


def resource_dir(name: Literal["templates", "kernel_headers", "docs"]) -> pathlib.Path:
    """The directory of that name: inside the package in a wheel, beside it in a checkout or an editable install."""
    import pathlib

    return pathlib.Path(resource_path(name))


def resource_path(name: Literal["templates", "kernel_headers", "docs"]) -> str:
    """The resource directory as text. Raises `TpgenError` `installation` where this user cannot see it."""
    package = os.path.dirname(__file__)
    for directory in (os.path.join(package, name), os.path.join(os.path.dirname(package), name)):
        if os.path.isdir(directory):
            return directory
    from tpgen.diagnostics import fail

    hint = "install tpgen where this user can read it"
    raise fail("installation", f"cannot find {name}/ in {package} or beside it", hint=hint)


def installed_directories() -> list[str]:
    """The directories that all files of tpgen itself are in."""
    package = os.path.dirname(os.path.abspath(__file__))
    return list(dict.fromkeys((package, resource_path("templates"), resource_path("kernel_headers"))))


# --- where the user wants files


def names_directory(path: str) -> bool:
    """Whether -o means a directory: one that there is, or a name with a slash behind it or without a suffix."""
    if path.endswith(os.sep) or os.path.isdir(path):
        return True
    base = path[path.rfind(os.sep) + 1 :]
    return "." not in base[1:] and not os.path.exists(path)


# --- this user's own


def cache_directory(name: str) -> str | None:
    """The directory of that name in this user's cache by the XDG rules; None where no home is known."""
    base = _xdg_directory("XDG_CACHE_HOME", ".cache")
    return None if base is None else os.path.join(base, "tpgen", name)


def user_catalogs() -> str | None:
    """The directory of this user's own catalogs by the XDG rules; None where no home is known."""
    base = _xdg_directory("XDG_DATA_HOME", os.path.join(".local", "share"))
    return None if base is None else os.path.join(base, "tpgen", "catalog")


def _xdg_directory(variable: str, below_home: str) -> str | None:
    base = os.environ.get(variable, "")
    if os.path.isabs(base):
        return base
    home = os.path.expanduser("~")
    return os.path.join(home, below_home) if os.path.isabs(home) else None


def shipped_catalogs() -> str:
    """The directory of the catalogs that travel with tpgen."""
    return os.path.join(resource_path("kernel_headers"), "catalog")


def catalog_files(directory: str | None) -> list[str]:
    """The catalog files in a directory, sorted; none where it cannot be read."""
    try:
        names = sorted(os.listdir(directory)) if directory is not None else []
    except OSError:
        return []
    return [os.path.join(directory or "", name) for name in names if name.endswith(CATALOG_SUFFIX) and name[0] != "."]


# --- the running kernel


def live_kernel_readable() -> bool:
    """Whether this machine's own kernel can be asked, which takes no privilege but BTF."""
    return os.access(os.path.join(LIVE_BTF, "vmlinux"), os.R_OK)


def has_live_modules() -> bool:
    """Whether this machine's own kernel has the BTF of any module."""
    try:
        return any(name != "vmlinux" for name in os.listdir(LIVE_BTF))
    except OSError:
        return False


def live_kernel_askable() -> bool:
    """Whether this machine's own kernel can be asked about its events: by BTF, or by tracefs, which is for root."""
    return live_kernel_readable() or ((path := live_tracefs()) is not None and os.access(path, os.R_OK | os.X_OK))


def live_tracefs() -> str | None:
    """The mount point of tracefs on this machine, None where it is not mounted."""
    for path in MOUNT_POINTS:
        if os.path.isdir(os.path.join(path, "events")):
            return path
    try:
        with open(MOUNTS, encoding="utf-8", errors="replace") as mounts:
            return next((line.split()[1] for line in mounts if line.split()[2] == "tracefs"), None)
    except OSError:
        return None
