//! Encodes a tensor, decodes it, and decodes a damaged frame, through extern "C".
mod qsgd;

use std::ffi::CStr;
use std::mem::{size_of, zeroed};
use std::ptr::{null, null_mut};

/// A struct as its `_init` function fills it.
fn init<T>(init_sized: unsafe extern "C" fn(*mut T, usize) -> i32) -> T {
    unsafe {
        let mut value = zeroed();
        assert_eq!(init_sized(&mut value, size_of::<T>()), 0);
        value
    }
}

fn message(error: &qsgd::Error) -> String {
    let text = |pointer| unsafe { CStr::from_ptr(pointer) }.to_str().unwrap();
    let name = text(unsafe { qsgd::qsgd_status_name(error.status) });
    format!("{name} at byte {}: {}", error.offset, text(error.reason))
}

fn encode(x: &[f32], seed: u64, nonce: u64) -> Result<Vec<u8>, String> {
    let mut params = init(qsgd::qsgd_params_init_sized);
    let mut options = init(qsgd::qsgd_encode_options_init_sized);
    let mut error = init(qsgd::qsgd_error_init_sized);
    params.seed = seed;
    options.nonce = nonce;
    unsafe {
        let (src, n) = (x.as_ptr().cast(), x.len() as u64);
        let mut frame = qsgd::Memory { data: null_mut(), bytes: 0 };
        if qsgd::qsgd_encode_alloc(&params, &options, src, n, null(), &mut frame, &mut error) != 0 {
            return Err(message(&error));
        }
        let bytes = std::slice::from_raw_parts(frame.data.cast(), frame.bytes as usize).to_vec();
        qsgd::qsgd_free(null(), frame.data);
        Ok(bytes)
    }
}

fn decode(frame: &[u8]) -> Result<Vec<f32>, String> {
    let mut error = init(qsgd::qsgd_error_init_sized);
    unsafe {
        let (src, bytes) = (frame.as_ptr().cast(), frame.len() as u64);
        let mut dst = qsgd::Memory { data: null_mut(), bytes: 0 };
        if qsgd::qsgd_decode_alloc(src, bytes, null(), null(), &mut dst, null_mut(), &mut error) != 0 {
            return Err(message(&error));
        }
        let floats = std::slice::from_raw_parts(dst.data.cast(), dst.bytes as usize / 4).to_vec();
        qsgd::qsgd_free(null(), dst.data);
        Ok(floats)
    }
}

fn main() -> Result<(), String> {
    let x: Vec<f32> = (0..64).map(|i| (i * 37 % 101 - 50) as f32 / 64.0).collect();
    let mut frame = encode(&x, 42, 7)?;
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("frame {hex}");

    let y = decode(&frame)?;
    println!("decoded {:.6} {:.6} {:.6} {:.6}", y[0], y[1], y[2], y[3]);

    *frame.last_mut().unwrap() ^= 1;
    println!("{}", decode(&frame).unwrap_err());
    Ok(())
}
