//! Generates a CURVE key pair.
//!
//! Promises: the file with the secret is readable by its owner alone from its creation; no file is
//! overwritten. Leaves out: the use of the keys.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

/// Writes `path`, with the secret key and then the public key, and `path`.pub, with the public key:
/// one line each, in Z85. Returns the public key.
///
/// # Errors
/// A file is there already, or cannot be written; this libzmq has no CURVE.
pub fn write(path: &str) -> Result<String, String> {
    let pair = zmq::CurveKeyPair::new().map_err(|error| format!("no keys: {error}"))?;
    let z85 = |key: &[u8]| zmq::z85_encode(key).map_err(|error| format!("no keys: {error:?}"));
    let (secret, public) = (z85(&pair.secret_key)?, z85(&pair.public_key)?);
    create(path, 0o600, &format!("{secret}\n{public}\n"))?;
    create(&format!("{path}.pub"), 0o644, &format!("{public}\n"))?;
    Ok(public)
}

fn create(path: &str, mode: u32, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot make {path}: {error}"))
}
