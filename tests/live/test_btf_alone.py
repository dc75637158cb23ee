"""The running kernel's BTF as a file alone: what catalogs of other kernels tell of it is what its own tracefs says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from support.cli import tpgen
from support.kernel_facts import fields, systems
from support.live import VMLINUX_BTF

pytestmark = pytest.mark.live


def test_systems_and_elements(tracefs: Path) -> None:
    """No system and no kind of element is wrong; most are known, of whatever release the kernel is."""
    own = {event: system for event, system in systems(tracefs).items() if system != "syscalls"}
    shown = json.loads(tpgen("show", "*", "--json", "--btf", VMLINUX_BTF).out)
    told = {event["name"]: event for event in shown if event["name"] in own}
    assert len(told) > 1000
    known: Counter[tuple[str, bool]] = Counter()
    for name, event in told.items():
        known["system", event["system"] is None] += 1
        assert event["system"] in (None, own[name]), name
        dynamic = {field["name"]: field for field in (event["record"] or {"fields": []})["fields"] if field["dynamic"]}
        for field in fields(tracefs, own[name], name):
            if field.dynamic and field.name in dynamic:
                said = dynamic[field.name]["type"]
                known["element", said is None] += 1
                element = field.type.removeprefix("__data_loc ").removeprefix("__rel_loc ").removesuffix("[]").strip()
                assert said in (None, f"{element}[]", element), (name, field)
    assert known["system", True] * 20 < known["system", False]
    assert known["element", True] * 20 < known["element", False]
