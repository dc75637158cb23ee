"""Facts with resolved types, and the field that keeps a class from being laid out."""

from __future__ import annotations

import re
from pathlib import Path

from tpgen.basics.frozen import replace
from tpgen.diagnostics import Diagnostic, Position, Severity, shortened
from tpgen.model import Argument, Field
from tpgen.sources.headers.facts import HeaderClass, HeaderEvent
from tpgen.sources.headers.preprocessor.source import Source, group_end
from tpgen.sources.headers.types.resolver import FallbackResolver
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import align_of, size_of


def resolve_class(found: HeaderClass, resolver: FallbackResolver) -> HeaderClass:
    """Resolve the types of a class as the header means them in which it stands."""
    context_path = found.position.path
    args = _arguments(found.args, context_path, resolver)
    fields = tuple([_field(field, context_path, resolver) for field in found.fields])
    same = args is found.args and all(new is old for new, old in zip(fields, found.fields, strict=True))
    return found if same else replace(found, args=args, fields=fields)


def resolve_event(found: HeaderEvent, resolver: FallbackResolver) -> HeaderEvent:
    """Resolve the types of an event's arguments as the header means them in which it stands."""
    args = _arguments(found.args, found.position.path, resolver)
    return found if args is found.args else replace(found, args=args)


def _field(field: Field, context_path: str, resolver: FallbackResolver) -> Field:
    ctype = None if field.type is None else resolver.resolved(field.type, context_path)
    return field if ctype is field.type else replace(field, type=ctype)


def _arguments(args: tuple[Argument, ...], context_path: str, resolver: FallbackResolver) -> tuple[Argument, ...]:
    types = [resolver.resolved(arg.type, context_path) for arg in args]
    if all(ctype is arg.type for arg, ctype in zip(args, types, strict=True)):
        return args
    return tuple([replace(arg, type=ctype) for arg, ctype in zip(args, types, strict=True)])


# --- what is unknown


def unknown_field(found: HeaderClass, target: Target, source: Source | None = None) -> Diagnostic | None:
    """Report the first field that keeps the class from being laid out; None where there is none.

    `source` is the header in which it stands; it is read where it is not given.
    """
    for field in found.fields:
        if field.dynamic is not None or field.type is None:
            continue
        if align_of(field.type, target) is None:
            message = f"the size of field {field.name}, of type `{shortened(spell(field.type))}`, is unknown"
        elif size_of(field.type, target) is None:
            message = f"the length of field {field.name}, `{shortened(spell(field.type))}`, is unknown"
        else:
            continue
        position = _position(found, field.name, source or _read(found.position.path))
        return Diagnostic("header-size", message, position, "give --btf", Severity.NOTE, found.chain)
    return None


def _read(path: str) -> Source:
    try:
        return Source(path, Path(path).read_text("utf-8", "replace"))
    except OSError:
        return Source(path, "")


def _position(found: HeaderClass, field: str, source: Source) -> Position:
    """Return where a field stands in the invocation of its class, or of the invocation if a macro made it."""
    start = source.offset(found.position)
    opening = source.clean.find("(", start)
    end = group_end(source.clean, opening) if opening >= 0 else None
    entry = re.compile(rf"\b__\w+\s*\([^()]*\b{field}\s*[,)]")
    match = entry.search(source.clean, start, end) if end is not None else None
    return source.position(match.start()) if match else found.position
