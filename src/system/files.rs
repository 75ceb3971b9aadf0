//! Files that are read once: settings, keys, tokens, commands.
//!
//! Promises: no more than the caller's bound is read. One rule for every file that the daemon
//! trusts, the programs of commands included: only root and the daemon's own user can change or
//! replace it, at any directory or link of its path. A secret is also unreadable to others, which
//! is checked before it is read. Messages name the file and say what to do, and never repeat its
//! text.
//! Leaves out: the meaning of the text.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::limits;

/// Reads a text of at most `bytes_max` bytes that the daemon trusts.
///
/// # Errors
/// A file that cannot be read, is larger, or is not UTF-8; one that others may change.
pub fn read(path: &str, bytes_max: usize) -> Result<String, String> {
    check_trusted(path)?;
    read_within(open(path)?.0, path, bytes_max)
}

/// Reads a secret of at most `bytes_max` bytes that the daemon trusts.
///
/// # Errors
/// As `read` and as `read_secret`.
pub fn read_trusted_secret(path: &str, bytes_max: usize) -> Result<String, String> {
    check_trusted(path)?;
    read_secret(path, bytes_max)
}

/// Reads a secret of at most `bytes_max` bytes.
///
/// # Errors
/// A file that cannot be read, is larger, or is not UTF-8; one that others may read, or that its
/// group may write.
pub fn read_secret(path: &str, bytes_max: usize) -> Result<String, String> {
    let (file, mode) = open(path)?;
    if mode & 0o037 != 0 {
        return Err(format!(
            "others can read or change {path} (mode {:03o}); close it with: chmod 600 {path}",
            mode & 0o777
        ));
    }
    read_within(file, path, bytes_max)
}

/// Opens a file, and returns its mode. Other kinds of files could block.
fn open(path: &str) -> Result<(File, u32), String> {
    let cannot = |error: std::io::Error| format!("cannot open {path}: {error}");
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{path} is not a file"));
    }
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode();
    Ok((file, mode))
}

/// Checks that only root and this user can change the file at `path`, each directory and each
/// symbolic link of its path. A directory that others may write must be sticky, as /tmp is: its
/// entries belong to their owners. A missing file is an error only if others could make it: in a
/// sticky directory.
///
/// # Errors
/// What others can change, and what to do about it.
pub fn check_trusted(path: &str) -> Result<(), String> {
    let steps = |path: &Path| -> Vec<PathBuf> {
        path.components().rev().map(|step| PathBuf::from(step.as_os_str())).collect()
    };
    let Ok(whole) = std::path::absolute(path) else { return Ok(()) };
    // `at` has no symbolic link so far.
    let (mut at, mut rest, mut links) = (PathBuf::new(), steps(&whole), 0);
    while let Some(step) = rest.pop() {
        if step.as_os_str() == Component::ParentDir.as_os_str() {
            at.pop();
            continue;
        }
        let next = at.join(step);
        let Ok(found) = std::fs::symlink_metadata(&next) else { return check_missing(&at, &next) };
        check_one(&next, &found)?;
        if !found.is_symlink() {
            at = next;
            continue;
        }
        links += 1;
        let Ok(target) = std::fs::read_link(&next) else { return Ok(()) };
        if links > limits::LINKS_MAX {
            return Err(format!("{path} has too many symbolic links"));
        }
        rest.extend(steps(&target));
    }
    Ok(())
}

/// Whether this is a directory.
pub fn is_directory(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_dir())
}

/// Checks that a directory is there. One that this user may not look at is no fault: another user
/// may.
///
/// # Errors
/// There is none; what to do.
pub fn check_directory(path: &str) -> Result<(), String> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(format!("{path} is not a directory; name another")),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
            Err(format!("there is no directory {path}; make it, or name another"))
        }
        _ => Ok(()),
    }
}

/// The paths of the files in a directory whose names end in `ending` and do not begin with a dot,
/// in the order of their bytes.
///
/// # Errors
/// A directory that others may write in, or change; more entries than `count_max`; a name that is
/// not UTF-8.
pub fn names_in(directory: &str, ending: &str, count_max: usize) -> Result<Vec<String>, String> {
    check_trusted(directory)?;
    if !is_closed(Path::new(directory)) {
        return Err(format!(
            "others can put files into {directory}; close it with: chmod go-w {directory}"
        ));
    }
    let cannot = |error: std::io::Error| format!("cannot read {directory}: {error}");
    let mut names = Vec::new();
    for (index, entry) in std::fs::read_dir(directory).map_err(cannot)?.enumerate() {
        if index >= count_max {
            return Err(format!("{directory} has more than {count_max} entries"));
        }
        let name = entry.map_err(cannot)?.file_name();
        let name = name.to_str().ok_or_else(|| format!("{directory}: {name:?} is not UTF-8"))?;
        if name.ends_with(ending) && !name.starts_with('.') {
            names.push(format!("{}/{name}", directory.trim_end_matches('/')));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether only root and this user can make or change entries of a directory, sticky or not.
pub fn is_closed(directory: &Path) -> bool {
    let is_trusted = |path: &str| check_trusted(path).is_ok();
    directory.to_str().is_some_and(is_trusted)
        && std::fs::metadata(directory).is_ok_and(|found| !may_be_written(&found))
}

/// Only root and this user may make a missing entry.
fn check_missing(directory: &Path, path: &Path) -> Result<(), String> {
    match std::fs::metadata(directory) {
        Ok(found) if may_be_written(&found) => Err(format!(
            "{} does not exist, and others can create it in {}",
            path.display(),
            directory.display()
        )),
        _ => Ok(()),
    }
}

/// Whether others may write it. Write permission of root's own group is allowed.
fn may_be_written(found: &Metadata) -> bool {
    found.mode() & 0o002 != 0 || (found.mode() & 0o020 != 0 && found.gid() != 0)
}

fn check_one(path: &Path, found: &Metadata) -> Result<(), String> {
    let (path, own) = (path.display(), rustix::process::geteuid().as_raw());
    if found.uid() != 0 && found.uid() != own {
        return Err(format!("{path} belongs to user {}, not to root or to {own}", found.uid()));
    }
    let is_sticky = found.is_dir() && found.mode() & 0o1000 != 0;
    // The mode of a link has no effect.
    if !found.is_symlink() && !is_sticky && may_be_written(found) {
        return Err(format!("{path} can be changed by others; close it with: chmod go-w {path}"));
    }
    Ok(())
}

/// Reads all of `source`, which errors call `name`, if it is at most `bytes_max` bytes of UTF-8.
///
/// # Errors
/// A source that cannot be read, is larger, or is not UTF-8.
pub fn read_within(source: impl Read, name: &str, bytes_max: usize) -> Result<String, String> {
    let text = read_bytes_within(source, name, bytes_max)?;
    String::from_utf8(text).map_err(|_| format!("{name} is not UTF-8 text"))
}

/// Reads all of `source`, which errors call `name`, if it is at most `bytes_max` bytes.
///
/// # Errors
/// A source that cannot be read, or is larger.
pub fn read_bytes_within(
    source: impl Read,
    name: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    source
        .take(bound)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read {name}: {error}"))?;
    if bytes.len() > bytes_max {
        return Err(format!("{name} is larger than {bytes_max} bytes"));
    }
    Ok(bytes)
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

    /// What is done to a directory, to the file in it or to the link to it, and whether the file is
    /// trusted then. Modes are octal; an owner and a group can be given by root alone.
    #[test]
    fn old_wound_trusted_files_and_directories_above_them_could_be_changed_by_others() {
        let folder = std::env::temp_dir().join(format!("zcmd-trust-{}", std::process::id()));
        let (inner, file, link) = (folder.join("a"), folder.join("a/file"), folder.join("link"));
        let is_root = rustix::process::geteuid().is_root();
        let cases = [
            (&inner, 0o755, None, true),
            (&inner, 0o777, None, false),
            (&inner, 0o1777, None, true),
            (&folder, 0o757, None, false),
            (&file, 0o644, None, true),
            (&file, 0o646, None, false),
            (&file, 0o664, Some((0, 0)), true),
            (&file, 0o664, Some((0, 1)), false),
            (&file, 0o644, Some((1, 0)), false),
            (&inner, 0o775, Some((0, 1)), false),
            (&inner, 0o755, Some((1, 0)), false),
            (&link, 0o777, Some((1, 0)), false),
        ];
        for (at, mode, owner, trusted) in cases {
            if owner.is_some() && !is_root {
                assert!(std::env::var_os("CI").is_none(), "in CI, tests run as root");
                println!("skipped, since this is not root: {at:?} of {owner:?}");
                continue;
            }
            std::fs::create_dir_all(&inner).unwrap();
            std::fs::write(&file, "text").unwrap();
            std::os::unix::fs::symlink("a/../a/./file", &link).unwrap();
            for closed in [&folder, &inner, &file] {
                let mode = if closed == &file { 0o600 } else { 0o755 };
                std::fs::set_permissions(closed, PermissionsExt::from_mode(mode)).unwrap();
            }
            if at != &link {
                std::fs::set_permissions(at, PermissionsExt::from_mode(mode)).unwrap();
            }
            if let Some((user, group)) = owner {
                std::os::unix::fs::lchown(at, Some(user), Some(group)).unwrap();
            }
            let link = link.to_str().unwrap();
            let name = format!("{at:?} {mode:o} {owner:?}");
            assert_eq!(check_trusted(link).is_ok(), trusted, "{name}");
            assert_eq!(read(link, 9).is_ok(), trusted, "{name}");
            let is_closed = at != &file || mode & 0o077 == 0;
            assert_eq!(read_trusted_secret(link, 9).is_ok(), trusted && is_closed, "{name}");
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn old_wound_what_was_missing_in_a_sticky_directory_could_be_made_by_others() {
        let folder = std::env::temp_dir().join(format!("zcmd-missing-{}", std::process::id()));
        let (deep, link) = (folder.join("none/program"), folder.join("link"));
        std::fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink("program", &link).unwrap();
        for (mode, trusted) in [(0o755, true), (0o1777, false), (0o1757, false)] {
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).unwrap();
            for missing in [&folder.join("program"), &deep, &link] {
                let found = check_trusted(missing.to_str().unwrap());
                assert_eq!(found.is_ok(), trusted, "{missing:?} {mode:o} {found:?}");
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_there_is_not_distrusted_and_a_ring_of_links_ends() {
        assert_eq!(check_trusted("/nonexistent/program"), Ok(()));
        let link = std::env::temp_dir().join(format!("zcmd-ring-{}", std::process::id()));
        std::os::unix::fs::symlink(&link, &link).unwrap();
        let found = check_trusted(link.to_str().unwrap());
        std::fs::remove_file(link).unwrap();
        assert!(found.unwrap_err().contains("too many"));
    }
}
