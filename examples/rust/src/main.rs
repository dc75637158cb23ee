//! Loads the programs of ebpf/, and prints a line for each program that is started and each signal that is sent.
//!
//! usage: trail [PID], which is the process to tell of

use std::error::Error;
use std::os::fd::AsRawFd;

use aya::maps::{Array, RingBuf};
use aya::programs::{RawTracePoint, TracePoint};
use aya::{include_bytes_aligned, Ebpf};

#[path = "../told.rs"]
mod told;

use told::{Told, EXEC, SIGNAL};

static PROGRAMS: &[u8] = include_bytes_aligned!("../ebpf/target/bpfel-unknown-none/release/trail");

fn main() -> Result<(), Box<dyn Error>> {
    let only_pid: u32 = match std::env::args().nth(1) {
        Some(pid) => pid.parse()?,
        None => 0,
    };
    let mut ebpf = Ebpf::load(PROGRAMS)?;
    Array::try_from(ebpf.map_mut("ONLY_PID").ok_or("no map ONLY_PID")?)?.set(0, only_pid, 0)?;
    let mut events = RingBuf::try_from(ebpf.take_map("EVENTS").ok_or("no map EVENTS")?)?;

    let on_exec: &mut TracePoint = ebpf.program_mut("on_exec").ok_or("no on_exec")?.try_into()?;
    on_exec.load()?;
    on_exec.attach("sched", "sched_process_exec")?;
    let on_signal: &mut RawTracePoint = ebpf.program_mut("on_signal").ok_or("no on_signal")?.try_into()?;
    on_signal.load()?;
    on_signal.attach("signal_generate")?;
    eprintln!("attached");

    loop {
        while let Some(item) = events.next() {
            print(&item);
        }
        let mut poll = libc::pollfd {
            fd: events.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        unsafe { libc::poll(&mut poll, 1, -1) };
    }
}

fn print(item: &[u8]) {
    assert!(item.len() >= std::mem::size_of::<Told>());
    let told = unsafe { &*(item.as_ptr() as *const Told) };
    match told.what {
        EXEC => {
            let name = String::from_utf8_lossy(&told.text[..told.length as usize]);
            println!("exec {} {name}", told.pid);
        }
        SIGNAL => println!("signal {} {}", told.pid, told.signal),
        _ => (),
    }
}
