//! The log: one line for each record, to a file that rotates, or to standard error.
//!
//! Promises: a line is one JSON object (or one line of text), with control characters escaped, and
//! is never longer than `LOG_LINE_BYTES_MAX`. Writing never blocks the loop and never fails it:
//! what a full disk or a stuck reader does not take waits up to a bound; what is beyond it is
//! counted, and the count is logged.
//! Leaves out: what is worth a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use rustix::fs::OFlags;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits;
use crate::port::{Field, Level, Record};

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    target: Option<Target>,
    out: File,
    text: bool,
    /// What was not taken yet.
    waiting: Vec<u8>,
    lost: u64,
}

/// A file that rotates.
#[derive(Debug)]
struct Target {
    path: String,
    size: u64,
    bytes_max: u64,
    keep: u64,
}

impl Log {
    /// Opens a log: a file that is rotated at `bytes_max` bytes, `keep` old ones being kept, or
    /// standard error.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(file: Option<&str>, text: bool, bytes_max: u64, keep: u64) -> io::Result<Self> {
        let (out, target) = match file {
            Some(path) => {
                let out = append(path)?;
                let file = out.metadata()?;
                let target = Target { path: path.to_owned(), size: file.len(), bytes_max, keep };
                // A device or a pipe is not rotated: another thing would stand in its place.
                (out, file.is_file().then_some(target))
            }
            None => (standard_error()?, None),
        };
        Ok(Self { target, out, text, waiting: Vec::new(), lost: 0 })
    }

    /// Opens the file again, which may have been moved away.
    ///
    /// # Errors
    /// It cannot be opened; lines go to the old one.
    pub fn reopen(&mut self) -> io::Result<()> {
        if let Some(target) = &mut self.target {
            let out = append(&target.path)?;
            target.size = out.metadata()?.len();
            self.out = out;
        }
        Ok(())
    }

    /// Writes a record, as of this time since 1970.
    pub fn write(&mut self, unix: Duration, record: &Record) {
        if self.lost > 0 && self.waiting.len() < limits::LOG_WAITING_BYTES_MAX / 2 {
            let count = Field::from(std::mem::take(&mut self.lost));
            let fields = vec![("count", count)];
            self.push(unix, &Record { level: Level::Error, event: "log_lines_lost", fields });
        }
        self.push(unix, record);
        self.flush();
    }

    fn push(&mut self, unix: Duration, record: &Record) {
        let line = if self.text { text(unix, record) } else { json(unix, record) };
        if self.waiting.len() + line.len() > limits::LOG_WAITING_BYTES_MAX {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        if let Some(target) = &mut self.target
            && self.waiting.is_empty()
            && target.size > 0
            && target.size + line.len() as u64 > target.bytes_max
            && let Ok(out) = target.rotate()
        {
            self.out = out;
        }
        self.waiting.extend(line.bytes());
    }

    fn flush(&mut self) {
        let mut written = 0;
        while let Some(rest) = self.waiting.get(written..).filter(|rest| !rest.is_empty()) {
            match self.out.write(rest) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.waiting.drain(..written.min(self.waiting.len()));
        if let Some(target) = &mut self.target {
            target.size += written as u64;
        }
    }
}

impl Target {
    /// Moves `log` to `log.1`, `log.1` to `log.2` and so on, and opens a new one.
    fn rotate(&mut self) -> io::Result<File> {
        let name = |index: u64| match index {
            0 => self.path.clone(),
            index => format!("{}.{index}", self.path),
        };
        for index in (0..self.keep).rev() {
            // One that is not there yet is nothing to move.
            let _ = std::fs::rename(name(index), name(index + 1));
        }
        if self.keep == 0 {
            std::fs::remove_file(&self.path)?;
        }
        let out = append(&self.path)?;
        self.size = out.metadata()?.len();
        Ok(out)
    }
}

fn append(path: &str) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

/// Standard error without blocking. A new description is opened, since the old one is shared with
/// whoever started us; what cannot be opened anew is a socket, such as that of a journal, and is
/// made not to block.
fn standard_error() -> io::Result<File> {
    append("/proc/self/fd/2").or_else(|_| {
        let shared = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?;
        let flags = rustix::fs::fcntl_getfl(&shared)?;
        rustix::fs::fcntl_setfl(&shared, flags | OFlags::NONBLOCK)?;
        Ok(File::from(shared))
    })
}

/// One JSON object and a line feed.
fn json(unix: Duration, record: &Record) -> String {
    let line = serde_json::to_string(&Line(unix, record)).unwrap_or_default();
    escape(line)
}

/// One line for people: time, level, event, then `name=value`.
fn text(unix: Duration, record: &Record) -> String {
    let mut line = format!("{} {} {}", time(unix), name(record.level), record.event);
    for (name, field) in &record.fields {
        let value = serde_json::to_string(&Cut(field)).unwrap_or_default();
        let bare = value.trim_matches('"');
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte);
        let value = if !bare.is_empty() && bare.bytes().all(plain) { bare } else { &value };
        line.push_str(&format!(" {name}={value}"));
    }
    escape(line)
}

/// Ends a line. JSON escapes the control characters of ASCII; terminals know some more.
fn escape(line: String) -> String {
    let mut escaped = String::with_capacity(line.len() + 1);
    for character in line.chars() {
        match character {
            control if control.is_control() => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => escaped.push(other),
        }
    }
    escaped.push('\n');
    escaped
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

/// A time as RFC 3339 writes it, in UTC with microseconds. The date is that of the proleptic
/// Gregorian calendar, counted in eras of 400 years that begin in March.
fn time(unix: Duration) -> String {
    let (days, seconds) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    let days = days + 719_468; // From 0000-03-01 to 1970-01-01.
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = unix.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

struct Line<'a>(Duration, &'a Record);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Line(unix, record) = self;
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("time", &time(*unix))?;
        out.serialize_entry("level", name(record.level))?;
        out.serialize_entry("event", record.event)?;
        for (name, field) in &record.fields {
            out.serialize_entry(name, &Cut(field))?;
        }
        out.end()
    }
}

/// A field, cut to a share of the line.
struct Cut<'a>(&'a Field);

impl Serialize for Cut<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Field::Number(number) => out.serialize_i128(*number),
            Field::Text(text) => out.serialize_str(&cut(text, limits::LOG_FIELD_BYTES_MAX)),
            Field::List(list) => {
                let mut room = limits::LOG_FIELD_BYTES_MAX;
                let shown = list.iter().take_while(|text| {
                    let fits = room > 0;
                    room = room.saturating_sub(text.len() + 1);
                    fits
                });
                let mut shown: Vec<String> =
                    shown.map(|text| cut(text, limits::LOG_FIELD_BYTES_MAX)).collect();
                if shown.len() < list.len() {
                    shown.push(format!("… and {} more", list.len() - shown.len()));
                }
                shown.serialize(out)
            }
        }
    }
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… of {} bytes", text.get(..end).unwrap_or_default(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: Vec<(&'static str, Field)>) -> Record {
        Record { level: Level::Info, event: "tested", fields }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        // Checked against `date -u -d @SECONDS`.
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (limits::UNIX_SECONDS_MAX, "9999-12-31T23:59:59.000000Z"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(time(Duration::from_secs(seconds)), wanted);
        }
        assert_eq!(time(Duration::from_micros(1_500_000)), "1970-01-01T00:00:01.500000Z");
    }

    #[test]
    fn old_wound_no_text_forges_a_line() {
        let evil = "x\n{\"event\":\"forged\"}\u{1b}[2J\u{9b}2J\u{7f}";
        let fields = vec![("a", evil.into()), ("b", Field::List(vec![evil.into()]))];
        for line in
            [json(Duration::ZERO, &record(fields.clone())), text(Duration::ZERO, &record(fields))]
        {
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(line.ends_with('\n') && !line.trim_end().contains(char::is_control), "{line}");
        }
    }

    #[test]
    fn lines_are_bounded() {
        let long = "é\u{1}".repeat(100_000);
        let list = vec![long.clone(); 1000];
        let fields = vec![("a", long.into()), ("b", Field::List(list))];
        let line = json(Duration::ZERO, &record(fields));
        assert!(line.len() < limits::LOG_LINE_BYTES_MAX, "{}", line.len());
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn text_is_readable_and_quotes_what_needs_it() {
        let fields = vec![("a", "b".into()), ("c", "d e".into()), ("n", Field::Number(7))];
        assert_eq!(
            text(Duration::ZERO, &record(fields)),
            "1970-01-01T00:00:00.000000Z info tested a=b c=\"d e\" n=7\n"
        );
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
}
