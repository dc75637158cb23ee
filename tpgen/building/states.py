"""Named states: inputs of a build that are no files, such as the running kernel, and the fingerprint of each.

Every no-op build takes those that it depends on, so nothing here imports more than it must.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import is not worth it
if TYPE_CHECKING:
    from collections.abc import Callable


def fingerprints() -> dict[str, Callable[[], str | None]]:
    """The functions that return the fingerprint of each state, by its name. None differs from every fingerprint."""
    from tpgen.cache.fingerprint import installation

    return {"program": installation, "live": _live, "catalogs": _catalogs}


def _live() -> str | None:
    """The identity of the running kernel; a constant where it cannot be read, since it is not used then."""
    from tpgen.cache import kernel_identity
    from tpgen.paths import live_kernel_askable

    return kernel_identity.current() or (None if live_kernel_askable() else "not readable")


def _catalogs() -> str:
    """The stamps of the user's catalogs. Those that travel with tpgen are part of the installation."""
    from tpgen.cache.fingerprint import path_stamp
    from tpgen.paths import catalog_files, user_catalogs

    return "\n".join(map(path_stamp, catalog_files(user_catalogs())))
