//! A shared library with the calls of NVIDIA's management library that a monitor makes. It reads `fake_nvml.conf` beside itself at
//! every call, so that a test can change the machine while it runs. It is compiled by the build script and is no part of the crate.
//!
//! Without the flag `complete` only starting, counting and naming exist, as in a library that is too old or too new.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::path::Path;

const SUCCESS: c_uint = 0;
const INVALID_ARGUMENT: c_uint = 2;
const NOT_SUPPORTED: c_uint = 3;
const NOT_FOUND: c_uint = 6;
const INSUFFICIENT_SIZE: c_uint = 7;

/// What `fake_nvml.conf` says: a name and a number a line.
struct Machine(HashMap<String, u64>);

impl Machine {
    fn read() -> Self {
        let text = own_folder()
            .and_then(|folder| std::fs::read_to_string(Path::new(&folder).join("fake_nvml.conf")).ok())
            .unwrap_or_default();
        let pair = |line: &str| {
            let (name, number) = line.split_once('=')?;
            Some((name.trim().to_owned(), number.trim().parse().ok()?))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    fn number(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// The code that a call is told to fail with; 0 is success.
    fn code(&self, call: &str) -> c_uint {
        self.number(call) as c_uint
    }
}

#[repr(C)]
struct Origin {
    file: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

unsafe extern "C" {
    fn dladdr(address: *const c_void, origin: *mut Origin) -> c_int;
}

/// The folder that this library was opened from.
fn own_folder() -> Option<String> {
    let mut origin = Origin {
        file: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol: std::ptr::null(),
        address: std::ptr::null_mut(),
    };
    let found = unsafe { dladdr(own_folder as *const c_void, &mut origin) };
    if found == 0 || origin.file.is_null() {
        return None;
    }
    let file = unsafe { CStr::from_ptr(origin.file) }.to_str().ok()?;
    Some(Path::new(file).parent()?.to_str()?.to_owned())
}

/// A handle holds the number of the card plus one, and above it the number of the slice plus one.
fn handle(card: u64, slice: Option<u64>) -> *mut c_void {
    let slice = slice.map_or(0, |slice| slice + 1);
    ((slice << 16) | (card + 1)) as usize as *mut c_void
}

fn card_of(handle: *mut c_void) -> u64 {
    (handle as usize as u64 & 0xffff) - 1
}

fn is_slice(handle: *mut c_void) -> bool {
    handle as usize > 0xffff
}

unsafe fn answer(text: &str, buffer: *mut c_char, length: c_uint) -> c_uint {
    if text.len() + 1 > length as usize {
        return INSUFFICIENT_SIZE;
    }
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len());
        *buffer.add(text.len()) = 0;
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> c_uint {
    Machine::read().code("init")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> c_uint {
    let machine = Machine::read();
    unsafe { *count = machine.number("gpus") as c_uint };
    machine.code("count")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut *mut c_void) -> c_uint {
    let machine = Machine::read();
    if u64::from(index) >= machine.number("gpus") {
        return INVALID_ARGUMENT;
    }
    if machine.0.get("lost") == Some(&u64::from(index)) {
        return 15;
    }
    unsafe { *device = handle(u64::from(index), None) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetName(device: *mut c_void, name: *mut c_char, length: c_uint) -> c_uint {
    let text = if is_slice(device) { "NVIDIA A100-SXM4-40GB MIG 1g.5gb" } else { "NVIDIA GeForce RTX 4090" };
    unsafe { answer(text, name, length) }
}

#[cfg(complete)]
mod complete {
    use super::*;

    #[repr(C)]
    pub struct Memory {
        version: c_uint,
        total: c_ulonglong,
        reserved: c_ulonglong,
        free: c_ulonglong,
        used: c_ulonglong,
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn nvmlShutdown() -> c_uint {
        SUCCESS
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> c_uint {
        unsafe { answer("580.95.05", version, length) }
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetUUID(device: *mut c_void, uuid: *mut c_char, length: c_uint) -> c_uint {
        let kind = if is_slice(device) { "MIG" } else { "GPU" };
        let text = format!("{kind}-00000000-0000-0000-0000-{:012x}", device as usize);
        unsafe { answer(&text, uuid, length) }
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: *mut c_void, memory: *mut Memory) -> c_uint {
        let machine = Machine::read();
        let total = machine.number(if is_slice(device) { "slice_memory_bytes" } else { "memory_bytes" });
        let used = total / 16 * (card_of(device) + 1);
        unsafe {
            (*memory).total = total;
            (*memory).reserved = 0;
            (*memory).used = used;
            (*memory).free = total - used;
        }
        machine.code("memory")
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(device: *mut c_void, rates: *mut [c_uint; 2]) -> c_uint {
        if is_slice(device) {
            return NOT_SUPPORTED;
        }
        unsafe { *rates = [10 * (card_of(device) as c_uint + 1), 0] };
        Machine::read().code("utilization")
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetTemperature(
        device: *mut c_void,
        _sensor: c_uint,
        degrees: *mut c_uint,
    ) -> c_uint {
        if is_slice(device) {
            return NOT_SUPPORTED;
        }
        unsafe { *degrees = 40 + card_of(device) as c_uint };
        Machine::read().code("temperature")
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetMigMode(
        _device: *mut c_void,
        current: *mut c_uint,
        pending: *mut c_uint,
    ) -> c_uint {
        let machine = Machine::read();
        let Some(&slices) = machine.0.get("slices") else { return NOT_SUPPORTED };
        let on = c_uint::from(slices > 0 || machine.number("mig") > 0);
        unsafe {
            *current = on;
            *pending = on;
        }
        SUCCESS
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(_device: *mut c_void, count: *mut c_uint) -> c_uint {
        unsafe { *count = 7 };
        SUCCESS
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
        device: *mut c_void,
        index: c_uint,
        slice: *mut *mut c_void,
    ) -> c_uint {
        // Slices need not be numbered without gaps: this card uses the odd places.
        let index = u64::from(index);
        if index % 2 == 0 || index / 2 >= Machine::read().number("slices") {
            return NOT_FOUND;
        }
        unsafe { *slice = handle(card_of(device), Some(index)) };
        SUCCESS
    }
}
