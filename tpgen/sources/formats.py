"""The `format` files in which a running kernel prints the records of its trace events.

A kernel has thousands of format files but few distinct declarations. Each file is cut into lines by a regular
expression; lark then parses all distinct declarations in one go, and pycparser their distinct types. What these make of
the declarations of kernels so far is in shapes.txt, since to import the two takes longer than all else of a run: only
a declaration of another shape is parsed.
Source: f_show() in kernel/trace/trace_events.c.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from tpgen.basics.frozen import frozen, replace
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple, cast
from tpgen.diagnostics import Diagnostic, Position
from tpgen.model import Array, CType, Dynamic, Enum, Field, Int, Pointer, Qualified, Struct, Typedef, TypeTag, Void
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import element_of, size_of, stripped

if TYPE_CHECKING:
    from typing import Any

    from lark import Lark

    from tpgen.sources.cdecl import Declaration


@frozen
class Format:
    """One format file: the record that `system`:`name` leaves in the trace buffer.

    `common` are the fields of the common header, `fields` the event's own. Offsets and sizes in bytes, as the kernel
    prints them. `faults` are the contradictions in it: such a file cannot be believed alone.
    """

    system: str
    name: str
    event_id: int
    common: tuple[Field, ...]
    fields: tuple[Field, ...]
    print_fmt: str
    path: str
    faults: tuple[Diagnostic, ...] = ()

    @property
    def of_probe(self) -> bool:
        """Whether the record is that of a kprobe, a uprobe, an fprobe, or one at the return of a function.

        Source: FIELD_STRING_IP, FIELD_STRING_FUNC and FIELD_STRING_RETIP in kernel/trace/trace_probe.h.
        """
        names = [field.name for field in self.fields[:2]]
        return names[:1] == ["__probe_ip"] or names == ["__probe_func", "__probe_ret_ip"]


@frozen
class BadFormat:
    """A file that is not a format file, and why."""

    system: str
    path: str
    reason: Diagnostic


# Five digits hold every offset in a trace record. Copies of terminals have blanks for tabs.
_HEAD = re.compile(r"name: (\S+)\nID: ([0-9]{1,9})\nformat:\n")
_LINE = r"[ \t]+field:(.*?);[ \t]*offset:([0-9]{1,5});[ \t]*size:([0-9]{1,5});(?:[ \t]*signed:([01]);)?[ \t]*\n"
_FIELD = re.compile(_LINE)
_BLOCK = rf"((?:{_LINE.replace('(', '(?:').replace('(?:?:', '(?:')})*)"
_FIELDS = re.compile(rf"{_BLOCK}[ \t]*\n(?:{_BLOCK}[ \t]*\n)?")
_PRINT = re.compile(r"print fmt: (.*)\Z", re.DOTALL)  # raw newlines occur inside
# A declaration's name, as format.lark has it, with what is before it and behind; one that is no word of the kernel's.
_NAME = re.compile(r"([^\n]*[ \t*])([A-Za-z]\w*)((?:[ \t]|\[[^\]\n]*\])*)", re.ASCII)
_SHORT = 200
# Clang prints the attributes of a type.
_ATTRIBUTE = re.compile(r"__attribute__ ?\(\(\w{1,40}(?:\(\"?(\w{1,40})\"?\))?\)\)")
_ADDRESS_SPACES = frozenset(("user", "rcu", "percpu", "iomem"))
_LOCATORS = frozenset(("__data_loc", "__rel_loc"))
_SYSCALLS_SYSTEM = "syscalls"
# Synthetic events keep a locator in a u64.
_LOCATOR_SIZES = (4, 8)


@frozen
class _Frame:
    """A format file cut into its parts; `common` and `own` are blocks of field lines with the line they start on."""

    system: str
    path: str
    name: str
    event_id: int
    common: tuple[str, int]
    own: tuple[str, int]
    print_fmt: str


def parse_formats(texts: Sequence[tuple[str, str, str]], target: Target) -> list[Format | BadFormat]:
    """Parse format files, each given as (system, path for messages, text).

    A text that is no format file makes a `BadFormat` with a `format-malformed` diagnostic at its line and column.
    """
    frames = [_frame(system, path, text) for system, path, text in texts]
    lines = _distinct_lines(frame for frame in frames if isinstance(frame, _Frame))
    declarations = _declarations(lines, target)
    sizes: dict[tuple[str, int], _SizeFault | None] = {}
    fields = {
        line: found if isinstance(found, _Misfit) else _field(match, found, target, sizes)
        for line, (match, found) in declarations.items()
    }
    blocks: dict[str, _Block] = {}
    return [frame if isinstance(frame, BadFormat) else _format(frame, fields, blocks) for frame in frames]


def _format(frame: _Frame, fields: Mapping[str, _Line | _Misfit], blocks: dict[str, _Block]) -> Format | BadFormat:
    for block, first in (frame.common, frame.own):
        if block not in blocks:
            blocks[block] = _block(block, fields)
        if (misfit := blocks[block].misfit) is not None:
            number, found = misfit
            position = Position(frame.path, first + number, len("\tfield:") + found.column)
            return BadFormat(frame.system, frame.path, Diagnostic("format-malformed", found.message, position))
    common, own = blocks[frame.common[0]], blocks[frame.own[0]]
    syscall = frame.system == _SYSCALLS_SYSTEM
    suspect = common.suspects(syscall) or own.suspects(syscall) or own.start < common.end
    faults = tuple(_faults(frame, common, own)) if suspect else ()
    return Format(
        frame.system, frame.name, frame.event_id, common.fields, own.fields, frame.print_fmt, frame.path, faults
    )


class _Line(NamedTuple):
    """A field line. `fault` is a contradiction between its size and its type; `in_syscalls` whether it is one too where
    every argument has the size of a long, as in the files of system calls.
    """

    field: Field
    fault: str | None
    in_syscalls: bool


class _Misfit(NamedTuple):
    """A field line whose declaration is none; `column` counts from 1 in the declaration."""

    message: str
    column: int


class _Block(NamedTuple):
    """The field lines of a block, which begins and ends at the offsets `start` and `end`.

    `overlaps` is whether a line lies over the one before, `fault` whether one contradicts itself, and `syscall_fault`
    whether one does so even in the file of a system call. `misfit` is the first line that is none, with its number in
    the block.
    """

    fields: tuple[Field, ...]
    lines: tuple[_Line, ...]
    misfit: tuple[int, _Misfit] | None
    start: int = 0
    end: int = 0
    overlaps: bool = False
    fault: bool = False
    syscall_fault: bool = False

    def suspects(self, syscall: bool) -> bool:
        """Return whether there is a contradiction in it."""
        return self.overlaps or (self.syscall_fault if syscall else self.fault)


def _block(block: str, fields: Mapping[str, _Line | _Misfit]) -> _Block:
    lines: list[_Line] = []
    start, end = 1 << 20, 0
    overlaps = fault = syscall_fault = False
    for number, text in enumerate(_lines(block)):
        line = fields[text]
        if isinstance(line, _Misfit):
            return _Block((), (), (number, line))
        lines.append(line)
        offset, size = line.field.offset_bytes, line.field.size_bytes
        assert offset is not None and size is not None
        if line.fault is not None:
            fault, syscall_fault = True, syscall_fault or line.in_syscalls
        if offset < end:
            overlaps = True
        if offset < start:
            start = offset
        end = offset + size
    return _Block(tuple([line.field for line in lines]), tuple(lines), None, start, end, overlaps, fault, syscall_fault)


# --- contradictions


def _faults(frame: _Frame, common: _Block, own: _Block) -> Iterator[Diagnostic]:
    """The contradictions in a file: between a field's type and its size, and between two fields' places."""
    numbered = [
        (first + number, line)
        for block, first in ((common, frame.common[1]), (own, frame.own[1]))
        for number, line in enumerate(block.lines)
    ]
    for number, line in numbered:
        if line.fault is not None and (frame.system != _SYSCALLS_SYSTEM or line.in_syscalls):
            hint = "was it made on another architecture? --arch names it" if line.in_syscalls else None
            yield _fault(frame, number, line.fault, hint)
    placed = sorted(((line.field, number) for number, line in numbered), key=lambda placed: _extent(placed[0]))
    for (first, line_of_first), (second, number) in pairwise(placed):
        if first.size_bytes and _extent(second)[0] < _extent(first)[1]:
            message = f"field {_place(second)} lies over field {_place(first)} of line {line_of_first}"
            yield _fault(frame, number, message, None)


def _fault(frame: _Frame, line: int, message: str, hint: str | None) -> Diagnostic:
    where = Position(frame.path, line, len("\tfield:") + 1)
    return Diagnostic("format-contradiction", f"{frame.system}:{frame.name}: {message}", where, hint)


def _extent(field: Field) -> tuple[int, int]:
    assert field.offset_bytes is not None and field.size_bytes is not None
    return field.offset_bytes, field.offset_bytes + field.size_bytes


def _place(field: Field) -> str:
    return f"{field.name} (offset {field.offset_bytes}, size {field.size_bytes})"


# --- the parts of a file


def _frame(system: str, path: str, text: str) -> _Frame | BadFormat:
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    head = _HEAD.match(text)
    if not head:
        return _misformed(system, path, text, 0, "expected `name:`, `ID:` and `format:` lines")
    blocks = _FIELDS.match(text, head.end())
    # An event without own fields, as those of hypervisors may be, has one blank line only.
    if not blocks or (blocks[2] is None and not _is_bare(text, blocks)):
        return _misformed(system, path, text, _first_bad_line(text, head.end()), "expected a `field:` line")
    common, own = blocks[1], blocks[2] or ""
    tail = _PRINT.match(text, blocks.end())
    if not tail:
        return _misformed(system, path, text, blocks.end(), "expected a `print fmt:` line")
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


def _is_bare(text: str, blocks: re.Match[str]) -> bool:
    """Whether a file with one block of fields is of an event that has the common ones only."""
    names = (_match(line)[1].split()[-1:] for line in _lines(blocks[1]))
    return text.startswith("print fmt: ", blocks.end()) and all(
        name and name[0].startswith("common_") for name in names
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


def _misformed(system: str, path: str, text: str, offset: int, message: str) -> BadFormat:
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    cut = "; the file ends here" if offset >= len(text) else ""
    where = Position(path, line, column)
    return BadFormat(system, path, Diagnostic("format-malformed", f"not a tracefs format file: {message}{cut}", where))


def _distinct_lines(frames: Iterable[_Frame]) -> list[str]:
    """The distinct field lines of all frames."""
    blocks = dict.fromkeys(block for frame in frames for block, _ in (frame.common, frame.own))
    return list(dict.fromkeys(line for block in blocks for line in _lines(block)))


def _lines(block: str) -> list[str]:
    """The lines with their ends. str.splitlines() ends lines where the kernel does not, at a form feed for one."""
    return [f"{line}\n" for line in block.split("\n")[:-1]]


def _match(line: str) -> re.Match[str]:
    match = _FIELD.match(line)
    assert match
    return match


# --- the declarations


@frozen
class _Parsed:
    """A declaration as the grammar takes it apart; `type_text` has the array lengths but not the name."""

    name: str
    type_text: str
    dynamic: Dynamic | None
    is_locators: bool = False


_Taken = tuple[_Parsed, "Declaration"] | _Misfit


def _declarations(lines: Sequence[str], target: Target) -> dict[str, tuple[re.Match[str], _Taken]]:
    """Map each field line to its parts and to its declaration, with its C type."""
    matches = {line: _match(line) for line in lines}
    texts = {line: _without_attributes(match[1]) for line, match in matches.items()}
    distinct, shaped = dict.fromkeys(texts.values()), dict[tuple[str, ...], "Declaration"]()
    typed = {text: found for text in distinct if (found := _shaped(text, target, shaped)) is not None}
    if len(typed) < len(distinct):
        typed |= declarations_parsed([text for text in distinct if text not in typed], target)
    return {line: (matches[line], typed[text]) for line, text in texts.items()}


def declarations_parsed(texts: Sequence[str], target: Target) -> dict[str, _Taken]:
    """Map each declaration to its parts, with its C type, as the two parsers find them."""
    from tpgen.sources.cdecl import BadDeclaration, parse_declarations

    parsed = _parsed(texts)
    types = parse_declarations((p.type_text for p in parsed.values() if isinstance(p, _Parsed)), target)
    typed: dict[str, _Taken] = {}
    for text, p in parsed.items():
        if isinstance(p, _Misfit):
            typed[text] = p
            continue
        found = types[p.type_text]
        if isinstance(found, BadDeclaration):
            typed[text] = _Misfit(f"not a C type: `{p.type_text}`: {found.reason}", 1)
        elif found.name is not None:
            typed[text] = _Misfit(f"not a C type: `{p.type_text}`: it has a name", 1)
        else:
            typed[text] = (p, found)
    return typed


# --- declarations of a known shape

# What can be in one: nothing that the parsers see and this does not.
_PLAIN = re.compile(r"[\w \t*\[\]]{1,200}", re.ASCII)
_TOKEN = re.compile(r"\w+|\[\]|[*\[\]]", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_UNSEEN = ("__attribute", "tpgen_")  # words that begin so are the parsers'


def shape_of(text: str) -> tuple[str, tuple[str, ...]]:
    """The shape of a declaration, `struct A * A [ N ]`, and the words that are any; "" for one that needs parsing."""
    from tpgen.sources.cdecl import SPECIAL_WORDS

    if not _PLAIN.fullmatch(text):
        return "", ()
    shape, words = [], []
    for token in _TOKEN.findall(text):
        if token[0] in "*[]" or token in SPECIAL_WORDS or token in _LOCATORS:
            shape.append(token)
            continue
        is_number = not token[0].isalpha() and token[0] != "_"
        if token.startswith(_UNSEEN) or (is_number and not _NUMBER.fullmatch(token)):
            return "", ()
        shape.append("N" if is_number else "A")
        words.append(token)
    return " ".join(shape), tuple(words)


@lru_cache(maxsize=1)
def known_shapes() -> dict[str, tuple[int, Dynamic | None, tuple[str, ...]]]:
    """The number of the word that is the name, how the field is located, and the type, of each shape in shapes.txt."""
    with open(os.path.join(os.path.dirname(__file__), "shapes.txt"), encoding="ascii") as file:
        rows = [line.split(" = ") for line in file if not line.startswith("#")]
    parts = ((shape, meaning.split()) for shape, meaning in rows)
    return {
        shape: (int(name), None if dynamic == "-" else Dynamic(dynamic), tuple(ctype))
        for shape, (name, dynamic, *ctype) in parts
    }


def _shaped(text: str, target: Target, made: dict[tuple[str, ...], Declaration]) -> _Taken | None:
    """The parts and the type of a declaration of a known shape; `made` keeps the types."""
    from tpgen.sources.cdecl import Declaration

    shape, words = shape_of(text)
    if (known := known_shapes().get(shape)) is None:
        return None
    name, dynamic, ctype = known
    key = (shape, *words[:name], *words[name + 1 :])
    if key not in made:
        made[key] = Declaration(None, _type_of(iter(ctype), words, target))
    return _Parsed(words[name], " ".join(key), dynamic), made[key]


def _type_of(parts: Iterator[str], words: Sequence[str], target: Target) -> CType:
    """The type that is written as in shapes.txt: what it is made of follows, words are numbers."""
    match next(parts):
        case "*":
            return Pointer(_type_of(parts, words, target))
        case "struct" | "union" as keyword:
            return Struct(keyword, words[int(next(parts))])
        case "enum":
            return Enum(words[int(next(parts))])
        case "typedef":
            return Typedef(words[int(next(parts))])
        case "const" | "volatile" | "restrict" as qualifier:
            return Qualified(qualifier, _type_of(parts, words, target))
        case "tag":
            return TypeTag(next(parts), _type_of(parts, words, target))
        case "array":
            length = next(parts)
            word = None if length == "-" else words[int(length)]
            element = _type_of(parts, words, target)
            return Array(element, int(word)) if word and word.isdigit() else Array(element, None, word)
        case "void":
            return Void()
        case words_of_integer:
            integer = target.integer(words_of_integer.replace(".", " "))
            assert integer is not None
            return integer


# --- declarations that are parsed


def _without_attributes(text: str) -> str:
    """The declaration with attributes for address spaces as the kernel's own words for them, and no others."""
    if "__attribute__" not in text:
        return text
    return _ATTRIBUTE.sub(lambda match: f"__{match[1]}" if match[1] in _ADDRESS_SPACES else "", text)


def _parsed(texts: Iterable[str]) -> dict[str, _Parsed | _Misfit]:
    """Each declaration taken apart. Of those that differ in their names alone, nine of ten, the parser is given one."""
    names = {text: match for text in texts if len(text) < _SHORT and (match := _NAME.fullmatch(text))}
    renamed = {text: f"{match[1]}x{match[3]}" for text, match in names.items()}
    parsed = _take_apart(list(dict.fromkeys(renamed.values())))
    found: dict[str, _Parsed | _Misfit] = {}
    for text, shown in renamed.items():
        if isinstance(one := parsed[shown], _Parsed) and one.name == "x":
            found[text] = replace(one, name=names[text][2])
    return found | _take_apart([text for text in texts if text not in found])


def _take_apart(texts: list[str]) -> dict[str, _Parsed | _Misfit]:
    """Each declaration taken apart. Where the parser refuses, halves are tried until the one at fault stands alone."""
    from lark.exceptions import UnexpectedInput

    if not texts:
        return {}
    try:
        items = _grammar().parse("".join(f"{text}\n" for text in texts))
    except UnexpectedInput as error:
        if len(texts) == 1:
            return {texts[0]: _Misfit(f"not a field declaration: `{texts[0]}`", max(error.column, 1))}
        middle = len(texts) // 2
        return _take_apart(texts[:middle]) | _take_apart(texts[middle:])
    return dict(zip(texts, cast(list[_Parsed], items), strict=True))


@lru_cache(maxsize=1)
def _grammar() -> Lark:
    """The LALR parser of format.lark, whose parse() returns a list of `_Parsed`."""
    from typing import Any

    from lark import Lark, Transformer

    class TakeApart(Transformer[Any, list[_Parsed]]):
        start = list

        def type(self, words: list[str]) -> str:
            return " ".join(words)

        def dynamic(self, parts: list[Any]) -> _Parsed:
            return _Parsed(str(parts[-1]), parts[1], Dynamic(parts[0].removeprefix("__")))

        def locators(self, parts: list[Any]) -> _Parsed:
            # `__data_loc char[][2] s` of a probe: as many locators, each a u32.
            return _Parsed(str(parts[-1]), f"unsigned int {parts[2]}", None, is_locators=True)

        def member(self, parts: list[Any]) -> _Parsed:
            return _Parsed(str(parts[1]), " ".join((parts[0], *parts[2:])), None)

    return Lark.open("format.lark", rel_to=__file__, parser="lalr", transformer=TakeApart(), maybe_placeholders=False)


_SizeFault = Callable[[Field], str]


def _field(
    match: re.Match[str],
    declaration: tuple[_Parsed, Declaration],
    target: Target,
    sizes: dict[tuple[str, int], _SizeFault | None],
) -> _Line:
    """The field of a line; `sizes` remembers what is wrong with a type of that size."""
    parsed, typed = declaration
    # `signed:` of locators is that of what they locate.
    signed = None if match[4] is None else match[4] == "1" and not parsed.is_locators
    size = int(match[3])
    field = Field(parsed.name, typed.type, int(match[2]), size, signed, parsed.dynamic)
    if parsed.dynamic:
        fault = None if size in _LOCATOR_SIZES else f"field {field.name} locates dynamic data with {size} bytes"
        return _Line(field, fault, False)
    key = (parsed.type_text, size)
    if key not in sizes:
        sizes[key] = _size_fault(typed.type, size, target)
    if (told := sizes[key]) is None:
        return _Line(field, None, False)
    return _Line(field, told(field), _is_word(element_of(typed.type)))


# Of the size of a pointer everywhere.
_WORDS = frozenset("size_t ssize_t ptrdiff_t uintptr_t ulong".split())


def _is_word(ctype: CType) -> bool:
    """Whether a type has the size of a pointer, whatever the target."""
    match stripped(ctype):
        case Pointer() | Int(name="long" | "unsigned long"):
            return True
        case Typedef(target=None, name=name):
            return name in _WORDS
        case _:
            return False


def _size_of(ctype: CType, target: Target) -> int | None:
    if not isinstance(array := stripped(ctype), Array):
        return target.pointer_size if _is_word(ctype) else size_of(ctype, target)
    element = _size_of(array.element, target)
    return None if element is None or array.length is None else element * array.length


def _size_fault(ctype: CType, size: int, target: Target) -> _SizeFault | None:
    """How a size contradicts a type, told of a field; None where it does not as far as the type is known."""
    expected = _size_of(ctype, target)
    if expected == size:
        return None
    if expected is not None:
        return lambda field: f"`{spell(ctype, field.name)}` has {expected} bytes on {target.arch}, here {size}"
    if isinstance(array := stripped(ctype), Array):
        parts = _size_of(array.element, target) or array.length
        if parts and size % parts:
            return lambda field: f"`{spell(ctype, field.name)}` has {size} bytes here, which {parts} does not divide"
    return None
