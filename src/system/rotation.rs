//! A file that rotates: `log` becomes `log.1`, `log.1` becomes `log.2`, and so on.
//!
//! Promises: the new file is made before an old one is renamed, so a rotation that cannot succeed
//! renames nothing, however often it is tried. Only the oldest file is removed, and only for a new
//! one. In a directory that others may write, a file of theirs with the log's name is never written
//! to.
//! Leaves out: what is written, and lines for which the file has no room.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::system::files::is_closed;

/// A file that rotates.
#[derive(Debug)]
pub struct Rotating {
    path: String,
    size: u64,
    bytes_max: u64,
    keep: u64,
}

impl Rotating {
    /// The file at `path` with its present size; it is full at `bytes_max` bytes, and `keep` old
    /// ones are kept.
    pub fn new(path: &str, size: u64, bytes_max: u64, keep: u64) -> Self {
        Self { path: path.to_owned(), size, bytes_max, keep }
    }

    /// Whether it has room for so many bytes. An empty file always has.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.size == 0 || self.size.saturating_add(bytes as u64) <= self.bytes_max
    }

    /// Counts written bytes.
    pub fn grow(&mut self, bytes: usize) {
        self.size = self.size.saturating_add(bytes as u64);
    }

    /// Opens it again.
    ///
    /// # Errors
    /// It cannot be opened, or others may have put it there.
    pub fn reopen(&mut self) -> io::Result<File> {
        let file = append_own(&self.path)?;
        self.size = file.metadata()?.len();
        Ok(file)
    }

    /// Rotates the files, and returns the new one.
    ///
    /// # Errors
    /// A new file cannot be made, or an old one cannot be moved.
    pub fn rotate(&mut self) -> io::Result<File> {
        let file = self.make_new()?;
        let moved = self.move_on().and_then(|()| fs::rename(self.new_name(), &self.path));
        if moved.is_err() {
            let _ = fs::remove_file(self.new_name());
        }
        moved?;
        self.size = 0;
        Ok(file)
    }

    /// Checks that a rotation could begin.
    ///
    /// # Errors
    /// A new file cannot be made; the reason.
    pub fn try_out(&self) -> io::Result<()> {
        self.make_new()?;
        fs::remove_file(self.new_name())
    }

    fn name(&self, index: u64) -> String {
        if index == 0 { self.path.clone() } else { format!("{}.{index}", self.path) }
    }

    fn new_name(&self) -> String {
        format!("{}.new", self.path)
    }

    fn make_new(&self) -> io::Result<File> {
        // A daemon that was killed during a rotation may leave one.
        let _ = fs::remove_file(self.new_name());
        options(OFlags::empty()).create_new(true).open(self.new_name())
    }

    /// Renames each file to the next number, up to the first free number: files that a failed
    /// rotation has renamed are not renamed again.
    fn move_on(&self) -> io::Result<()> {
        let is_there = |index: u64| fs::symlink_metadata(self.name(index)).is_ok();
        let last = (1..=self.keep).find(|index| !is_there(*index)).unwrap_or(self.keep);
        for index in (0..last).rev() {
            match fs::rename(self.name(index), self.name(index + 1)) {
                // Another program moved it away.
                Err(error) if index == 0 && error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
        Ok(())
    }
}

/// Opens a file to append to it, without blocking.
///
/// # Errors
/// It cannot be opened or made.
pub fn append(path: &str) -> io::Result<File> {
    options(OFlags::empty()).create(true).open(path)
}

/// The same in a directory that others may write: it refuses their files and links, and hard links
/// to files of ours. Files that only root and this user can make are accepted.
///
/// # Errors
/// As `append`; the file does not belong to root or this user, or has several names.
pub fn append_own(path: &str) -> io::Result<File> {
    let directory = Path::new(path).parent().filter(|parent| *parent != Path::new(""));
    let directory = directory.unwrap_or(Path::new("."));
    if is_closed(directory) {
        return append(path);
    }
    let refused = || {
        io::Error::other(format!(
            "others can create {path}, so it must be a file of root or of this user, with one name \
             and no link; or use a directory that only they may write"
        ))
    };
    let opened = match options(OFlags::NOFOLLOW).open(path) {
        // Either this call makes the file, or it fails; no link is followed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            options(OFlags::NOFOLLOW).create_new(true).open(path)
        }
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => return Err(refused()),
        opened => opened,
    };
    let file = opened?;
    let found = file.metadata()?;
    let is_own = found.uid() == 0 || found.uid() == rustix::process::geteuid().as_raw();
    if is_own && found.is_file() && found.nlink() == 1 { Ok(file) } else { Err(refused()) }
}

fn options(more: OFlags) -> OpenOptions {
    let flags = i32::try_from((OFlags::NONBLOCK | more).bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.append(true).mode(0o640).custom_flags(flags);
    options
}
