"""The `format` files in which a running kernel prints the records of its trace events.

A kernel has thousands of format files but few distinct declarations. Each file is cut into lines by a regular
expression; lark then parses all distinct declarations in one go, and pycparser their distinct types.
Source: f_show() in kernel/trace/trace_events.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from tpgen.diagnostics import Position, TpgenError, fail
from tpgen.model import Dynamic, Field
from tpgen.target import Target

if TYPE_CHECKING:
    from lark import Lark

    from tpgen.sources.cdecl import Declaration


@dataclass(frozen=True, slots=True)
class Format:
    """One format file: the record that `system`:`name` leaves in the trace buffer.

    `common` are the fields of the common header, `fields` the event's own. Offsets and sizes in bytes, as the kernel
    prints them.
    """

    system: str
    name: str
    event_id: int
    common: tuple[Field, ...]
    fields: tuple[Field, ...]
    print_fmt: str
    path: str


# Five digits hold every offset in a trace record.
_HEAD = re.compile(r"name: (\S+)\nID: ([0-9]{1,9})\nformat:\n")
_FIELD = re.compile(r"\tfield:(.*?);\toffset:([0-9]{1,5});\tsize:([0-9]{1,5});(?:\tsigned:([01]);)?\n")
_FIELD_BLOCK = r"((?:\tfield:.*?;\toffset:[0-9]{1,5};\tsize:[0-9]{1,5};(?:\tsigned:[01];)?\n)*)\n"
_FIELDS = re.compile(_FIELD_BLOCK * 2)
_PRINT = re.compile(r"print fmt: (.*)\Z", re.DOTALL)  # raw newlines occur inside


@dataclass(frozen=True, slots=True)
class _Frame:
    """A format file cut into its parts; `common` and `own` are blocks of field lines with the line they start on."""

    system: str
    path: str
    name: str
    event_id: int
    common: tuple[str, int]
    own: tuple[str, int]
    print_fmt: str


def parse_formats(texts: Sequence[tuple[str, str, str]], target: Target) -> list[Format]:
    """Parse format files, each given as (system, path for messages, text).

    Raises `TpgenError` with a `format-*` code at the line and column where a text is not a format file.
    """
    frames = [_frame(system, path, text) for system, path, text in texts]
    blocks: dict[str, tuple[Field, ...]] = {}
    lines = _distinct_lines(frames)
    declarations = _declarations(lines, target)
    fields = {line: _field(_match(line), declarations[line]) for line in lines}
    for frame in frames:
        for block, _ in (frame.common, frame.own):
            if block not in blocks:
                blocks[block] = tuple(fields[line] for line in _lines(block))
    return [
        Format(f.system, f.name, f.event_id, blocks[f.common[0]], blocks[f.own[0]], f.print_fmt, f.path) for f in frames
    ]


def _frame(system: str, path: str, text: str) -> _Frame:
    head = _HEAD.match(text)
    if not head:
        raise _misformed(path, text, 0, "expected `name:`, `ID:` and `format:` lines")
    blocks = _FIELDS.match(text, head.end())
    if not blocks:
        raise _misformed(path, text, _first_bad_line(text, head.end()), "expected a `field:` line")
    common, own = blocks.groups()
    tail = _PRINT.match(text, blocks.end())
    if not tail:
        raise _misformed(path, text, blocks.end(), "expected a `print fmt:` line")
    first = 4
    return _Frame(
        system,
        path,
        head[1],
        int(head[2]),
        (common, first),
        (own, first + common.count("\n") + 1),
        tail[1].removesuffix("\n"),
    )


def _first_bad_line(text: str, start: int) -> int:
    """The offset of the first line from `start` on that is no field line; a blank line ends each of the two blocks."""
    for _ in range(2):
        while match := _FIELD.match(text, start):
            start = match.end()
        if not text.startswith("\n", start):
            break
        start += 1
    return start


def _misformed(path: str, text: str, offset: int, message: str) -> TpgenError:
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    cut = "; the file ends here" if offset >= len(text) else ""
    return fail("format-malformed", f"not a tracefs format file: {message}{cut}", Position(path, line, column))


def _distinct_lines(frames: Iterable[_Frame]) -> dict[str, Position]:
    """The distinct field lines, each with the position of its first occurrence."""
    lines: dict[str, Position] = {}
    seen: set[str] = set()
    for frame in frames:
        for block, first in (frame.common, frame.own):
            if block not in seen:
                seen.add(block)
                for number, line in enumerate(_lines(block), first):
                    if line not in lines:
                        lines[line] = Position(frame.path, number, len("\tfield:") + 1)
    return lines


def _lines(block: str) -> list[str]:
    """The lines with their ends. str.splitlines() ends lines where the kernel does not, at a form feed for one."""
    return [f"{line}\n" for line in block.split("\n")[:-1]]


def _match(line: str) -> re.Match[str]:
    match = _FIELD.match(line)
    assert match
    return match


# --- the declarations


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A declaration as the grammar takes it apart; `type_text` has the array lengths but not the name."""

    name: str
    type_text: str
    dynamic: Dynamic | None


def _declarations(lines: dict[str, Position], target: Target) -> dict[str, tuple[_Parsed, Declaration]]:
    """The declaration of each field line, with its C type."""
    from tpgen.sources.cdecl import BadDeclaration, parse_declarations

    texts = {line: _match(line)[1] for line in lines}
    positions = {texts[line]: position for line, position in lines.items()}
    parsed = _take_apart(positions)
    types = parse_declarations((p.type_text for p in parsed.values()), target)
    typed = {}
    for text, p in parsed.items():
        found = types[p.type_text]
        if isinstance(found, BadDeclaration):
            raise fail("format-malformed", f"not a C type: `{p.type_text}`: {found.reason}", positions[text])
        if found.name is not None:
            raise fail("format-malformed", f"not a C type: `{p.type_text}`: it has a name", positions[text])
        typed[text] = (p, found)
    return {line: typed[text] for line, text in texts.items()}


def _take_apart(positions: dict[str, Position]) -> dict[str, _Parsed]:
    from lark.exceptions import UnexpectedInput

    texts = list(positions)
    try:
        items = _grammar().parse("".join(f"{text}\n" for text in texts))
    except UnexpectedInput as error:
        text = texts[min(error.line, len(texts)) - 1]
        where = positions[text]
        column = (where.column or 1) + max(error.column - 1, 0)
        raise fail(
            "format-malformed", f"not a field declaration: `{text}`", Position(where.path, where.line, column)
        ) from None
    return dict(zip(texts, cast(list[_Parsed], items), strict=True))


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    """The LALR parser of format.lark, whose parse() returns a list of `_Parsed`."""
    from lark import Lark, Transformer

    class TakeApart(Transformer[Any, list[_Parsed]]):
        start = list

        def type(self, words: list[str]) -> str:
            return " ".join(words)

        def dynamic(self, parts: list[Any]) -> _Parsed:
            return _Parsed(str(parts[-1]), parts[1], Dynamic(parts[0].removeprefix("__")))

        def member(self, parts: list[Any]) -> _Parsed:
            return _Parsed(str(parts[1]), " ".join((parts[0], *parts[2:])), None)

    return Lark.open("format.lark", rel_to=__file__, parser="lalr", transformer=TakeApart(), maybe_placeholders=False)


def _field(match: re.Match[str], declaration: tuple[_Parsed, Declaration]) -> Field:
    parsed, typed = declaration
    signed = None if match[4] is None else match[4] == "1"
    return Field(parsed.name, typed.type, int(match[2]), int(match[3]), signed, parsed.dynamic)
