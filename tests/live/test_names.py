"""Names of values on the running kernel: its own BTF, its format files and what it prints are the judges."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from support.cli import tpgen
from support.compilers import Compiler
from support.libbpf import BpfObject
from support.live import TraceInstance, wait_until
from support.names import PROGRAM, Seen, printed_flags, seen

pytestmark = [pytest.mark.live, pytest.mark.compilers]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The headers, made for the running kernel."""
    for words in (("sched_switch", "kfree_skb"), ("--values", "sched_switch", "kfree_skb")):
        assert tpgen(*words, "--kernel", "live", "-o", f"{tmp_path}/").code == 0
    return tmp_path


@pytest.fixture
def program(compiler: Compiler, folder: Path) -> Path:
    options = (f"-DPROCESS={os.getpid()}",)
    return compiler.compile(PROGRAM, folder / "names.o", include=(folder,), options=options)


def test_numbers_are_those_of_the_kernels_own_btf_and_format_files(program: Path, folder: Path, tracefs: Path) -> None:
    with BpfObject(program, programs=("numbers",)) as obj:
        obj.test_run("numbers", [0])
        found = _seen(obj, folder)
    assert found.reasons == _enumerators("skb_drop_reason")
    assert found.states == printed_flags((tracefs / "events/sched/sched_switch/format").read_text()) | {"R": 0}
    assert len(found.states) > 5


def test_a_packet_for_nobody_is_dropped_as_the_kernel_prints_it(program: Path, folder: Path, tracefs: Path) -> None:
    with BpfObject(program, programs=("on_drop",)) as obj, TraceInstance(tracefs) as own:
        with obj.attached("on_drop"):
            own.start(["skb:kfree_skb"], [os.getpid()])
            _to_a_closed_port()
            wait_until(lambda: _seen(obj, folder).no_socket > 0, "the end of the packet")
            own.stop()
        printed = [line for line in own.lines() if line.rstrip().endswith("reason: NO_SOCKET")]
        assert _seen(obj, folder).no_socket == len(printed) == 1


def test_a_sleeper_is_seen_to_sleep_as_the_kernel_prints_it(program: Path, folder: Path, tracefs: Path) -> None:
    with BpfObject(program, programs=("on_switch",)) as obj, TraceInstance(tracefs) as own:
        with obj.attached("on_switch"):
            own.start(["sched:sched_switch"], [os.getpid()])
            for _ in range(5):
                time.sleep(0.01)
            own.stop()
        sleeps = _seen(obj, folder).sleeps
        printed = [line for line in own.lines() if f"prev_pid={os.getpid()} " in line and "prev_state=S " in line]
        assert sleeps >= len(printed) >= 5


def _to_a_closed_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"nobody", ("127.0.0.1", port))


def _seen(obj: BpfObject, folder: Path) -> Seen:
    return seen(struct.unpack_from("=531q", obj.section(".bss")), folder)


def _enumerators(tag: str) -> dict[str, int]:
    """The enumerators of an enum as bpftool tells them."""
    dump = ("bpftool", "-j", "btf", "dump", "file", "/sys/kernel/btf/vmlinux")
    done = subprocess.run(dump, capture_output=True, check=True)
    types = json.loads(done.stdout)["types"]
    (found,) = [each for each in types if each["kind"] == "ENUM" and each["name"] == tag]
    return {each["name"]: each["val"] & 0xFFFFFFFF for each in found["values"]}
