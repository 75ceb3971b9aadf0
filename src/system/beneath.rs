//! Paths and names from callers, confined to the directories of their rules.
//!
//! Promises: a path is resolved with the rights of the command's user. A path that is opened is
//! resolved and opened by the kernel in one step, so that no rename or link in between leads
//! elsewhere. Only a regular file with one hard link is opened, for reading; other kinds of files
//! are never opened, so that no FIFO blocks and no device reacts. The descriptor survives `exec`.
//! Leaves out: a path that is checked and not opened: its components can be replaced between the
//! check and the program's own use.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, FdFlags};

use crate::port::{Beneath, Entry, Place};

const OUTSIDE: &str = "must be a path that stays beneath its directory with all links followed";

/// Why a path is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It breaks its rule or cannot be opened: the reason, for the caller.
    Path(String),
    /// This kernel cannot open a path beneath a directory: what the owner can do.
    Kernel(&'static str),
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Self::Path(text.to_owned())
    }
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Self {
        match error {
            // The error of openat2(2) for a path that leads out of the directory.
            Errno::XDEV => OUTSIDE.into(),
            Errno::NOSYS => Self::Kernel("\"pass\": \"fd\" needs openat2(2), Linux 5.6 or later"),
            error => Self::Path(format!("cannot be opened: {error}")),
        }
    }
}

/// Confines all paths to their directories. In the arguments, `/proc/self/fd/N` replaces those that
/// are opened.
///
/// # Errors
/// The first parameter whose path is refused, and why.
pub fn hold(paths: &[Beneath], arguments: &mut [String]) -> Result<(), (String, Fault)> {
    let mut replacements = Vec::new();
    for Beneath { parameter, directory, path, places } in paths {
        let named = |fault| (parameter.clone(), fault);
        if places.is_empty() {
            check(directory, path).map_err(named)?;
            continue;
        }
        let file = open(directory, path).map_err(named)?;
        rustix::io::fcntl_setfd(&file, FdFlags::empty()).map_err(|error| named(error.into()))?;
        // The descriptor stays open until the command ends.
        let shown = format!("/proc/self/fd/{}", file.into_raw_fd());
        replacements.extend(places.iter().map(|place| (*place, path.len(), shown.clone())));
    }
    // From the last place to the first, so that the earlier byte offsets stay valid.
    replacements.sort_unstable();
    for (Place { argument, byte: from }, length, shown) in replacements.into_iter().rev() {
        let Some(text) = arguments.get_mut(argument) else { continue };
        let (before, after) = (text.get(..from), text.get(from.saturating_add(length)..));
        if let (Some(before), Some(after)) = (before, after) {
            *text = format!("{before}{shown}{after}");
        }
    }
    Ok(())
}

/// Checks that all names are in their directories.
///
/// # Errors
/// The first parameter whose name is not there, and why.
pub fn hold_entries(entries: &[Entry]) -> Result<(), (String, Fault)> {
    for Entry { parameter, directory, name } in entries {
        let path = Path::new(directory).join(name);
        path.symlink_metadata().map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("must be the name of something in {directory}; this is not there")
                }
                _ => format!("cannot be looked for in {directory}: {error}"),
            };
            (parameter.clone(), Fault::Path(why))
        })?;
    }
    Ok(())
}

/// Checks that a path lies beneath its directory, with all symbolic links followed. Its last
/// component need not exist.
fn check(directory: &str, path: &str) -> Result<(), Fault> {
    let directory = Path::new(directory).canonicalize().map_err(|_| OUTSIDE)?;
    let path = Path::new(path);
    let real = match path.canonicalize() {
        Ok(real) => real,
        // A dangling link may lead outside; only a name that does not exist is harmless.
        Err(_) if path.symlink_metadata().is_ok() => return Err(OUTSIDE.into()),
        Err(_) => path.parent().and_then(|parent| parent.canonicalize().ok()).ok_or(OUTSIDE)?,
    };
    if real.starts_with(directory) { Ok(()) } else { Err(OUTSIDE.into()) }
}

/// Opens a regular file with one name beneath a directory, for reading.
fn open(directory: &str, path: &str) -> Result<OwnedFd, Fault> {
    let inside = path.strip_prefix(directory).ok_or(OUTSIDE)?.trim_start_matches('/');
    // O_PATH: the directory to resolve from, and the file to check; neither is opened for reading.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&directory, inside, flags, Mode::empty(), resolve)?;
    let status = rustix::fs::fstat(&found)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err("must be a regular file".into());
    }
    if status.st_nlink > 1 {
        return Err("must be a file with one name: another hard link may lie elsewhere".into());
    }
    // Opens the checked file itself, whatever its name refers to by now. O_NONBLOCK: no wait for a
    // lease.
    let found = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(found, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_take_the_places_of_paths_and_of_nothing_else() {
        let place = |(argument, byte): &(usize, usize)| Place { argument: *argument, byte: *byte };
        let path = |places: &[(usize, usize)]| Beneath {
            parameter: "p".to_owned(),
            directory: "/proc/self".to_owned(),
            path: "/proc/self/stat".to_owned(),
            places: places.iter().map(place).collect(),
        };
        let paths = [path(&[(0, 0), (2, 3)]), path(&[(2, 19)])];
        let text = "f=[/proc/self/stat|/proc/self/stat]";
        let mut arguments = ["/proc/self/stat", "/proc/self/stat", text].map(str::to_owned);
        hold(&paths, &mut arguments).unwrap();
        let [first, untouched, both] = arguments;
        let file = std::fs::read_link(&first).unwrap();
        assert!(first.starts_with("/proc/self/fd/") && file.ends_with("stat"), "{first}");
        assert_eq!(untouched, "/proc/self/stat");
        let second = both.trim_end_matches(']').rsplit('|').next().unwrap();
        assert_eq!(both, format!("f=[{first}|{second}]"));
        assert!(second != first && std::fs::read_link(second).unwrap() == file, "{both}");
    }

    #[test]
    fn an_older_kernel_is_told_from_a_bad_path() {
        assert!(matches!(Fault::from(Errno::NOSYS), Fault::Kernel(why) if why.contains("5.6")));
        assert_eq!(Fault::from(Errno::XDEV), Fault::Path(OUTSIDE.to_owned()));
        for error in [Errno::NOENT, Errno::LOOP, Errno::AGAIN, Errno::ACCESS] {
            let wanted = format!("cannot be opened: {error}");
            assert_eq!(Fault::from(error), Fault::Path(wanted));
        }
    }
}
