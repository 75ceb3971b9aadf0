//! `zcmd get`: a file of the host, in pieces.
//!
//! Promises: the file has its name only when it is whole; until then it is `LOCAL.part`, with which
//! the next run goes on. Every byte was compared with the host's by SHA-256, those of an earlier
//! run too, and all are of one version of the file.
//! Leaves out: owner, mode and times of the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};

use super::{Exchange, Progress, need, odd, open_local, sum};
use crate::client::status::{self, Failure};
use crate::limits;
use crate::protocol::json::{Fault, Json};

/// What the host tells of a part of its file.
struct About {
    bytes: u64,
    sha256: String,
    size: u64,
    version: String,
}

impl About {
    fn read(stderr: &[u8]) -> Result<Self, Fault> {
        let object = Json::parse_object(stderr)?;
        let text = |name| Ok(need(&object, name)?.string()?.into_owned());
        Ok(Self {
            bytes: need(&object, "bytes")?.integer()?,
            sha256: text("sha256")?,
            size: need(&object, "size")?.integer()?,
            version: text("version")?,
        })
    }
}

/// A copy that is being made.
struct Copy<'e, 'a> {
    exchange: &'e mut Exchange<'a>,
    remote: &'e str,
    part: File,
    /// Bytes that are here and compared.
    have: u64,
    /// The version of the host's file, when something of it has come.
    version: Option<String>,
}

/// Copies a file of the host here.
///
/// # Errors
/// As `Files::run`.
pub(super) fn get(
    exchange: &mut Exchange<'_>,
    remote: &str,
    local: Option<&str>,
) -> Result<u8, Failure> {
    let local = destination(remote, local)?;
    let path = format!("{local}.part");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let part = open_local(&path, &mut options, OFlags::NOFOLLOW)?;
    let is_there = || Some(fs::metadata(&path).ok()?.ino() == part.metadata().ok()?.ino());
    // One that has just ended may have given it its name.
    if flock(&part, FlockOperation::NonBlockingLockExclusive).is_err() || is_there() != Some(true) {
        return Err(Failure::refused(format!("{path}: another zcmd get is writing it")));
    }
    let mut copy = Copy { exchange, remote, part, have: 0, version: None };
    let done = copy.resume().and_then(|()| copy.fetch());
    if done.is_err() && copy.have == 0 {
        // Nothing to go on with.
        let _ = fs::remove_file(&path);
    }
    done?;
    copy.part.sync_all().and_then(|()| fs::rename(&path, &local)).map_err(|e| unwritten(&e))?;
    Ok(status::DONE)
}

/// Where the file goes: into a directory under its own name.
fn destination(remote: &str, local: Option<&str>) -> Result<String, Failure> {
    let name = remote.rsplit('/').next().unwrap_or_default();
    match local {
        Some(local) if !Path::new(local).is_dir() => Ok(local.to_owned()),
        _ if matches!(name, "" | "." | "..") => {
            Err(Failure::refused(format!("get: {remote:?} is no name of a file; give LOCAL, too")))
        }
        Some(directory) => Ok(format!("{}/{name}", directory.trim_end_matches('/'))),
        None => Ok(name.to_owned()),
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::uncertain(format!("cannot write the copy: {error}"))
}

impl Copy<'_, '_> {
    /// Compares what an earlier run has left, and drops what differs.
    fn resume(&mut self) -> Result<(), Failure> {
        let there = self.part.metadata().map_err(|error| unwritten(&error))?.len();
        while self.have < there {
            let length = limits::SUMMED_BYTES_MAX.min(there - self.have);
            let (about, _) = self.ask(length, "sum")?;
            let own = sum((&self.part).take(length)).map_err(|error| unwritten(&error))?;
            if own != (about.sha256, about.bytes) {
                break;
            }
            self.have += length;
        }
        let start = self
            .part
            .set_len(self.have)
            .and_then(|()| self.part.seek(SeekFrom::Start(self.have)).map(drop));
        start.map_err(|error| unwritten(&error))
    }

    /// Gets the rest.
    fn fetch(&mut self) -> Result<(), Failure> {
        let mut progress = Progress::new(self.remote);
        loop {
            let (about, bytes) = self.ask(limits::PIECE_BYTES_MAX, "bytes")?;
            let (own, count) = sum(bytes.as_slice()).map_err(|error| unwritten(&error))?;
            if own != about.sha256 || count != about.bytes || self.have + count > about.size {
                return Err(Failure::uncertain("a piece came that is not what the host sent"));
            }
            self.part.write_all(&bytes).map_err(|error| unwritten(&error))?;
            self.have += count;
            progress.show(self.have, about.size);
            if self.have == about.size {
                return Ok(());
            }
            if count == 0 {
                return Err(Failure::uncertain("the host has fewer bytes than it tells"));
            }
        }
    }

    /// Asks for the next part; it is of the same version as the others.
    fn ask(&mut self, length: u64, what: &str) -> Result<(About, Vec<u8>), Failure> {
        let (offset, length) = (self.have.to_string(), length.to_string());
        let parameters = vec![self.remote.to_owned(), offset, length, what.to_owned()];
        let ran = self.exchange.run(parameters, Vec::new())?;
        let about = About::read(&ran.stderr).map_err(|fault| odd(&fault))?;
        if self.version.get_or_insert_with(|| about.version.clone()) != &about.version {
            let message = "the file was changed on the host meanwhile; get it again";
            return Err(Failure::uncertain(message));
        }
        Ok((about, ran.stdout))
    }
}
