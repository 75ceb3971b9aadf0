//! `zcmd put`: a file of this host, in pieces.
//!
//! Promises: the host replaces its file when all has come and its sum is that of the file here; a
//! run that ends before leaves the old one, and the next run goes on where it ended.
//! Leaves out: owner and mode, which the host's entry says.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};

use rustix::fs::OFlags;

use super::{Exchange, Progress, need, odd, open_local, sum};
use crate::client::status::{self, Failure};
use crate::limits;
use crate::protocol::json::{Fault, Json};

/// A file to send.
pub(super) struct Source {
    file: File,
    sha256: String,
    size: u64,
}

impl Source {
    /// Opens it, and sums it up.
    ///
    /// # Errors
    /// It is no regular file, or cannot be read.
    pub(super) fn open(path: &str) -> Result<Self, Failure> {
        let file = open_local(path, OpenOptions::new().read(true), OFlags::empty())?;
        let (sha256, size) = sum(&file).map_err(|error| unread(&error))?;
        Ok(Self { file, sha256, size })
    }

    /// The piece at an offset.
    fn piece(&mut self, offset: u64) -> Result<Vec<u8>, Failure> {
        let length = (self.size - offset).min(limits::STDIN_BYTES_MAX as u64);
        let mut piece = Vec::new();
        self.file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| (&self.file).take(length).read_to_end(&mut piece))
            .map_err(|error| unread(&error))?;
        if piece.len() as u64 != length {
            return Err(Failure::refused("the file here was changed meanwhile; put it again"));
        }
        Ok(piece)
    }
}

fn unread(error: &std::io::Error) -> Failure {
    Failure::refused(format!("cannot read the file here: {error}"))
}

/// Copies a file to the host.
///
/// # Errors
/// As `Files::run`.
pub(super) fn put(
    exchange: &mut Exchange<'_>,
    mut source: Source,
    remote: &str,
) -> Result<u8, Failure> {
    let (mut progress, mut have) = (Progress::new(remote), 0);
    loop {
        let numbers = [source.size, have].map(|number| number.to_string());
        let names = [remote.to_owned(), source.sha256.clone()];
        let ran = exchange.run([names, numbers].concat(), source.piece(have)?)?;
        let (now, done) = state(&ran.stdout).map_err(|fault| odd(&fault))?;
        if done && now == source.size {
            return Ok(status::DONE);
        }
        if now <= have || now >= source.size {
            let message = "the host has lost the pieces: another put may write the file, too";
            return Err(Failure::uncertain(message));
        }
        have = now;
        progress.show(have, source.size);
    }
}

/// How many bytes the host has, and whether the file is written.
fn state(json: &[u8]) -> Result<(u64, bool), Fault> {
    let object = Json::parse_object(json)?;
    Ok((need(&object, "have")?.integer()?, need(&object, "done")?.boolean()?))
}
