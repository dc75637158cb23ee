"""A probe of each kind and a synthetic event in Debian's kernels: no tracepoints to tpgen, nor to the kernel."""

from __future__ import annotations

import errno
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from support.debian import Tree
from support.flat import reads_slot
from support.headers import ROOT
from support.kernel_facts import parsed_format
from support.ring_buffer import page_records
from support.vm import Answer, Line, boot, guest, tp, write_formats

pytestmark = [pytest.mark.machines, pytest.mark.compilers]

_TRACEFS = "/sys/kernel/tracing"
_DYNAMIC = f"{_TRACEFS}/dynamic_events"
KERNELS = ("5.10", "6.1", "6.12", "7.2")
Name: TypeAlias = tuple[str, str]
#: By system and name: the first of these kernels that has the kind, and the line that defines the event. Some are
#: called like a tracepoint, those without a name by the kernel itself. Fields may be called like words of C.
PROBES: Mapping[Name, tuple[str, str]] = {
    ("vm", "kprobe"): (
        "5.10",
        "p:vm/kprobe do_sys_openat2 dfd=$arg1:s32 name=+u0($arg2):ustring how=+0($arg3):u64[3] comm=$comm",
    ),
    ("vm", "kretprobe"): ("5.10", "r:vm/kretprobe do_sys_openat2 result=$retval:s32"),
    ("vm", "words"): ("5.10", "p:vm/words do_sys_openat2 int=$arg1:s32 if=$arg1:u8 default=$arg1:x16"),
    ("vm", "sched_switch"): ("5.10", "p:vm/sched_switch do_sys_openat2 prev_state=$arg1:x32"),
    ("kprobes", "p_do_sys_openat2_0"): ("5.10", "p do_sys_openat2"),
    ("vm", "uprobe"): (
        "5.10",
        "p:vm/uprobe @PROBED number=%di:s32 wide=%si:u64 text=+0(%dx):string texts=+0(%cx):string[2]",
    ),
    ("vm", "uretprobe"): ("5.10", "r:vm/uretprobe @PROBED result=$retval:s64"),
    ("vm", "eprobe"): ("6.1", "e:vm/eprobe syscalls.sys_enter_openat2 dfd=$dfd:s32 name=+0($filename):ustring"),
    ("eprobes", "sched_process_exec"): ("6.1", "e sched.sched_process_exec old=$old_pid:s32"),
    ("synthetic", "vm_synthetic"): ("6.1", "s:vm_synthetic pid_t pid; int prio; char comm[16]; char file[]"),
    ("vm", "fprobe"): ("6.12", "f:vm/fprobe do_sys_openat2 dfd=$arg1:s32 flags=+0($arg3):u64"),
    ("vm", "fexit"): ("6.12", "f:vm/fexit do_sys_openat2%return result=$retval:s32"),
    ("vm", "tprobe"): ("6.12", "t:vm/tprobe sched_process_exec pid=old_pid:s32 file=bprm->filename:string"),
    ("tracepoints", "sched_process_exit"): ("6.12", "t sched_process_exit pid=p->pid:s32"),
}
# O_WRONLY | O_CREAT, and O_LARGEFILE, which the kernel adds.
_FLAGS = 0o100101
# What lets the synthetic event happen: a process that has become another program ends.
_TRIGGERS = (
    ("sched/sched_process_exec", "hist:keys=pid:file=filename"),
    (
        "sched/sched_process_exit",
        "hist:keys=pid:onmatch(sched.sched_process_exec).trace(vm_synthetic,pid,prio,comm,$file)",
    ),
)


def values(facts: Mapping[str, str]) -> Mapping[Name, Mapping[str, Any]]:
    """The fields of each event when tests/vm/guest.c has run into the probes, from what is written there."""
    pid, program = int(facts["pid"]), "/some/program-with-a-long-name"
    opened = {"dfd": -9, "name": "no/such/directory"}
    return {
        ("vm", "kprobe"): opened | {"how": (_FLAGS, 0o640, 8), "comm": "init"},
        ("vm", "kretprobe"): {"result": -errno.EBADF},
        ("vm", "words"): {"int": -9, "if": 256 - 9, "default": 0x10000 - 9},
        ("vm", "sched_switch"): {"prev_state": (1 << 32) - 9},
        ("kprobes", "p_do_sys_openat2_0"): {},
        ("vm", "uprobe"): {"number": -5, "wide": (1 << 64) - 3, "text": "a text", "texts": ("one text", "another")},
        ("vm", "uretprobe"): {"result": -8},
        ("vm", "eprobe"): opened,
        ("eprobes", "sched_process_exec"): {"old": pid},
        ("synthetic", "vm_synthetic"): {"pid": pid, "prio": 120, "comm": "program-with-a-", "file": program},
        ("vm", "fprobe"): {"dfd": -9, "flags": _FLAGS},
        ("vm", "fexit"): {"result": -errno.EBADF},
        ("vm", "tprobe"): {"pid": pid, "file": program},
        ("tracepoints", "sched_process_exit"): {"pid": pid},
    }


class Machine:
    """A kernel in which the events were defined, happened, and were removed."""

    def __init__(self, kernel: str, scratch: Path) -> None:
        self.kernel = kernel
        self._scratch = scratch
        self._tree = Tree(kernel)
        self.probes = {
            name: line for name, (first, line) in PROBES.items() if KERNELS.index(first) <= KERNELS.index(kernel)
        }
        self.later = [line for first, line in PROBES.values() if KERNELS.index(first) > KERNELS.index(kernel)]
        self.triggers = _TRIGGERS if ("synthetic", "vm_synthetic") in self.probes else ()

    def _plan(self) -> dict[str, list[Line]]:
        switches = [f"{_TRACEFS}/events/{system}/{name}/enable" for system, name in self.probes]
        triggers = [(f"{_TRACEFS}/events/{event}/trigger", text) for event, text in self.triggers]
        look = [Line("formats"), Line(f"read {_DYNAMIC}")]
        return {
            "before": look,
            "later": [Line(f"write {_DYNAMIC} {line}") for line in self.later],
            "define": [Line(f"write {_DYNAMIC} {line}") for line in self.probes.values()],
            "defined": look,
            "attach": [tp(system, name, reads_slot(None, False)) for system, name in self.probes],
            "trigger": [Line(f"write {file} {text}") for file, text in triggers],
            "enable": [Line(f"write {file} 1") for file in switches],
            "act": [Line("act probes"), Line(f"write {_TRACEFS}/tracing_on 0")],
            "trace": [Line(f"read {_TRACEFS}/trace"), Line(f"pages {_TRACEFS}/per_cpu/cpu0/trace_pipe_raw")],
            "disable": [Line(f"write {file} 0") for file in switches],
            "untrigger": [Line(f"write {file} !{text}") for file, text in reversed(triggers)],
            "remove": [Line(f"write {_DYNAMIC} -:{system}/{name}") for system, name in self.probes],
            "after": look,
        }

    @cached_property
    def answers(self) -> Mapping[str, tuple[Answer, ...]]:
        """What the kernel answered to each part of the plan."""
        plan = self._plan()
        init = guest(self._tree.arch, self._scratch)
        run = boot(self._tree, init, [line for lines in plan.values() for line in lines], self._scratch / "boot", {})
        answers = iter(run.answers)
        return {part: tuple(next(answers) for _ in lines) for part, lines in plan.items()}

    @cached_property
    def before(self) -> Path:
        """A copy of its tracefs before there were such events."""
        return self._copy("before")

    @cached_property
    def defined(self) -> Path:
        """A copy of its tracefs with the events."""
        return self._copy("defined")

    def _copy(self, part: str) -> Path:
        formats, listed = self.answers[part]
        write_formats(formats.text, self._scratch / part)
        (self._scratch / part / "dynamic_events").write_text("".join(f"{line}\n" for line in listed.text))
        return self._scratch / part

    @cached_property
    def records(self) -> dict[int, list[bytes]]:
        """What is in the kernel's buffer, by the id of the event."""
        found: dict[int, list[bytes]] = {}
        for page in self.answers["trace"][1].text:
            for record in page_records(bytes.fromhex(page)):
                found.setdefault(int.from_bytes(record[:2], "little"), []).append(record)
        return found

    def tpgen(self, *words: str, tracefs: Path | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
        """A run that is given this kernel's files."""
        sources = ("--btf", str(self._tree.vmlinuz), "--tracefs", str(tracefs or self.defined))
        command = (sys.executable, "-m", "tpgen", *words, *sources)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done


@pytest.fixture(scope="module", params=KERNELS)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(request.param, tmp_path_factory.mktemp(f"dynamic-{request.param}"))


def test_as_they_should(machine: Machine) -> None:
    """The kernel takes every definition of a kind that it has, and is what it was when all are removed."""
    answers = machine.answers
    for part in answers.keys() - {"later", "attach"}:
        refused = [(answer.line.text, answer.stage, answer.error) for answer in answers[part] if answer.stage != "done"]
        assert refused == [], part
    assert {answer.stage for answer in answers["later"]} <= {"write"}
    assert [answer.text for answer in answers["before"]] == [answer.text for answer in answers["after"]]
    assert len(answers["defined"][1].text) == len(machine.probes)


def test_the_kernel_runs_no_program(machine: Machine) -> None:
    refused = {
        tuple(answer.line.text.split()[1:3]): (answer.stage, answer.error) for answer in machine.answers["attach"]
    }
    # Linux 7.2 attaches one to a synthetic event, and does not run it.
    synthetic = ("done", 0) if machine.kernel == "7.2" else ("attach", errno.ENODEV)
    expected = {name: synthetic if name[0] == "synthetic" else ("attach", errno.EINVAL) for name in machine.probes}
    assert refused == expected


def listed(machine: Machine, tracefs: Path) -> dict[Name, dict[str, Any]]:
    found = json.loads(machine.tpgen("list", "--json", tracefs=tracefs).stdout)
    return {(event["system"], event["name"]): event for event in found}


def test_listed(machine: Machine) -> None:
    """As what they are, and all else as without them."""
    events = listed(machine, machine.defined)
    assert {name for name, event in events.items() if event["kind"] == "dynamic"} == machine.probes.keys()
    others = {name: event for name, event in events.items() if name not in machine.probes}
    assert others == listed(machine, machine.before)


def test_shown(machine: Machine) -> None:
    events = json.loads(machine.tpgen("show", *names(machine), "--json").stdout)
    assert [(event["system"], event["name"]) for event in events] == list(machine.probes)
    for event in events:
        assert (event["kind"], event["attach_name"], event["module"]) == ("dynamic", None, None)
        fields = parsed_format((machine.defined / "events" / event["system"] / event["name"] / "format").read_text())
        shown = [(field["name"], field["offset"], field["size"]) for field in event["record"]["fields"]]
        assert shown == [(field.name, field.offset, field.size) for field in fields]


def names(machine: Machine) -> list[str]:
    return [f"{system}:{name}" for system, name in machine.probes]


def test_checked(machine: Machine) -> None:
    """There is nothing wrong with them, nor with the tracepoints that some are called like."""
    assert "error: " not in machine.tpgen("check").stdout


@pytest.mark.parametrize("backend", ["bpf", "bpftrace"])
def test_nothing_to_attach_is_made(machine: Machine, backend: str, tmp_path: Path) -> None:
    done = machine.tpgen(*names(machine), "-b", backend, "-o", str(tmp_path / "made"), status=2)
    assert (done.stdout, list(tmp_path.iterdir())) == ("", [])
    refused = re.findall(r"(\w+:\w+): it is a dynamic event", done.stderr)
    assert set(refused) == set(names(machine))


def test_tracepoints_of_the_same_name(machine: Machine) -> None:
    """What is made of them is what is made where nothing was defined."""
    for event in ("sched_switch", "sched_process_exec", "sched:sched_process_exit"):
        for form in ("--raw", "--classic"):
            with_probes = machine.tpgen(event, form).stdout
            assert with_probes == machine.tpgen(event, form, tracefs=machine.before).stdout
            assert "_SEC_" in with_probes


def test_decoded(machine: Machine, report: list[str], tmp_path: Path) -> None:
    """The records of what guest.c did, as the kernel wrote them."""
    facts = dict(line.split(" ", 1) for line in machine.answers["act"][0].text)
    assert (facts["result"], facts["opened"], facts["errno"]) == ("-8", "-1", str(errno.EBADF))
    made = tmp_path / "probes.py"
    machine.tpgen(*names(machine), "-b", "python", "-o", str(made))
    decoders = load(made).EVENTS
    decoded = {name: list(own_values(machine, name, decoders[name], int(facts["pid"]))) for name in machine.probes}
    expected = values(facts)
    assert decoded == {name: [expected[name]] for name in machine.probes}
    assert printed(machine, facts["pid"]) == Counter(name for _, name in machine.probes)
    report.append(f"{machine.defined.parent.name}: {len(decoded)} dynamic events, a record of each decoded")


def own_values(machine: Machine, name: Name, decoder: Any, pid: int) -> Iterator[dict[str, Any]]:
    """The fields of every record of an event that is of a process, but where the probe was."""
    text = (machine.defined / "events" / name[0] / name[1] / "format").read_text()
    number = re.search(r"^ID: (\d+)$", text, re.MULTILINE)
    assert number
    for record in machine.records.get(int(number[1]), ()):
        event = decoder(record)
        if event.common_pid == pid:
            fields = {field: value for field, value in event.as_dict().items() if not field.startswith("__probe_")}
            if "texts" in fields:  # locators of strings
                fields["texts"] = tuple(located(record, locator) for locator in fields["texts"])
            yield fields


def located(record: bytes, locator: int) -> str:
    return record[locator & 0xFFFF :][: locator >> 16].rstrip(b"\0").decode()


def printed(machine: Machine, pid: str) -> Counter[str]:
    """How many records of a process the kernel itself prints, by the event's name."""
    lines = machine.answers["trace"][0].text
    found = (re.match(rf".*-{pid} .*?: (\w+): ", line) for line in lines)
    return Counter(match[1] for match in found if match)


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
