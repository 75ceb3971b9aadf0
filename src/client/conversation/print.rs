//! What a conversation prints: output while a command runs, and the last reply.
//!
//! Promises: what a command writes goes out byte for byte as it comes, unless control characters
//! are to be shown (`Settings::visible`). No write blocks past the deadline or past Ctrl-C. Output
//! that was cut is announced with its true size.
//! Leaves out: the exchange with the daemon; the form of each answer, which is `catalogue`.

use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{Conversation, watch};
use crate::client::connection::poll;
use crate::client::status::{self, Failure};
use crate::client::{again, catalogue, own_token, text};
use crate::limits;
use crate::port::{Ended, OutputBytes, Stream};
use crate::protocol::reply::{Answer, Code, Error, Ran};
use crate::protocol::request::Ask;

impl Conversation<'_> {
    /// Prints the last reply, and returns the exit status.
    ///
    /// # Errors
    /// It could not be written; or it is an error after which the same may be tried again, if the
    /// caller would (`again`).
    pub fn finish(mut self, body: &[u8], answer: &Answer, again: bool) -> Result<u8, Failure> {
        if let (true, None, Answer::Error(error)) = (again, self.ending, answer) {
            let words = own_token::words(error, &self.request.token);
            let failure = Failure::answered(error, self.is_os(), words);
            if again::is_for_again(&failure, self.until) {
                return Err(failure);
            }
        }
        if self.settings.json {
            self.write_output(Stream::Stdout, body)?;
            self.write(Stream::Stdout, b"\n")?;
        } else {
            self.present(answer)?;
        }
        Ok(self.ending.unwrap_or(status::of(answer, self.is_os())))
    }

    /// Prints the last reply.
    fn present(&mut self, answer: &Answer) -> Result<(), Failure> {
        match answer {
            Answer::Result(json) | Answer::Number(json) => {
                let shown = catalogue::show(&self.request.ask, json).map_err(|fault| {
                    Failure::uncertain(format!("the answer makes no sense: {fault}"))
                })?;
                self.write(Stream::Stdout, shown.as_bytes())
            }
            Answer::Ran(ran) => self.present_run(ran),
            Answer::Error(error) => {
                error.ran.as_ref().map_or(Ok(()), |ran| self.present_run(ran))?;
                // Who pressed Ctrl-C, or closed the pipe, knows that the command was cancelled.
                if self.ending.is_none() || error.code != Code::Cancelled {
                    self.complain(error);
                }
                Ok(())
            }
            Answer::Output { .. } | Answer::Event(_) => Ok(()),
        }
    }

    /// Prints a frame of a watch; the time for the next one begins.
    pub(super) fn present_frame(&mut self, body: &[u8], json: &str) -> Result<(), Failure> {
        let Ask::Watch { what, every_ms } = self.request.ask else { return Ok(()) };
        self.until = Instant::now() + self.settings.timeout + Duration::from_millis(every_ms);
        if self.settings.json {
            self.write(Stream::Stdout, body)?;
            return self.write(Stream::Stdout, b"\n");
        }
        let shown = self.frames.show(what, json, io::stdout().is_terminal());
        let shown = shown
            .map_err(|fault| Failure::uncertain(format!("the answer makes no sense: {fault}")))?;
        self.write(Stream::Stdout, shown.as_bytes())
    }

    fn complain(&self, error: &Error) {
        let mut words = own_token::words(error, &self.request.token);
        if let (Ask::Os(os), Code::BadParameter) = (&self.request.ask, error.code)
            && os.parameters.ordered.iter().any(|value| value == "--help" || value == "-h")
        {
            words += &format!("; zcmd help {} shows what it takes", os.name);
        }
        if let (Ask::Cancel { target, job }, Code::NotFound) = (&self.request.ask, error.code) {
            words += &match (target, job) {
                (Some(id), _) => format!(": {}", text::one_line(&id.to_string())),
                (None, job) => format!(": --job {}", job.unwrap_or_default()),
            };
        }
        text::error(error.code.name(), &words);
        if let (Ask::Compute { expression, .. }, Some(position)) =
            (&self.request.ask, error.position)
            && (self.settings.explain || io::stderr().is_terminal())
            && !text::is_quiet()
        {
            text::show(&text::caret(expression, position));
        }
    }

    fn present_run(&mut self, ran: &Ran) -> Result<(), Failure> {
        self.write_output(Stream::Stdout, &ran.stdout)?;
        self.write_output(Stream::Stderr, &ran.stderr)?;
        if let Some(OutputBytes { stdout, stderr }) = ran.truncated {
            if stdout < self.written.stdout || stderr < self.written.stderr {
                let message = "the daemon counts less output than it sent";
                return Err(Failure::uncertain(message));
            }
            text::diagnose(&format!(
                "output was cut: {} of {stdout} bytes of standard output, {} of {stderr} bytes \
                 of standard error came",
                self.written.stdout, self.written.stderr
            ));
        }
        if let Ended::Signaled(signal) = &ran.end
            && status::of_signal(signal).is_none()
        {
            let what = "the command was ended by a signal that is not known here";
            text::diagnose(&format!("{what}: {signal:?}"));
        }
        Ok(())
    }

    /// Writes what the command wrote. The command's own bytes are counted.
    pub(super) fn write_output(&mut self, to: Stream, bytes: &[u8]) -> Result<(), Failure> {
        if !self.settings.visible {
            return self.write(to, bytes);
        }
        let before = self.written;
        self.write(to, text::visible(bytes).as_bytes())?;
        let count = bytes.len() as u64;
        self.written = match to {
            Stream::Stdout => OutputBytes { stdout: before.stdout + count, ..before },
            Stream::Stderr => OutputBytes { stderr: before.stderr + count, ..before },
        };
        Ok(())
    }

    /// Writes all bytes, in parts that a pipe with room takes without blocking.
    fn write(&mut self, to: Stream, mut bytes: &[u8]) -> Result<(), Failure> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        while !bytes.is_empty() {
            if self.unread && to == Stream::Stdout {
                return Ok(());
            }
            let fd = match to {
                Stream::Stdout => stdout.as_raw_fd(),
                Stream::Stderr => stderr.as_raw_fd(),
            };
            let signal = watch(self.signals);
            let room = zmq::PollItem::from_fd(fd, zmq::POLLOUT);
            let mut items = [room, zmq::PollItem::from_fd(signal.0, signal.1)];
            poll(&mut items, self.until)?;
            let [room, signal] = items.map(|item| !item.get_revents().is_empty());
            if signal {
                self.interrupt()?;
            }
            if !room {
                self.check_deadline()?;
                continue;
            }
            let part = bytes.get(..limits::WRITE_BYTES_MAX).unwrap_or(bytes);
            let written = match to {
                Stream::Stdout => rustix::io::write(&stdout, part),
                Stream::Stderr => rustix::io::write(&stderr, part),
            };
            match (written, to) {
                (Ok(count), Stream::Stdout) => self.written.stdout += count as u64,
                (Ok(count), Stream::Stderr) => self.written.stderr += count as u64,
                (Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN), _) => {}
                (Err(rustix::io::Errno::PIPE), Stream::Stdout) => self.unread()?,
                // Standard error has no reader. Standard output may still have one.
                (Err(_), Stream::Stderr) => return Ok(()),
                (Err(error), Stream::Stdout) => {
                    self.cancel();
                    return Err(text::unwritten(&error.into()));
                }
            }
            bytes = bytes.get(written.unwrap_or(0)..).unwrap_or_default();
        }
        Ok(())
    }
}
