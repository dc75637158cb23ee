"""The generated Python module: what it reads out of records by hand, of the running kernel, and of trace_pipe_raw."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
from support import odd_kernel
from support.cli import tpgen
from support.live import TraceInstance
from support.workload import Child

from languages.conftest import Odd, Running, pattern_record

_numbers = itertools.count()


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"generated_{next(_numbers)}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("big_endian", [False, True])
def test_odd_record(odd: Odd, tmp_path: Path, big_endian: bool) -> None:
    made = load(odd("python", tmp_path / "tracepoints.py", big_endian))
    record = made.tp_802154_self(odd_kernel.record(">" if big_endian else "<"))
    assert record.as_dict() == {
        "__data_loc_type": "abcde", "type": -5, "in": True, "saddr": bytes((1, 2, 3, 4)), "self": -3,
        "fn": (7, 4_000_000_000), "crate": (1 << 63) + 1, "words": (1, 65535, 3), "super": 200,
        "func": bytes((9, 8, 7, 6)), "comm": "ab", "_": 0xFEDC_BA98,
    }  # fmt: skip
    assert (record.data_loc_type, record.type, record.in_) == ("abcde", -5, True)
    assert (record.common_type, record.common_pid) == (77, 1234)
    assert "in_=True" in repr(record)
    assert made.tp_nothing(bytes(8)).as_dict() == {}
    assert made.EVENTS["odd", "802154_self"] is made.tp_802154_self


def test_short_record(odd: Odd, tmp_path: Path) -> None:
    """What is not all there is an error, whether a field or its data is missing."""
    made = load(odd("python", tmp_path / "tracepoints.py", False))
    with pytest.raises(ValueError, match="63 bytes, and the record has 64"):
        made.tp_802154_self(bytes(63))
    record = made.tp_802154_self(odd_kernel.record("<")[:-1])
    assert record.data_loc_type == "abcde"
    with pytest.raises(ValueError, match="bytes 72 to 80 of a record of 79"):
        _ = record.fn


def test_it_needs_nothing(odd: Odd, tmp_path: Path) -> None:
    odd("python", tmp_path / "tracepoints.py", False)
    code = "import sys, tracepoints; print(sorted(m for m in sys.modules if m.startswith(('tpgen', 'jinja2'))))"
    command = (sys.executable, "-I", "-S", "-W", "error", "-c", f"import sys; sys.path.insert(0, '.'); {code}")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("order", ["<", ">"])
def test_page(odd: Odd, tmp_path: Path, order: str) -> None:
    """A page by hand: a short record, a long one, both kinds of time words, and padding to the end."""
    made = load(odd("python", tmp_path / "tracepoints.py", order == ">"))

    def word(kind: int, delta: int) -> bytes:
        return struct.pack(f"{order}I", kind << 27 | delta if order == ">" else delta << 5 | kind)

    number = struct.Struct(f"{order}I").pack
    body = (
        word(2, 5) + b"12345678"
        + word(30, 1) + number(3)
        + word(0, 7) + number(4 + 12) + b"abcdefghijkl"
        + word(31, 9) + number(100)
        + word(1, 2) + b"last"
        + word(29, 0)
    )  # fmt: skip
    lost = 1 << 31
    page = struct.pack(f"{order}QQ", 1000, len(body) | lost) + body + bytes(100)
    absolute = (100 << 27) + 9
    assert list(made.records(page)) == [
        (1005, b"12345678"),
        (1005 + (3 << 27) + 1 + 7, b"abcdefghijkl"),
        (absolute + 2, b"last"),
    ]


@pytest.mark.live
def test_records_of_the_running_kernel(running: Running, tmp_path: Path) -> None:
    """Every field that is not dynamic, by the kernel's own format files."""
    made = load(running.generate("python", tmp_path / "tracepoints.py", "classic"))
    for event, fields in running.records.items():
        decoder = made.EVENTS[running.systems[event], event]
        assert max((field.offset + field.size for field in fields), default=8) <= decoder.SIZE, event
        for seed in range(3):
            data = pattern_record(decoder.SIZE, seed)
            record = decoder(data)
            names = [name for name, field in zip(record._KEYS.values(), fields, strict=True) if not field.dynamic]
            plain = [field for field in fields if not field.dynamic]
            for name, field in zip(names, plain, strict=True):
                value, numbers = getattr(record, name), running.numbers(event, field, data)
                if isinstance(value, str):
                    assert value.encode("utf-8", "surrogateescape") == bytes(numbers).partition(b"\0")[0], (event, name)
                else:
                    assert (tuple(value) if isinstance(value, bytes | tuple) else (value,)) == numbers, (event, name)


# The kernel's text of each event, from which every field is told.
TEXTS = {
    "sched:sched_switch": "prev_comm={r.prev_comm} prev_pid={r.prev_pid} prev_prio={r.prev_prio}",
    "sched:sched_process_exec": "filename={r.filename} pid={r.pid} old_pid={r.old_pid}",
    "sched:sched_process_exit": "comm={r.comm} pid={r.pid} prio={r.prio} group_dead={dead}",
    "syscalls:sys_enter_openat": "(dfd: {r.dfd:#x}, filename: {r.filename:#x}, flags: ",
    "syscalls:sys_exit_openat": "sys_openat -> {r.ret:#x}",
    "signal:signal_generate": (
        "sig={r.sig} errno={r.errno} code={r.code} comm={r.comm} pid={r.pid} grp={r.group} res={r.result}"
    ),
}
_ACTIONS = """
import os, signal, sys, threading
signal.signal(signal.SIGUSR1, lambda *_: None)
os.write(1, b"ready\\n")
os.read(0, 16)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
try: os.open("/nonexistent/file", os.O_RDONLY)
except FileNotFoundError: pass
os.execv("/bin/true", ["true"])
"""


@pytest.mark.live
def test_trace_pipe_raw(running: Running, trace_instance: TraceInstance, tmp_path: Path) -> None:
    """Records of a process of ours, out of the kernel's buffer, beside what the kernel prints of the same ones."""
    path = tmp_path / "tracepoints.py"
    assert tpgen(*TEXTS, "--classic", "-b", "python", "-o", path).code == 0
    made = load(path)
    child = Child(_ACTIONS, [])
    try:
        child.await_line("ready")
        trace_instance.start(TEXTS, [child.pid])
        child.go()
        assert child.wait() == 0
        trace_instance.stop()
        lines = [line for line in trace_instance.lines() if f"-{child.pid} " in line]
        decoders = made.decoders(str(running.tracefs))
        found = []
        for pipe in sorted(trace_instance.path.glob("per_cpu/cpu*/trace_pipe_raw")):
            fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            try:
                while page := _page(fd):
                    found += [(time, decoders[made.common_type(data)](data)) for time, data in made.records(page)]
            finally:
                os.close(fd)
    finally:
        child.close()
    found = sorted(
        ((time, record) for time, record in found if record.common_pid == child.pid), key=lambda pair: pair[0]
    )
    assert {f"{record.SYSTEM}:{record.NAME}" for _, record in found} == set(TEXTS)
    assert len(found) == len(lines)
    for (time, record), line in zip(found, lines, strict=True):
        dead = "true" if getattr(record, "group_dead", False) else "false"
        text = TEXTS[f"{record.SYSTEM}:{record.NAME}"].format(r=_Unsigned(record), dead=dead)
        # The upper half of the register of an int is what the C library left there: the sign since Debian 13's.
        assert text in re.sub(r"(?<=dfd: 0x)f{8}(?=[0-9a-f]{8},)", "", line)
        seconds = re.search(r" (\d+\.\d{6}): ", line)
        assert seconds is not None
        assert abs(time / 1e9 - float(seconds[1])) < 2e-6


class _Unsigned:
    """A record whose numbers are printed as the kernel prints them in hex: without a sign, in their own width."""

    _BITS: ClassVar = {"dfd": 32, "ret": 64}

    def __init__(self, record: object) -> None:
        self._record = record

    def __getattr__(self, name: str) -> object:
        value = getattr(self._record, name)
        return value & (1 << self._BITS[name]) - 1 if name in self._BITS else value


def _page(fd: int) -> bytes:
    try:
        return os.read(fd, os.sysconf("SC_PAGE_SIZE"))
    except BlockingIOError:
        return b""
