//! Lines of standard input or of a file, as they come.
//!
//! Promises: memory is bounded whatever is read; a line that is too long, or is not UTF-8, is one
//! bad line and the next one is good again. What was read ahead is never forgotten by a wait.
//! Leaves out: waiting. A caller that must not block asks `poll` first.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsRawFd, RawFd};

use rustix::fs::FileType;

use crate::limits;

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line of text.
    Text(String),
    /// It has more than `LINE_BYTES_MAX` bytes.
    TooLong,
    /// It is not UTF-8.
    NotText,
}

/// A reader of lines.
#[derive(Debug)]
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    skipping: bool,
    ended: bool,
    /// Bytes read so far.
    read: u64,
}

impl<R: Read> Lines<R> {
    /// Reads lines from `source`, which must not read ahead itself.
    pub fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0, skipping: false, ended: false, read: 0 }
    }

    /// The next line of what was read; none when more must be read first, or nothing is left.
    pub fn take(&mut self) -> Option<Line> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, taken) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
            None if self.ended && (self.skipping || !rest.is_empty()) => (rest, rest.len()),
            None if rest.len() > limits::LINE_BYTES_MAX => {
                self.skipping = true;
                self.buffer.clear();
                self.start = 0;
                return None;
            }
            None => return None,
        };
        let line = if self.skipping || line.len() > limits::LINE_BYTES_MAX {
            Line::TooLong
        } else {
            std::str::from_utf8(line).map_or(Line::NotText, |text| {
                Line::Text(text.strip_suffix('\r').unwrap_or(text).to_owned())
            })
        };
        self.skipping = false;
        self.start = self.start.saturating_add(taken);
        Some(line)
    }

    /// Reads more. Blocks unless the source is readable.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start.min(self.buffer.len()));
        self.start = 0;
        let mut read = [0; limits::READ_BYTES_MAX];
        match self.source.read(&mut read) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.buffer.extend_from_slice(read.get(..count).unwrap_or_default());
                self.read = self.read.saturating_add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether there is nothing more to read. Lines may be left to take.
    pub fn ended(&self) -> bool {
        self.ended
    }
}

impl Lines<Input> {
    /// What to wait for before more is read.
    pub fn descriptor(&self) -> RawFd {
        match &self.source {
            Input::Stdin(_) => io::stdin().as_raw_fd(),
            Input::File(file, _) => file.as_raw_fd(),
        }
    }

    /// How much of a file is read, in percent.
    pub fn part(&self) -> Option<u64> {
        match &self.source {
            Input::File(_, size @ 1..) => Some((self.read.saturating_mul(100) / size).min(100)),
            _ => None,
        }
    }
}

/// Where lines come from.
#[derive(Debug)]
pub enum Input {
    /// Standard input.
    Stdin(Stdin),
    /// A file, and its size in bytes; 0 if it has none, as a pipe.
    File(File, u64),
}

impl Input {
    /// Opens a file, or standard input.
    ///
    /// # Errors
    /// The file cannot be opened, or is a directory.
    pub fn open(file: Option<&str>) -> Result<Self, String> {
        let Some(path) = file else { return Ok(Self::Stdin(Stdin)) };
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((found, _)) if found.is_dir() => Err(format!("{path} is a directory")),
            Ok((found, file)) => Ok(Self::File(file, found.len())),
            Err(error) => Err(format!(
                "cannot open {path}: {error}; expressions come from standard input or a file, one \
                 a line"
            )),
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdin(stdin) => stdin.read(buffer),
            Self::File(file, _) => file.read(buffer),
        }
    }
}

/// Standard input without a buffer of its own, so that `poll` and the reader agree on what is
/// left.
#[derive(Debug)]
pub struct Stdin;

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), buffer)?)
    }
}

/// Whether a person has put a pipe to standard input, which is told without reading it. Scripts
/// have pipes there that are not meant for a command.
pub fn is_offered() -> bool {
    let kind = rustix::fs::fstat(io::stdin()).map(|found| FileType::from_raw_mode(found.st_mode));
    kind == Ok(FileType::Fifo) && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its text a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(text: &[u8], step: usize) -> Vec<Line> {
        let mut lines = Lines::new(Drip(text, step));
        let mut all = Vec::new();
        loop {
            while let Some(line) = lines.take() {
                all.push(line);
                assert!(lines.buffer.len() <= limits::READ_BYTES_MAX + limits::LINE_BYTES_MAX);
            }
            if lines.ended() {
                return all;
            }
            lines.fill().unwrap();
        }
    }

    #[test]
    fn every_line_comes_once_however_it_was_read() {
        let max = limits::LINE_BYTES_MAX;
        let text = |text: &str| Line::Text(text.to_owned());
        let fits = "x".repeat(max);
        let (over, far_over) = ("x".repeat(max + 1), "x".repeat(20 * max));
        let cases = [
            (String::new(), vec![]),
            ("a\n\nb".into(), vec![text("a"), text(""), text("b")]),
            ("a\r\nb\r\n".into(), vec![text("a"), text("b")]),
            (format!("{fits}\na\n"), vec![text(&fits), text("a")]),
            (format!("{over}\na\n"), vec![Line::TooLong, text("a")]),
            (format!("a\n{far_over}\nb"), vec![text("a"), Line::TooLong, text("b")]),
            (far_over.clone(), vec![Line::TooLong]),
        ];
        for (input, lines) in &cases {
            for step in [1, 7, max, 64 * 1024] {
                assert_eq!(&all(input.as_bytes(), step), lines, "{} bytes by {step}", input.len());
            }
        }
        assert_eq!(all(b"\xff\n1", 1), [Line::NotText, text("1")]);
    }
}
