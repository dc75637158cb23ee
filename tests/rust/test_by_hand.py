"""What one writes by hand with aya-ebpf, as docs/neighbours/aya.md shows it, beside the generated functions."""

from __future__ import annotations

import os
import re
import shlex
import signal
import struct
import subprocess
from pathlib import Path

import pytest
from languages.conftest import SIGNAL_AND_EXEC
from support import aya
from support.cli import tpgen
from support.libbpf import BpfObject, VerifierError
from support.projects import CHECKOUT
from support.workload import Child

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("tracefs")]

SOURCE = """\
#![no_std]
#![no_main]
#![allow(static_mut_refs)]
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint, tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext, TracePointContext};
use aya_ebpf::EbpfContext;

mod tracepoints;

#[no_mangle]
#[link_section = "license"]
static LICENSE: [u8; 4] = *b"GPL\\0";

#[no_mangle]
pub static mut SEEN: [i32; 5] = [0; 5];

fn see(place: usize, value: i32) {
    unsafe { SEEN[place] = value };
}

#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn exec_by_hand(ctx: TracePointContext) -> u32 {
    let pid: i32 = unsafe { ctx.read_at(12) }.unwrap_or(-1);
    if ctx.tgid() == CHILD {
        see(0, pid);
    }
    0
}

#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn exec_by_name(ctx: TracePointContext) -> u32 {
    if ctx.tgid() == CHILD {
        see(1, tracepoints::tp_sched_process_exec::pid(&ctx));
    }
    0
}

#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn signal_by_hand(ctx: RawTracePointContext) -> i32 {
    let sig = unsafe { *(ctx.as_ptr() as *const u64) } as i32;
    if ctx.tgid() == CHILD && sig == 10 {
        see(2, sig);
    }
    0
}

#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn signal_by_name(ctx: RawTracePointContext) -> i32 {
    let sig = tracepoints::raw_signal_generate::sig(&ctx);
    if ctx.tgid() == CHILD && sig == 10 {
        see(3, sig);
    }
    0
}

#[btf_tracepoint(function = "signal_generate")]
pub fn signal_by_btf(ctx: BtfTracePointContext) -> i32 {
    let sig = tracepoints::raw_signal_generate::sig(&ctx);
    if ctx.tgid() == CHILD && sig == 10 {
        see(4, sig);
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
"""


# After the helper had the address of the field, the compiler loads through it.
TOGETHER = """
#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn exec_by_both(ctx: TracePointContext) -> u32 {
    let pid: i32 = unsafe { ctx.read_at(12) }.unwrap_or(-1);
    see(0, pid);
    see(1, tracepoints::tp_sched_process_exec::pid(&ctx));
    0
}
"""


def made(rust: aya.Rust, folder: Path, source: str) -> Path:
    """The object of the programs."""
    (folder / "src").mkdir()
    (folder / "Cargo.toml").write_text((CHECKOUT / "examples/rust/ebpf/Cargo.toml").read_text())
    events = ("sched:sched_process_exec", "signal:signal_generate")
    assert tpgen(*events, "-b", "rust", "-o", folder / "src/tracepoints.rs").code == 0
    (folder / "src/main.rs").write_text(source)
    build = (*shlex.split(rust.programs), "build", "-q", "--release", "--target", "bpfel-unknown-none")
    built = subprocess.run(build, cwd=folder, env=rust.environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return folder / "target/bpfel-unknown-none/release/trail"


def test_both_read_the_same(rust: aya.Rust, tmp_path: Path) -> None:
    child = Child(SIGNAL_AND_EXEC, [])
    try:
        child.await_line("ready")
        with BpfObject(made(rust, tmp_path, f"{SOURCE}const CHILD: u32 = {child.pid};\n")) as programs:
            for program in ("exec_by_hand", "exec_by_name", "signal_by_hand", "signal_by_name", "signal_by_btf"):
                programs.attach(program)
            child.go()
            assert child.wait() == 0
            programs.detach()
            seen = struct.unpack("5i", programs.section())
    finally:
        child.close()
    assert seen == (child.pid, child.pid, signal.SIGUSR1, signal.SIGUSR1, signal.SIGUSR1)


def test_one_program_does_not_do_both(rust: aya.Rust, tmp_path: Path) -> None:
    """docs/troubleshooting.md has the message. Linux 7.2 and later accept such a load."""
    programs = BpfObject(made(rust, tmp_path, f"{SOURCE}{TOGETHER}const CHILD: u32 = 0;\n"), programs=["exec_by_both"])
    major, minor = map(int, re.findall(r"\d+", os.uname().release)[:2])
    if (major, minor) >= (7, 2):
        with programs:
            return
    with pytest.raises(VerifierError, match="dereference of modified ctx ptr"), programs:
        pass
