//! `list`: what is in a directory.
//!
//! Promises: one line of JSON, by name, with `type`, `bytes`, `mtime` and `mode` of each entry.
//! No link is followed. A name that is not UTF-8 is `name_base16`. However much there is, the line
//! has less than `LINE_BYTES_MAX` bytes, and `left_out` counts what it does not tell.
//! Leaves out: what is in directories in it; temporary files of `write`.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType};
use serde_json::{Value, json};

use crate::beneath::TEMPORARY;
use crate::read::hex;

/// Bytes of the line: it fits the output that a daemon keeps of a command by default, 1 MiB.
const LINE_BYTES_MAX: usize = 1000 * 1024;
/// Entries that are held while they are sorted: some 3 MiB of names.
const ENTRIES_MAX: usize = 10_000;

/// Lists a directory.
pub(crate) fn list(directory: &OwnedFd) -> Result<Value, String> {
    let cannot = |error: rustix::io::Errno| format!("cannot list: {error}");
    let (mut names, mut left_out) = (Vec::new(), 0_u64);
    for entry in Dir::read_from(directory).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name().to_bytes().to_vec();
        if name == b"." || name == b".." || name.starts_with(TEMPORARY.as_bytes()) {
            continue;
        }
        if names.len() < ENTRIES_MAX {
            names.push(name);
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    names.sort_unstable();
    let (mut entries, mut bytes) = (Vec::new(), 256);
    for name in names {
        // One that has gone meanwhile is not there.
        let Some(entry) = entry(directory, &name) else { continue };
        bytes += entry.to_string().len() + 1;
        if bytes < LINE_BYTES_MAX {
            entries.push(entry);
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    Ok(json!({ "entries": entries, "left_out": left_out }))
}

fn entry(directory: &OwnedFd, name: &[u8]) -> Option<Value> {
    let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let (key, shown) = match std::str::from_utf8(name) {
        Ok(text) => ("name", text.to_owned()),
        Err(_) => ("name_base16", hex(name)),
    };
    Some(json!({
        key: shown,
        "type": match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "link",
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            _ => "device",
        },
        "bytes": status.st_size,
        "mtime": status.st_mtime,
        "mode": format!("{:04o}", status.st_mode & 0o7777),
    }))
}
