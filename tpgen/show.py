"""Descriptions of an event, as text and as JSON.

Everything here returns text or plain data; the command line prints it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tpgen.kernel.comparison import Comparison
from tpgen.kernel.symbols.facts import NO_SYMBOLS, EventSymbols, Symbol, Symbols
from tpgen.layout import LOCATOR_BYTES, SLOT_BYTES
from tpgen.model import SYSCALL_TRACEPOINTS, Argument, Dynamic, Event, Field, Kind, Nullness, Record, Syscall
from tpgen.programs.forms import Form, missing, unattachable
from tpgen.programs.sections import sections_of
from tpgen.spelling import spell
from tpgen.target import Target
from tpgen.typequery import is_signed, kind_of, size_of

# --- for programs: the contract of DESIGN §3


#: Descriptions of what several events share, by the identity of that, which is the first of each pair.
Shared: TypeAlias = dict[int, tuple[object, Any]]


def event_json(
    event: Event, target: Target, named: EventSymbols = NO_SYMBOLS, shared: Shared | None = None
) -> dict[str, Any]:
    """The event as `show --json` prints it; unknown is None.

    One that headers define in several ways, or under a condition, has its definitions as well. Arguments and fields of
    which `named` has the names of values have these. What events of one class share is described once for all that are
    given the same `shared`.
    """
    shared = {} if shared is None else shared
    args, fields, left_out = dict(named.args), dict(named.fields), dict(named.left_out)
    described: dict[str, Any] = {
        "system": event.system,
        "name": event.name,
        "attach_name": event.attach_name,
        "module": event.module,
        "class": event.class_name,
        "kind": event.kind.value,
        "header": event.header.path if event.header else None,
        "args": None if event.args is None else _args_json(event.args, target, args, shared),
        "record": None if event.record is None else _record_json(event.record, fields, left_out, shared),
    }
    if event.alternatives:
        described["alternatives"] = [
            {"header": place.position.path, "line": place.position.line, "condition": place.condition}
            for place in event.alternatives
        ]
    return described


def _args_json(
    args: tuple[Argument, ...], target: Target, named: Mapping[int, Symbols], shared: Shared
) -> list[dict[str, Any]]:
    if named:
        return [arg_json(arg, target) | names_json(named.get(arg.slot)) for arg in args]
    if id(args) not in shared:
        shared[id(args)] = args, [arg_json(arg, target) for arg in args]
    described: list[dict[str, Any]] = shared[id(args)][1]
    return described


def _record_json(
    record: Record, named: Mapping[str, Symbols], left_out: Mapping[str, str], shared: Shared
) -> dict[str, Any]:
    if named or left_out:
        return record_json(record, named, left_out)
    if id(record) not in shared:
        shared[id(record)] = record, record_json(record)
    described: dict[str, Any] = shared[id(record)][1]
    return described


def arg_json(arg: Argument, target: Target) -> dict[str, Any]:
    """An argument as `show --json` prints it."""
    kind = kind_of(arg.type)
    return {
        "name": arg.name,
        "type": type_text(arg.type),
        "slot": arg.slot,
        "size": target.pointer_size if kind == "ptr" else size_of(arg.type, target),
        "signed": is_signed(arg.type) if kind != "ptr" else False,
        "kind": kind,
        "nullable": _nullable(arg),
    }


def _nullable(arg: Argument) -> bool | None:
    """Whether the verifier of the kernel takes the argument for a pointer to nothing, perhaps; None where unknown.

    It says what a tp_btf program has to test, not what the kernel ever passes: before 6.13 no test is asked for.
    """
    if kind_of(arg.type) not in ("ptr", None):
        return False
    return None if arg.nullness is None else arg.nullness != Nullness.NEVER


_NO_NAMES: Mapping[str, Any] = {}


def record_json(
    record: Record, named: Mapping[str, Symbols] = _NO_NAMES, left_out: Mapping[str, str] = _NO_NAMES
) -> dict[str, Any]:
    """A record as `show --json` prints it, with the names of values that are given."""
    fields = (
        field_json(field) | names_json(named.get(field.member_name), left_out.get(field.name))
        for field in record.fields
    )
    return {"size": record.size_bytes, "fields": list(fields)}


def names_json(symbols: Symbols | None, left_out: str | None = None) -> dict[str, Any]:
    """The names of a value, with why some of them, or all, are left out; nothing where there is neither."""
    if symbols is None and left_out is None:
        return {}
    symbols = symbols or Symbols(())
    names = [{"value": each.value, "name": each.name, "text": each.text} for each in symbols.symbols]
    about = {"enum": symbols.enum, "flags": symbols.is_flags, "mask": symbols.mask}
    return {"values": {**about, "names": names, "left_out": left_out}}


def field_json(field: Field) -> dict[str, Any]:
    """A field as `show --json` prints it."""
    return {
        "name": field.name,
        "type": field_type_text(field),
        "offset": field.offset_bytes,
        "size": field.size_bytes,
        "signed": field.signed,
        "dynamic": field.dynamic.value if field.dynamic else None,
    }


def type_text(ctype: Any) -> str:
    """A type by itself, `char[16]` rather than `char [16]`."""
    return spell(ctype).replace(" [", "[")


def field_type_text(field: Field) -> str | None:
    """A field's declared type; a dynamic field's is its element's with `[]`; None where no source has it."""
    if field.type is None:
        return None
    return f"{type_text(field.type)}[]" if field.dynamic else type_text(field.type)


# --- for people


def event_text(
    event: Event, target: Target, comparisons: Iterable[Comparison], named: EventSymbols = NO_SYMBOLS
) -> str:
    """The event with its arguments and its record drawn byte by byte, where each fact is from, what was checked.

    Below come the names of values that `named` has.
    """
    lines = [event.title, *_facts(event, comparisons)]
    if (reason := missing(event, Form.RAW)) is None:
        lines += ["", *(_raw_text(event, target) if event.syscall is None else _registers_text(event, event.syscall))]
    else:
        lines += ["", f"raw arguments: none, {reason}"]
    if event.record is not None and (reason := missing(event, Form.CLASSIC)) is None:
        lines += ["", *_record_text(event, event.record, target)]
    else:
        lines += ["", f"classic record: none, {missing(event, Form.CLASSIC)}"]
    lines += _names_text(event, named)
    return "\n".join(lines) + "\n"


#: The kinds of events, in words.
KINDS = {
    Kind.TRACE_EVENT: "trace event",
    Kind.TRACEPOINT: "bare tracepoint",
    Kind.SYSCALL: "syscall event",
    Kind.DYNAMIC: "dynamic event, which somebody defined",
}


def _facts(event: Event, comparisons: Iterable[Comparison]) -> Iterator[str]:
    yield f"  kind     {KINDS[event.kind]}" + (f" of module {event.module}" if event.module else "")
    if event.class_name and event.class_origin:
        yield f"  class    {event.class_name} (from {event.class_origin})"
    elif event.class_candidates:
        same = "prototype and record" if event.record else "prototype"
        yield f"  class    one of {', '.join(event.class_candidates)}: same {same}"
    if event.header:
        yield f"  header   {event.header}"
    for place in event.alternatives:
        yield f"  defined  {place.position}{f', where {place.condition}' if place.condition else ''}"
    if sections := sections_of(event):
        yield f"  attach   {', '.join(section.name for section in sections)}"
    elif reason := unattachable(event, Form.CLASSIC):
        yield f"  attach   none: {reason}"
    for comparison in comparisons:
        outcome = f"not compared, {comparison.reason}" if comparison.reason else "agree"
        if comparison.findings:
            outcome = "; ".join(map(str, comparison.findings))
        yield f"  checked  {comparison.subject}: {outcome}"


def _raw_text(event: Event, target: Target) -> Iterator[str]:
    assert event.args is not None
    origin = f"types from {event.args_origin}"
    if event.names_origin:
        origin += f", names from {event.names_origin}"
    if event.nullness_origin:
        origin += f", NULL-ness from {event.nullness_origin}"
    yield f"raw arguments: {len(event.args)}, a u64 each ({origin})"
    for arg in event.args:
        size = arg_json(arg, target)["size"]
        name = arg.name or f"arg{arg.slot}"
        drawn = "?" * SLOT_BYTES if size is None else _in_slot(size, target)
        null = f"  ({arg.nullness})" if arg.nullness else ""
        yield f"  ctx[{arg.slot}]{' ' * (arg.slot < 10)}  |{drawn}|  {spell(arg.type, name)}{null}"


def _registers_text(event: Event, call: Syscall) -> Iterator[str]:
    """The values that the header of a system call reads, each with its place."""
    assert event.record is not None and call.registers is not None
    yield f"raw arguments: those of system call {call.number} (registers from btf, types from {event.record_origin})"
    places = [f"regs->{register.name}" for register in call.registers.args]
    if call.tracepoint != SYSCALL_TRACEPOINTS[0]:
        places = [f"ctx[{_RESULT_SLOT}]"]
    for place, field in zip(places, event.record.fields[1:], strict=False):
        yield f"  {place:<19}  {field.name if field.type is None else spell(field.type, field.name)}"


# sys_exit(struct pt_regs *regs, long ret)
_RESULT_SLOT = 1


def _in_slot(size: int, target: Target) -> str:
    """A u64 slot with the bytes of its value as `#`: at the end of it on a big-endian target."""
    value, rest = "#" * size, "." * (SLOT_BYTES - size)
    return rest + value if target.big_endian else value + rest


_ROW = 8
# More rows of one field than this are drawn as their first and last.
_LONG = 4


def _record_text(event: Event, record: Record, target: Target) -> Iterator[str]:
    size = f"{record.size_bytes} bytes" if record.size_bytes is not None else "size unknown"
    yield f"classic record: {size} (from {event.record_origin}); `-` is the pad, `.` a hole"
    cells = ["-"] * record.header_bytes
    legends: dict[int, list[str]] = {0: ["the common header, which programs may not read"]}
    for index, field in enumerate(record.fields):
        assert field.offset_bytes is not None and field.size_bytes is not None
        letter = _LETTERS[index % len(_LETTERS)]
        cells += ["."] * (field.offset_bytes - len(cells))
        cells[field.offset_bytes : field.offset_bytes + field.size_bytes] = letter * field.size_bytes
        legends.setdefault(field.offset_bytes // _ROW, []).append(f"{letter} {_legend(field)}")
    cells += ["."] * ((record.size_bytes or 0) - len(cells))
    rows = ["".join(cells[at : at + _ROW]) for at in range(0, len(cells), _ROW)]
    for shown in _rows_shown(rows, legends):
        if shown is None:
            yield f"  {'':>6}  :{'':{_ROW}}:"
        else:
            row = f"  {shown * _ROW:>6}  |{rows[shown]:{_ROW}}|  {'; '.join(legends.get(shown, []))}"
            yield row.rstrip()


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _rows_shown(rows: Sequence[str], legends: dict[int, list[str]]) -> Iterator[int | None]:
    """The rows to draw; None stands for the middle of a long field."""
    index = 0
    while index < len(rows):
        end = index
        while end + 1 < len(rows) and rows[end + 1] == rows[index] and end + 1 not in legends:
            end += 1
        if end - index >= _LONG:
            yield from (index, None, end)
        else:
            yield from range(index, end + 1)
        index = end + 1


def _legend(field: Field) -> str:
    if field.dynamic is None:
        declared = field.name if field.type is None else spell(field.type, field.name)
        return f"{declared} @{field.offset_bytes}"
    own_end = f"byte {(field.offset_bytes or 0) + LOCATOR_BYTES}"
    start = "the record's start" if field.dynamic == Dynamic.DATA_LOC else own_end
    element = "elements of unknown type" if field.type is None else spell(field.type)
    return f"{field.member_name} @{field.offset_bytes}: where {element} {field.name}[] lies, from {start}"


def _names_text(event: Event, named: EventSymbols) -> Iterator[str]:
    """The names of values, each list once, below what it is of."""
    args = {arg.slot: arg.name or f"arg{arg.slot}" for arg in event.args or ()}
    fields = {field.member_name: field for field in event.record.fields} if event.record else {}
    lists: dict[Symbols, list[str]] = {}
    for slot, symbols in named.args:
        lists.setdefault(symbols, []).append(f"{args[slot]} in ctx[{slot}]")
    for name, symbols in named.fields:
        lists.setdefault(symbols, []).append(f"{name} @{fields[name].offset_bytes}")
    for symbols, places in lists.items():
        of = f" of {symbols.enum}" if symbols.enum else ""
        bits = "" if symbols.mask is None else f" of the bits {symbols.mask:#x}"
        yield ""
        yield f"{'flags' if symbols.is_flags else 'values'}{of}{bits}: {', '.join(places)}"
        rows = [(value_text(symbols, each), each.name or "", each.text) for each in symbols.symbols]
        wide, wider = max(len(value) for value, _, _ in rows), max(len(name) for _, name, _ in rows)
        for value, name, text in rows:
            yield f"  {value:>{wide}}  {name:<{wider}}  {'' if text is None else repr(text)}".rstrip()
    for name, reason in named.left_out:
        yield ""
        yield f"values: {name} has names that are left out: {reason}"


def value_text(symbols: Symbols, symbol: Symbol) -> str:
    """The number of a symbol, that of a flag by its bits."""
    return f"{symbol.value:#x}" if symbols.is_flags else str(symbol.value)


# --- lists


#: The headings of `list_rows`.
LIST_HEAD = ("event", "args", "class", "module")


def list_rows(events: Sequence[Event]) -> list[tuple[str, ...]]:
    """A row per event: its name, how many raw arguments it has, its class and its module, where known."""
    return [
        (
            event.title,
            "?" if event.args is None else "-" if event.attach_name is None else str(len(event.args)),
            event.class_name or "|".join(event.class_candidates) or "-",
            event.image or "?",
        )
        for event in events
    ]


def prototypes_text(events: Sequence[Event]) -> str:
    """A line per event: its raw arguments as C declares them; `?` where they are not known, `-` where it has none."""
    lines = (f"{event.title}({_prototype(event) or ('?' if event.args is None else '-')})\n" for event in events)
    return "".join(lines)


def _prototype(event: Event) -> str | None:
    """The raw arguments as C declares them; None where they are not known, and where it has none."""
    if event.args is None or event.attach_name is None:
        return None
    return ", ".join(spell(arg.type, arg.name or f"arg{slot}") for slot, arg in enumerate(event.args)) or "void"


# Words of a declaration that make no other type of it for whoever looks for one.
_QUALIFIERS = re.compile(r"\b(?:const|volatile|restrict|__user|__rcu|__percpu|__kernel)\b")


def handed_out(event: Event) -> set[str]:
    """The types of raw arguments and of fields of the record, spelled as `plain_type` has them."""
    fields = event.record.fields if event.record else ()
    types = [*(arg.type for arg in event.args or ()), *(field.type for field in fields)]
    return {plain_type(spell(ctype)) for ctype in types if ctype is not None}


def plain_type(spelled: str) -> str:
    """A spelling of a type without qualifiers, and with one way to set blanks."""
    return " ".join(_QUALIFIERS.sub(" ", spelled).replace("*", " * ").split()).replace("* ", "*")


def list_json(events: Sequence[Event], prototypes: bool = False) -> list[dict[str, Any]]:
    """The events of a list as `list --json` prints them, with `prototypes` as `list --args --json` does."""
    return [
        {
            "system": event.system,
            "name": event.name,
            "module": event.module,
            "class": event.class_name,
            "kind": event.kind.value,
            "args": None if event.args is None else len(event.args),
            **({"prototype": _prototype(event)} if prototypes else {}),
        }
        for event in events
    ]
