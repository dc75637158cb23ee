"""The generated module with the LLVM of today's Rust: the verifier accepts the reads of dynamic fields."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from support import aya
from support.cli import tpgen
from support.libbpf import BpfObject

pytestmark = pytest.mark.live

MANIFEST = """\
[package]
name = "fields"
version = "0.1.0"
edition = "2021"

[dependencies]
aya-ebpf = "0.1"

[profile.release]
codegen-units = 1
lto = true
panic = "abort"

[workspace]
"""
PROGRAM = """\
#![no_std]
#![no_main]
#![allow(static_mut_refs)]
use aya_ebpf::programs::TracePointContext;

#[path = "../tracepoints.rs"]
mod tracepoints;

#[no_mangle]
#[link_section = "license"]
static LICENSE: [u8; 4] = *b"GPL\\0";

pub struct Told {{
    wanted: u32,
    length: u32,
    text: [u8; 256],
}}
#[no_mangle]
pub static mut TOLD: Told = Told {{ wanted: 0, length: 0, text: [0; 256] }};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {{
    loop {{}}
}}

#[no_mangle]
#[link_section = "tp/{system}/{event}"]
extern "C" fn program(ctx: *mut core::ffi::c_void) -> i32 {{
    let ctx = TracePointContext::new(ctx);
    let told = unsafe {{ &mut TOLD }};
    if told.wanted != 0 {{
        {body}
    }}
    0
}}
"""
# The ways in which one asks for a field: what the compiler makes of the bound differs with them.
WAYS = {
    "if-let": "if let Ok(text) = {read}(&ctx, &mut told.text) {{ told.length = text.len() as u32; }}",
    "match": "told.length = match {read}(&ctx, &mut told.text) {{ Ok(text) => text.len() as u32, Err(_) => 0 }};",
    "on-the-stack": """\
        let mut text = [0u8; 64];
        told.length = {read}(&ctx, &mut text).map_or(0, |text| text.len() as u32);
        told.text[..64].copy_from_slice(&text);""",
}
# A text and an array of numbers.
FIELDS = (("sched", "sched_process_exec", "filename"), ("ipi", "ipi_send_cpumask", "cpumask"))


def test_dynamic_fields_are_read(rust: aya.Rust, tmp_path: Path) -> None:
    """Each program is a crate: in one with many programs the compiler does less."""
    programs = {
        f"{event}-{way}": PROGRAM.format(
            system=system, event=event, body=text.format(read=f"tracepoints::tp_{event}::{name}")
        )
        for system, event, name in FIELDS
        for way, text in WAYS.items()
    }
    (tmp_path / "Cargo.toml").write_text(MANIFEST)
    (tmp_path / "src/bin").mkdir(parents=True)
    events = (f"{system}:{event}" for system, event, _ in FIELDS)
    done = tpgen(*events, "--classic", "-b", "rust", "-o", tmp_path / "src/tracepoints.rs")
    assert (done.code, done.err) == (0, "")
    for name, source in programs.items():
        (tmp_path / f"src/bin/{name}.rs").write_text(source)
    build = (*shlex.split(rust.programs), "build", "-q", "--release", "--target", "bpfel-unknown-none")
    built = subprocess.run(build, cwd=tmp_path, env=rust.environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    for name in programs:
        with BpfObject(tmp_path / "target/bpfel-unknown-none/release" / name):
            pass
