"""The TRACE_EVENT family, as kernel_headers/ defines it in C over a few primitives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tpgen.paths import resource_dir
from tpgen.sources.headers.preprocessor.directives import structure
from tpgen.sources.headers.preprocessor.environment import FixedEnvironment, version_code
from tpgen.sources.headers.preprocessor.macros import Macro, parse_define
from tpgen.sources.headers.preprocessor.source import Source

# The primitives that kernel_headers/trace_event.h reduces everything to, with the number of their arguments.
CLASS = "tpgen_class"
EVENT = "tpgen_event"
TRACEPOINT = "tpgen_tracepoint"
OTHER = "tpgen_other"
# Those that kernel_headers/trace_print.h reduces printing to.
CLASS_PRINT = "tpgen_class_print"
EVENT_PRINT = "tpgen_event_print"
PRIMITIVES: Mapping[str, int] = {CLASS: 4, EVENT: 4, TRACEPOINT: 5, OTHER: 2, CLASS_PRINT: 2, EVENT_PRINT: 2}


def event_family(release: str | None) -> Mapping[str, Macro]:
    """Return the macros that make classes and events in a kernel of this release."""
    return _definitions("trace_event.h", version_code(release))


def print_family() -> Mapping[str, Macro]:
    """Return the macros that make the texts that events print."""
    return _definitions("trace_print.h", None)


def entry_family() -> Mapping[str, Macro]:
    """Return the macros that make the fields of TP_STRUCT__entry."""
    return _definitions("trace_entry.h", None)


@cache
def _definitions(file_name: str, version_code: int | None) -> Mapping[str, Macro]:
    path = resource_dir("kernel_headers") / file_name
    source = Source(str(path), path.read_text("utf-8"))
    environment = FixedEnvironment({} if version_code is None else {"LINUX_VERSION_CODE": version_code})
    macros: dict[str, Macro] = {}
    for directive in structure(source, environment).directives:
        if directive.keyword == "define" and directive.presence.value:
            macro = parse_define(directive.rest, source, (directive.start, directive.end), directive.presence)
            assert macro, f"{path}: not a macro: {directive.rest}"
            macros[macro.name] = macro
    return macros
