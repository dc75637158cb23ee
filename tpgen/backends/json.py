"""Backend `json`: everything that tpgen knows of the events, for programs in any language.

templates/json/events.schema.json describes the format. An event is what `tpgen show --json` prints of it, and more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, assert_never

from tpgen.backends.base import API, Form, GeneratedFile, Job, KernelRequests, Option, Request
from tpgen.basics.interning import InterningTable
from tpgen.diagnostics import printable_json
from tpgen.layout import SLOT_BYTES
from tpgen.model import (
    Array,
    CType,
    Enum,
    Event,
    Float,
    FuncProto,
    Int,
    Pointer,
    Qualified,
    Record,
    Struct,
    Syscall,
    Typedef,
    TypeTag,
    Void,
)
from tpgen.show import arg_json, event_json, field_json, type_text
from tpgen.target import Target
from tpgen.values import Value, classic_values, raw_values

#: The version of the format. It changes when a reader of the old one would go wrong.
VERSION = 1
#: The first keys of a document: JSON has no comment to say so in.
MADE_BY = '"generator": "tpgen", "license": "0BSD"'


class JsonBackend:
    """Renders one file, of all events in all their forms."""

    api = API
    description = "the complete model as JSON: show --json, C types by kind, origins, registers of system calls"
    forms = (Form.RAW, Form.CLASSIC)
    options: tuple[Option, ...] = ()
    several_kernels = False
    dynamic_events = True

    def render(self, job: Job) -> Iterator[GeneratedFile]:
        yield GeneratedFile("tracepoints.json", _document(job.kernel))


def _document(kernel: KernelRequests) -> str:
    """An event or type per line: as quick as compact JSON, and grep and diff can be used on it."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    types = _Types()
    events = ",\n".join(encode(event) for event in _events(kernel.requests, kernel.target, types))
    target = encode(_target(kernel.target, kernel.release))
    table = ",\n".join(map(encode, types.rows))
    head = f'"version": {VERSION}, {MADE_BY},\n"target": {target}'
    return printable_json(f'{{{head},\n"types": [\n{table}\n],\n"events": [\n{events}\n]}}\n')


def _target(target: Target, release: str | None) -> dict[str, Any]:
    return {
        "release": release,
        "arch": target.arch,
        "endian": "big" if target.big_endian else "little",
        "ptr_size": target.pointer_size,
        "slot_size": SLOT_BYTES,
    }


class _Types(InterningTable):
    """The C types by number, each once; a type's parts stand before it."""

    def __init__(self) -> None:
        super().__init__(self._item)

    def number_or_none(self, ctype: CType | None) -> int | None:
        return None if ctype is None else self.place(ctype)

    def _item(self, ctype: CType) -> dict[str, Any]:
        match ctype:
            case Void():
                return {"kind": "void"}
            case Int():
                sign = {"signed": ctype.signed, "bool": ctype.is_bool}
                return {"kind": "int", "name": ctype.name, "size": ctype.size_bytes, **sign}
            case Float():
                return {"kind": "float", "name": ctype.name, "size": ctype.size_bytes}
            case Pointer():
                return {"kind": "ptr", "type": self.place(ctype.target)}
            case Array():
                length = {"length": ctype.length, "length_text": ctype.length_text}
                return {"kind": "array", "type": self.place(ctype.element), **length}
            case Struct():
                extent = {"size": ctype.size_bytes, "align": ctype.align_bytes}
                return {"kind": ctype.keyword, "name": ctype.name, **extent}
            case Enum():
                return {"kind": "enum", "name": ctype.name, "size": ctype.size_bytes, "signed": ctype.signed}
            case Typedef():
                return {"kind": "typedef", "name": ctype.name, "type": self.number_or_none(ctype.target)}
            case Qualified():
                return {"kind": ctype.qualifier, "type": self.place(ctype.target)}
            case TypeTag():
                return {"kind": "type_tag", "name": ctype.tag, "type": self.place(ctype.target)}
            case FuncProto():
                params = [self.place(param) for param in ctype.params]
                result = self.place(ctype.result)
                return {"kind": "func_proto", "type": result, "params": params, "variadic": ctype.variadic}
            case _:
                assert_never(ctype)


def _events(requests: Sequence[Request], target: Target, types: _Types) -> Iterator[dict[str, Any]]:
    """An object for each event, in the order of the requests."""
    forms: dict[tuple[str | None, str, str | None], tuple[Event, set[Form]]] = {}
    for request in requests:
        event = request.event
        forms.setdefault((event.system, event.name, event.module), (event, set()))[1].add(request.form)
    for event, asked in forms.values():
        raw = _args(event, target, types) if Form.RAW in asked and event.args is not None else None
        record = _record(event, target, types) if Form.CLASSIC in asked else None
        yield {**event_json(event, target), **_more(event), "args": raw, "record": record}


def _more(event: Event) -> dict[str, Any]:
    """Facts about an event as a whole that `show --json` lacks."""
    return {
        "position": event.header and {key: getattr(event.header, key) for key in ("path", "line", "column")},
        "class_candidates": list(event.class_candidates),
        "origins": {
            "class": event.class_origin,
            "args": event.args_origin,
            "names": event.names_origin,
            "record": event.record_origin,
        },
        "print_fmt": event.print_fmt,
        "sleepable": event.sleepable,
        "ambiguous": event.ambiguous,
        "syscall": None if event.syscall is None else _syscall(event.syscall),
    }


def _syscall(call: Syscall) -> dict[str, Any]:
    registers = None if call.registers is None else asdict(call.registers)
    return {"tracepoint": call.tracepoint, "number": call.number, "registers": registers}


def _args(event: Event, target: Target, types: _Types) -> list[dict[str, Any]]:
    assert event.args is not None
    pairs = zip(event.args, raw_values(event, target), strict=True)
    return [
        {**arg_json(arg, target), "nullness": value.nullness and value.nullness.name.lower(), **_value(value, types)}
        for arg, value in pairs
    ]


def _record(event: Event, target: Target, types: _Types) -> dict[str, Any]:
    record = event.record
    assert isinstance(record, Record)
    pairs = zip(record.fields, classic_values(event, target), strict=True)
    fields = [{**field_json(field), "member": field.member_name, **_value(value, types)} for field, value in pairs]
    return {"size": record.size_bytes, "header_size": record.header_bytes, "fields": fields}


def _value(value: Value, types: _Types) -> dict[str, Any]:
    """Offset and size of the value's own bytes, and what a program may do with it."""
    return {
        "type_id": types.number_or_none(value.type),
        "value": {
            "offset": value.offset_bytes,
            "size": value.size_bytes,
            "signed": value.signed,
            "kind": value.kind,
            "declaration": value.declaration,
            "pointee": None if value.pointee is None else type_text(value.pointee),
            "dereferencable": value.dereferencable,
            "writable": value.writable,
        },
    }
