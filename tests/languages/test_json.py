"""The generated JSON: its schema, its types, and that it holds all that `tpgen show --json` tells."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support import odd_kernel
from support.cli import tpgen

from languages.conftest import Odd, every_event
from tpgen.paths import resource_dir

#: (options, patterns) of kernels; all their events with TPGEN_EVERY_EVENT=1.
SHIPPED = {
    "5.10": ("regmap:*", "syscalls:sys_enter_o*"),
    "7.2": ("sched:*", "syscalls:sys_*_o*", "*:802154_*"),
    "6.12 s390x": ("s390:*", "sched:*", "syscalls:sys_enter_o*"),
}


def schema() -> jsonschema.Draft202012Validator:
    described = json.loads((resource_dir("templates") / "json" / "events.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(described)
    return jsonschema.Draft202012Validator(described)


def contained(small: Any, large: Any, where: str = "") -> None:
    """Asserts that everything in `small` is in `large`, which may have more members."""
    if isinstance(small, dict):
        small = {key: small[key] for key in small if key != "values"}  # the names of values are those of `show` alone
        assert small.keys() <= large.keys(), where
        for key, value in small.items():
            contained(value, large[key], f"{where}.{key}")
    elif isinstance(small, list):
        assert len(small) == len(large), where
        for at, pair in enumerate(zip(small, large, strict=True)):
            contained(*pair, f"{where}[{at}]")
    else:
        assert small == large, where


def spelled(types: list[dict[str, Any]], number: int) -> str:
    """A type in words, from the outside in."""
    item = types[number]
    inner = f" of {spelled(types, item['type'])}" if item.get("type") is not None else ""
    name = f" {item['name']}" if item.get("name") else ""
    return f"{item['kind']}{name}{inner}"


def test_odd_kernel(odd: Odd, tmp_path: Path) -> None:
    """Types by kind, the bytes of a value, and what of a slot is the value: by hand."""
    document = json.loads(odd("json", tmp_path / "a.json", True).read_text())
    schema().validate(document)
    types = document["types"]
    assert document["target"] == {
        "release": None, "arch": "s390x", "endian": "big", "ptr_size": 8, "slot_size": 8,
    }  # fmt: skip
    event, nothing = document["events"]
    args, fields = event["args"], event["record"]["fields"]
    assert [arg["name"] for arg in args] == list(odd_kernel.ARGUMENTS)
    assert {arg["name"]: spelled(types, arg["type_id"]) for arg in args if arg["kind"] != "int"} == {
        "Self": "ptr of const of struct type", "fn": "ptr of func_proto of int int", "in": "struct pair",
        "func": "enum tiny",
    }  # fmt: skip
    assert {arg["name"]: (arg["value"]["offset"], arg["value"]["size"]) for arg in args[:3]} == {
        "self": (4, 4), "super": (15, 1), "crate": (23, 1),
    }  # fmt: skip
    assert [field["member"] for field in fields[:2]] == ["__data_loc_type", "type"]
    assert [field["value"]["kind"] for field in fields[:4]] == ["dynamic", "int", "int", "array"]
    assert spelled(types, fields[8]["type_id"]) == "enum tiny"
    assert (event["record"]["size"], event["record"]["header_size"]) == (64, 8)
    assert (nothing["args"], nothing["record"]["fields"]) == ([], [])


def test_forms(odd: Odd, tmp_path: Path) -> None:
    """A form that is not asked for is null."""
    btf, tracefs = odd_kernel.write(tmp_path)
    for form, absent in (("--raw", "record"), ("--classic", "args")):
        done = tpgen("odd:*", form, "-b", "json", "--btf", btf, "--tracefs", tracefs)
        for event in json.loads(done.out)["events"]:
            assert event[absent] is None
            assert event["args" if absent == "record" else "record"] is not None


@pytest.mark.parametrize("kernel", SHIPPED)
def test_shipped_kernel(kernel: str) -> None:
    """It is what its schema says, holds what `show --json` tells, and every type has a number that stands before it."""
    release, _, arch = kernel.partition(" ")
    options = ("--kernel", release, *(("--arch", arch) if arch else ()))
    patterns = ("*",) if every_event() else SHIPPED[kernel]
    document = json.loads(tpgen(*patterns, "-b", "json", *options).out)
    schema().validate(document)
    names = Counter(event["name"] for event in document["events"])
    shown = {event["name"]: event for event in json.loads(tpgen("show", *patterns, "--json", *options).out)}
    for event in document["events"]:
        if names[event["name"]] == 1:
            expected = dict(shown[event["name"]])
            expected.pop("version")  # the document has its own
            if event["record"] is None:  # a record of unknown layout is no form that a backend is asked for
                expected.pop("record")
            contained(expected, event, event["name"])
    for number, item in enumerate(document["types"]):
        assert all(part < number for part in (item.get("type"), *item.get("params", ())) if part is not None)
