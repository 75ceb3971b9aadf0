//! Paths of callers, held beneath a directory of the owner.
//!
//! Promises: a path is resolved and opened in one step by the kernel (`openat2(2)`, Linux 5.6), so
//! that no change of a name in between leads elsewhere; before that, name by name without following
//! any link. What is to be read is looked at before it is opened: a FIFO, a socket or a device
//! never is, so that nothing waits and no device acts. A file with a second hard link is refused
//! unless the owner says otherwise: its other name may lie where the caller may not look.
//! Leaves out: what is done with a file.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Names that are kept for temporary files: no caller reads or writes one.
pub(crate) const TEMPORARY: &str = ".zcmd-";

/// An owner's directory.
pub(crate) struct Directory {
    fd: OwnedFd,
    /// Whether a file with other hard links is taken.
    pub(crate) hard_links: bool,
}

impl Directory {
    pub(crate) fn open(path: &str, hard_links: bool) -> Result<Self, String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| format!("--under {path:?} cannot be opened: {error}"))?;
        Ok(Self { fd, hard_links })
    }

    /// Opens a regular file for reading.
    pub(crate) fn file(&self, path: &str) -> Result<File, String> {
        let path = checked(path, "FILE")?;
        if path.rsplit('/').next().is_some_and(|name| name.starts_with(TEMPORARY)) {
            return Err(format!("{path:?}: names that begin with {TEMPORARY} are temporary files"));
        }
        let why = |error| format!("{path:?} cannot be opened: {}", words(error));
        let found = resolve(self.fd.as_fd(), path, OFlags::empty()).map_err(why)?;
        let status = rustix::fs::fstat(&found).map_err(why)?;
        check_regular(&status, path, self.hard_links)?;
        // The file that was looked at, whatever its name means by now. A lease is not waited for.
        reopen(&found, OFlags::NONBLOCK).map(File::from).map_err(why)
    }

    /// Opens a directory for reading; none is the owner's own.
    pub(crate) fn directory(&self, path: Option<&str>) -> Result<OwnedFd, String> {
        let path =
            path.filter(|path| *path != ".").map(|path| checked(path, "PATH")).transpose()?;
        let path = path.unwrap_or(".");
        let why = |error| format!("{path:?} cannot be opened: {}", words(error));
        let found = resolve(self.fd.as_fd(), path, OFlags::DIRECTORY).map_err(why)?;
        reopen(&found, OFlags::DIRECTORY).map_err(why)
    }

    /// The directory of a file that is to be written, and the file's name in it.
    pub(crate) fn place<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), String> {
        let path = checked(path, "FILE")?;
        let (parent, name) = match path.rsplit_once('/') {
            Some((parent, name)) => (Some(parent), name),
            None => (None, path),
        };
        if name.is_empty() || name == "." || name.starts_with(TEMPORARY) {
            return Err(format!("{path:?} is no name of a file that may be written"));
        }
        Ok((self.directory(parent)?, name))
    }
}

/// A file for reading must be a regular one, with one name unless the owner allows more.
pub(crate) fn check_regular(status: &Stat, path: &str, hard_links: bool) -> Result<(), String> {
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(format!("{path:?} is not a regular file"));
    }
    if status.st_nlink > 1 && !hard_links {
        return Err(format!("{path:?} has another hard link, which may lie elsewhere"));
    }
    Ok(())
}

/// A relative path without `..`: what the kernel would refuse and what it need not see.
fn checked<'a>(path: &'a str, what: &str) -> Result<&'a str, String> {
    if path.is_empty() || path.starts_with('/') || path.split('/').any(|name| name == "..") {
        return Err(format!("{what} must be a path below the directory, without .., not {path:?}"));
    }
    Ok(path)
}

fn words(error: Errno) -> String {
    match error {
        // As openat2(2) tells them.
        Errno::XDEV => "it leads out of the directory".to_owned(),
        Errno::LOOP => "it has a link that is not followed, or too many links".to_owned(),
        error => error.to_string(),
    }
}

/// Finds what a path names without opening it for any use.
fn resolve(directory: impl AsFd + Copy, path: &str, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | more;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: a directory on the way was moved meanwhile.
    for _ in 0..RACES_MAX {
        match rustix::fs::openat2(directory, path, flags, Mode::empty(), beneath) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // An old kernel, or a filter of system calls that does not know it.
            Err(Errno::NOSYS | Errno::PERM) => return walk(directory, path, flags),
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

/// How often a path is resolved anew while someone moves the directories on its way.
const RACES_MAX: usize = 64;

/// The same without `openat2`: name by name, and no link is followed, not even one that stays
/// beneath the directory.
fn walk(directory: impl AsFd, path: &str, last: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let step = flags | OFlags::DIRECTORY;
    let mut at = rustix::fs::openat(directory, ".", step, Mode::empty())?;
    let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".").peekable();
    while let Some(name) = names.next() {
        // A path that ends with a slash names a directory.
        let flags = match names.peek() {
            None if !path.ends_with('/') => flags | last,
            _ => step,
        };
        if name == ".." {
            return Err(Errno::XDEV);
        }
        at = rustix::fs::openat(&at, name, flags, Mode::empty())?;
    }
    Ok(at)
}

/// Opens for reading what was found.
fn reopen(found: &OwnedFd, more: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | more, Mode::empty())
}

#[cfg(test)]
#[path = "../tests/place/mod.rs"]
mod place;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_is_refused_with_and_without_openat2() {
        let place = place::Place::new("beneath");
        let root = rustix::fs::open(&place.inside, OFlags::PATH, Mode::empty()).unwrap();
        let is_file = |found: Result<OwnedFd, Errno>| {
            let status = found.and_then(rustix::fs::fstat);
            status.is_ok_and(|status| check_regular(&status, "", false).is_ok())
        };
        for path in place.escapes() {
            let beneath = checked(&path, "").is_ok();
            assert!(!beneath || !is_file(resolve(&root, &path, OFlags::empty())), "{path:?}");
            assert!(!beneath || !is_file(walk(&root, &path, OFlags::PATH)), "walk {path:?}");
        }
        for path in ["good", "sub/good", "./sub//good"] {
            assert!(is_file(resolve(&root, path, OFlags::empty())), "{path:?}");
            assert!(is_file(walk(&root, path, OFlags::PATH)), "walk {path:?}");
        }
        // A link that stays beneath is followed where the kernel holds it there.
        assert!(is_file(resolve(&root, "link-inside", OFlags::empty())));
        assert!(!is_file(walk(&root, "link-inside", OFlags::PATH)));
        assert_eq!(walk(&root, "sub/../good", OFlags::PATH).unwrap_err(), Errno::XDEV);
    }
}
