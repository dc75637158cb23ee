"""The generated Rust: rustc takes it, and what it makes of it reads the values that are there.

aya-ebpf itself is to be had from crates.io alone; tests/data/aya_ebpf stands in for it with the same signatures. The
BPF objects are Debian's rustc's own, for both byte orders.
"""

from __future__ import annotations

import signal
import struct
from pathlib import Path

import pytest
from support import odd_kernel
from support.bpf_asm import Machine, functions
from support.cli import tpgen
from support.compilers import TARGETS, Compiler, disassembly
from support.languages import rust_check, rust_errors, rust_object
from support.libbpf import BpfObject
from support.values import Place, contexts
from support.workload import Child

from languages.conftest import SIGNAL_AND_EXEC, Odd, Running, every_event

pytestmark = pytest.mark.languages

CRATE = """\
#![no_std]
#![no_main]
#![allow(non_snake_case, unused_imports)]
use aya_ebpf::programs::{RawTracePointContext, TracePointContext};
use core::ffi::c_void;

mod tracepoints;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

"""
VALUE = """\
#[no_mangle]
pub extern "C" fn {function}(ctx: *mut c_void) -> u64 {{
    tracepoints::{accessor}(&{context}::new(ctx)) as i64 as u64
}}
"""
USE = """\
pub fn f(ctx: *mut c_void) {{
    tracepoints::{accessor}(&aya_ebpf::programs::{context}::new(ctx));
}}
"""
# As the language itself has it; of what the kernel uses.
_RAW = frozenset("as async fn in loop match mod move ref type".split())
_U64 = (1 << 64) - 1


def rust_name(name: str) -> str:
    if name in ("self", "super", "crate", "Self", "_"):
        return f"{name}_"
    return f"r#{name}" if name in _RAW else name


def value_function(module: str, name: str, context: str) -> str:
    """A function that returns what an accessor returns."""
    return VALUE.format(function=f"value_{module}_{name}", accessor=f"{module}::{rust_name(name)}", context=context)


# To make core for a byte order takes a while.
@pytest.mark.parametrize("target", TARGETS if every_event() else TARGETS[:1])
def test_odd_kernel(odd: Odd, tmp_path: Path, target: str) -> None:
    """Words of Rust as names, names that differ by a prefix, every width and sign, a field in parts: values by hand."""
    big_endian = target == "bpfeb"
    odd("rust", tmp_path / "tracepoints.rs", big_endian)
    rust_check(tmp_path, target)
    fields = {"type": -5, "in": 1, "self": -3, "crate": (1 << 63) + 1, "super": 200}
    modules = {
        "raw_802154_self": (odd_kernel.ARGUMENTS, "RawTracePointContext"),
        "tp_802154_self": (fields, "TracePointContext"),
    }
    text = "".join(value_function(m, name, c) for m, (values, c) in modules.items() for name in values)
    code = functions(disassembly(rust_object(tmp_path, CRATE + text, target)))
    order = "big" if big_endian else "little"
    slots = b"".join(slot.to_bytes(8, order) for slot in odd_kernel.SLOTS)
    records = {"raw_802154_self": slots, "tp_802154_self": odd_kernel.record(">" if big_endian else "<")}
    found = {
        (module, name): Machine(code[f"value_{module}_{name}"], records[module], big_endian=big_endian).run()
        for module, (values, _) in modules.items()
        for name in values
    }
    assert found == {(m, name): number & _U64 for m, (values, _) in modules.items() for name, number in values.items()}


@pytest.mark.parametrize(
    ("accessor", "context", "error"),
    [
        ("raw_802154_self::r#type", "RawTracePointContext", None),
        ("raw_802154_self::r#type", "BtfTracePointContext", None),
        (
            "raw_802154_self::r#type",
            "TracePointContext",
            "the trait bound `TracePointContext: ",
        ),
        ("tp_802154_self::super_", "TracePointContext", None),
        ("tp_802154_self::super_", "RawTracePointContext", "mismatched types"),
        ("raw_802154_self::missing", "RawTracePointContext", "cannot find function `missing`"),
    ],
)
def test_only_what_the_context_has_compiles(
    odd: Odd, tmp_path: Path, accessor: str, context: str, error: str | None
) -> None:
    odd("rust", tmp_path / "tracepoints.rs", False)
    function = USE.format(context=context, accessor=accessor)
    said = rust_errors(tmp_path, CRATE + function, "bpfel")
    assert said == "" if error is None else error in said


def test_the_other_byte_order_does_not_compile(odd: Odd, tmp_path: Path) -> None:
    odd("rust", tmp_path / "tracepoints.rs", True)
    assert "made for another byte order" in rust_errors(tmp_path, CRATE, "bpfel")


# --- the running kernel


def raw_places(running: Running) -> dict[str, tuple[str, Place]]:
    """By function, its text and the place of the value that it returns."""
    found = {}
    for event in running.raw:
        for slot, param in enumerate(running.image.params[event]):
            name = param.name or f"arg{slot}"
            text = value_function(f"raw_{event}", name, "RawTracePointContext")
            found[f"value_raw_{event}_{name}"] = text, Place(name, 8 * slot, 8, param.scalar)
    return found


def classic_places(running: Running) -> dict[str, tuple[str, Place]]:
    found = {}
    for event, fields in running.records.items():
        for field in fields:
            scalar = running.scalar(event, field)
            if not field.dynamic and not field.array and scalar is not None:
                text = value_function(f"tp_{event}", field.name, "TracePointContext")
                found[f"value_tp_{event}_{field.name}"] = text, Place(field.name, field.offset, field.size, scalar)
    return found


@pytest.mark.live
@pytest.mark.parametrize("form", ["raw", "classic"])
def test_values_of_the_running_kernel(running: Running, form: str, tmp_path: Path) -> None:
    """Every single value of the tested events, in contexts with all kinds of numbers."""
    running.generate("rust", tmp_path / "tracepoints.rs", form)
    rust_check(tmp_path, "bpfel")
    places = raw_places(running) if form == "raw" else classic_places(running)
    text = CRATE + "".join(text for text, _ in places.values())
    code = functions(disassembly(rust_object(tmp_path, text, "bpfel")))
    for function, (_, place) in places.items():
        for context in contexts(place.offset + place.held_bytes, "bpfel"):
            found = Machine(code[function], context + bytes(range(16)), big_endian=False).run()
            assert found == place.value(context, "bpfel"), function


EVENTS = ("signal:signal_generate", "sched:sched_process_exec")
RUST = """\
#[no_mangle]
#[link_section = "license"]
pub static LICENSE: [u8; 4] = *b"GPL\\0";

#[repr(C)]
pub struct Seen {
    runs: u64,
    numbers: [i64; 4],
    text: [u8; 32],
}
const NONE: Seen = Seen { runs: 0, numbers: [0; 4], text: [0; 32] };
#[no_mangle]
pub static mut SEEN: [Seen; 3] = [NONE; 3];

fn watched() -> bool {
    // bpf_get_current_pid_tgid
    let current: extern "C" fn() -> u64 = unsafe { core::mem::transmute(14usize) };
    current() as u32 == PID
}

#[no_mangle]
#[link_section = "raw_tp/signal_generate"]
pub extern "C" fn on_raw(ctx: *mut c_void) -> i32 {
    use tracepoints::raw_signal_generate::*;
    let (ctx, seen) = (RawTracePointContext::new(ctx), unsafe { &mut SEEN[0] });
    if watched() && sig(&ctx) == 10 {
        seen.runs += 1;
        seen.numbers = [sig(&ctx) as i64, task(&ctx) as i64, group(&ctx) as i64, result(&ctx) as i64];
    }
    0
}

#[no_mangle]
#[link_section = "tp/signal/signal_generate"]
pub extern "C" fn on_classic(ctx: *mut c_void) -> i32 {
    use tracepoints::tp_signal_generate::*;
    let (ctx, seen) = (TracePointContext::new(ctx), unsafe { &mut SEEN[1] });
    if watched() && sig(&ctx) == 10 {
        seen.runs += 1;
        let length = comm(&ctx, &mut seen.text).map_or(-1, |text| text.len() as i64);
        seen.numbers = [sig(&ctx) as i64, code(&ctx) as i64, pid(&ctx) as i64, length];
    }
    0
}

#[no_mangle]
#[link_section = "tp/sched/sched_process_exec"]
pub extern "C" fn on_exec(ctx: *mut c_void) -> i32 {
    use tracepoints::tp_sched_process_exec::*;
    let (ctx, seen) = (TracePointContext::new(ctx), unsafe { &mut SEEN[2] });
    if watched() {
        seen.runs += 1;
        let length = filename(&ctx, &mut seen.text).map_or(-1, |text| text.len() as i64);
        seen.numbers = [pid(&ctx) as i64, old_pid(&ctx) as i64, length, 0];
    }
    0
}
"""
C = """
struct seen {
	unsigned long long runs;
	long long numbers[4];
	char text[32];
} SEEN[3];
char LICENSE[] __attribute__((section("license"), used)) = "GPL";

static int watched(void)
{
	unsigned long long (*const current)(void) = (unsigned long long (*)(void))14; /* bpf_get_current_pid_tgid */

	return (unsigned int)current() == PID;
}

#define SAW(at, a, b, c, d) ({ \
	SEEN[at].runs++; \
	SEEN[at].numbers[0] = a, SEEN[at].numbers[1] = b, SEEN[at].numbers[2] = c, SEEN[at].numbers[3] = d; \
})

__attribute__((section("raw_tp/signal_generate"), used)) int on_raw(void *ctx)
{
	if (watched() && raw_signal_generate_sig(ctx) == 10)
		SAW(0, raw_signal_generate_sig(ctx), (long long)raw_signal_generate_task(ctx),
			raw_signal_generate_group(ctx), raw_signal_generate_result(ctx));
	return 0;
}

__attribute__((section("tp/signal/signal_generate"), used)) int on_classic(void *ctx)
{
	if (watched() && tp_signal_generate_sig(ctx) == 10)
		SAW(1, tp_signal_generate_sig(ctx), tp_signal_generate_code(ctx), tp_signal_generate_pid(ctx),
			tp_signal_generate_comm_read(ctx, SEEN[1].text, sizeof(SEEN[1].text)) - 1);
	return 0;
}

__attribute__((section("tp/sched/sched_process_exec"), used)) int on_exec(void *ctx)
{
	if (watched())
		SAW(2, tp_sched_process_exec_pid(ctx), tp_sched_process_exec_old_pid(ctx),
			tp_sched_process_exec_filename_read(ctx, SEEN[2].text, sizeof(SEEN[2].text)) - 1, 0);
	return 0;
}
"""
SEEN = struct.Struct("@Q4q32s")


@pytest.mark.live
@pytest.mark.compilers
def test_programs_see_what_c_programs_see(compiler: Compiler, tmp_path: Path) -> None:
    """Programs in Rust and in C are run by the kernel for the same events of the same process."""
    headers = tmp_path / "include"
    assert tpgen(*EVENTS, "-b", "rust", "-o", tmp_path / "tracepoints.rs").code == 0
    assert tpgen(*EVENTS, "-o", f"{headers}/").code == 0
    child = Child(SIGNAL_AND_EXEC, [])
    try:
        child.await_line("ready")
        rust = rust_object(tmp_path, f"{CRATE}{RUST}const PID: u32 = {child.pid};\n", "bpfel")
        included = "".join(f'#include "{path.name}"\n' for path in headers.iterdir())
        c = compiler.compile(f"#define PID {child.pid}\n{included}{C}", tmp_path / "c.o", include=[headers])
        with BpfObject(rust) as one, BpfObject(c) as other:
            for bpf in (one, other):
                for program in ("on_raw", "on_classic", "on_exec"):
                    bpf.attach(program)
            child.go()
            assert child.wait() == 0
            for bpf in (one, other):
                bpf.detach()
            in_rust, in_c = one.section(), other.section()
    finally:
        child.close()
    assert in_rust == in_c
    raw, classic, executed = SEEN.iter_unpack(in_rust)
    assert raw[:2] == (1, signal.SIGUSR1)
    assert classic[:5] == (1, signal.SIGUSR1, -6, child.pid, len("tpgen-actor"))  # SI_TKILL
    assert executed[:4] == (1, child.pid, child.pid, len("/bin/true"))
    assert [text.partition(b"\0")[0] for *_, text in (classic, executed)] == [b"tpgen-actor", b"/bin/true"]
