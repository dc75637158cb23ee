"""The generated scripts: bpftrace takes them, and prints what a process of ours does.

Debian 12's bpftrace 0.17 knows no raw tracepoints. `tox -e live` takes that of Debian 13 as well.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import bpftrace
from support.cli import tpgen
from support.odd_kernel import FORMATS
from support.small_kernel import write_tracefs
from support.tracers import killed, lines_until

from languages.conftest import Odd, Running, every_event

pytestmark = pytest.mark.languages

VERSIONS = ("installed", "unpacked") if every_event() else ("installed",)
# 0.17 and 0.23 write C for it that their own clang refuses: with an enum that the kernel's BTF does not define.
BROKEN = "tracepoint:syscalls:sys_enter_landlock_add_rule"
# bpftrace 0.17 takes half a second for a probe, and the optimizer more than that for all of them at once.
MOST = 20


def command(version: str) -> tuple[str, ...]:
    return bpftrace.INSTALLED if version == "installed" else bpftrace.unpacked()


def probes(script: Path) -> list[str]:
    """The probes of a script."""
    return re.split(r"^(?=(?:raw)?tracepoint:)", script.read_text(), flags=re.MULTILINE)[1:]


def test_odd_kernel(odd: Odd, tmp_path: Path) -> None:
    """Every argument that there is, cut to its type."""
    raw, classic, nothing_raw, nothing = probes(odd("bpftrace", tmp_path / "a.bt"))
    assert re.findall(r"^\t(\$.*);$", raw, re.MULTILINE) == [
        "$self = (int32)arg0", "$super = (int8)arg1", "$crate = (uint8)arg2", "$Self = (struct type *)arg3",
        "$type = arg4",
    ]  # fmt: skip
    assert "// int (*fn)(unsigned int): arg5, up to bpftrace 0.23\n" in raw
    assert "// struct pair in: there is no arg6, but args.in since bpftrace 0.24\n" in raw
    assert (
        'printf("802154_self self=%d super=%d crate=%u Self=%p type=%u\\n", $self, $super, $crate, $Self, $type);'
        in raw
    )
    assert classic.startswith("tracepoint:odd:802154_self\n")
    assert "args->" not in classic
    assert "\t// __data_loc char[] type: bpftrace cannot compile a record with a __rel_loc\n" in classic
    assert nothing_raw == 'rawtracepoint:nothing\n{\n\tprintf("nothing\\n");\n}\n\n'
    assert nothing == 'tracepoint:odd:nothing\n{\n\tprintf("nothing\\n");\n}\n'


def test_fields_of_each_kind(tmp_path: Path) -> None:
    """The same record with a __data_loc in place of the __rel_loc, which bpftrace does not know."""
    lines = (
        replace(line, declaration=line.declaration.replace("rel_loc", "data_loc"))
        for line in FORMATS["odd/802154_self"]
    )
    tracefs = write_tracefs(tmp_path / "tracefs", {"odd/802154_self": tuple(lines)})
    done = tpgen("802154_self", "--classic", "-b", "bpftrace", "--tracefs", tracefs, "--arch", "x86_64")
    assert "str(args->type), args->type, args->in, buf(args->saddr, 4), args->self, args->fn, " in done.out
    assert "// struct pair func: a struct, which bpftrace cannot print\n" in done.out


@pytest.mark.live
@pytest.mark.parametrize("version", VERSIONS)
def test_running_kernel(running: Running, version: str, tmp_path: Path) -> None:
    """Every probe is translated, for the version at hand all forms that it has."""
    found = probes(running.generate("bpftrace", tmp_path / "classic.bt", "classic"))
    if version == "unpacked":
        found += probes(running.generate("bpftrace", tmp_path / "raw.bt", "raw"))
    else:
        found = found[:: max(1, len(found) // MOST)]
    found = [probe for probe in found if probe.split("\n")[0] != BROKEN]
    script = tmp_path / "all.bt"
    for at in range(0, len(found), 200):
        script.write_text("".join(found[at : at + 200]))
        assert bpftrace.refusals(command(version), script) == []


# Signals itself until bpftrace has seen it and it is told to go on; then a lock that somebody else has, and an exec.
_ACTIONS = """
import fcntl, os, select, signal, sys, threading
for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda *_: None)
locked = open(sys.argv[1], "r+")
with open("/proc/self/comm", "w") as file:
    file.write("tpgen-bpftrace")
while not select.select([0], [], [], 0.05)[0]:
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
try: fcntl.lockf(locked, fcntl.LOCK_EX | fcntl.LOCK_NB, 3, 10)
except BlockingIOError: pass
os.execv("/bin/true", ["true"])
"""
EVENTS = ("signal:signal_generate", "filelock:posix_lock_inode", "sched:sched_process_exec")
# Debian 13's version reads every dynamic string of a record as an empty one, in scripts that are written by hand too.
_EMPTY_STRINGS = "v0.23"
# In the order of the events; 10 is SIGUSR1, -6 SI_TKILL, -11 -EAGAIN.
LINES = {
    "--classic": (
        r"signal_generate sig=10 errno=0 code=-6 comm=tpgen-bpftrace pid={pid} group=0 result=0",
        r"posix_lock_inode .* pid={pid} flags=1 type=1 fl_start=10 fl_end=12 ret=-11",
        r"sched_process_exec filename={program} pid={pid} old_pid={pid}",
    ),
    "--raw": (
        r"signal_generate sig=10 info=0x\w+ task=0x\w+ .*group=0 result=0",
        r"posix_lock_inode inode=0x\w+ fl=0x\w+ ret=-11",
        r"sched_process_exec p=0x\w+ old_pid={pid} bprm=0x\w+",
    ),
}


@pytest.mark.live
@pytest.mark.parametrize(
    ("version", "form"),
    [(version, form) for version in VERSIONS for form in LINES if (version, form) != ("installed", "--raw")],
)
def test_values(version: str, form: str, tmp_path: Path) -> None:
    """A script that runs prints what happened, negative numbers among it."""
    done = tpgen(*EVENTS, form, "-b", "bpftrace")
    assert (done.code, done.err) == (0, "")
    of = subprocess.run((*command(version), "--version"), stdout=subprocess.PIPE, text=True, check=True).stdout
    program = "" if _EMPTY_STRINGS in of else "/bin/true"
    with open(tmp_path / "locked", "w+") as locked:
        fcntl.lockf(locked, fcntl.LOCK_EX)
        acting = (sys.executable, "-I", "-S", "-c", _ACTIONS, locked.name)
        with killed(acting, stdin=subprocess.PIPE) as child:
            script = tmp_path / "a.bt"
            script.write_text(
                re.sub(r"^((?:raw)?tracepoint:.*)$", rf"\1 /pid == {child.pid}/", done.out, flags=re.MULTILINE)
            )
            with killed((*command(version), "-B", "line", str(script)), stdout=subprocess.PIPE) as tracing:
                lines_until(tracing, ["signal_generate "])
                assert child.stdin is not None
                child.stdin.close()
                lines_until(tracing, [line.format(pid=child.pid, program=program) + "$" for line in LINES[form]])
            assert child.wait() == 0
