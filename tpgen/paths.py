"""Where the data files lie that travel with the package: templates and kernel_headers."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, whose import a run that finds its answer in the cache goes without
if TYPE_CHECKING:
    import pathlib
    from typing import Literal


def resource_dir(name: Literal["templates", "kernel_headers"]) -> pathlib.Path:
    """The directory of that name: inside the package in a wheel, beside it in a checkout or an editable install."""
    import pathlib

    return pathlib.Path(resource_path(name))


def resource_path(name: Literal["templates", "kernel_headers"]) -> str:
    """The same as text. Raises `TpgenError` `installation` where this user cannot see it."""
    package = os.path.dirname(__file__)
    for directory in (os.path.join(package, name), os.path.join(os.path.dirname(package), name)):
        if os.path.isdir(directory):
            return directory
    from tpgen.diagnostics import fail

    hint = "install tpgen where this user can read it"
    raise fail("installation", f"cannot find {name}/ in {package} or beside it", hint=hint)
