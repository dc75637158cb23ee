"""Validation: the one set of rules for names, numbers and texts, whichever source they are from.

Every source is somebody else's. What generated code is made of is a number in its range, an ASCII identifier, or a word
of a fixed set. `EventValidator` holds events that are read from sources against the rules before they leave a kernel;
a catalog's values are held against them one by one, each before it becomes a fact. Each function returns its value, or
raises `ValueError` with what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from tpgen.basics.frozen import replace
from tpgen.basics.patterns import NAME_CHARACTERS, is_c_name, is_made_of, pattern
from tpgen.basics.typing import TYPE_CHECKING, NamedTuple, assert_never
from tpgen.diagnostics import shortened
from tpgen.layout import LOCATOR_BYTES, MAX_RECORD_BYTES, SLOT_BYTES, SLOT_SIZES
from tpgen.model import (
    Argument,
    Array,
    CType,
    Enum,
    Event,
    Field,
    Float,
    FuncProto,
    Int,
    Kind,
    Pointer,
    Qualified,
    Record,
    Struct,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.spelling import GNU_KEYWORDS, KEYWORDS, spell
from tpgen.target import Target
from tpgen.typequery import children, composition_fault, kind_of, size_of, stripped

if TYPE_CHECKING:
    import re
    from typing import Any, NoReturn

    from tpgen.kernel.events import EventKey

#: No tracepoint has more arguments: the kernel's macros count to 12.
MOST_ARGUMENTS = 12
#: The largest enum of Linux 7.2 that a tracepoint hands out has 200 enumerators.
MOST_SYMBOLS = 8192
#: No kernel's path, message or print fmt is longer, in characters.
LONGEST_TEXT = 1 << 16
# An event's name may start with a digit, as those of the ieee 802.15.4 stack do.
_LONGEST_EVENT, _LONGEST_NAME = 200, 201
# tracefs allows a dash in a system: xhci-hcd.
_SYSTEM = f"{NAME_CHARACTERS}-"
# A module, a release: 6.12.107+deb13-amd64.
_WORD = f"{NAME_CHARACTERS}-.+~"
# What makes up the names of C's own numbers: unsigned long.
_NUMBER_WORDS = frozenset("_Bool __int128 char double float int long short signed unsigned".split())
# The words that no C allows as a name: `asm` and `typeof` are GNU's and C23's alone.
_RESERVED = (KEYWORDS | GNU_KEYWORDS) - {"asm", "typeof"}
# A member within members: thread_info.status, regs[3].
_MEMBER = pattern(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]{1,4}\]){0,8}")
_SHOWN = pattern(r"[ -~]{1,200}")
_C_VALUE = pattern(r"-?[0-9]{1,20}")
# The length of an array as a header writes it, `sizeof(struct sockaddr_in6)`: it stands in a comment.
_LENGTH = pattern(r"(?a)(?:[\w\s()+\-&|~%<>,.?:!=]|\*(?!/)|/(?!\*))*")
_SIZES = {
    "int": (1, 2, 4, 8, 16), "bool": (1, 2, 4, 8), "enum": (1, 2, 4, 8), "float": (2, 4, 8, 10, 12, 16),
}  # fmt: skip


def wrong(what: str, value: object) -> NoReturn:
    """Raise the `ValueError` that `value` is not `what`."""
    shown = repr(value)
    raise ValueError(f"{shown if len(shown) < 60 else shown[:60] + '…'} is no {what}")


def _matching(form: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        wrong(what, value)
    return value


def _is_made_of(characters: str, value: object) -> bool:
    """Whether a value is a text of these characters, not too long, that begins like a name."""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        return False
    return is_made_of(characters, value) and value[0] in NAME_CHARACTERS


def event_name(value: Any) -> str:
    if not _is_made_of(NAME_CHARACTERS, value) or len(value) > _LONGEST_EVENT:
        wrong("name of an event", value)
    return str(value)


def system_name(value: Any) -> str:
    return str(value) if _is_made_of(_SYSTEM, value) else wrong("name of a system", value)


def identifier(value: Any) -> str:
    """The name of a field. It may be a word of C: dynamic events have fields `int` and `if`."""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not is_c_name(value):
        wrong("C identifier", value)
    return value


def c_name(value: Any) -> str:
    """The name of an argument, or of a type that is no number: a word of C is none."""
    if value in _RESERVED:
        wrong("C identifier", value)
    return identifier(value)


def word(value: Any) -> str:
    """A module, a release, the name of a kernel or an architecture."""
    return str(value) if is_word(value) else wrong("name", value)


def is_word(value: object) -> bool:
    return _is_made_of(_WORD, value)


def number_name(value: Any) -> str:
    """The name of a type of numbers: words of C (`unsigned long`), or one of the compiler's own (`u128`)."""
    if isinstance(value, str) and 0 < len(words := value.split(" ")) < 5 and _NUMBER_WORDS.issuperset(words):
        return value
    return c_name(value)


def member_path(value: Any) -> str:
    return _matching(_MEMBER, value, "member")


def length_text(value: Any) -> str:
    return _matching(_LENGTH, text(value), "length of an array")


def text(value: Any) -> str:
    """Text that is only shown, and escaped where it is: it may hold anything but too much."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        wrong("text", value)
    return value


def shown(value: Any) -> str:
    """The text that a kernel prints for a value: ASCII that can be printed."""
    return _matching(_SHOWN, value, "text for a value")


def enum_name(value: Any) -> str:
    """An enum as C calls it: `enum zone_type`, or the name of a typedef."""
    c_name(value.removeprefix("enum ") if isinstance(value, str) else value)
    return str(value)


def c_value(value: Any) -> int:
    """A number of at most 64 bits, with or without a sign, in decimal."""
    number = int(_matching(_C_VALUE, value, "number"))
    return number if -1 << 63 <= number < 1 << 64 else wrong("number of 64 bits", value)


def path(value: Any) -> str:
    """A path, which stands in messages only; what cannot be printed was escaped when it was written."""
    return _printable(value, "path")


def condition(value: Any) -> str:
    """The condition of an #if, which stands in messages only."""
    return _printable(value, "condition")


def _printable(value: Any, what: str) -> str:
    if not text(value).isprintable():
        wrong(what, value)
    return str(value)


def number(value: Any, most: int, least: int = 0) -> int:
    """An integer in its range."""
    if type(value) is not int or not least <= value <= most:
        wrong(f"number from {least} to {most}", value)
    return int(value)


def count(value: Any) -> int:
    """A size in bytes or a length that BTF keeps in 32 bits."""
    return number(value, (1 << 32) - 1)


def flag(value: Any) -> bool:
    return number(value, 1) == 1


def type_size(kind: str, value: Any) -> int:
    """The size in bytes of a type of that kind."""
    if number(value, 16) not in _SIZES[kind]:
        wrong(f"size of a type of kind {kind}", value)
    return int(value)


def composed(ctype: CType) -> CType:
    """A type of parts that C allows."""
    if reason := composition_fault(ctype):
        raise ValueError(f"a type is {reason}, which C does not have")
    return ctype


def is_handed_out(kind: Kind, attach_name: object) -> bool:
    """Whether a program is given the arguments of an event; those of a vendor hook it is not."""
    return attach_name is not None or kind != Kind.TRACEPOINT


def argument_type(ctype: CType, target: Target, handed_out: bool = True) -> CType:
    """A type that fits the u64 in which a raw argument is handed out; of any size where it is not."""
    kind = kind_of(ctype)
    if isinstance(stripped(ctype), Typedef):
        return ctype  # which no source explained: its whole slot
    if kind is None or (handed_out and kind != "ptr" and size_of(ctype, target) not in SLOT_SIZES):
        raise ValueError(f"`{shortened(spell(ctype))}` is no type of a raw argument")
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


# --- events of sources


class Refusal(NamedTuple):
    """The part of an event that does not follow the rules (`args`, `record`, `class_name`), and why."""

    part: str
    reason: str


class EventValidator:
    """Holds the events of one kernel against the rules, each name and type once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._words: set[object] = {None}
        self._events: set[object] = set()
        self._arguments: set[object] = set()
        self._fields: set[object] = set()
        # By identity, since types are nested and comparing them takes long; the types stay alive as long as this.
        self._types: dict[int, CType] = {}
        self._argument_types: dict[int, CType] = {}
        self._records: dict[tuple[int, Kind], Record] = {}

    def key_fault(self, key: EventKey) -> str | None:
        """Why an event of that key is refused: the name of its system, its module or its own; None for a sound one."""
        if key.name in self._events and key.system in self._words and key.module in self._words:
            return None
        checks: tuple[tuple[Callable[[Any], str], str | None], ...]
        checks = ((event_name, key.name), (system_name, key.system), (word, key.module))
        for check, value in checks:
            if value is not None and (reason := _reason(check, value)):
                return reason
        self._events.add(key.name)
        self._words |= {key.system, key.module}
        return None

    def validated(self, event: Event) -> tuple[Event, tuple[Refusal, ...]]:
        """The event without its parts that do not follow the rules, and these."""
        refused = []
        handed_out = is_handed_out(event.kind, event.attach_name)
        if event.args is not None and (reason := _reason(self._check_arguments, event.args, handed_out)):
            refused.append(Refusal("args", reason))
            event = replace(event, args=None, args_origin=None, names_origin=None)
        if event.record is not None and (reason := _reason(self._check_record, event.record, event.kind)):
            refused.append(Refusal("record", reason))
            event = replace(event, record=None, record_origin=None)
        if reason := _reason(self._check_classes, event):
            refused.append(Refusal("class_name", reason))
            event = replace(event, class_name=None, class_origin=None, class_candidates=())
        return event, tuple(refused)

    def _check_classes(self, event: Event) -> None:
        for name in (event.class_name, *event.class_candidates):
            if name is not None and name not in self._events:
                self._events.add(event_name(name))

    def _check_arguments(self, args: tuple[Argument, ...], handed_out: bool) -> None:
        number(len(args), MOST_ARGUMENTS)
        for arg in args:
            if arg.name is not None and arg.name not in self._arguments:
                self._arguments.add(c_name(arg.name))
            if id(arg.type) not in self._argument_types:
                self._check_type(arg.type)
                argument_type(arg.type, self._target, handed_out)
                if handed_out:
                    self._argument_types[id(arg.type)] = arg.type

    def _check_record(self, found: Record, kind: Kind) -> None:
        if self._records.get((id(found), kind)) is not None:
            return
        number(found.header_bytes, MAX_RECORD_BYTES)
        for field in found.fields:
            if field.name not in self._fields:
                self._fields.add(identifier(field.name))
            if field.type is not None:
                self._check_type(field.type)
        record(found, kind, self._target)
        self._records[id(found), kind] = found

    def _check_type(self, ctype: CType) -> None:
        if id(ctype) not in self._types:
            _check_own(ctype)
            for part in children(ctype):
                self._check_type(part)
            composed(ctype)
            self._types[id(ctype)] = ctype


def _reason(check: Callable[..., object], *values: object) -> str | None:
    """Why `check` refuses the values; None where it does not."""
    try:
        check(*values)
    except ValueError as error:
        return str(error)
    except RecursionError:
        return "a type nests too deeply"
    return None


def _check_own(ctype: CType) -> None:
    """Hold the names and numbers of a type against the rules, without those of its parts."""
    match ctype:
        case Int() | Float():
            number_name(ctype.name)
            kind = "float" if isinstance(ctype, Float) else "bool" if ctype.is_bool else "int"
            type_size(kind, ctype.size_bytes)
        case Struct():
            _optional(c_name, ctype.name)
            _optional(count, ctype.size_bytes)
        case Enum():
            _optional(c_name, ctype.name)
            if ctype.size_bytes is not None:
                type_size("enum", ctype.size_bytes)
        case Array():
            _optional(count, ctype.length)
            _optional(length_text, ctype.length_text)
        case Typedef():
            c_name(ctype.name)
        case TypeTag():
            identifier(ctype.tag)
        case Void() | Pointer() | Qualified() | FuncProto():
            pass
        case _:
            assert_never(ctype)


def _optional(check: Callable[[Any], object], value: object) -> None:
    if value is not None:
        check(value)
