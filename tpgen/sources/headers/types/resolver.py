"""Completing types: what the names in a trace header stand for, as far as the base types and other headers tell.

A type is completed when its size is known, and else left as it was written. Where definitions of one name differ, none
counts: only the compiler knows which of them it saw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tpgen.model import Array, CType, Enum, Pointer, Qualified, Struct, Typedef, TypeTag
from tpgen.sources.cdecl import Declaration, parse_declarations
from tpgen.sources.headers.preprocessor.constant_expressions import constant
from tpgen.sources.headers.preprocessor.macros import BadInvocation, Expander, ExpansionLimit, Macro, join, tokenize
from tpgen.sources.headers.preprocessor.source import Source, split_commas
from tpgen.sources.headers.types.attributes import enum_size, struct_attributes
from tpgen.sources.headers.types.base_types import base_types
from tpgen.sources.headers.types.definitions import TAGGED, Alias, Body, Definitions, body_at, closing_braces
from tpgen.sources.headers.types.queries import Endless, Questions
from tpgen.sources.headers.types.symbol_index import Index
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

# What nobody makes macros of the words in a length.
_KEYWORDS = frozenset(("sizeof", "struct", "union", "enum", "unsigned", "char", "short", "int", "long"))

_ENUMERATOR = re.compile(r"(\w+)\s*(?:=\s*(.+))?", re.DOTALL)
_DECLARATOR = re.compile(r"[\s*]*\b\w+\s*(?:\[.*)?\Z", re.DOTALL)


class Completer:
    """Completes types for `target` from the base types and, where there is one, from an index of headers."""

    def __init__(self, target: Target, index: Index | None = None) -> None:
        self._target = target
        self._index = index
        self._base = base_types(target)
        self._parsed: dict[str, Declaration | None] = {}
        self._questions = Questions()

    def names(self) -> list[str]:
        """The names that were looked up since this was asked before, in whatever headers."""
        return self._questions.names()

    def completed(self, ctype: CType, near: str = "") -> CType:
        """The type that the header at `near` means by `ctype`; `ctype` itself where its size stays unknown."""
        try:
            return self._completed(ctype, near)
        except Endless:
            return ctype

    def _completed(self, ctype: CType, near: str) -> CType:
        match ctype:
            case Typedef(target=None) if ctype.name in self._base:
                return self._base[ctype.name]
            case Qualified() | TypeTag():
                return replace(ctype, target=self._completed(ctype.target, near))
            case Array(element=element, length=length, length_text=text):
                if length is None and text is not None:
                    length = self._length(text, near)
                elif length is not None and not 0 <= length <= _LONGEST:
                    length, text = None, str(length)
                return Array(self._completed(element, near), length, text if length is None else None)
            case Pointer(target=Array(length=None, length_text=str(text)) as array):
                length = self._length(text, near)
                return ctype if length is None else Pointer(replace(array, length=length, length_text=None))
            case Typedef(target=None) | Enum(name=str(), size_bytes=None) | Struct(name=str(), size_bytes=None):
                return self._defined(ctype, near) or ctype
            case _:
                return ctype

    def size(self, type_text: str, near: str) -> int | None:
        """The size in bytes of the type that the header at `near` names so; None where it is unknown."""
        ctype = self._declared_type(type_text, near)
        return None if ctype is None else size_of(ctype, self._target)

    def enumerator(self, name: str, near: str) -> int | None:
        """The value of an enumerator, or of an option, that the header at `near` uses; None where it is unknown."""
        if name.startswith("CONFIG_"):
            return None if self._index is None else self._index.option(name)
        value: int | None = self._agreed(
            name,
            near,
            lambda header: header.enums(name),
            lambda body, header: None if body.uncertain else (self._values(body, header) or {}).get(name),
            "enumerator",
        )
        return value

    def _length(self, text: str, near: str) -> int | None:
        value: int | None = self._questions.answer(("length", text, near), lambda: self._constant(text, near, {}))
        return value if value is not None and 0 <= value <= _LONGEST else None

    # --- definitions

    def _defined(self, ctype: CType, near: str) -> Any:
        match ctype:
            case Typedef(name=name):
                target = self._agreed(name, near, lambda header: header.aliases(name), self._alias, "typedef")
                return None if target is None else Typedef(name, target)
            case Enum(name=str(name)):
                return self._agreed(name, near, lambda header: header.bodies("enum", name), self._enum, "enum")
            case Struct(name=str(name), keyword=keyword):
                return self._agreed(name, near, lambda header: header.bodies(keyword, name), self._struct, keyword)
            case _:
                return None

    def _agreed(
        self,
        name: str,
        near: str,
        find: Callable[[Definitions], Iterable[_Found]],
        evaluate: Callable[[_Found, Definitions], Any],
        kind: str,
    ) -> Any:
        """What the likeliest definitions of a name all say; None where they differ or one is not understood.

        `kind` tells different questions about one name apart.
        """
        index, questions = self._index, self._questions
        if index is None:
            return None

        def said(path: str) -> frozenset[Any]:
            def say() -> frozenset[Any]:
                header = index.open(path)
                return frozenset([evaluate(found, header) for found in find(header)])

            said: frozenset[Any] = questions.answer((kind, name, "in", path), say)
            return said

        def agreed() -> Any:
            questions.note(name)
            for paths in index.defining(name, near, constant=kind in ("macro", "enumerator")):
                values = frozenset().union(*map(said, paths))
                # What the likeliest headers define as something else is no macro.
                if values or kind == "macro":
                    return next(iter(values)) if len(values) == 1 else None
            return None

        return questions.answer((kind, name, near), agreed)

    def _alias(self, alias: Alias, header: Definitions) -> CType | None:
        """What a typedef stands for."""
        if alias.body is None:
            return self._declared_type(alias.text, header.source.path)
        body = replace(alias.body, behind=alias.text.removesuffix(alias.name))
        return self._enum(body, header) if body.keyword == "enum" else self._struct(body, header)

    def _declared_type(self, text: str, near: str) -> CType | None:
        """The type that a declaration or a type's name means, completed; None where its size is unknown."""
        if len(text) > _LONGEST_MEMBER or "__attribute" in text:  # the parser would overlook an alignment
            return None
        if text not in self._parsed:
            found = parse_declarations([text], self._target)[text]
            self._parsed[text] = found if isinstance(found, Declaration) else None
        declaration = self._parsed[text]
        ctype = None if declaration is None else self.completed(declaration.type, near)
        return None if ctype is None or self._extent(ctype) is None else ctype

    def _extent(self, ctype: CType) -> tuple[int, int] | None:
        """The size and alignment in bytes of a struct's member. One of unknown length, at its end, has no size."""
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
        """The enumerators of all branches of an #if with their values; None where one is not understood."""
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
        """The struct or union of a body by natural alignment; None for what has bit-fields, or attributes inside."""
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
            size = max(size, member_size) if body.keyword == "union" else _round_up(size, align) + member_size
        return Struct(body.keyword, body.name, _round_up(size, strictest), strictest)

    def _members(self, text: str, header: Definitions, depth: int) -> Iterator[CType | None]:
        """The types of a body's members, None for one that is not understood."""
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
        """A struct inside a struct: anonymous, or the type of the one member behind its braces."""
        # With a tag and no member it is one or none, depending on -fms-extensions.
        known = body.behind.isidentifier() or (not body.behind and body.name is None)
        if not known or body.keyword == "enum" or depth == _DEEPEST:
            return None
        return self._struct(replace(body, behind=""), header, depth)

    def _declared(self, text: str, header: Definitions) -> Iterator[CType | None]:
        """The types of the members that a declaration makes: `u8 a, b[4]`. None for a bit-field."""
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

    def _constant(self, text: str, near: str, values: Mapping[str, int]) -> int | None:
        """The value of an expression as the header at `near` means it; `values` are enumerators that it sees."""
        macros = self._macros_for(text, near)
        if macros:
            try:
                text = join(Expander(macros).expand(tokenize(text)))
            except (BadInvocation, ExpansionLimit):
                return None
        return constant(text, _Scope(self, near, values))

    def _macros_for(self, text: str, near: str) -> dict[str, Macro]:
        """The macros that `text` of the header at `near` uses, and those that they use in turn."""
        macros: dict[str, Macro] = {}
        todo = tokenize(text)
        while todo and len(macros) < _MOST_MACROS:
            name = todo.pop().text
            if name not in macros and _may_be_macro(name) and (macro := self._macro(name, near)):
                macros[name] = macro
                todo += [token for token in macro.body if token.text in macro.foreign_words]
        return macros

    def _macro(self, name: str, near: str) -> Macro | None:
        """The macro of that name, where all of its likeliest definitions are the same."""
        meaning = self._agreed(
            name,
            near,
            lambda header: header.macros(name),
            lambda macro, header: (macro.params, macro.rest, macro.text),
            "macro",
        )
        if meaning is None:
            return None
        params, rest, text = meaning
        return Macro(name, params, rest, text, Source(near, ""), (0, 0))


def _may_be_macro(text: str) -> bool:
    return text.isidentifier() and text not in _KEYWORDS


def _round_up(offset: int, align: int) -> int:
    return -(-offset // align) * align


@dataclass(frozen=True, slots=True)
class _Scope:
    """The names in an expression of the header at `near`, which also sees the enumerators `values`."""

    completer: Completer
    near: str
    values: Mapping[str, int]

    def value(self, name: str) -> int | None:
        return self.values[name] if name in self.values else self.completer.enumerator(name, self.near)

    def size(self, type_text: str) -> int | None:
        return self.completer.size(type_text, self.near)
