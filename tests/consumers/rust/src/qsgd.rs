//! What is needed of qsgd.h, by hand; bindgen makes all of it.
use std::ffi::{c_char, c_void};

#[repr(C)]
pub struct Params {
    pub struct_size: u32,
    pub norm: i32,
    pub levels: i32,
    pub s: u32,
    pub step: f32,
    pub zero: i32,
    pub bucket: u64,
    pub rounding: i32,
    pub code: i32,
    pub classes: i32,
    pub rotation: i32,
    pub rescale: i32,
    pub clip: f32,
    pub scale_dtype: u32,
    pub nonfinite: i32,
    pub checksum: i32,
    pub chunk_log2: u32,
    pub level_table_len: u32,
    pub exact_zeros: u32,
    pub level_table: *const f32,
    pub seed: u64,
    pub shared_tables: *const c_void,
    pub shared_tables_bytes: u64,
    pub feedback_decay: f64,
    pub reference: f64,
    pub target_bits: f64,
    pub target_error: f64,
    pub strict: i32,
    pub slot: i32,
    pub dead_zone: f64,
}

#[repr(C)]
pub struct EncodeOptions {
    pub struct_size: u32,
    pub dtype: u32,
    pub ndim: u32,
    pub workers: u32,
    pub shape: *const u64,
    pub nonce: u64,
    pub tag: *const c_void,
    pub tag_bytes: u64,
    pub scales: *const f32,
    pub residual: *mut f32,
    pub runner: *const c_void,
    pub runner_context: *mut c_void,
}

#[repr(C)]
pub struct Error {
    pub struct_size: u32,
    pub status: i32,
    pub offset: u64,
    pub element: u64,
    pub bucket: u64,
    pub frame: u64,
    pub needed: u64,
    pub parameter: *const c_char,
    pub reason: *const c_char,
}

#[repr(C)]
pub struct Memory {
    pub data: *mut c_void,
    pub bytes: u64,
}

extern "C" {
    pub fn qsgd_params_init_sized(params: *mut Params, struct_size: usize) -> i32;
    pub fn qsgd_encode_options_init_sized(options: *mut EncodeOptions, struct_size: usize) -> i32;
    pub fn qsgd_error_init_sized(error: *mut Error, struct_size: usize) -> i32;
    pub fn qsgd_status_name(status: i32) -> *const c_char;
    pub fn qsgd_encode_alloc(
        params: *const Params,
        options: *const EncodeOptions,
        src: *const c_void,
        n: u64,
        allocator: *const c_void,
        frame: *mut Memory,
        error: *mut Error,
    ) -> i32;
    pub fn qsgd_decode_alloc(
        frame: *const c_void,
        bytes: u64,
        options: *const c_void,
        allocator: *const c_void,
        dst: *mut Memory,
        info: *mut c_void,
        error: *mut Error,
    ) -> i32;
    pub fn qsgd_free(allocator: *const c_void, data: *mut c_void);
}
