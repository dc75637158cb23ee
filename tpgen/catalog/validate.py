"""Validation of the values in a catalog, each before it becomes a fact, since a file can come from anywhere.

What generated code is made of is a number in its range, a name that C allows, or a word of a fixed set. Each function
returns its value, or raises `ValueError` with what is wrong.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from tpgen.layout import LOCATOR_BYTES, MAX_RECORD_BYTES, SLOT_BYTES, SLOT_SIZES
from tpgen.model import CType, Field, Kind, Record, Typedef
from tpgen.target import Target
from tpgen.typequery import kind_of, size_of, stripped

#: No tracepoint has more arguments: the kernel's macros count to 12.
MOST_ARGUMENTS = 12
#: No kernel's path, message or print fmt is longer, in characters.
LONGEST_TEXT = 1 << 16
# An event's name may start with a digit, as those of the ieee 802.15.4 stack do.
_EVENT = re.compile(r"[A-Za-z0-9_]{1,200}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")
# A system, a module, a release: 6.12.107+deb13-amd64.
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~-]{0,200}")
# What makes up the names of C's own numbers: unsigned long.
_NUMBER_WORDS = frozenset("_Bool __int128 char double float int long short signed unsigned".split())
# The other words that no C allows as a name, in which GNU's extensions are written too.
_OTHER_WORDS = frozenset(
    """auto break case const continue default do else enum extern for goto if inline register restrict return sizeof
    static struct switch typedef union void volatile while _Alignas _Alignof _Atomic _Complex _Generic _Imaginary
    _Noreturn _Pragma _Static_assert _Thread_local __alignof __alignof__ __asm __asm__ __attribute __attribute__
    __auto_type __complex __complex__ __const __const__ __extension__ __imag__ __inline __inline__ __label__ __real__
    __restrict __restrict__ __signed __signed__ __thread __typeof __typeof__ __volatile __volatile__""".split()
)
# A member within members: thread_info.status, regs[3].
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,4}\]){0,8}")
# The length of an array as a header writes it, `sizeof(struct sockaddr_in6)`: it stands in a comment.
_LENGTH = re.compile(r"(?:[\w\s()+\-&|~%<>,.?:!=]|\*(?!/)|/(?!\*))*", re.ASCII)
_SIZES = {
    "int": (1, 2, 4, 8, 16), "bool": (1, 2, 4, 8), "enum": (1, 2, 4, 8), "float": (2, 4, 8, 10, 12, 16),
}  # fmt: skip


def wrong(what: str, value: object) -> NoReturn:
    """Raise the `ValueError` that `value` is not `what`."""
    shown = repr(value)
    raise ValueError(f"{shown if len(shown) < 60 else shown[:60] + '…'} is no {what}")


def _matching(pattern: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        wrong(what, value)
    return value


def event_name(value: Any) -> str:
    return _matching(_EVENT, value, "name of an event")


def identifier(value: Any) -> str:
    """The name of an argument, of a field or of a type that is no number: a word of C is none."""
    if value in _NUMBER_WORDS or value in _OTHER_WORDS:
        wrong("C identifier", value)
    return _matching(_IDENTIFIER, value, "C identifier")


def word(value: Any) -> str:
    """A system, a module, a release, the name of a kernel or an architecture."""
    return _matching(_WORD, value, "name")


def number_name(value: Any) -> str:
    """The name of a type of numbers: words of C (`unsigned long`), or one of the compiler's own (`u128`)."""
    if isinstance(value, str) and 0 < len(words := value.split(" ")) < 5 and _NUMBER_WORDS.issuperset(words):
        return value
    return identifier(value)


def member_path(value: Any) -> str:
    return _matching(_MEMBER, value, "member")


def length_text(value: Any) -> str:
    return _matching(_LENGTH, text(value), "length of an array")


def text(value: Any) -> str:
    """Text that is only shown, and escaped where it is: it may hold anything but too much."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        wrong("text", value)
    return value


def path(value: Any) -> str:
    """A path, which stands in messages only; what cannot be printed was escaped when it was written."""
    if not text(value).isprintable():
        wrong("path", value)
    return str(value)


def number(value: Any, most: int, least: int = 0) -> int:
    """An integer in its range."""
    if type(value) is not int or not least <= value <= most:
        wrong(f"number from {least} to {most}", value)
    return int(value)


def flag(value: Any) -> bool:
    return number(value, 1) == 1


def type_size(kind: str, value: Any) -> int:
    """The size in bytes of a type of that kind."""
    if number(value, 16) not in _SIZES[kind]:
        wrong(f"size of a type of kind {kind}", value)
    return int(value)


def argument_type(ctype: CType, target: Target) -> CType:
    """A type that fits the u64 in which a raw argument is handed out."""
    kind = kind_of(ctype)
    if isinstance(stripped(ctype), Typedef):
        return ctype  # which no source explained: its whole slot
    if kind is None or (kind != "ptr" and size_of(ctype, target) not in SLOT_SIZES):
        wrong("type of a raw argument", ctype)
    return ctype


def record(found: Record, kind: Kind, target: Target) -> Record:
    """A record whose fields lie one behind the other, with the size of their types, inside of it."""
    at = found.header_bytes
    for field in found.fields:
        if field.offset_bytes is None or field.size_bytes is None:
            continue
        if field.offset_bytes < at:
            wrong(f"offset of field {field.name}, which would overlap", field.offset_bytes)
        declared = _declared_size(field, kind, target)
        if declared is not None and declared != field.size_bytes:
            wrong(f"size of field {field.name}, which is of {declared} bytes by its type", field.size_bytes)
        at = field.offset_bytes + field.size_bytes
    if at > (MAX_RECORD_BYTES if found.size_bytes is None else found.size_bytes):
        wrong("size of a record with these fields", found.size_bytes)
    return found


def _declared_size(field: Field, kind: Kind, target: Target) -> int | None:
    """The size in bytes of the field's type; None where that says nothing of the field's own size."""
    if field.dynamic:  # synthetic events have the locator in a u64
        return field.size_bytes if kind == Kind.DYNAMIC and field.size_bytes == SLOT_BYTES else LOCATOR_BYTES
    if field.type is None or kind == Kind.SYSCALL:
        return None
    return size_of(field.type, target)
