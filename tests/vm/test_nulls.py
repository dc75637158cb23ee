"""What tpgen learns from the verifiers of Debian's kernels about NULL, held against the tables in their sources."""

from __future__ import annotations

import errno
import functools
import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import pytest
from corpus.dumped import images
from support.cli import tpgen
from support.compilers import COMPILERS
from support.debian import Tree
from support.flat import flat_programs
from support.kernel_facts import TracepointImage
from support.programs import Job
from support.vm import Answer, Line, boot, guest, in_loading_order, load_modules, module_name, takes, tp_btf

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
#: What the table of Debian's 6.12.107, which the catalog has, lacks and that of its newest 6.12 has.
SINCE_THE_CATALOG = {("sched_process_wait", "pid"), ("signal_generate", "info"), ("signal_deliver", "info")}
Program: TypeAlias = tuple[str | None, int, bytes]
Answers: TypeAlias = Mapping[tuple[str, int], Nullness]


#: A tp_btf program that follows an argument as it is, and one that tests it. SKB is its name, with a suffix or without.
FOLLOWS = """
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "raw_tcp_send_reset.h"
SEC("follow/untested") int untested(void *ctx) { return raw_tcp_send_reset_SKB(ctx)->len == 12345; }
SEC("follow/tested") int tested(void *ctx)
{
	raw_tcp_send_reset_if_SKB(ctx, skb)
		return skb->len == 12345;
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


class Asked:
    """A kernel of which the verifier was asked everything in one boot."""

    def __init__(self, kernel: str, folder: Path, libbpf_include: Path) -> None:
        self.tree = Tree(kernel)
        self._folder = folder
        self._libbpf_include = libbpf_include
        self._modules = [path for path in self.tree.modules if module_name(path) in MODULES and path in self.tree.btf]

    @cached_property
    def known(self) -> Mapping[str | None, TracepointImage]:
        """What bpftool knows of its tracepoints."""
        return {image.module: image for image in traced_images(self.tree, self._modules, self._folder)}

    @cached_property
    def _told(self) -> tuple[Answers, tuple[Answer, ...]]:
        type_id = self.known[None].event_ids["tcp_send_reset"]
        lines = [tp_btf("tcp_send_reset", "vmlinux", type_id, insns) for insns in self._follows().values()]
        return asked(self.tree, self._modules, self._folder, lines)

    @property
    def answers(self) -> Answers:
        """What tpgen's reader learns from the verifier."""
        return self._told[0]

    @property
    def followed(self) -> tuple[Answer, ...]:
        """What became of the programs of FOLLOWS."""
        return self._told[1]

    def _follows(self) -> dict[str, bytes]:
        done = tpgen("tcp_send_reset", "--raw", "-o", self._folder, "--btf", self.tree.vmlinuz)
        assert done.code == 0, done.err
        command = ("bpftool", "btf", "dump", "file", str(self.known[None].file), "format", "c")
        # Not beside the unit, which it would then be a part of, with warnings.
        system = self._folder / "vmlinux"
        system.mkdir()
        (system / "vmlinux.h").write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        has_suffix = "skb__nullable" in (self._folder / "raw_tcp_send_reset.h").read_text()
        text = FOLLOWS.replace("SKB", "skb__nullable" if has_suffix else "skb")
        job = Job(COMPILERS[0], text, self._folder / "follows.o", "bpfel", options=("-fms-extensions",))
        obj = job.run([], [system, self._libbpf_include])
        return flat_programs(obj, ["follow/untested", "follow/tested"])


@pytest.fixture(scope="module")
def kernel_asked(libbpf_include: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Asked]:
    """Each kernel is booted once, for all tests."""
    return functools.cache(lambda name: Asked(name, tmp_path_factory.mktemp(f"nulls-{name}"), libbpf_include))


@pytest.mark.parametrize("kernel", ["5.10", "6.1", "6.12", "7.2"])
def test_agrees_with_the_table(kernel: str, kernel_asked: Callable[[str], Asked], report: list[str]) -> None:
    this = kernel_asked(kernel)
    tree, found = this.tree, this.answers
    expected = expectation(this.known, table(tree))
    # What cannot be followed is not known.
    assert {key: answer for key, answer in expected.items() if key in found} == found
    missing = expected.keys() - found.keys()
    assert len(missing) < len(found) / 100, missing
    assert {key for key, answer in found.items() if answer == Nullness.ERROR} == ERRORS.get(kernel, set())
    if kernel in ERRORS:
        assert found["tcp_send_reset", 1] == Nullness.MAYBE  # by the suffix of its name
    counts = [f"{sum(answer == each for answer in found.values())} {each}" for each in Nullness]
    report.append(f"Linux {tree.version}, the verifier's answers: {', '.join(counts)}; none of {sorted(missing)}")


def test_a_program_that_follows_untested(kernel_asked: Callable[[str], Asked]) -> None:
    """Linux 6.1 takes it, and 6.12 only one that tests: as `tpgen diff` says."""
    assert [answer.stage for answer in kernel_asked("6.1").followed] == ["done", "done"]
    untested, tested = kernel_asked("6.12").followed
    assert (untested.stage, untested.error) == ("load", errno.EACCES)
    assert any("invalid mem access 'trusted_ptr_or_null_'" in line for line in untested.text), untested.text
    assert tested.stage == "done"
    changes = pointers_that_became_doubtful("tcp_send_reset")
    assert changes["tcp_send_reset", "skb"] == (1, 1)


def test_diff_is_what_the_verifiers_say(kernel_asked: Callable[[str], Asked], report: list[str]) -> None:
    """Of each pointer of each event that both kernels have, and of which both verifiers can be asked."""
    before, after = kernel_asked("6.1"), kernel_asked("6.12")
    told = pointers_that_became_doubtful()
    pairs = {
        (event, name): (slot, now)
        for event, slots in named_slots(before).items()
        for name, slot in slots.items()
        if (now := named_slots(after).get(event, {}).get(name)) is not None
        and (event, slot) in before.answers
        and (event, now) in after.answers
    }
    refused = {
        key
        for key, (slot, now) in pairs.items()
        if before.answers[key[0], slot] == Nullness.NEVER != after.answers[key[0], now]
    }
    assert {key for key in told if key in pairs} == refused - SINCE_THE_CATALOG
    assert len(refused) > 20
    report.append(f"6.1 and 6.12: {len(pairs)} pointers, {len(refused)} of which tp_btf programs must test now")


def named_slots(asked: Asked) -> dict[str, dict[str, int]]:
    """The slot of each argument, by event and name."""
    return {
        event: {(param.name or "").removesuffix("__nullable"): slot for slot, param in enumerate(params)}
        for image in asked.known.values()
        for event, params in image.params.items()
    }


def pointers_that_became_doubtful(*patterns: str) -> dict[tuple[str, str], tuple[int, int]]:
    """By event and argument, its slots in 6.1 and 6.12, where diff says that tp_btf programs break."""
    done = tpgen("diff", "debian-6.1-amd64", "debian-6.12-amd64", *patterns, "--json")
    return {
        (event["name"], change["before"]["name"]): (change["before"]["slot"], change["after"]["slot"])
        for event in json.loads(done.out)["events"]
        for change in event["changes"]
        if change["change"] == "argument-nullness" and "tp_btf" in change["consequences"]
    }


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


def asked(tree: Tree, modules: list[Path], folder: Path, more: Sequence[Line]) -> tuple[Answers, tuple[Answer, ...]]:
    """What tpgen's reader learns from the kernel. Every program that it could ask with is in the plan of one boot.

    Also what the kernel answers to `more`.
    """
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
    run = boot(tree, guest(tree.arch, folder), [*load_modules(loaded), *more, *lines], folder / "boot", loaded)
    set_up, answers = run.answers[: len(loaded)], run.answers[len(loaded) + len(more) :]
    assert {answer.stage for answer in set_up} <= {"done"}, set_up
    assert {answer.stage for answer in answers} == {"done", "load"}
    errors = {program: answer.error for program, answer in zip(programs, answers, strict=True)}
    verifier = Verifier(lambda *program: errors[program])
    found = {
        (event, slot): answer
        for btf in opened
        for event in btf.events
        for slot, answer in verifier.assumptions(btf, event).items()
    }
    return found, run.answers[len(loaded) :][: len(more)]
