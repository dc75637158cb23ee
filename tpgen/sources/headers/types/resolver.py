"""The type resolver: types, lengths and enumerators of a trace header, from the base types and from other headers.

A type is resolved when its size is known, else it stays as it was written. Where definitions of one name differ, none
counts: only the compiler knows which of them it saw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tpgen.basics.frozen import frozen, replace
from tpgen.layout import round_up
from tpgen.model import Array, CType, Enum, Pointer, Qualified, Struct, Typedef, TypeTag
from tpgen.sources.cdecl import Declaration, parse_declarations
from tpgen.sources.headers.preprocessor.constant_expressions import constant
from tpgen.sources.headers.preprocessor.macros import BadInvocation, Expander, ExpansionLimit, Macro, join, tokenize
from tpgen.sources.headers.preprocessor.source import Source, split_commas
from tpgen.sources.headers.types.attributes import enum_size, struct_attributes
from tpgen.sources.headers.types.base_types import base_types
from tpgen.sources.headers.types.definitions import TAGGED, Alias, Body, Definitions, body_at, closing_braces
from tpgen.sources.headers.types.queries import QueryCache, QueryCycle
from tpgen.sources.headers.types.symbol_index import SymbolIndex
from tpgen.target import Target
from tpgen.typequery import align_of, size_of

_Found = TypeVar("_Found")

# No array in a record is longer.
_LONGEST = 1 << 16
# How deep structs stand in structs; in a real kernel 4.
_DEEPEST = 24
_MOST_MACROS = 200
# No member of a struct that a tracepoint hands out takes more characters.
_LONGEST_MEMBER = 1000
_LONGEST_BODY = 10_000
# The longest enum of Linux 7.2 has 1900.
_MOST_ENUMERATORS = 8_000

# The words in a length that nobody makes macros of.
_KEYWORDS = frozenset(("sizeof", "struct", "union", "enum", "unsigned", "char", "short", "int", "long"))

_ENUMERATOR = re.compile(r"(\w+)\s*(?:=\s*(.+))?", re.DOTALL)
_DECLARATOR = re.compile(r"[\s*]*\b\w+\s*(?:\[.*)?\Z", re.DOTALL)


class TypeResolver:
    """Resolve types for `target` from the base types and, where there is one, from a symbol index.

    With `everywhere`, a name that no header around defines counts as those define it that the index found elsewhere.
    """

    def __init__(self, target: Target, index: SymbolIndex | None = None, *, everywhere: bool = False) -> None:
        self._target = target
        self._index = index
        self._everywhere = everywhere
        self._base = base_types(target)
        self._parsed: dict[str, Declaration | None] = {}
        self._queries = QueryCache()

    def take_dependencies(self) -> list[str]:
        """Return the names that were looked up since the last call, in any header."""
        return self._queries.take_dependencies()

    def resolved(self, ctype: CType, context_path: str = "") -> CType:
        """Resolve `ctype` as used in the header at `context_path`; `ctype` itself where its size stays unknown."""
        try:
            return self._resolved(ctype, context_path)
        except QueryCycle:
            return ctype

    def _resolved(self, ctype: CType, context_path: str) -> CType:
        match ctype:
            case Typedef(target=None) if ctype.name in self._base:
                return self._base[ctype.name]
            case Qualified() | TypeTag():
                return replace(ctype, target=self._resolved(ctype.target, context_path))
            case Array(element=element, length=length, length_text=text):
                if length is None and text is not None:
                    length = self._length(text, context_path)
                elif length is not None and not 0 <= length <= _LONGEST:
                    length, text = None, str(length)
                return Array(self._resolved(element, context_path), length, text if length is None else None)
            case Pointer(target=Array(length=None, length_text=str(text)) as array):
                length = self._length(text, context_path)
                return ctype if length is None else Pointer(replace(array, length=length, length_text=None))
            case Typedef(target=None) | Enum(name=str(), size_bytes=None) | Struct(name=str(), size_bytes=None):
                return self._defined(ctype, context_path) or ctype
            case _:
                return ctype

    def size(self, type_text: str, context_path: str) -> int | None:
        """Return the size in bytes of the type named in the header at `context_path`; None where it is unknown."""
        ctype = self._declared_type(type_text, context_path)
        return None if ctype is None else size_of(ctype, self._target)

    def enumerator(self, name: str, context_path: str) -> int | None:
        """Return the value of an enumerator or option that the header at `context_path` uses; None if unknown."""
        if name.startswith("CONFIG_"):
            return None if self._index is None else self._index.option(name)
        value: int | None = self._agreed(
            name,
            context_path,
            lambda header: header.enums(name),
            lambda body, header: None if body.uncertain else (self._values(body, header) or {}).get(name),
            "enumerator",
        )
        return value

    def macro(self, name: str, context_path: str) -> Macro | None:
        """Return the macro that the header at `context_path` sees under that name; None where that is unknown."""
        try:
            return self._macro(name, context_path) if _may_be_macro(name) else None
        except QueryCycle:
            return None

    def value(self, text: str, context_path: str) -> int | None:
        """Evaluate a constant expression in the header at `context_path`; None where its value is unknown."""
        try:
            return self._constant(text, context_path, {})
        except QueryCycle:
            return None

    def _length(self, text: str, context_path: str) -> int | None:
        value: int | None = self._queries.query(
            ("length", text, context_path), lambda: self._constant(text, context_path, {})
        )
        return value if value is not None and 0 <= value <= _LONGEST else None

    # --- definitions

    def _defined(self, ctype: CType, context_path: str) -> Any:
        match ctype:
            case Typedef(name=name):
                target = self._agreed(name, context_path, lambda header: header.aliases(name), self._alias, "typedef")
                return None if target is None else Typedef(name, target)
            case Enum(name=str(name)):
                return self._agreed(name, context_path, lambda header: header.bodies("enum", name), self._enum, "enum")
            case Struct(name=str(name), keyword=keyword):
                return self._agreed(
                    name, context_path, lambda header: header.bodies(keyword, name), self._struct, keyword
                )
            case _:
                return None

    def _agreed(
        self,
        name: str,
        context_path: str,
        find: Callable[[Definitions], Iterable[_Found]],
        evaluate: Callable[[_Found, Definitions], Any],
        kind: str,
    ) -> Any:
        """Resolve `name` from the best-ranked headers that define it.

        None when their definitions disagree or one cannot be evaluated. `kind` tells queries about one name apart.
        """
        index, queries = self._index, self._queries
        if index is None:
            return None

        def values_in(path: str) -> frozenset[Any]:
            def compute() -> frozenset[Any]:
                header = index.open(path)
                return frozenset([evaluate(found, header) for found in find(header)])

            values: frozenset[Any] = queries.query((kind, name, "in", path), compute)
            return values

        constant = kind in ("macro", "enumerator")

        def agreed() -> Any:
            queries.depend_on(name)
            is_seen = False
            for paths in index.defining(name, context_path, constant=constant):
                is_seen, values = True, frozenset().union(*map(values_in, paths))
                # A name that the best-ranked headers define as something else is no macro.
                if values or kind == "macro":
                    return _only(values)
            return None if is_seen or not self._everywhere else elsewhere()

        def elsewhere() -> Any:
            found = [values_in(path) for path in index.search.headers(name)]
            # A header that defines it as something else disagrees.
            return _only(frozenset().union(*found)) if all(found) or not constant else None

        return queries.query((kind, name, context_path), agreed)

    def _alias(self, alias: Alias, header: Definitions) -> CType | None:
        """Resolve a typedef."""
        if alias.body is None:
            return self._declared_type(alias.text, header.source.path)
        body = replace(alias.body, behind=alias.text.removesuffix(alias.name))
        return self._enum(body, header) if body.keyword == "enum" else self._struct(body, header)

    def _declared_type(self, text: str, context_path: str) -> CType | None:
        """Parse and resolve a declaration or a type's name; None where its size is unknown."""
        if len(text) > _LONGEST_MEMBER or "__attribute" in text:  # the parser would overlook an alignment
            return None
        if text not in self._parsed:
            found = parse_declarations([text], self._target)[text]
            self._parsed[text] = found if isinstance(found, Declaration) else None
        declaration = self._parsed[text]
        ctype = None if declaration is None else self.resolved(declaration.type, context_path)
        return None if ctype is None or self._extent(ctype) is None else ctype

    def _extent(self, ctype: CType) -> tuple[int, int] | None:
        """Return the size and alignment in bytes of a struct's member. A flexible array at its end has size 0."""
        flexible = isinstance(ctype, Array) and ctype.length is None and ctype.length_text is None
        size = 0 if flexible else size_of(ctype, self._target)
        align = align_of(ctype, self._target)
        return None if size is None or align is None else (size, align)

    # --- enums

    def _enum(self, body: Body, header: Definitions) -> Enum | None:
        values = self._values(body, header)
        signed = None if values is None else min(values.values(), default=0) < 0
        size = enum_size(f"{body.before} {body.behind}", None if values is None else values.values())
        return None if size is None else Enum(body.name, size, signed)

    def _values(self, body: Body, header: Definitions) -> dict[str, int] | None:
        """Evaluate the enumerators of all branches of an #if; None where one is not understood."""
        values: dict[str, int] = {}
        following: int | None = 0
        entries = split_commas(body.text)
        if len(entries) > _MOST_ENUMERATORS:
            return None
        for entry in entries:
            match = _ENUMERATOR.fullmatch(entry)
            if match is None:
                if not entry:
                    continue  # behind the last comma
                return None
            name, text = match[1], match[2]
            if text is not None:
                following = self._constant(text, header.source.path, values)
            elif any(macro.text != name for macro in header.macros(name)):
                return None  # a list of enumerators
            if following is None:
                return None
            values[name] = following
            following += 1
        return values

    # --- structs and unions

    def _struct(self, body: Body, header: Definitions, depth: int = 0) -> Struct | None:
        """Lay out a struct or union by natural alignment; None for one with bit-fields or attributes inside."""
        attributes = struct_attributes(f"{body.before} {body.behind}")
        if body.uncertain or attributes is None or len(body.text) > _LONGEST_BODY:
            return None
        size, strictest = 0, attributes.aligned
        for ctype in self._members(body.text, header, depth):
            extent = None if ctype is None else self._extent(ctype)
            if extent is None:
                return None
            member_size, align = extent[0], 1 if attributes.packed else extent[1]
            strictest = max(strictest, align)
            size = max(size, member_size) if body.keyword == "union" else round_up(size, align) + member_size
        return Struct(body.keyword, body.name, round_up(size, strictest), strictest)

    def _members(self, text: str, header: Definitions, depth: int) -> Iterator[CType | None]:
        """Yield the types of a body's members, None for one that is not understood."""
        closings = closing_braces(text)
        at = 0
        while at < len(text):
            stop = text.find(";", at) if ";" in text[at:] else len(text)
            if nested := TAGGED.search(text, at, stop):
                end = closings.get(nested.end() - 1)
                if end is None or text[at : nested.start()].strip():
                    yield None
                    return
                yield self._nested(body_at(text, nested, end), header, depth + 1)
                stop = text.find(";", end) if ";" in text[end:] else len(text)
            else:
                yield from self._declared(text[at:stop], header)
            at = stop + 1

    def _nested(self, body: Body, header: Definitions, depth: int) -> CType | None:
        """Lay out a struct inside a struct: an anonymous one, or the type of the one member behind its braces."""
        # With a tag and no member it is one or none, depending on -fms-extensions.
        known = body.behind.isidentifier() or (not body.behind and body.name is None)
        if not known or body.keyword == "enum" or depth == _DEEPEST:
            return None
        return self._struct(replace(body, behind=""), header, depth)

    def _declared(self, text: str, header: Definitions) -> Iterator[CType | None]:
        """Yield the types of the members of a declaration such as `u8 a, b[4]`. None for a bit-field."""
        if len(text) > _LONGEST_MEMBER or ":" in text:
            yield None
            return
        first, *others = split_commas(text) or [""]
        if first:
            yield self._declared_type(first, header.source.path)
        declarator = _DECLARATOR.search(first)
        for other in others:
            base = first[: declarator.start()] if declarator else ""
            yield self._declared_type(f"{base} {other}", header.source.path)

    # --- constants

    def _constant(self, text: str, context_path: str, values: Mapping[str, int]) -> int | None:
        """Evaluate an expression of the header at `context_path`; `values` are further enumerators that it sees."""
        macros = self._macros_for(text, context_path)
        if macros:
            try:
                text = join(Expander(macros).expand(tokenize(text)))
            except (BadInvocation, ExpansionLimit):
                return None
        return constant(text, _Scope(self, context_path, values))

    def _macros_for(self, text: str, context_path: str) -> dict[str, Macro]:
        """Return the macros that `text` of the header at `context_path` uses, and those that they use in turn."""
        macros: dict[str, Macro] = {}
        todo = tokenize(text)
        while todo and len(macros) < _MOST_MACROS:
            name = todo.pop().text
            if name not in macros and _may_be_macro(name) and (macro := self._macro(name, context_path)):
                macros[name] = macro
                todo += [token for token in macro.body if token.text in macro.foreign_words]
        return macros

    def _macro(self, name: str, context_path: str) -> Macro | None:
        """Return the macro of that name, where all of its best-ranked definitions are the same."""
        meaning = self._agreed(
            name,
            context_path,
            lambda header: header.macros(name),
            lambda macro, header: (macro.params, macro.rest, macro.text),
            "macro",
        )
        if meaning is None:
            return None
        params, rest, text = meaning
        return Macro(name, params, rest, text, Source(context_path, ""), (0, 0))


class FallbackResolver:
    """Resolve types with one resolver, and with the other what stays unknown."""

    def __init__(self, first: TypeResolver, other: TypeResolver) -> None:
        self._first = first
        self._other = other

    def resolved(self, ctype: CType, context_path: str) -> CType:
        """Resolve `ctype` as used in the header at `context_path`; `ctype` itself where its size stays unknown."""
        found = self._first.resolved(ctype, context_path)
        return found if _is_resolved(found) else self._other.resolved(ctype, context_path)

    def take_dependencies(self) -> list[str]:
        """Return the names that were looked up since the last call, in any header."""
        return list(dict.fromkeys((*self._first.take_dependencies(), *self._other.take_dependencies())))


def _is_resolved(ctype: CType) -> bool:
    """Return whether nothing of a type that an array or a record needs is unknown."""
    match ctype:
        case Array(element=element, length=length, length_text=text):
            return (length is not None or text is None) and _is_resolved(element)
        case Pointer(target=Array(length=None, length_text=str())):
            return False
        case Qualified(target=target) | TypeTag(target=target):
            return _is_resolved(target)
        case Typedef(target=target):
            return target is not None
        case Enum(size_bytes=size) | Struct(size_bytes=size):
            return size is not None
        case _:
            return True


def _only(values: frozenset[Any]) -> Any:
    return next(iter(values)) if len(values) == 1 else None


def _may_be_macro(text: str) -> bool:
    return text.isidentifier() and text not in _KEYWORDS


@frozen
class _Scope:
    """The constants of an expression in the header at `context_path`, which also sees the enumerators `values`."""

    resolver: TypeResolver
    context_path: str
    values: Mapping[str, int]

    def value(self, name: str) -> int | None:
        return self.values[name] if name in self.values else self.resolver.enumerator(name, self.context_path)

    def size(self, type_text: str) -> int | None:
        return self.resolver.size(type_text, self.context_path)
