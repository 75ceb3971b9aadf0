//! Chance: bytes that nobody can guess, for keys and the names of tokens.
//!
//! Promises: they come from the kernel's generator, which is waited for until it is seeded.
//! Leaves out: everything else that one could want from chance.

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `bytes`.
///
/// # Errors
/// The kernel gives none.
pub fn fill(bytes: &mut [u8]) -> Result<(), String> {
    // Up to 256 bytes come whole, or not at all (getrandom(2)).
    match getrandom(&mut *bytes, GetRandomFlags::empty()) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(_) => Err("the kernel gave too few random bytes".to_owned()),
        Err(error) => Err(format!("the kernel gives no random bytes: {error}")),
    }
}
