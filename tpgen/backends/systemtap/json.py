"""The facts about probes that SystemTap's build_args_for_bpf takes from DWARF, and more, as JSON.

templates/systemtap/stapprobes.schema.json describes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tpgen.backends.base import Form, KernelRequests, Request
from tpgen.backends.json import MADE_BY
from tpgen.model import Event, Nullness
from tpgen.probe import Evidence, answer
from tpgen.show import type_text
from tpgen.target import Target
from tpgen.values import Value, classic_values, raw_values

#: The version of the format. It changes when a reader of the old one would go wrong.
VERSION = 1


def document(kernel: KernelRequests) -> str:
    """The document of the requests, an event per line: as quick as compact JSON, and good for grep and diff."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(", ", ": ")).encode
    events = _events(kernel.requests, kernel.target)
    entry_sizes = {r.event.record.header_bytes for r in kernel.requests if r.event.record is not None}
    target = _target(kernel.target, kernel.release, entry_sizes, kernel.raw_evidence())
    lines = ",\n".join(map(encode, events))
    return f'{{"version": {VERSION}, {MADE_BY},\n"target": {encode(target)},\n"events": [\n{lines}\n]}}\n'


def _target(target: Target, release: str | None, entry_sizes: set[int], evidence: Sequence[Evidence]) -> dict[str, Any]:
    return {
        "release": release,
        "arch": target.arch,
        "endian": "big" if target.big_endian else "little",
        "ptr_size": target.pointer_size,
        "entry_size": max(entry_sizes, default=None),
        "raw_support": {
            "supported": answer(evidence),
            "evidence": [{"what": item.what, "supported": item.supported} for item in evidence],
        },
    }


def _events(requests: Sequence[Request], target: Target) -> list[dict[str, Any]]:
    """An object for each event, in the order of the requests."""
    events: dict[tuple[str | None, str, str | None], dict[str, Any]] = {}
    for request in requests:
        event = request.event
        item = events.setdefault((event.system, event.name, event.module), _event(event))
        if request.form == Form.RAW:
            item["args"] = [_argument(value) for value in raw_values(event, target)]
        else:
            item["fields"] = [_field(value) for value in classic_values(event, target)]
    return list(events.values())


def _event(event: Event) -> dict[str, Any]:
    return {
        "system": event.system,
        "name": event.name,
        "attach_name": event.attach_name,
        "class": event.class_name,
        "module": event.module,
        "header": event.header.path if event.header else None,
        "kind": event.kind.value,
        "args": None,
        "fields": None,
    }


def _argument(value: Value) -> dict[str, Any]:
    nullable = None if value.nullness is None else value.nullness != Nullness.NEVER
    return {**_value(value), "slot": value.slot, "nullable": nullable if value.kind in ("ptr", None) else False}


def _field(value: Value) -> dict[str, Any]:
    return {**_value(value), "dynamic": value.dynamic.value if value.dynamic else None}


def _value(value: Value) -> dict[str, Any]:
    element = "[]" if value.dynamic else ""
    return {
        "name": value.name,
        "type": None if value.type is None else type_text(value.type) + element,
        "declaration": value.declaration,
        "offset": value.offset_bytes,
        "size": value.size_bytes,
        "signed": value.signed,
        "kind": value.kind,
        "pointee": None if value.pointee is None else type_text(value.pointee),
        "dereferencable": value.dereferencable,
        "writable": value.writable,
    }
