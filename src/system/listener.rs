//! The files of `ipc` endpoints, and checks before the daemon listens.
//!
//! Promises: a socket's file has its mode from its creation. A socket that a process listens on,
//! and a file that is no socket, are left alone; libzmq would remove them.
//! Leaves out: the socket.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;

use rustix::fs::Mode;

/// Who may reach the daemon's `ipc` sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The mode of their files.
    pub mode: u32,
    /// Their group; the daemon's own when absent.
    pub group: Option<String>,
}

/// Calls `bind` to make the socket at this path.
///
/// # Errors
/// Another process listens there, or another kind of file is there; or an error of `bind`.
pub fn with_access(
    path: &str,
    access: &Access,
    bind: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err("the file exists and is not a socket".to_owned());
        }
        if UnixStream::connect(path).is_ok() {
            return Err("another process listens there".to_owned());
        }
    }
    // The umask affects no other file: only this thread makes files.
    let before = rustix::process::umask(Mode::from_raw_mode(!access.mode & 0o777));
    let bound = bind();
    rustix::process::umask(before);
    bound?;
    let Some(group) = &access.group else { return Ok(()) };
    let group = super::launch::group_id(group)?;
    std::os::unix::fs::chown(path, None, Some(group))
        .map_err(|error| format!("IPC_GROUP: cannot change the group of {path}: {error}"))
}

/// The descriptors above 2 that a command would inherit, and what they are.
pub fn inheritable() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let descriptors = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let inherited = descriptors.filter(|number| *number > 2).filter(|number| {
        let information = fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
        let information = information.unwrap_or_default();
        let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & rustix::fs::OFlags::CLOEXEC.bits() == 0)
    });
    let named = |number: u32| match fs::read_link(format!("/proc/self/fd/{number}")) {
        Ok(target) => format!("{number} ({})", target.display()),
        Err(_) => number.to_string(),
    };
    inherited.map(named).collect()
}

/// The limit on descriptors of this process.
pub fn descriptors_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_a_command_would_inherit_is_found() {
        let leak = rustix::io::dup(std::io::stderr()).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&leak);
        let found = || inheritable().iter().any(|name| name.starts_with(&format!("{number} ")));
        assert!(found());
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::CLOEXEC).unwrap();
        assert!(!found());
    }
}
