//! Files that are read once: settings, keys, tokens, commands.
//!
//! Promises: no more than the caller's bound is read; a secret that others can read, or that a
//! group can change, is refused before its text is looked at. Messages name the file and what to
//! do, and never repeat its text.
//! Leaves out: what the text means.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// Reads a text of at most `bytes_max` bytes.
///
/// # Errors
/// A file that cannot be read, is larger, or is not UTF-8; one that others may change.
pub fn read(path: &str, bytes_max: usize) -> Result<String, String> {
    let (file, mode) = open(path)?;
    if mode & 0o002 != 0 {
        return Err(format!("{path} can be changed by others; close it with: chmod o-w {path}"));
    }
    read_within(file, path, bytes_max)
}

/// Reads a secret of at most `bytes_max` bytes.
///
/// # Errors
/// As `read`; and a file that others may read, or that its group may write.
pub fn read_secret(path: &str, bytes_max: usize) -> Result<String, String> {
    let (file, mode) = open(path)?;
    if mode & 0o037 != 0 {
        return Err(format!(
            "{path} is open to others (mode {:03o}); close it with: chmod 600 {path}",
            mode & 0o777
        ));
    }
    read_within(file, path, bytes_max)
}

/// Opens a file, and tells its mode. What is no file would have to be waited for.
fn open(path: &str) -> Result<(File, u32), String> {
    let cannot = |error: std::io::Error| format!("cannot open {path}: {error}");
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{path} is not a file"));
    }
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode();
    Ok((file, mode))
}

/// Checks that nobody but root and this user can change a program. One that is not there, or that
/// cannot be looked at, is none of its faults.
///
/// # Errors
/// Somebody else owns it, or its group or others may write it.
pub fn check_program(path: &str) -> Result<(), String> {
    let Ok(file) = std::fs::metadata(path) else { return Ok(()) };
    let own = rustix::process::geteuid().as_raw();
    if file.uid() != 0 && file.uid() != own {
        return Err(format!("{path} belongs to user {}, not to root or to {own}", file.uid()));
    }
    // To be written by root's own group changes nothing.
    if file.mode() & 0o002 != 0 || (file.mode() & 0o020 != 0 && file.gid() != 0) {
        return Err(format!("{path} can be changed by others; close it with: chmod go-w {path}"));
    }
    Ok(())
}

/// Reads all of `source`, which errors call `name`, if it is at most `bytes_max` bytes of UTF-8.
///
/// # Errors
/// A source that cannot be read, is larger, or is not UTF-8.
pub fn read_within(source: impl Read, name: &str, bytes_max: usize) -> Result<String, String> {
    let mut text = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    source
        .take(bound)
        .read_to_end(&mut text)
        .map_err(|error| format!("cannot read {name}: {error}"))?;
    if text.len() > bytes_max {
        return Err(format!("{name} is larger than {bytes_max} bytes"));
    }
    String::from_utf8(text).map_err(|_| format!("{name} is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let path = std::env::temp_dir().join(format!("zcmd-secret-{}", std::process::id()));
        let path = path.to_str().unwrap();
        std::fs::write(path, "text").unwrap();
        for (mode, good) in
            [(0o600, true), (0o400, true), (0o640, true), (0o644, false), (0o660, false)]
        {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(read_secret(path, 4).is_ok(), good, "{mode:o}");
        }
        assert_eq!(read(path, 3), Err(format!("{path} is larger than 3 bytes")));
        std::fs::remove_file(path).unwrap();
        assert!(read(path, 3).is_err());
    }
}
