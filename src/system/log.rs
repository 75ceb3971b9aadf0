//! The log: one line for each record, to a file that rotates, or to standard error.
//!
//! Promises: lines are written whole and in order. Writing never blocks the loop and never fails
//! it: lines that cannot be written, because of a full disk, a stuck reader, or a full file that
//! cannot be rotated, wait up to a bound; those beyond it are counted, and the count is logged.
//! That the file takes no lines is reported once on standard error, and so is that it takes them
//! again; a failed rotation also in the log: the file exceeds its bound by that line alone.
//! Standard error is appended to, also by other programs that share it.
//! Its state says how far it is behind.
//! Leaves out: which events are logged.

use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::limits;
use crate::port::{Field, Level, LogState, Record};
use crate::system::line::{json, text};
use crate::system::rotation::{Rotating, append, append_own};

/// The destination of lines.
#[derive(Debug)]
pub struct Log {
    target: Option<Rotating>,
    out: File,
    /// Where it is reported that the file takes no lines: opened at the start, since the failure
    /// may be a lack of descriptors.
    errors: Option<File>,
    text: bool,
    /// Whole lines that are not written yet; of the first, the unwritten rest.
    waiting: Vec<u8>,
    /// The first waiting line belongs to this file, whatever the size of the file.
    begun: bool,
    /// The file is full and cannot be rotated, and that was reported.
    stuck: bool,
    /// The last write failed, and that was reported.
    failing: bool,
    /// Lines that were lost and that no line has counted yet.
    lost: u64,
    /// All that were lost.
    lost_ever: u64,
    last_error: Option<Rc<str>>,
}

impl Log {
    /// Opens a log: a file that is rotated at `bytes_max` bytes, with `keep` old ones, or standard
    /// error.
    ///
    /// # Errors
    /// The file cannot be opened, or others may have put it there.
    pub fn open(file: Option<&str>, text: bool, bytes_max: u64, keep: u64) -> io::Result<Self> {
        let (out, target) = match file {
            Some(path) => {
                let out = append_own(path)?;
                let file = out.metadata()?;
                let target = Rotating::new(path, file.len(), bytes_max, keep);
                // A device or a pipe is not rotated: a regular file would replace it.
                (out, file.is_file().then_some(target))
            }
            None => (standard_error()?, None),
        };
        let errors = file.and_then(|_| standard_error().ok());
        Ok(Self {
            target,
            out,
            errors,
            text,
            waiting: Vec::new(),
            begun: false,
            stuck: false,
            failing: false,
            lost: 0,
            lost_ever: 0,
            last_error: None,
        })
    }

    /// Opens the file again, since it may have been moved away.
    ///
    /// # Errors
    /// It cannot be opened; lines go to the old one.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Some(target) = &mut self.target {
            self.out = target.reopen()?;
            // The rest of a line that is partly in the old file is not written to the new one.
            if std::mem::take(&mut self.begun) {
                let rest = first_line(&self.waiting, 0).map_or(0, <[u8]>::len);
                self.waiting.drain(..rest);
                self.lose(u64::from(rest > 0));
            }
            self.stuck = false;
        }
        Ok(())
    }

    /// How far it is behind, and why.
    pub fn state(&self) -> LogState {
        LogState {
            whole: self.waiting.is_empty() && self.lost == 0,
            backlog: self.waiting.len(),
            lost: self.lost_ever,
            last_error: self.last_error.clone(),
        }
    }

    fn lose(&mut self, lines: u64) {
        self.lost = self.lost.saturating_add(lines);
        self.lost_ever = self.lost_ever.saturating_add(lines);
    }

    /// Checks that the file can be rotated.
    ///
    /// # Errors
    /// The reason why it cannot.
    pub fn try_rotation(&self) -> io::Result<()> {
        self.target.as_ref().map_or(Ok(()), Rotating::try_out)
    }

    /// Writes a record with this time since 1970.
    pub fn write(&mut self, unix: Duration, record: &Record) {
        self.flush(unix);
        if self.lost > 0 && self.waiting.len() < limits::LOG_WAITING_BYTES_MAX / 2 {
            let count = Field::from(std::mem::take(&mut self.lost));
            let fields = vec![("count", count)];
            self.push(unix, &Record { level: Level::Error, event: "log_lines_lost", fields });
        }
        self.push(unix, record);
        self.flush(unix);
    }

    fn push(&mut self, unix: Duration, record: &Record) {
        let line = self.line(unix, record);
        if self.waiting.len() + line.len() > limits::LOG_WAITING_BYTES_MAX {
            return self.lose(1);
        }
        self.waiting.extend(line.bytes());
    }

    fn line(&self, unix: Duration, record: &Record) -> String {
        if self.text { text(unix, record) } else { json(unix, record) }
    }

    fn flush(&mut self, unix: Duration) {
        let mut written = 0;
        while let Some(length) = first_line(&self.waiting, written).map(<[u8]>::len) {
            if !self.begun && !self.make_room(unix, length, written) {
                break;
            }
            let line = first_line(&self.waiting, written).unwrap_or_default();
            match self.out.write(line) {
                Ok(0) => break,
                Ok(count) => {
                    written += count;
                    self.begun = count < line.len();
                    self.target.iter_mut().for_each(|target| target.grow(count));
                    if std::mem::take(&mut self.failing) {
                        self.complain("is written again");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // A reader that is slow is no fault.
                    let is_fault = error.kind() != io::ErrorKind::WouldBlock;
                    if is_fault {
                        self.last_error = Some(error.to_string().into());
                    }
                    if is_fault && !std::mem::replace(&mut self.failing, true) {
                        self.complain(&format!("cannot be written: {error}; {}", waits()));
                    }
                    break;
                }
            }
        }
        self.waiting.drain(..written.min(self.waiting.len()));
    }

    /// Makes room in the file for a line of this length. A failure is reported once, by a line that
    /// is written first and beyond the bound.
    fn make_room(&mut self, unix: Duration, length: usize, first: usize) -> bool {
        let Some(target) = &mut self.target else { return true };
        if target.has_room(length) {
            return true;
        }
        match target.rotate() {
            Ok(out) => {
                self.out = out;
                self.stuck = false;
                return true;
            }
            Err(_) if self.stuck => return false,
            Err(error) => self.tell_stuck(unix, &error, first),
        }
        self.begun
    }

    /// Tells standard error what is the matter with the file; it may have no room either.
    fn complain(&mut self, what: &str) {
        if let Some(errors) = &mut self.errors {
            let _ = errors.write_all(format!("zcmdd: LOG_FILE {what}\n").as_bytes());
        }
    }

    fn tell_stuck(&mut self, unix: Duration, error: &io::Error, first: usize) {
        self.stuck = true;
        self.last_error = Some(error.to_string().into());
        self.complain(&format!("cannot be rotated: {error}; {}", waits()));
        let fields = vec![("error", error.to_string().into())];
        let line =
            self.line(unix, &Record { level: Level::Error, event: "log_not_rotated", fields });
        if self.waiting.len() + line.len() <= limits::LOG_WAITING_BYTES_MAX {
            self.waiting.splice(first..first, line.bytes());
            self.begun = true;
        }
    }
}

/// What becomes of lines meanwhile.
fn waits() -> String {
    let bytes_max = limits::LOG_WAITING_BYTES_MAX;
    format!("until it can be, lines wait, and what is beyond {bytes_max} bytes is lost")
}

/// The first line from this offset on.
fn first_line(waiting: &[u8], from: usize) -> Option<&[u8]> {
    waiting.get(from..)?.split_inclusive(|byte| *byte == b'\n').next()
}

/// Opens standard error without blocking. A new open file description is made, since the old one is
/// shared with the parent process. All who share it append from now on: another's line would
/// overwrite those of the log, since a shell opens `2> FILE` at its beginning. One that cannot be
/// reopened is a socket, such as that of a journal, and is set to non-blocking.
///
/// # Errors
/// It is closed, or no descriptor is left.
pub fn standard_error() -> io::Result<File> {
    let flags = rustix::fs::fcntl_getfl(io::stderr())?;
    rustix::fs::fcntl_setfl(io::stderr(), flags | OFlags::APPEND)?;
    append("/proc/self/fd/2").or_else(|_| {
        let shared = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
        let flags = rustix::fs::fcntl_getfl(&shared)?;
        rustix::fs::fcntl_setfl(&shared, flags | OFlags::NONBLOCK)?;
        Ok(File::from(shared))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn record(fields: Vec<(&'static str, Field)>) -> Record {
        Record { level: Level::Info, event: "tested", fields }
    }

    #[test]
    fn a_file_rotates_and_keeps_as_many_as_asked() {
        let folder = std::env::temp_dir().join(format!("zcmd-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        let mut log = Log::open(path.to_str(), false, 200, 2).unwrap();
        for number in 0..20_u64 {
            log.write(Duration::ZERO, &record(vec![("n", number.into())]));
        }
        let mut names: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["log", "log.1", "log.2"]);
        for name in names {
            assert!(std::fs::metadata(folder.join(name)).unwrap().len() <= 200);
        }
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"n\":19"));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// What stands at the name of a log in a directory of this mode, and whether it is taken. Another
    /// user's can be made by root alone.
    #[test]
    fn old_wound_a_log_followed_a_link_that_others_had_planted() {
        let folder = std::env::temp_dir().join(format!("zcmd-planted-{}", std::process::id()));
        let (path, target) = (folder.join("log"), folder.join("target"));
        let cases = [
            (0o755, "nothing", true),
            (0o755, "link", true),
            (0o755, "file", true),
            (0o1777, "nothing", true),
            (0o1777, "link", false),
            (0o1777, "hard link", false),
            (0o1777, "file", true),
            (0o1777, "another's", false),
            (0o777, "link", false),
            (0o775, "link", false),
        ];
        for (mode, stands, taken) in cases {
            let is_root = rustix::process::geteuid().is_root();
            if !is_root && (stands == "another's" || mode == 0o775) {
                assert!(std::env::var_os("CI").is_none(), "in CI, tests run as root");
                println!("skipped, since this is not root: {stands} {mode:o}");
                continue;
            }
            std::fs::create_dir(&folder).unwrap();
            let open = || Log::open(path.to_str(), false, 1000, 0);
            // One that is open meets it on SIGHUP.
            let mut before = open().unwrap();
            std::fs::rename(&path, &target).unwrap();
            match stands {
                "nothing" => {}
                "link" => std::os::unix::fs::symlink(&target, &path).unwrap(),
                "hard link" => std::fs::hard_link(&target, &path).unwrap(),
                _ => std::fs::write(&path, "").unwrap(),
            }
            if stands == "another's" {
                std::os::unix::fs::lchown(&path, Some(1), None).unwrap();
            }
            if mode == 0o775 {
                std::os::unix::fs::chown(&folder, None, Some(1)).unwrap();
            }
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).unwrap();
            let opened = open();
            assert_eq!(opened.is_ok(), taken, "{mode:o} {stands} {opened:?}");
            let reopened = before.reopen();
            assert_eq!(reopened.is_ok(), taken, "{mode:o} {stands} {reopened:?}");
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn a_device_is_not_rotated() {
        let log = Log::open(Some("/dev/null"), false, 1, 1).unwrap();
        assert!(log.target.is_none());
    }

    #[test]
    fn a_full_disk_loses_lines_and_says_how_many() {
        let mut log = Log::open(Some("/dev/full"), false, 1 << 40, 0).unwrap();
        for number in 0..10_000_u64 {
            log.write(Duration::ZERO, &record(vec![("n", number.into())]));
        }
        assert!(log.waiting.len() <= limits::LOG_WAITING_BYTES_MAX);
        assert!(log.lost > 0);
    }

    #[test]
    fn old_wound_a_full_disk_was_told_to_nobody() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut log = Log::open(Some("/dev/full"), false, 1 << 40, 0).unwrap();
        log.errors = Some(File::from(writer));
        let write = |log: &mut Log| log.write(Duration::ZERO, &record(vec![]));
        (0..3).for_each(|_| write(&mut log));
        log.out = File::options().write(true).open("/dev/null").unwrap();
        (0..3).for_each(|_| write(&mut log));
        drop(log);
        let told = io::read_to_string(File::from(reader)).unwrap();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        let full = "zcmdd: LOG_FILE cannot be written: No space left on device";
        assert!(lines[0].starts_with(full), "{told}");
        assert_eq!(lines[1], "zcmdd: LOG_FILE is written again");
    }

    #[test]
    fn the_state_tells_what_waits_what_was_lost_and_the_last_of_several_errors() {
        let mut log = Log::open(Some("/dev/full"), false, 1 << 40, 0).unwrap();
        assert_eq!(log.state(), LogState::default());
        let write = |log: &mut Log| log.write(Duration::ZERO, &record(vec![]));
        let error = |log: &Log| log.state().last_error.unwrap_or_default().to_string();
        write(&mut log);
        assert_eq!((log.state().whole, log.state().backlog), (false, log.waiting.len()));
        assert!(error(&log).starts_with("No space left"), "{}", error(&log));
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        log.out = File::from(writer);
        while log.state().lost == 0 {
            write(&mut log);
        }
        assert!(error(&log).starts_with("Broken pipe"), "{}", error(&log));
        log.out = File::options().write(true).open("/dev/null").unwrap();
        // The lost line has no line that counts it yet.
        log.flush(Duration::ZERO);
        assert_eq!((log.state().whole, log.state().backlog, log.state().lost), (false, 0, 1));
        write(&mut log);
        assert_eq!((log.state().whole, log.state().backlog, log.state().lost), (true, 0, 1));
    }

    #[test]
    fn a_stuck_reader_misses_lines_and_is_told_how_many() {
        let (mut reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        reader.set_nonblocking(true).unwrap();
        let mut log = Log::open(Some("/dev/null"), false, 1, 0).unwrap();
        log.out = File::from(std::os::fd::OwnedFd::from(writer));
        let mut read = Vec::new();
        let mut drain = || {
            let _ = io::Read::read_to_end(&mut reader, &mut read);
            String::from_utf8(read.clone()).unwrap()
        };
        for number in 0..20_000_u64 {
            log.write(Duration::ZERO, &record(vec![("n", number.into())]));
        }
        let lost = log.lost;
        assert!(lost > 0);
        let mut written = 20_000;
        while log.lost > 0 || !log.waiting.is_empty() {
            drain();
            log.write(Duration::ZERO, &record(vec![("n", written.into())]));
            written += 1;
            assert!(written < 25_000, "what waits is never taken");
        }
        let text = drain();
        let of = |event: &str| text.lines().filter(|l| l.contains(event)).collect::<Vec<_>>();
        let told: u64 = of("log_lines_lost")
            .iter()
            .map(|line| {
                let count = line.split("\"count\":").nth(1).unwrap();
                count.trim_end_matches('}').parse::<u64>().unwrap()
            })
            .sum();
        assert!(told >= lost, "{told} {lost}");
        assert_eq!(of("tested").len() as u64 + told, written);
    }

    /// An obstacle to the rotation of a file, and the result after many lines: the number of files,
    /// and whether they have the first lines.
    #[test]
    fn old_wound_a_log_that_cannot_rotate_moves_nothing_and_stays_within_its_bound() {
        let folder = std::env::temp_dir().join(format!("zcmd-stuck-{}", std::process::id()));
        let path = folder.join("log");
        for keep in [0, 3] {
            for obstacle in ["log.new", "log.1", "gone"] {
                if keep == 0 && obstacle == "log.1" {
                    continue;
                }
                std::fs::create_dir_all(&folder).unwrap();
                let mut log = Log::open(path.to_str(), false, 1000, keep).unwrap();
                let mut write = |numbers: std::ops::Range<u64>| {
                    for number in numbers {
                        log.write(Duration::ZERO, &record(vec![("n", number.into())]));
                    }
                };
                write(0..5);
                let kept = std::fs::File::open(&path).unwrap();
                match obstacle {
                    "gone" => std::fs::remove_dir_all(&folder).unwrap(),
                    // A directory with something in it is in the way of any file.
                    name => std::fs::create_dir_all(folder.join(name).join("x")).unwrap(),
                }
                if obstacle == "log.1" {
                    (2..=keep).for_each(|n| {
                        std::fs::create_dir_all(folder.join(format!("log.{n}/x"))).unwrap();
                    });
                }
                write(5..5000);
                let text = io::read_to_string(&kept).unwrap();
                assert!(text.contains("\"n\":0}") && text.len() < 1400, "{obstacle} {text}");
                assert_eq!(text.matches("log_not_rotated").count(), 1, "{obstacle} {text}");
                assert!(log.lost > 0 && log.waiting.len() <= limits::LOG_WAITING_BYTES_MAX);
                if obstacle != "gone" {
                    let inode = |file: io::Result<std::fs::Metadata>| file.unwrap().ino();
                    assert_eq!(inode(std::fs::metadata(&path)), inode(kept.metadata()));
                    std::fs::remove_dir_all(&folder).unwrap();
                }
            }
        }
    }
}
