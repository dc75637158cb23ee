"""The installed linux-headers of 6.1 against the BTF of the same kernel, as bpftool reads it.

BTF is what the compiler made of the headers: the functions `__traceiter_<event>` have the parameters of every event
with their names, `trace_event_raw_<class>` the fields of every class.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tpgen.sources.headers.read import read_headers
from tpgen.sources.source_tree.config import parse_config
from tpgen.target import target_named

_CORPUS = Path(os.environ.get("TPGEN_CORPUS", "/nonexistent"))
_BTF = _CORPUS / "btf/6.1-amd64.btf.xz"
_TREES = sorted(Path("/usr/src").glob("linux-headers-6.1.*-common"))
_CONFIGS = sorted(Path("/usr/src").glob("linux-headers-6.1.*-amd64/.config"))

pytestmark = [
    pytest.mark.skipif(not _BTF.exists(), reason="TPGEN_CORPUS has no btf/6.1-amd64.btf.xz"),
    pytest.mark.skipif(not (_TREES and _CONFIGS), reason="the linux-headers of 6.1 are not installed in /usr/src"),
    pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed"),
]


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    blob = tmp_path_factory.mktemp("btf") / "vmlinux.btf"
    blob.write_bytes(lzma.decompress(_BTF.read_bytes()))
    command = ["bpftool", "-j", "btf", "dump", "file", str(blob), "format", "raw"]
    dumped = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {entry["id"]: entry for entry in dumped["types"]}


def test_arguments_and_fields_are_those_of_btf(types: dict[int, dict[str, Any]]) -> None:
    facts = read_headers(str(_TREES[-1]), target_named("x86_64"), parse_config(_CONFIGS[-1].read_text()))
    arguments = {event.name: [arg.name for arg in event.args] for event in facts.events}
    fields = {cls.name: [field.member_name for field in cls.fields] for cls in facts.classes}
    typedefs = {entry["name"] for entry in types.values() if entry["kind"] == "TYPEDEF"}
    compared = 0
    for entry in types.values():
        name = str(entry.get("name", ""))
        if entry["kind"] == "FUNC" and name.startswith("__traceiter_"):
            event = name.removeprefix("__traceiter_")
            if event in arguments:
                assert arguments[event] == [param["name"] for param in types[entry["type_id"]]["params"][1:]], event
                compared += f"btf_trace_{event}" in typedefs
        elif entry["kind"] == "STRUCT" and name.startswith("trace_event_raw_"):
            members = [member["name"] for member in entry["members"] if member["name"] not in ("ent", "__data")]
            cls = name.removeprefix("trace_event_raw_")
            assert fields.get(cls, members) == members, cls
            compared += cls in fields
    # The rest of this vmlinux's events and classes is in headers that linux-headers does not carry.
    assert compared > 800
