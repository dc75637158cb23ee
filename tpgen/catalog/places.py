"""Where catalog files lie: those that travel with tpgen and the user's own."""

from __future__ import annotations

import os

from tpgen.paths import resource_path

#: How the name of a catalog file ends.
SUFFIX = ".tpgen"


def shipped_directory() -> str:
    """Where the catalogs lie that came with tpgen."""
    return os.path.join(resource_path("kernel_headers"), "catalog")


def user_directory() -> str | None:
    """Where the user's own catalogs lie by the XDG rules; None where no home is known."""
    base = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, ".local", "share")
    return os.path.join(base, "tpgen", "catalog")


def catalog_files(directory: str | None) -> list[str]:
    """The catalog files in a directory, sorted; none where it cannot be read."""
    try:
        names = sorted(os.listdir(directory)) if directory is not None else []
    except OSError:
        return []
    return [os.path.join(directory or "", name) for name in names if name.endswith(SUFFIX) and name[0] != "."]
