//! A stand-in for aya-ebpf, of our own: the few of its public names that generated code uses, with the same signatures.
//!
//! The crate itself comes from crates.io alone, which the tests do without.

#![no_std]

use core::ffi::c_void;

/// The context of any program.
pub trait EbpfContext {
    fn as_ptr(&self) -> *mut c_void;
}

pub mod programs {
    use super::{c_void, EbpfContext};

    pub struct BtfTracePointContext {
        ctx: *mut c_void,
    }

    impl BtfTracePointContext {
        #[inline(always)]
        pub fn new(ctx: *mut c_void) -> BtfTracePointContext {
            BtfTracePointContext { ctx }
        }
    }

    impl EbpfContext for BtfTracePointContext {
        #[inline(always)]
        fn as_ptr(&self) -> *mut c_void {
            self.ctx
        }
    }

    pub struct RawTracePointContext {
        ctx: *mut c_void,
    }

    impl RawTracePointContext {
        #[inline(always)]
        pub fn new(ctx: *mut c_void) -> RawTracePointContext {
            RawTracePointContext { ctx }
        }
    }

    impl EbpfContext for RawTracePointContext {
        #[inline(always)]
        fn as_ptr(&self) -> *mut c_void {
            self.ctx
        }
    }

    pub struct TracePointContext {
        ctx: *mut c_void,
    }

    impl TracePointContext {
        #[inline(always)]
        pub fn new(ctx: *mut c_void) -> TracePointContext {
            TracePointContext { ctx }
        }
    }

    impl EbpfContext for TracePointContext {
        #[inline(always)]
        fn as_ptr(&self) -> *mut c_void {
            self.ctx
        }
    }
}

pub mod helpers {
    use super::c_void;
    use core::mem::{transmute, MaybeUninit};

    /// What the helpers return: i64 in the first versions of aya-ebpf, i32 in later ones.
    pub type Error = i64;

    type Read = unsafe extern "C" fn(*mut c_void, u32, *const c_void) -> i64;

    /// Calls helper 113 or 115 by its number, which is what a BPF program calls.
    #[inline(always)]
    unsafe fn read(helper: usize, dst: *mut u8, size: usize, src: *const u8) -> i64 {
        let function: Read = transmute(helper);
        function(dst as *mut c_void, size as u32, src as *const c_void)
    }

    #[inline(always)]
    pub unsafe fn bpf_probe_read_kernel<T>(src: *const T) -> Result<T, Error> {
        let mut value = MaybeUninit::<T>::uninit();
        let size = core::mem::size_of::<T>();
        match read(113, value.as_mut_ptr() as *mut u8, size, src as *const u8) {
            0 => Ok(value.assume_init()),
            error => Err(error),
        }
    }

    #[inline(always)]
    pub unsafe fn bpf_probe_read_kernel_buf(src: *const u8, dst: &mut [u8]) -> Result<(), Error> {
        match read(113, dst.as_mut_ptr(), dst.len(), src) {
            0 => Ok(()),
            error => Err(error),
        }
    }

    #[inline(always)]
    pub unsafe fn bpf_probe_read_kernel_str_bytes(src: *const u8, dest: &mut [u8]) -> Result<&[u8], Error> {
        let length = read(115, dest.as_mut_ptr(), dest.len(), src);
        if length < 0 {
            return Err(length);
        }
        if length as usize > dest.len() {
            return Err(-1);
        }
        Ok(core::slice::from_raw_parts(dest.as_ptr(), length as usize - (length > 0) as usize))
    }
}
