"""Where the data files lie that travel with the package: templates and kernel_headers."""

from __future__ import annotations

import pathlib
from typing import Literal


def resource_dir(name: Literal["templates", "kernel_headers"]) -> pathlib.Path:
    """The directory of that name: inside the package in a wheel, beside it in a checkout or an editable install."""
    package = pathlib.Path(__file__).parent
    for directory in (package / name, package.parent / name):
        if directory.is_dir():
            return directory
    raise AssertionError(f"{name}/ is neither in {package} nor beside it: a broken installation")
