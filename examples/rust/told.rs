//! What the programs tell the loader.

pub const EXEC: u32 = 0;
pub const SIGNAL: u32 = 1;

#[repr(C)]
pub struct Told {
    pub what: u32,
    pub pid: u32,
    pub signal: i32,
    pub length: u32,
    pub text: [u8; 256],
}
