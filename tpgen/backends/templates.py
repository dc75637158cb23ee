"""jinja2, as the backends use it: a folder of templates for each, read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from tpgen.basics.typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template, Undefined


@cache
def template(backend: str, name: str) -> Template:
    """The template `name` of the backend."""
    return _environment(backend).get_template(f"{name}.j2")


def with_placeholders(backend: str, name: str, **known: object) -> str:
    """The template `name` of the backend as a text for `%`, with `%(value)s` for each value that is not `known`.

    A value that is not known can be printed, and nothing else: jinja2 raises `UndefinedError` where it is tested.
    """
    import re

    environment = _environment(backend).overlay(undefined=_placeholder())
    text = environment.get_template(f"{name}.j2").render(known)
    return re.sub("\0(.+?)\0", r"%(\1)s", text.replace("%", "%%"))


def _placeholder() -> type[Undefined]:
    """The class of unknown values, which print as their names between NULs."""
    from jinja2 import StrictUndefined

    class Placeholder(StrictUndefined):
        def __str__(self) -> str:  # type: ignore[override]
            return f"\0{self._undefined_name}\0"

    return Placeholder


class PageTemplates:
    """The templates of pages in `folder`, in which every value is escaped; `filters` and `known` values are for all."""

    def __init__(self, folder: str, filters: Mapping[str, Callable[..., object]], known: Mapping[str, object]) -> None:
        self._environment = _environment(folder).overlay(autoescape=True)
        self._environment.filters = {**self._environment.filters, **filters}
        self._environment.globals = {**self._environment.globals, **known}
        self._templates: dict[str, Template] = {}

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """The page that the template `name` makes of `values`."""
        if name not in self._templates:
            self._templates[name] = self._environment.get_template(f"{name}.html.j2")
        return self._templates[name].render(values)


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
    environment.filters["literal"] = _literal
    return environment


def _literal(value: object) -> str:
    """The value as Python code, text in double quotes where it has none in it, as formatters write it."""
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text and "\\" not in text else text
