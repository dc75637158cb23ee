"""One object with names of values, on Debian's kernels: its numbers are each kernel's own, and so is what it sees."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import COMPILERS, libbpf_program
from support.debian import Tree
from support.names import ABSENT, PROGRAM, printed_flags, seen
from support.shipped import AMD64_OPTIONS
from support.vm import Line, boot

from tpgen.sources.images import btf_sections

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

_SOURCE = Path(__file__).with_name("names.c")
_KERNELS = (*AMD64_OPTIONS, "--kernel", "live")


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The headers for all of the kernels."""
    folder = tmp_path_factory.mktemp("names")
    for words in (("sched_switch", "kfree_skb"), ("--values", "sched_switch", "kfree_skb")):
        assert tpgen(*words, *_KERNELS, "-o", f"{folder}/").code == 0
    return folder


@pytest.fixture(scope="module")
def files(headers: Path) -> dict[str, bytes]:
    """The objects, of each compiler."""
    options = ("-DPROCESS=1",)
    objects = {each.name: headers / f"{each.name}.o" for each in COMPILERS}
    return {
        f"{each.name}.o": each.compile(PROGRAM, objects[each.name], include=(headers,), options=options).read_bytes()
        for each in COMPILERS
    }


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_names(kernel: str, files: dict[str, bytes], headers: Path, report: list[str], tmp_path: Path) -> None:
    tree, init = Tree(kernel), libbpf_program(_SOURCE, tmp_path / "names", static=True)
    run = boot(tree, init.read_bytes(), [Line(f"names /{name}") for name in files], tmp_path / "boot", {}, files)
    blob = tmp_path / "btf"
    blob.write_bytes(btf_sections(tree.vmlinuz.read_bytes(), str(tree.vmlinuz)).btf)
    enumerators = in_btf(blob, "skb_drop_reason")
    for answer in run.answers:
        assert answer.stage == "done", answer.text
        (numbers,) = (line.split()[1:] for line in answer.text if line.startswith("seen "))
        found = seen(list(map(int, numbers)), headers)
        assert found.states == printed_flags("\n".join(answer.text)) | {"R": 0}
        assert {name: value for name, value in found.reasons.items() if value != ABSENT} == enumerators
        sleeps = [line for line in answer.text if line.startswith("printed ") and "prev_state=S " in line]
        drops = [line for line in answer.text if line.startswith("printed ") and "reason: NO_SOCKET" in line]
        assert (found.sleeps, found.no_socket) == (len(sleeps), len(drops))
        assert len(sleeps) >= 3
        assert len(drops) == (kernel != "5.10")
        report.append(
            f"{tree.version}: {len(found.states)} states, {len(enumerators)} of {len(found.reasons)} drop reasons,"
            f" NO_SOCKET is {enumerators.get('SKB_DROP_REASON_NO_SOCKET', 'absent')}"
        )


def in_btf(blob: Path, tag: str) -> dict[str, int]:
    """The enumerators of an enum as bpftool tells them; none where the kernel has no such enum."""
    done = subprocess.run(("bpftool", "-j", "btf", "dump", "file", blob), capture_output=True, check=True)
    found = [t for t in json.loads(done.stdout)["types"] if t["kind"] == "ENUM" and t["name"] == tag]
    return {each["name"]: each["val"] & 0xFFFFFFFF for enum in found for each in enum["values"]}
