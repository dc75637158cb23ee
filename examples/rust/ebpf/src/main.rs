//! Tells each program that is started and each signal that is sent, through a ring buffer.
#![no_std]
#![no_main]

use aya_ebpf::macros::{map, raw_tracepoint, tracepoint};
use aya_ebpf::maps::{Array, RingBuf};
use aya_ebpf::programs::{RawTracePointContext, TracePointContext};
use aya_ebpf::EbpfContext;

#[path = "../../told.rs"]
mod told;
mod tracepoints; // made by `tpgen build`

use told::{Told, EXEC, SIGNAL};
use tracepoints::{raw_signal_generate, tp_sched_process_exec};

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 18, 0);

/// The process to tell of, 0 for all.
#[map]
static ONLY_PID: Array<u32> = Array::with_max_entries(1, 0);

fn wanted(pid: u32) -> bool {
    matches!(ONLY_PID.get(0), Some(&only) if only == 0 || only == pid)
}

/// A classic program: its context is the record of the event, a dynamic string among its fields.
#[tracepoint(category = "sched", name = "sched_process_exec")]
pub fn on_exec(ctx: TracePointContext) -> u32 {
    let pid = tp_sched_process_exec::pid(&ctx) as u32;
    if !wanted(pid) {
        return 0;
    }
    let Some(mut entry) = EVENTS.reserve::<Told>(0) else {
        return 0;
    };
    let told = unsafe { &mut *entry.as_mut_ptr() };
    told.what = EXEC;
    told.pid = pid;
    told.signal = 0;
    // As much as there is room for; an error is one of the kernel's helper.
    told.length = match tp_sched_process_exec::filename(&ctx, &mut told.text) {
        Ok(name) => name.len() as u32,
        Err(_) => 0,
    };
    entry.submit(0);
    0
}

/// A raw program: its context is the arguments.
#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn on_signal(ctx: RawTracePointContext) -> i32 {
    let pid = ctx.tgid();
    if !wanted(pid) {
        return 0;
    }
    let Some(mut entry) = EVENTS.reserve::<Told>(0) else {
        return 0;
    };
    let told = unsafe { &mut *entry.as_mut_ptr() };
    told.what = SIGNAL;
    told.pid = pid;
    told.signal = raw_signal_generate::sig(&ctx);
    told.length = 0;
    entry.submit(0);
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[no_mangle]
#[link_section = "license"]
static LICENSE: [u8; 4] = *b"GPL\0";
