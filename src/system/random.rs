//! Random bytes for keys and token identifiers.
//!
//! Promises: they come from the kernel's generator, after it is seeded.
//! Leaves out: all other uses of randomness.

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `bytes`.
///
/// # Errors
/// The kernel returns none.
pub fn fill(bytes: &mut [u8]) -> Result<(), String> {
    // Up to 256 bytes are returned whole or not at all (getrandom(2)).
    match getrandom(&mut *bytes, GetRandomFlags::empty()) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(_) => Err("the kernel gave too few random bytes".to_owned()),
        Err(error) => Err(format!("the kernel gives no random bytes: {error}")),
    }
}
