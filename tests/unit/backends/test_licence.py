"""Whatever is generated says under which licence it is, and that tpgen made it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.cli import tpgen

from tpgen.backends.registry import BUILT_IN

LICENCE = "SPDX-License-Identifier: 0BSD"
KERNEL = ("--kernel", "6.12")
EVENTS = ("sched_switch", "kfree_skb", "sys_enter_openat", *KERNEL, "-q")
MADE: dict[str, tuple[str, ...]] = {
    **{name: (*EVENTS, "-b", name) for name in BUILT_IN},
    "systemtap for modules": ("sched_switch", "-b", "systemtap", "--lkm", *KERNEL),
    "systemtap as JSON": (*EVENTS, "-b", "systemtap", "--emit", "json"),
    "several kernels": (*EVENTS, "--kernel", "6.1"),
    "text in each header": (*EVENTS, "--prelude", "inline"),
    "values": ("--values", "kfree_skb", *KERNEL),
    "values of several kernels": ("--values", "kfree_skb", *KERNEL, "--kernel", "6.1"),
    "member": ("--member", "task_struct:__state|state"),
}


@pytest.mark.parametrize("words", MADE.values(), ids=MADE)
def test_every_generated_file(words: tuple[str, ...], tmp_path: Path) -> None:
    assert tpgen(*words, "-o", tmp_path / "out").code == 0
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files
    for path in files:
        text = path.read_text()
        if path.suffix == ".json":
            document = json.loads(text)
            assert (document["generator"], document["license"]) == ("tpgen", "0BSD")
        else:
            assert LICENCE in "".join(text.splitlines()[:2])
            assert re.search(r"(?:[Mm]ade|generated) by tpgen", text[:1000])
