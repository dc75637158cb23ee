"""jinja2, as the backends use it: a folder of templates for each, read once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template


@cache
def template(backend: str, name: str) -> Template:
    """The template `name` of the backend."""
    return _environment(backend).get_template(f"{name}.j2")


@cache
def _environment(backend: str) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from tpgen.paths import resource_dir

    environment = Environment(
        loader=FileSystemLoader(resource_dir("templates") / backend),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # code is not HTML
        auto_reload=False,  # nobody edits a template while we run
    )
    environment.filters["repr"] = repr
    return environment
