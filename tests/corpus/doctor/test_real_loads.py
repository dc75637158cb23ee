"""The doctor's judgements of what Debian ships, held against loads on the running kernel and in machines."""

from __future__ import annotations

import errno
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cli import tpgen
from support.debian import Tree
from support.loads import Cut, Fate, Fates, Program, fates_here, fates_in_machine, loader, objects_in, unpacked

pytestmark = [pytest.mark.live, pytest.mark.machines]

SUITES = ("bookworm", "trixie", "sid")
KERNELS = ("live", "5.10", "6.1", "6.12", "7.2")
_FEWEST_PROGRAMS = 290
#: Rules of the verifier that are not about tracepoints: bounds, which depend on the compiler and on the verifier's age.
_OUT_OF_SCOPE = (
    "math between map_value pointer and register with unbounded",
    # A pointer that went through the stack to a helper: biosnoop of bookworm.
    "invalid mem access 'scalar'",
)
#: By kernel: libbpf 1.1 reads 5.10.0 as the version of Debian's 5.10, newer ones and the doctor what `uname -v` says.
_OTHER_VERSION = {"5.10": re.compile(r"sid-biosnoop-libbpf@\d+ block_rq_(insert|issue)")}
_STAGES = {"refused-load": ("map", "ksym", "target", "load"), "refused-attach": ("attach",)}


@dataclass(frozen=True)
class Package:
    """What a package ships: the files that hold objects, and the objects."""

    files: tuple[Path, ...]
    objects: tuple[Cut, ...]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """libbpf-tools of all suites. Tools of one name are told apart by the suite."""
    files, objects = [], []
    for suite in SUITES:
        folder = tmp_path_factory.mktemp(suite)
        for path in unpacked(suite, "libbpf-tools", folder):
            if not any(objects_in(path)):
                continue
            named = folder / f"{suite}-{path.name}"
            named.write_bytes(path.read_bytes())
            files.append(named)
            objects += objects_in(named)
    return Package(tuple(files), tuple(objects))


@pytest.fixture(scope="session")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return loader(tmp_path_factory.mktemp("loader"))


@pytest.fixture(scope="session", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def fates(kernel: str, tools: Package, loads: Path, tmp_path_factory: pytest.TempPathFactory) -> Fates:
    """What becomes of the tools' programs on each kernel in turn."""
    folder = tmp_path_factory.mktemp(kernel)
    if kernel == "live":
        return fates_here(loads, tools.objects, folder)
    return fates_in_machine(Tree(kernel), loads, tools.objects, folder)


@pytest.fixture(scope="session")
def judged(kernel: str, tools: Package) -> Mapping[Program, Mapping[str, Any]]:
    """The doctor's judgements on that kernel, as `--json` has them."""
    name = kernel if kernel == "live" else f"debian-{kernel}-amd64"
    done = tpgen("doctor", *tools.files, "--kernel", name, "--json", "--exit-code", "refused-load")
    assert done.code in (0, 1), done.err
    return {Program(Path(item["object"]).name, item["program"]): item for item in json.loads(done.out)}


def test_every_program_is_judged(judged: Mapping[Program, object], fates: Fates) -> None:
    assert len(fates) >= _FEWEST_PROGRAMS
    assert fates.keys() <= judged.keys()


def test_judgements_are_what_happens(
    kernel: str, judged: Mapping[Program, Mapping[str, Any]], fates: Fates, report: list[str]
) -> None:
    """A refusal happens, at its stage and with its errno; a failure was told, or is of a rule about something else."""
    counts = Counter(f"{judged[program]['verdict']} {_outcome(fate)}" for program, fate in fates.items())
    report.append(
        f"doctor, libbpf-tools on {kernel}: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    )
    odd = {
        program: (judged[program]["verdict"], fate)
        for program, fate in fates.items()
        if _is_odd(judged[program], fate) and not _reads_other_version(kernel, program)
    }
    assert odd == {}


def _outcome(fate: Fate) -> str:
    return f"failed to {fate.stage}" if fate.stage else "attached" if fate.attached else "loaded"


def _reads_other_version(kernel: str, program: Program) -> bool:
    pattern = _OTHER_VERSION.get(kernel)
    return pattern is not None and pattern.fullmatch(" ".join(program)) is not None


def _is_odd(judgement: Mapping[str, Any], fate: Fate) -> bool:
    verdict = judgement["verdict"]
    if verdict in _STAGES:
        told = {finding["errno"] for finding in judgement["findings"]}
        return fate.stage not in _STAGES[verdict] or errno.errorcode[fate.errno] not in told
    if not fate.stage or verdict == "depends":
        return False
    return not any(rule in fate.log for rule in _OUT_OF_SCOPE)


# --- a value that is wrong


def _opensnitch(folder: Path) -> Sequence[Path]:
    return [path for path in unpacked("sid", "opensnitch-ebpf-modules", folder) if path.name == "opensnitch-procs.o"]


def test_opensnitch_reads_another_argument_of_execveat(tmp_path: Path, tracefs: Path) -> None:
    """Its struct lacks the first argument; libbpf opens none of its objects, so the running kernel's format judges."""
    done = tpgen("doctor", *_opensnitch(tmp_path), "--kernel", "live", "--json")
    verdicts = {item["section"]: item for item in json.loads(done.out)}
    wrong = verdicts.pop("tracepoint/syscalls/sys_enter_execveat")
    assert (done.code, wrong["verdict"]) == (1, "wrong")
    assert {item["verdict"] for item in verdicts.values()} == {"fine"}
    told = {
        (finding["expected"]["name"], finding["offset"], finding["actual"]["name"])
        for finding in wrong["findings"] if finding["code"] == "other-field"
    }  # fmt: skip
    text = (tracefs / "events/syscalls/sys_enter_execveat/format").read_text()
    there = {int(offset): name for name, offset in re.findall(r"field:.*?(\w+);\s+offset:(\d+);", text)}
    assert told
    assert all(there[offset] == actual != expected for expected, offset, actual in told)
