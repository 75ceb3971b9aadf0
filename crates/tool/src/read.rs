//! `read`: a part of a file.
//!
//! Promises: its bytes go to standard output as they are, and one line of JSON to standard error
//! that tells what they are a part of: `offset`, `bytes`, their `sha256`, the file's `size` and
//! `mtime`, and a `version` that is another one when the file was changed. A file that changes
//! while it is read is an error. Memory does not depend on the size of the file.
//! Leaves out: which part is asked for next.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::CHUNK;

/// What to read.
pub(crate) struct Part {
    pub(crate) offset: u64,
    /// Bytes at most; all that is left, unless given.
    pub(crate) length: Option<u64>,
    /// Whether to write only what the part is, and not the part.
    pub(crate) sum: bool,
}

/// Reads a part of the file to `out`; gives the line about it.
pub(crate) fn read(mut file: File, part: &Part, out: &mut dyn Write) -> Result<Value, String> {
    let cannot = |error: std::io::Error| format!("cannot read: {error}");
    let before = version(&file)?;
    file.seek(SeekFrom::Start(part.offset)).map_err(cannot)?;
    let mut source = file.take(part.length.unwrap_or(u64::MAX));
    let (mut sum, mut bytes, mut chunk) = (Sha256::new(), 0_u64, vec![0; CHUNK]);
    loop {
        let count = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cannot(error)),
        };
        let read = chunk.get(..count).unwrap_or_default();
        sum.update(read);
        bytes = bytes.saturating_add(count as u64);
        if !part.sum {
            out.write_all(read).map_err(|error| format!("cannot write the bytes: {error}"))?;
        }
    }
    out.flush().map_err(|error| format!("cannot write the bytes: {error}"))?;
    let file = source.into_inner();
    let after = version(&file)?;
    if before != after {
        return Err("the file was changed while it was read; read it again".to_owned());
    }
    let status = rustix::fs::fstat(&file).map_err(|error| format!("cannot read: {error}"))?;
    Ok(json!({
        "offset": part.offset,
        "bytes": bytes,
        "sha256": hex(&sum.finalize()),
        "size": status.st_size,
        "mtime": status.st_mtime,
        "version": after,
    }))
}

/// What becomes another text when a file is replaced or changed, whatever time its writer sets.
fn version(file: &File) -> Result<String, String> {
    let s = rustix::fs::fstat(file).map_err(|error| format!("cannot read: {error}"))?;
    Ok(format!(
        "{:x}.{:x}.{:x}.{:x}.{:x}",
        s.st_dev, s.st_ino, s.st_size, s.st_ctime, s.st_ctime_nsec
    ))
}

/// The sum of a whole file from its beginning.
pub(crate) fn sum_of(file: &File) -> Result<String, String> {
    let mut sum = Sha256::new();
    let cannot = |error: std::io::Error| format!("cannot read: {error}");
    let mut file = file;
    file.seek(SeekFrom::Start(0)).map_err(cannot)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex(&sum.finalize())),
            Ok(count) => sum.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot(error)),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
