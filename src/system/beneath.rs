//! Paths and names that callers give, held to the directories of their owner.
//!
//! Promises: a path is looked at as the user of the command. One that is to be opened is resolved
//! and opened in one step by the kernel, so that no change of a name in between leads elsewhere;
//! what is opened is a regular file with one name, for reading, and what is no such file is never
//! opened, so that nothing waits for a FIFO and no device acts. The descriptor survives `exec`.
//! Leaves out: a path that is checked and not opened, whose components can be swapped between the
//! check and the program's own look.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, FdFlags};

use crate::port::{Beneath, Entry};

const OUTSIDE: &str = "must be a path that stays beneath its directory with all links followed";

/// Why a path is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what it must be, or cannot be opened: what to tell of it.
    Path(String),
    /// The kernel cannot open a path beneath a directory: what to do.
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
            // As openat2(2) tells it: the path leads out of the directory.
            Errno::XDEV => OUTSIDE.into(),
            Errno::NOSYS => Self::Kernel("\"pass\": \"fd\" needs openat2(2), Linux 5.6 or later"),
            error => Self::Path(format!("cannot be opened: {error}")),
        }
    }
}

/// Holds all paths to their directories. In the arguments, `/proc/self/fd/N` takes the places of
/// those that are opened.
///
/// # Errors
/// The first parameter whose path is not taken, and why.
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
        // It stays open until the command ends.
        let shown = format!("/proc/self/fd/{}", file.into_raw_fd());
        replacements.extend(places.iter().map(|place| (*place, path.len(), shown.clone())));
    }
    // The last one first, so that the others stay where they are.
    replacements.sort_unstable();
    for ((index, from), length, shown) in replacements.into_iter().rev() {
        let Some(argument) = arguments.get_mut(index) else { continue };
        let (before, after) = (argument.get(..from), argument.get(from.saturating_add(length)..));
        if let (Some(before), Some(after)) = (before, after) {
            *argument = format!("{before}{shown}{after}");
        }
    }
    Ok(())
}

/// Holds all names to their directories.
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

/// With all symbolic links followed, a path must lie beneath its directory. Its last part need not
/// exist.
fn check(directory: &str, path: &str) -> Result<(), Fault> {
    let directory = Path::new(directory).canonicalize().map_err(|_| OUTSIDE)?;
    let path = Path::new(path);
    let real = match path.canonicalize() {
        Ok(real) => real,
        // A link that leads nowhere may lead outside; only a missing name is harmless.
        Err(_) if path.symlink_metadata().is_ok() => return Err(OUTSIDE.into()),
        Err(_) => path.parent().and_then(|parent| parent.canonicalize().ok()).ok_or(OUTSIDE)?,
    };
    if real.starts_with(directory) { Ok(()) } else { Err(OUTSIDE.into()) }
}

/// Opens a regular file with one name beneath a directory, for reading.
fn open(directory: &str, path: &str) -> Result<OwnedFd, Fault> {
    let inside = path.strip_prefix(directory).ok_or(OUTSIDE)?.trim_start_matches('/');
    // A place to begin from, and a file to look at: neither is opened for any use.
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
    // The file that was looked at, whatever its name means by now. A lease on it is not waited for.
    let found = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(found, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_take_the_places_of_paths_and_of_nothing_else() {
        let path = |places: &[(usize, usize)]| Beneath {
            parameter: "p".to_owned(),
            directory: "/proc/self".to_owned(),
            path: "/proc/self/stat".to_owned(),
            places: places.to_vec(),
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
