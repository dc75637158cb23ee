"""docs/neighbours/bcc.md: its program runs, and what it says of bcc is what Debian's bcc does.

bcc compiles with the headers of the running kernel. Of this one there may be none: others of Debian take their place,
and no test looks into a struct that they lay out.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from support.cli import tpgen
from support.neighbours import PYTHON, bcc_environment
from support.projects import CHECKOUT
from support.tracers import killed, lines_until, signalling

pytestmark = [pytest.mark.live, pytest.mark.neighbours]

PAGE = (CHECKOUT / "docs" / "neighbours" / "bcc.md").read_text()
# A program of bcc, which is loaded and attached.
_SCRIPT = """
from bcc import BPF
BPF(text=open("program.c").read(), cflags=["-I."])
"""


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return bcc_environment(tmp_path_factory.mktemp("headers"))


def program(header: str, body: str) -> str:
    return f'#include <linux/sched.h>\n#include "{header}"\n{body}\n'


def loaded(program: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (folder / "program.c").write_text(program)
    command = (PYTHON, "-c", _SCRIPT)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def generate(*arguments: str | Path) -> None:
    done = tpgen(*arguments)
    assert (done.code, done.err) == (0, "")


def sees_signals(script: str, folder: Path, environment: dict[str, str]) -> None:
    """The script prints the signals that a process sends itself."""
    (folder / "signals.py").write_text(script)
    with (
        signalling() as pid,
        killed((PYTHON, "signals.py"), cwd=folder, env=environment, stdout=subprocess.PIPE) as tracer,
    ):
        lines_until(tracer, [rf"{pid} 10 0$"])


def test_the_page_s_program(tmp_path: Path, environment: dict[str, str]) -> None:
    """From its page, as a reader has it."""
    (command,) = re.findall(r"^\$ tpgen (signal_generate .*)$", PAGE, re.MULTILINE)
    (script,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    *arguments, output = command.split()
    generate(*arguments, tmp_path / output)
    sees_signals(script, tmp_path, environment)


def test_accessors_of_the_record_take_args(tmp_path: Path, environment: dict[str, str]) -> None:
    generate("signal_generate", "--classic", "-o", tmp_path / "signal_generate.h")
    (script,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    script = script.replace("RAW_TRACEPOINT_PROBE(signal_generate)", "TRACEPOINT_PROBE(signal, signal_generate)")
    script = re.sub(r"raw_signal_generate_(\w+)\(ctx\)", r"tp_signal_generate_\1(args)", script)
    sees_signals(script.replace("perf_submit(ctx", "perf_submit(args"), tmp_path, environment)


def test_pointer_of_an_accessor_is_read_with_a_helper(tmp_path: Path, environment: dict[str, str]) -> None:
    generate("signal_generate", "--raw", "-o", tmp_path / "signal_generate.h")
    statements = "int pid; struct task_struct *task = {task}; {read}; return pid > 1;"
    accessor = "raw_signal_generate_task(ctx)"
    helper = "bpf_probe_read_kernel(&pid, sizeof(pid), &task->pid)"
    for task, read, fine in (
        (accessor, helper, True),
        ("(struct task_struct *)ctx->args[2]", "pid = task->pid", True),
        (accessor, "pid = task->pid", False),
    ):
        probe = f"RAW_TRACEPOINT_PROBE(signal_generate) {{ {statements.format(task=task, read=read)} }}"
        done = loaded(program("signal_generate.h", probe), tmp_path, environment)
        assert (done.returncode == 0) is fine, done.stderr
        assert fine or "Permission denied" in done.stderr


def test_header_for_several_kernels_does_not_compile(tmp_path: Path, environment: dict[str, str]) -> None:
    generate("mm_compaction_begin", "--raw", "--kernel", "5.10", "--kernel", "6.1", "-o", tmp_path / "begin.h")
    probe = "RAW_TRACEPOINT_PROBE(mm_compaction_begin) { return raw_mm_compaction_begin_sync(ctx); }"
    done = loaded(program("begin.h", probe), tmp_path, environment)
    assert done.returncode != 0
    assert "use of unknown builtin '__builtin_preserve_type_info'" in done.stderr


def test_compactsnoop_cannot_be_attached(environment: dict[str, str]) -> None:
    """Where mm_compaction_begin has the arguments that it has had since Linux 6.1."""
    (event,) = json.loads(tpgen("show", "mm_compaction_begin", "--json").out)
    assert len(event["args"]) == 4
    source = Path("/usr/sbin/compactsnoop-bpfcc").read_text()
    assert "bool sync = (bool)ctx->args[4];" in source
    done = subprocess.run(
        ("/usr/sbin/compactsnoop-bpfcc",), env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode != 0
    assert "Failed to attach BPF to raw tracepoint" in done.stderr
