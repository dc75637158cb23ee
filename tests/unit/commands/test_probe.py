"""`tpgen probe`: yes, no or unknown, by what evidence, and the exit status that a configure script looks at."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.btf_builder import BtfBuilder
from support.cli import Done, refusal, tpgen
from support.small_kernel import write_btf, write_tracefs

CHECKOUT = Path(__file__).parents[3]
YES, NO, UNKNOWN = 0, 1, 3


def evidence(done: Done) -> list[list[str]]:
    """The lines below the first, split into the word and the rest."""
    return [line.split(maxsplit=1) for line in done.out.splitlines()[1:]]


def test_btf(tmp_path: Path) -> None:
    done = tpgen("probe", "--btf", write_btf(tmp_path / "vmlinux"))
    assert (done.code, done.err) == (YES, "")
    assert done.out.startswith("raw tracepoints: yes\n")
    assert evidence(done) == [
        ["yes", "BTF has the enumerator BPF_PROG_TYPE_RAW_TRACEPOINT"],
        ["unknown", "BTF lacks struct bpf_raw_event_map"],
        ["yes", "BTF has 5 btf_trace_* prototypes"],
    ]


@pytest.mark.parametrize("tell", ["enumerator", "map", "event"])
def test_each_evidence_of_btf_decides(tell: str, tmp_path: Path) -> None:
    b = BtfBuilder()
    match tell:
        case "enumerator":
            b.enum("bpf_prog_type", values=[("BPF_PROG_TYPE_RAW_TRACEPOINT", 17)])
        case "map":
            b.structure("bpf_raw_event_map", 4, [("num_args", b.integer("int", 4), 0)])
        case "event":
            b.event("e", [])
    assert tpgen("probe", "--btf", write_btf(tmp_path / "vmlinux", b)).code == YES


def test_btf_of_an_old_kernel(tmp_path: Path) -> None:
    """That there is nothing in BTF proves nothing: it can be stripped."""
    b = BtfBuilder()
    b.enum("bpf_prog_type", values=[("BPF_PROG_TYPE_TRACEPOINT", 5)])
    done = tpgen("probe", "--btf", write_btf(tmp_path / "vmlinux", b))
    assert done.code == UNKNOWN
    assert {word for word, _ in evidence(done)} == {"unknown"}


# Lines as /proc/kallsyms and a System.map have them.
SYMBOLS = {
    "4.17": ("ffffffff811d5c10 T bpf_find_raw_tracepoint\n", YES),
    "4.20": ("ffffffff811d5c10 T bpf_get_raw_tracepoint\n", YES),
    "module": ("ffffffffc0a1c3d0 t __bpf_trace_kvm_entry\t[kvm]\n", YES),
    "older": ("ffffffff811d5c10 T trace_call_bpf\nffffffff811d5c10 t bpf_get_raw_tracepointless\n", UNKNOWN),
    "stub": ("ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n", UNKNOWN),
    "empty": ("", UNKNOWN),
}


@pytest.mark.parametrize(("text", "code"), SYMBOLS.values(), ids=SYMBOLS)
def test_symbols(text: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_text("ffffffff81000000 T _stext\n" + text)
    assert tpgen("probe", "--symbols", path).code == code


@pytest.mark.parametrize(
    ("release", "said"),
    [("4.16.18", "older than 4.17"), ("4.17.0-rc1", "4.17 or newer"), ("10.1", "4.17 or newer")],
)
def test_release_is_a_hint(release: str, said: str) -> None:
    """Red Hat's 3.10 and 4.18 show that a version decides nothing."""
    done = tpgen("probe", "--release", release)
    assert done.code == UNKNOWN
    assert f"release {release} is {said}" in done.out


def test_headers_tell_their_release(tmp_path: Path) -> None:
    """Of the headers only that is read: a broken one is not noticed."""
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "kernel.release").write_text("6.1.0-56-amd64\n")
    (tmp_path / "include" / "broken.h").write_text("TRACE_EVENT(((")
    done = tpgen("probe", "--headers", tmp_path)
    assert (done.code, done.err) == (UNKNOWN, "")
    assert "release 6.1.0-56-amd64 is 4.17 or newer: a hint" in done.out


def test_tracefs_tells_nothing(tmp_path: Path) -> None:
    assert tpgen("probe", "--tracefs", write_tracefs(tmp_path)) == Done(UNKNOWN, "raw tracepoints: unknown\n", "")


def test_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert tpgen("catalog", "add", "board", "--btf", write_btf(tmp_path / "vmlinux")).code == 0
    done = tpgen("probe", "--kernel", "board")
    assert done.code == YES
    assert evidence(done)[0] == ["yes", "the catalog has the btf_trace_* prototype of page_ref_mod"]


def test_json(tmp_path: Path) -> None:
    done = tpgen("probe", "--release", "6.1", "--json")
    assert done.code == UNKNOWN
    assert json.loads(done.out) == {
        "version": 1,
        "supported": None,
        "evidence": [{"supported": None, "what": "release 6.1 is 4.17 or newer: a hint"}],
    }


@pytest.mark.parametrize("option", ["--btf", "--symbols", "--headers"])
def test_unreadable(option: str, tmp_path: Path) -> None:
    done = tpgen("probe", option, tmp_path / "nowhere")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"{tmp_path}/nowhere: error: cannot read: No such file or directory [unreadable]" in done.err


def test_live_and_files() -> None:
    done = tpgen("probe", "--kernel", "live", "--release", "6.1")
    assert done == refusal("--kernel live reads the running kernel itself [usage]; leave out the files")


# --- the running kernel


@pytest.mark.live
def test_running_kernel() -> None:
    """It takes raw tracepoints, as the other live tests rely on."""
    done = tpgen("probe")
    assert (done.code, done.err) == (YES, "")
    first = "a two-instruction raw tracepoint program loads, and the kernel looks for a tracepoint to open it on"
    assert evidence(done)[0] == ["yes", first]


class Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def bpf_fails_with(error: int) -> None:
    """From now on, bpf(2) fails so in this process: seccomp(2), with a filter of four instructions."""
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    instructions = (
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 1, number),  # is it bpf's?
        (0x06, 0, 0, 0x00050000 | error),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    program = Filter(len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert libc.prctl(set_seccomp, mode_filter, ctypes.byref(program), 0, 0) == 0


def probe_where_bpf_fails_with(error: int) -> Done:
    done = subprocess.run(
        (sys.executable, "-m", "tpgen", "probe"), cwd=CHECKOUT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: bpf_fails_with(error),
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.live
def test_kernel_that_refuses_the_program_type() -> None:
    """EINVAL, which a kernel before 4.17 says to an unknown program type, decides, whatever else there is."""
    done = probe_where_bpf_fails_with(22)
    assert (done.code, done.err) == (NO, "")
    assert evidence(done)[0] == ["no", "loading a two-instruction raw tracepoint program: Invalid argument"]


@pytest.mark.live
def test_kernel_that_does_not_let_us() -> None:
    """EPERM, as for most users, leaves it to BTF."""
    done = probe_where_bpf_fails_with(1)
    assert (done.code, done.err) == (YES, "")
    assert evidence(done)[0] == ["unknown", "loading a two-instruction raw tracepoint program: Operation not permitted"]


@pytest.mark.kernel_btf
def test_loads_nothing_that_resolves() -> None:
    code = (
        "import sys; from tpgen.cli import main; main(['probe'])\n"
        "print(*{'tpgen.kernel.resolve', 'tpgen.kernel.check', 'lark', 'pycparser'} & set(sys.modules))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, stdout=-1, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""
