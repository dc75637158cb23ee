"""The names in how an event is printed: `__print_symbolic` and `__print_flags`, in format files and in TP_printk.

Source: include/trace/stages/stage3_trace_output.h; trace_print_symbols_seq() and trace_print_flags_seq() in
kernel/trace/trace_output.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|->|<<|>>|&&|\|\||[=!<>]=|\w+|\S)', re.DOTALL)
_CALLS = {
    "__print_symbolic": False, "__print_symbolic_u64": False, "__print_symbolic64": False,
    "__print_flags": True, "__print_flags_u64": True, "__print_flags64": True,
}  # fmt: skip
# What all of them begin with: most formats have none, and need not be read.
_PREFIX = "__print_"
_RECORDS = ("REC", "__entry")
# Casts that leave a value what it is: the kernel converts it to an unsigned long anyway.
_WIDE = frozenset(("unsigned long", "long", "unsigned long long", "long long", "u64", "s64", "__u64"))
# Operators that do not bind more than & does.
_WEAKER = frozenset(("&", "^", "|", "&&", "||", "?", ":"))
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "'": "'"}
#: No kernel's event has more names, and none prints more of them.
MOST_ENTRIES, MOST_CALLS = 4096, 32
_LONGEST_NAME, _LONGEST_SUBJECT = 200, 400


class Entry(NamedTuple):
    """One `{ value, "text" }`; `value` is an expression of C."""

    value: str
    text: str


class PrintedField(NamedTuple):
    """A field whose value is printed as names. `mask` is the expression of the bits that count, "" for all.

    `zero` is what is printed instead where none of these bits is set, None where that is no other text.
    """

    field: str
    mask: str
    is_flags: bool
    entries: tuple[Entry, ...]
    zero: str | None


class Unread(NamedTuple):
    """A call that prints names for something else than a field, or that cannot be read: the text of its subject."""

    subject: str
    field: str | None


def printed_fields(text: str) -> list[PrintedField | Unread]:
    """Find what a print format, or the arguments of TP_printk, prints as names."""
    tokens = _TOKEN.findall(text) if _PREFIX in text else []
    found: list[PrintedField | Unread] = []
    for at, token in enumerate(tokens):
        if token in _CALLS and tokens[at + 1 : at + 2] == ["("] and len(found) < MOST_CALLS:
            found.append(_call(tokens, at, _CALLS[token]))
    return found


def _call(tokens: Sequence[str], at: int, is_flags: bool) -> PrintedField | Unread:
    end = _closing(tokens, at + 1)
    parts = list(_split(tokens[at + 2 : end]))
    subject, entries = parts[0], parts[2 if is_flags else 1 :]
    place = _subject(subject)
    read = [_entry(entry) for entry in takewhile(_is_named, filter(None, entries))]
    whole = tuple(entry for entry in read if entry is not None)
    if place is None or len(whole) != len(read) or not 0 < len(whole) <= MOST_ENTRIES:
        return Unread(_text(subject), _only_field(subject))
    field, mask = place
    return PrintedField(field, mask, is_flags, whole, _zero(tokens, at, end, subject))


def _closing(tokens: Sequence[str], opening: int) -> int:
    """The index of the parenthesis that closes, or the end."""
    depth = 0
    for at in range(opening, len(tokens)):
        depth += (tokens[at] in "({[") - (tokens[at] in ")}]")
        if not depth:
            return at
    return len(tokens)


def _split(tokens: Sequence[str]) -> Iterator[list[str]]:
    """Split tokens at the commas that are in no parentheses."""
    part: list[str] = []
    depth = 0
    for token in tokens:
        depth += (token in "({[") - (token in ")}]")
        if token == "," and not depth:
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _subject(tokens: Sequence[str]) -> tuple[str, str] | None:
    """The field, and the mask, of an expression that is a field or some bits of one; None for any other."""
    tokens = _bare(tokens) if len(tokens) <= _LONGEST_SUBJECT else ()
    if len(tokens) == 3 and tokens[0] in _RECORDS and tokens[1] == "->" and tokens[2].isidentifier():
        return tokens[2], ""
    if tokens and tokens[0] == "(":
        end = _closing(tokens, 0)
        if " ".join(tokens[1:end]) in _WIDE and end + 1 < len(tokens) and "&" not in _outer(tokens[end + 1 :]):
            return _subject(tokens[end + 1 :])
    for at, token in enumerate(tokens):
        if token == "&" and not _depth(tokens[:at]):
            place, mask = _subject(tokens[:at]), tokens[at + 1 :]
            is_constant = not any(record in mask for record in _RECORDS) and _WEAKER.isdisjoint(_outer(mask))
            return (place[0], _text(mask)) if place is not None and not place[1] and is_constant else None
    return None


def _bare(tokens: Sequence[str]) -> list[str]:
    """The tokens without the parentheses around all of them."""
    bare = list(tokens)
    while len(bare) > 2 and bare[0] == "(" and _closing(bare, 0) == len(bare) - 1:
        bare = bare[1:-1]
    return bare


def _depth(tokens: Sequence[str]) -> int:
    return sum((token in "({[") - (token in ")}]") for token in tokens)


def _outer(tokens: Sequence[str]) -> list[str]:
    """The tokens that are in no parentheses."""
    outer, depth = [], 0
    for token in tokens:
        depth -= token in ")}]"
        if not depth:
            outer.append(token)
        depth += token in "({["
    return outer


def _only_field(tokens: Sequence[str]) -> str | None:
    """The field of an expression that has one."""
    fields = {
        tokens[at + 2]
        for at in range(len(tokens) - 2)
        if tokens[at] in _RECORDS and tokens[at + 1] == "->" and tokens[at + 2].isidentifier()
    }
    return fields.pop() if len(fields) == 1 else None


def _is_named(tokens: Sequence[str]) -> bool:
    """Whether an entry is none that ends the list: one without a text."""
    value, text = [*_split(tokens[1:-1]), [], []][:2]
    return bool(value) and _text(_bare(text)) not in ("", "0", "NULL", "( void * ) 0")


def _entry(tokens: Sequence[str]) -> Entry | None:
    if tokens[0] != "{" or tokens[-1] != "}":
        return None
    parts = list(_split(tokens[1:-1]))
    if len(parts) != 2 or not parts[0]:
        return None
    text = _literal(parts[1])
    return None if text is None else Entry(_text(parts[0]), text)


def _literal(tokens: Sequence[str]) -> str | None:
    """The text of string literals one behind the other; None for anything else."""
    if not tokens or not all(token.startswith('"') for token in tokens):
        return None
    text = "".join(re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), token[1:-1]) for token in tokens)
    return text if 0 < len(text) <= _LONGEST_NAME and text.isprintable() else None


def _zero(tokens: Sequence[str], at: int, end: int, subject: Sequence[str]) -> str | None:
    """The text of `subject ? __print_flags(subject, …) : "text"`, which is printed for 0."""
    before, wanted = tokens[:at], _bare(subject)
    if before[-1:] != ["?"] or tokens[end + 1 : end + 2] != [":"]:
        return None
    first = at - 1
    for start in range(first - 1, -1, -1):
        if _bare(tokens[start:first]) == wanted and tokens[start - 1 : start] in ([","], []):
            return _literal(tokens[end + 2 : end + 3])
        if start < first - len(wanted) - _MOST_AROUND:
            break
    return None


# So many parentheses may stand around the condition of such a text.
_MOST_AROUND = 8


def _text(tokens: Sequence[str]) -> str:
    return " ".join(tokens)
