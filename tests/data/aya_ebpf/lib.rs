//! A stand-in for aya-ebpf, of our own: the few of its public names that generated code and examples/rust use, with the
//! same signatures.
//!
//! The crate itself comes from crates.io alone, which the tests do without.

#![no_std]

use core::ffi::c_void;

#[cfg(feature = "macros")]
pub use aya_ebpf_macros as macros;

/// The context of any program.
pub trait EbpfContext {
    fn as_ptr(&self) -> *mut c_void;

    /// The process that runs.
    fn tgid(&self) -> u32 {
        // bpf_get_current_pid_tgid
        let current: extern "C" fn() -> u64 = unsafe { core::mem::transmute(14usize) };
        (current() >> 32) as u32
    }
}

pub mod maps {
    use super::c_void;
    use core::cell::UnsafeCell;
    use core::marker::PhantomData;
    use core::mem::{size_of, transmute, MaybeUninit};
    use core::ops::{Deref, DerefMut};

    /// What a loader makes a map of.
    #[repr(C)]
    struct Definition {
        kind: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        flags: u32,
        id: u32,
        pinning: u32,
    }

    impl Definition {
        const fn new(kind: u32, key_size: u32, value_size: u32, max_entries: u32, flags: u32) -> UnsafeCell<Definition> {
            UnsafeCell::new(Definition { kind, key_size, value_size, max_entries, flags, id: 0, pinning: 0 })
        }
    }

    #[repr(transparent)]
    pub struct Array<T> {
        definition: UnsafeCell<Definition>,
        value: PhantomData<T>,
    }

    unsafe impl<T: Sync> Sync for Array<T> {}

    impl<T> Array<T> {
        pub const fn with_max_entries(max_entries: u32, flags: u32) -> Array<T> {
            Array { definition: Definition::new(2, 4, size_of::<T>() as u32, max_entries, flags), value: PhantomData }
        }

        #[inline(always)]
        pub fn get(&self, index: u32) -> Option<&T> {
            let lookup: extern "C" fn(*mut c_void, *const u32) -> *const T = unsafe { transmute(1usize) };
            unsafe { lookup(self.definition.get() as *mut c_void, &index).as_ref() }
        }
    }

    #[repr(transparent)]
    pub struct RingBuf {
        definition: UnsafeCell<Definition>,
    }

    unsafe impl Sync for RingBuf {}

    impl RingBuf {
        pub const fn with_byte_size(byte_size: u32, flags: u32) -> RingBuf {
            RingBuf { definition: Definition::new(27, 0, 0, byte_size, flags) }
        }

        #[inline(always)]
        pub fn reserve<T: 'static>(&self, flags: u64) -> Option<RingBufEntry<T>> {
            type Reserve<T> = extern "C" fn(*mut c_void, u64, u64) -> *mut MaybeUninit<T>;
            let reserve: Reserve<T> = unsafe { transmute(131usize) };
            let place = reserve(self.definition.get() as *mut c_void, size_of::<T>() as u64, flags);
            unsafe { place.as_mut() }.map(RingBufEntry)
        }
    }

    /// Room in a ring buffer.
    pub struct RingBufEntry<T: 'static>(&'static mut MaybeUninit<T>);

    impl<T> RingBufEntry<T> {
        #[inline(always)]
        pub fn submit(self, flags: u64) {
            let submit: extern "C" fn(*mut MaybeUninit<T>, u64) = unsafe { transmute(132usize) };
            submit(self.0, flags)
        }
    }

    impl<T> Deref for RingBufEntry<T> {
        type Target = MaybeUninit<T>;

        fn deref(&self) -> &MaybeUninit<T> {
            self.0
        }
    }

    impl<T> DerefMut for RingBufEntry<T> {
        fn deref_mut(&mut self) -> &mut MaybeUninit<T> {
            self.0
        }
    }
}

pub mod programs {
    use super::helpers::{bpf_probe_read_kernel, Error};
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

        #[inline(always)]
        pub unsafe fn read_at<T>(&self, offset: usize) -> Result<T, Error> {
            bpf_probe_read_kernel((self.ctx as *const u8).add(offset) as *const T)
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
