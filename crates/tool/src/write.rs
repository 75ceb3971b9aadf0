//! `write`: standard input becomes a file, at once or in pieces.
//!
//! Promises: the file is the old one or the new one at any time, also when this process is killed
//! or the power fails: a temporary file beside it is written, synced and renamed. What is checked
//! (sum, old file, the owner's program) is checked before the rename. Writes in one directory take
//! turns. A temporary file that a killed process has left is removed by the next write of the same
//! file, and by any write in its directory when it is a day old. A link, or anything else that is
//! no regular file, is not replaced.
//! Leaves out: the owner and the extended attributes of the old file, which the new one does not
//! get.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::CHUNK;
use crate::beneath::{Directory, TEMPORARY, check_regular};
use crate::read::{hex, sum_of};

/// Age of a temporary file at which its writer does not come back: a day.
const ABANDONED: Duration = Duration::from_secs(86_400);

/// What to write, and how.
pub(crate) struct Order {
    pub(crate) file: String,
    /// What the whole file is to be, when standard input is a piece of it.
    pub(crate) whole: Option<Whole>,
    pub(crate) mode: u32,
    pub(crate) backup: bool,
    pub(crate) old: Old,
    pub(crate) validate: Option<String>,
}

/// The whole of which a piece comes.
pub(crate) struct Whole {
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) offset: u64,
}

/// What the file must be before.
pub(crate) enum Old {
    Any,
    Missing,
    Sum(String),
}

/// A file that is being written, in a directory that is locked.
struct Writing<'a> {
    parent: OwnedFd,
    name: &'a str,
    temporary: String,
    hard_links: bool,
    order: &'a Order,
}

/// Takes standard input; gives how many bytes the host has, and whether the file is written.
pub(crate) fn write(
    directory: &Directory,
    order: &Order,
    input: &mut dyn Read,
) -> Result<Value, String> {
    let (parent, name) = directory.place(&order.file)?;
    rustix::fs::flock(&parent, FlockOperation::LockExclusive).map_err(cannot)?;
    let (whole, hard_links) = (order.whole.as_ref(), directory.hard_links);
    let of_file = format!("{TEMPORARY}{}", short(name));
    let temporary = format!("{of_file}-{}", short(whole.map_or("", |whole| &whole.sha256)));
    let writing = Writing { parent, name, temporary, hard_links, order };
    let begins = whole.is_none_or(|whole| whole.offset == 0);
    if begins {
        writing.remove_stale(&of_file)?;
    }
    let Some(mut part) = writing.open_part(begins)? else { return Ok(state(0, false)) };
    let done = writing.append(&mut part, input).and_then(|have| {
        if whole.is_some_and(|whole| have < whole.size) {
            return Ok(state(have, false));
        }
        writing.finish(&part)?;
        Ok(state(have, true))
    });
    if done.is_err() {
        let _ = rustix::fs::unlinkat(&writing.parent, &writing.temporary, AtFlags::empty());
    }
    done
}

fn state(have: u64, done: bool) -> Value {
    json!({ "have": have, "done": done })
}

fn cannot(error: impl std::fmt::Display) -> String {
    format!("cannot write: {error}")
}

/// A part of a sum, for the name of a temporary file.
fn short(text: &str) -> String {
    hex(Sha256::digest(text).get(..12).unwrap_or_default())
}

impl Writing<'_> {
    /// Removes what killed writers of this file have left, and what is old; not the part that this
    /// write may go on with.
    fn remove_stale(&self, of_file: &str) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for entry in Dir::read_from(&self.parent).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name().to_bytes();
            let Ok(status) = rustix::fs::statat(&self.parent, name, AtFlags::SYMLINK_NOFOLLOW)
            else {
                continue;
            };
            let modified = Duration::from_secs(u64::try_from(status.st_mtime).unwrap_or(0));
            let is_old = now.saturating_sub(modified) > ABANDONED;
            let is_other = name != self.temporary.as_bytes();
            let is_of_file = name.starts_with(of_file.as_bytes());
            if name.starts_with(TEMPORARY.as_bytes()) && is_other && (is_of_file || is_old) {
                let _ = rustix::fs::unlinkat(&self.parent, name, AtFlags::empty());
            }
        }
        Ok(())
    }

    /// Opens the temporary file; none when there is none and it is not made.
    fn open_part(&self, make: bool) -> Result<Option<File>, String> {
        let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        flags.set(OFlags::CREATE, make);
        let mode = Mode::RUSR | Mode::WUSR;
        let part = match rustix::fs::openat(&self.parent, &self.temporary, flags, mode) {
            Err(Errno::NOENT) if !make => return Ok(None),
            part => part.map_err(cannot)?,
        };
        let status = rustix::fs::fstat(&part).map_err(cannot)?;
        check_regular(&status, &self.temporary, false)?;
        if status.st_uid != rustix::process::geteuid().as_raw() {
            return Err(format!("{} belongs to another user; remove it", self.temporary));
        }
        Ok(Some(File::from(part)))
    }

    /// Appends standard input if it is what comes next; gives how many bytes there are.
    fn append(&self, part: &mut File, input: &mut dyn Read) -> Result<u64, String> {
        // One more would end this process by SIGXFSZ.
        let most = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
        let size = match &self.order.whole {
            Some(whole) if whole.size > most => return Err(too_large(most)),
            Some(whole) => whole.size,
            None => {
                part.set_len(0).map_err(cannot)?;
                most
            }
        };
        let mut have = part.seek(SeekFrom::End(0)).map_err(cannot)?;
        if self.order.whole.as_ref().is_some_and(|whole| whole.offset != have) {
            return Ok(have);
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = match input.read(&mut chunk) {
                Ok(0) => return Ok(have),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("cannot read standard input: {error}")),
            };
            have = have.saturating_add(count as u64);
            if have > size {
                return Err(too_large(size));
            }
            part.write_all(chunk.get(..count).unwrap_or_default()).map_err(cannot)?;
        }
    }

    /// All checks, and the rename.
    fn finish(&self, part: &File) -> Result<(), String> {
        if let Some(whole) = &self.order.whole
            && sum_of(part)? != whole.sha256
        {
            return Err("what came has another sum than --sha256; send it again".to_owned());
        }
        let exists = self.check_old()?;
        rustix::fs::fchmod(part, Mode::from_raw_mode(self.order.mode)).map_err(cannot)?;
        part.sync_all().map_err(cannot)?;
        if let Some(program) = &self.order.validate {
            validate(program, part)?;
        }
        match self.order.backup && exists {
            true => self.exchange()?,
            false => self.rename(&self.temporary, self.name, RenameFlags::empty())?,
        }
        rustix::fs::fsync(&self.parent).map_err(cannot)
    }

    /// Whether there is a file to replace. It is a regular one, and the one that is expected.
    fn check_old(&self) -> Result<bool, String> {
        let found = self.look(self.name)?;
        let wrong = |what: &str| Err(format!("{:?} {what}", self.name));
        match (&self.order.old, found) {
            (Old::Any, found) => Ok(found.is_some()),
            (Old::Missing, None) => Ok(false),
            (Old::Missing, Some(_)) => wrong("is there already"),
            (Old::Sum(_), None) => wrong("is not there"),
            (Old::Sum(sum), Some(_)) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let old = rustix::fs::openat(&self.parent, self.name, flags, Mode::empty());
                match sum_of(&File::from(old.map_err(cannot)?))? == *sum {
                    true => Ok(true),
                    false => wrong("was changed: it has another sum than --if-sha256"),
                }
            }
        }
    }

    /// What a name in the directory is: nothing, or a regular file.
    fn look(&self, name: &str) -> Result<Option<Stat>, String> {
        match rustix::fs::statat(&self.parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(cannot(error)),
            Ok(status) => check_regular(&status, name, self.hard_links).map(|()| Some(status)),
        }
    }

    /// Puts the new file in the place of the old one, and the old one in that of the backup: at no
    /// time is there none.
    fn exchange(&self) -> Result<(), String> {
        let backup = format!("{}.bak", self.name);
        self.look(&backup)?;
        self.rename(&self.temporary, self.name, RenameFlags::EXCHANGE)?;
        self.rename(&self.temporary, &backup, RenameFlags::empty()).inspect_err(|_| {
            let _ = self.rename(&self.temporary, self.name, RenameFlags::EXCHANGE);
        })
    }

    fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> Result<(), String> {
        let renamed = match flags.is_empty() {
            true => rustix::fs::renameat(&self.parent, from, &self.parent, to),
            false => rustix::fs::renameat_with(&self.parent, from, &self.parent, to, flags),
        };
        renamed.map_err(|error| match error {
            Errno::INVAL => "cannot write: this file system does not exchange two files, which \
                             --backup needs"
                .to_owned(),
            error => cannot(error),
        })
    }
}

fn too_large(most: u64) -> String {
    format!("cannot write: at most {most} bytes may come")
}

/// Runs the owner's program with the path of the new file; its output goes to standard error.
fn validate(program: &str, part: &File) -> Result<(), String> {
    let path = format!("/proc/self/fd/{}", part.as_raw_fd());
    // Without CLOEXEC: the program gets it, for reading, from the beginning.
    let file = rustix::fs::open(path, OFlags::RDONLY, Mode::empty()).map_err(cannot)?;
    let status = Command::new(program)
        .arg(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program} refuses the new file ({status}); nothing was changed")),
    }
}
