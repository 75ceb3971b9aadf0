//! A file that rotates: `log` becomes `log.1`, `log.1` becomes `log.2`, and so on.
//!
//! Promises: the new file is there before an old one is moved, so a rotation that cannot succeed
//! moves nothing, however often it is tried. Of the old files only the oldest goes, and that for a
//! new one. In a directory where others may write, what they have put at the name of the log is
//! never written to.
//! Leaves out: what is written, and what becomes of lines when the file is full.

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
    /// The file at `path`, of this size now, that is full at `bytes_max` bytes; `keep` old ones are
    /// kept.
    pub fn new(path: &str, size: u64, bytes_max: u64, keep: u64) -> Self {
        Self { path: path.to_owned(), size, bytes_max, keep }
    }

    /// Whether it has room for so many bytes. An empty file always has.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.size == 0 || self.size.saturating_add(bytes as u64) <= self.bytes_max
    }

    /// So many bytes were written.
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

    /// Moves the files on, and gives the new one.
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

    /// Whether a rotation could begin now.
    ///
    /// # Errors
    /// A new file cannot be made; why.
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
        // One may be left by a daemon that was killed in the middle of a rotation.
        let _ = fs::remove_file(self.new_name());
        options(OFlags::empty()).create_new(true).open(self.new_name())
    }

    /// Moves each file to the next number, up to the first number that is free: what a rotation
    /// that failed has moved is not moved again.
    fn move_on(&self) -> io::Result<()> {
        let is_there = |index: u64| fs::symlink_metadata(self.name(index)).is_ok();
        let last = (1..=self.keep).find(|index| !is_there(*index)).unwrap_or(self.keep);
        for index in (0..last).rev() {
            match fs::rename(self.name(index), self.name(index + 1)) {
                // It was moved away by another program.
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

/// The same where others may put something at this name: a link or a file of theirs, or another
/// name of a file of ours. Where root and this user alone can, what they have put there is taken.
///
/// # Errors
/// As `append`; what is there is not a file of root's or of this user's, with one name.
pub fn append_own(path: &str) -> io::Result<File> {
    let directory = Path::new(path).parent().filter(|parent| *parent != Path::new(""));
    let directory = directory.unwrap_or(Path::new("."));
    if is_closed(directory) {
        return append(path);
    }
    let refused = || {
        io::Error::other(format!(
            "others can put something at {path}, so it must be a file of root's or of this user's \
             with one name, and no link; or give it a directory where only they may write"
        ))
    };
    let opened = match options(OFlags::NOFOLLOW).open(path) {
        // Made by this call or not at all; no link is followed.
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
