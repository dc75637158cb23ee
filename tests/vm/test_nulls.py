"""What tpgen learns from the verifiers of Debian's kernels about NULL, held against the tables in their sources."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
from corpus.dumped import images
from support.debian import Tree
from support.kernel_facts import TracepointImage
from support.vm import boot, guest, in_loading_order, load_modules, module_name, takes

from tpgen.kernel.sources import open_files
from tpgen.model import Nullness
from tpgen.sources.images import btf_sections
from tpgen.sources.verifier import Verifier

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

#: Modules with entries in the table, and with events that have none.
MODULES = ("cachefiles", "ib_core", "xfs")
# xfs asks for it by its name, and there is no modprobe to answer.
_ALGORITHM = "crc32c_generic"
#: Arguments that may be an error, by the table: a 2 in its digit.
ERRORS = {
    "6.12": {("signal_generate", 1), ("signal_deliver", 1), ("cachefiles_lookup", 2), ("mr_integ_alloc", 3)},
    "7.2": {("signal_generate", 1), ("signal_deliver", 1), ("cachefiles_lookup", 2), ("mr_integ_alloc", 3)},
}
Program: TypeAlias = tuple[str | None, int, bytes]
Answers: TypeAlias = Mapping[tuple[str, int], Nullness]


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_agrees_with_the_table(kernel: str, tmp_path: Path, report: list[str]) -> None:
    tree = Tree(kernel)
    modules = [path for path in tree.modules if module_name(path) in MODULES and path in tree.btf]
    known = {image.module: image for image in traced_images(tree, modules, tmp_path)}
    found = asked(tree, modules, tmp_path)
    expected = expectation(known, table(tree))
    # What cannot be followed is not known.
    assert {key: answer for key, answer in expected.items() if key in found} == found
    missing = expected.keys() - found.keys()
    assert len(missing) < len(found) / 100, missing
    assert {key for key, answer in found.items() if answer == Nullness.ERROR} == ERRORS.get(kernel, set())
    if kernel in ERRORS:
        assert found["tcp_send_reset", 1] == Nullness.MAYBE  # by the suffix of its name
    counts = [f"{sum(answer == each for answer in found.values())} {each}" for each in Nullness]
    report.append(f"Linux {tree.version}, the verifier's answers: {', '.join(counts)}; none of {sorted(missing)}")


def traced_images(tree: Tree, modules: list[Path], folder: Path) -> list[TracepointImage]:
    blob = btf_sections(tree.vmlinuz.read_bytes(), str(tree.vmlinuz)).btf
    return images(blob, modules, folder, TracepointImage)


def table(tree: Tree) -> dict[str, str] | None:
    """The digits of each entry of raw_tp_null_args[], the first argument's last; None where there is no table."""
    lines = (tree.headers / "kernel/bpf/btf.c").read_text().split("\n")
    start = next((number for number, line in enumerate(lines) if "raw_tp_null_args[]" in line), None)
    if start is None:
        return None
    entries = (line.split('"')[1:] for line in lines[start : lines.index("};", start)] if '"' in line)
    return {name: f"{sum(int(bits, 16) for bits in re.findall('0x[0-9a-f]+', rest)):x}" for name, rest in entries}


def expectation(known: Mapping[str | None, TracepointImage], digits: Mapping[str, str] | None) -> Answers:
    """What the verifier assumes of every pointer to a struct."""
    found: dict[tuple[str, int], Nullness] = {}
    for module, image in known.items():
        for event, params in image.params.items():
            for slot, param in enumerate(params):
                if param.target in ("STRUCT", "UNION"):
                    found[event, slot] = assumed(event, slot, param.name, module, digits)
    return found


def assumed(event: str, slot: int, name: str | None, module: str | None, digits: Mapping[str, str] | None) -> Nullness:
    if digits is None:
        return Nullness.NEVER
    digit = digits[event][::-1][slot : slot + 1] if event in digits else ""
    if digit == "2":
        return Nullness.ERROR
    if digit == "1" or (name or "").endswith("__nullable") or (module and event not in digits):
        return Nullness.MAYBE
    return Nullness.NEVER


def asked(tree: Tree, modules: list[Path], folder: Path) -> Answers:
    """What tpgen's reader learns from the kernel. Every program that it could ask with is in the plan of one boot."""
    opened = open_files([str(tree.vmlinuz), *map(str, modules)]).btfs
    programs: dict[Program, None] = {}

    def write_down(*program: str | int | bytes | None) -> int:
        programs[program] = None  # type: ignore[index]
        return errno.EACCES

    writing = Verifier(write_down)
    for btf in opened:
        for event in btf.events:
            writing.assumptions(btf, event)
    algorithms = [path for path in tree.modules if module_name(path) == _ALGORITHM]
    loaded = in_loading_order(tree, (*algorithms, *modules))
    lines = [takes(image or "vmlinux", type_id, code) for image, type_id, code in programs]
    run = boot(tree, guest(tree.arch, folder), [*load_modules(loaded), *lines], folder / "boot", loaded)
    set_up, answers = run.answers[: len(loaded)], run.answers[len(loaded) :]
    assert {answer.stage for answer in set_up} <= {"done"}, set_up
    assert {answer.stage for answer in answers} == {"done", "load"}
    errors = {program: answer.error for program, answer in zip(programs, answers, strict=True)}
    verifier = Verifier(lambda *program: errors[program])
    return {
        (event, slot): answer
        for btf in opened
        for event in btf.events
        for slot, answer in verifier.assumptions(btf, event).items()
    }
