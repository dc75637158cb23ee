"""Probes that somebody defined in a process of our own: listed, shown, checked, decoded, and attached to by nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from support.headers import ROOT
from support.kernel_facts import parsed_format
from support.live import TraceInstance
from support.ring_buffer import records

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the probes name registers of x86-64"),
    pytest.mark.skipif(not Path("/sys/kernel/tracing/uprobe_events").exists(), reason="no uprobes in this kernel"),
]

SOURCE = """
#include <stdio.h>
struct pair { unsigned short words[3]; };
__attribute__((noipa)) long probed(int number, unsigned long wide, const char *text, const struct pair *pair)
{
	return number + (long)wide + text[0] + pair->words[0];
}
int main(void)
{
	struct pair pair = { { 7, 65535, 300 } };
	return getchar() == EOF || probed(-5, 1UL << 63 | 3, "a text", &pair) == 0;
}
"""
# The C of the call in main(), by hand.
WIDE = 1 << 63 | 3
RESULT = -5 + WIDE + ord("a") + 7 - (1 << 64)


@dataclass(frozen=True)
class Probed:
    """The program, the group of its probes, and these, by the name of their event."""

    program: Path
    group: str
    probes: Mapping[str, str]


def write(tracefs: Path, line: str) -> None:
    # Not open(…, "a"), which seeks, and this file refuses that.
    descriptor = os.open(tracefs / "dynamic_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def offset_of(program: Path, function: str) -> int:
    """Where a function is in its file."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        (symbol,) = elf.get_section_by_name(".symtab").get_symbol_by_name(function)
        address = symbol["st_value"]
        for segment in elf.iter_segments("PT_LOAD"):
            if segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_filesz"]:
                return int(address - segment["p_vaddr"] + segment["p_offset"])
    raise AssertionError(function)


@pytest.fixture
def probed(tracefs: Path, tmp_path: Path) -> Iterator[Probed]:
    """A uprobe, one at the return, and one that is called like a tracepoint; tracefs is left as it was found."""
    program = tmp_path / "probed"
    subprocess.run(("gcc", "-O1", "-x", "c", "-", "-o", program), input=SOURCE, text=True, check=True)
    group, place = f"tpgen_{os.getpid()}", f"{program}:{offset_of(program, 'probed'):#x}"
    probes = {
        "called": f"p:{group}/called {place} number=%di:s32 wide=%si:u64 text=+0(%dx):string words=+0(%cx):u16[3]",
        "returned": f"r:{group}/returned {place} result=$retval:s64",
        "sched_switch": f"p:{group}/sched_switch {place} prev_state=%di:x32",
    }
    before = (tracefs / "dynamic_events").read_text()
    defined: list[str] = []
    try:
        for name, line in probes.items():
            write(tracefs, line)
            defined.append(name)
        yield Probed(program, group, probes)
    finally:
        for name in reversed(defined):
            write(tracefs, f"-:{group}/{name}")
        assert (tracefs / "dynamic_events").read_text() == before


def tpgen(*words: str, cache: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    command = (sys.executable, "-m", "tpgen", *words)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def test_listed_and_shown(probed: Probed, tracefs: Path, tmp_path: Path) -> None:
    """With what the kernel's own format files say, and before and after all of it is in the cache."""
    for _ in range(2):
        listed = {
            (each["system"], each["name"]): each for each in json.loads(tpgen("list", "--json", cache=tmp_path).stdout)
        }
        shown = json.loads(tpgen("show", f"{probed.group}:*", "--json", cache=tmp_path).stdout)
        assert {event["name"] for event in shown} == set(probed.probes)
        for event in shown:
            assert listed[probed.group, event["name"]]["kind"] == "dynamic"
            assert (event["kind"], event["attach_name"], event["module"]) == ("dynamic", None, None)
            assert fields_of(event) == fields_in(tracefs / "events" / probed.group / event["name"] / "format")
    assert "dynamic event" in tpgen("show", f"{probed.group}:called", cache=tmp_path).stdout


def fields_of(event: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(field["name"], field["offset"], field["size"]) for field in event["record"]["fields"]]


def fields_in(path: Path) -> list[tuple[str, int, int]]:
    return [(field.name, field.offset, field.size) for field in parsed_format(path.read_text())]


def test_checked(probed: Probed, tmp_path: Path) -> None:
    """There is nothing wrong with them, nor with the tracepoint that one of them is called like."""
    for pattern in (f"{probed.group}:*", "sched_switch", "*"):
        assert "error: " not in tpgen("check", pattern, cache=tmp_path).stdout


def test_nothing_is_attached(probed: Probed, tmp_path: Path) -> None:
    for backend in ("bpf", "bpftrace"):
        done = tpgen(f"{probed.group}:called", "-b", backend, cache=tmp_path, status=2)
        lines = done.stderr.splitlines()
        assert (done.stdout, bool(lines)) == ("", True)
        assert all(f"form of {probed.group}:called: it is a dynamic event" in line for line in lines), lines


def test_the_tracepoint_of_that_name_is_what_it_was(probed: Probed, tracefs: Path, tmp_path: Path) -> None:
    with_probe = tpgen("sched_switch", "--raw", cache=tmp_path).stdout
    assert tpgen("sched:sched_switch", "--raw", cache=tmp_path).stdout == with_probe
    write(tracefs, f"-:{probed.group}/sched_switch")
    try:
        assert tpgen("sched_switch", "--raw", cache=tmp_path).stdout == with_probe
    finally:
        write(tracefs, probed.probes["sched_switch"])


def test_decoded(probed: Probed, trace_instance: TraceInstance, tmp_path: Path) -> None:
    """The records of a call, as the kernel writes them, are what the process called with."""
    module = tmp_path / "probes.py"
    tpgen(f"{probed.group}:*", "-b", "python", "-o", str(module), cache=tmp_path)
    made = load(module)
    process = subprocess.Popen((probed.program,), stdin=subprocess.PIPE)
    events = [f"{probed.group}:{name}" for name in probed.probes]
    trace_instance.start(events, [process.pid])
    process.communicate(b"x")
    assert process.returncode == 0
    trace_instance.stop()
    found = [record for cpu in range(os.cpu_count() or 1) for record in records(trace_instance.path, cpu)]
    kinds = {event_id(trace_instance, event): event.partition(":")[2] for event in events}
    decoded = {}
    for record in found:
        name = kinds[int.from_bytes(record[:2], sys.byteorder)]
        values = made.EVENTS[probed.group, name](record)
        assert values.common_pid == process.pid
        decoded[name] = {key: value for key, value in values.as_dict().items() if not key.startswith("__probe_")}
    assert decoded == {
        "called": {"number": -5, "wide": WIDE, "text": "a text", "words": (7, 65535, 300)},
        "returned": {"result": RESULT},
        "sched_switch": {"prev_state": (1 << 32) - 5},
    }


def event_id(instance: TraceInstance, event: str) -> int:
    return int((instance.path / "events" / event.replace(":", "/") / "id").read_text())


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("probes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
