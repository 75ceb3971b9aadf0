//! The question before a command that asks for a confirmation.
//!
//! Promises: only a person at a terminal is asked; Ctrl-C and the end of input are no.
//! Leaves out: which commands ask, which the daemon says.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::client::connection::poll;
use crate::client::status::{self, Failure};
use crate::client::text::one_line;
use crate::limits;
use crate::system::signals::Signals;

/// Whether there is a person to ask.
pub fn is_possible() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

/// Asks whether a command is meant.
///
/// # Errors
/// It is not, or input does not work.
pub fn ask(name: &str, signals: Option<&Signals>) -> Result<(), Failure> {
    let question = format!("zcmd: run {}? [y/N] ", one_line(name));
    let mut out = stderr().lock();
    // Without it the person has not read what is to be confirmed.
    let asked = out.write_all(question.as_bytes()).and_then(|()| out.flush());
    asked.map_err(|error| Failure::refused(format!("cannot ask: {error}")))?;
    let patience = Instant::now() + Duration::from_secs(limits::CONFIRM_SECONDS);
    let input = zmq::PollItem::from_fd(stdin().as_raw_fd(), zmq::POLLIN);
    let signal = signals.map_or(-1, Signals::descriptor);
    let events = if signal < 0 { zmq::PollEvents::empty() } else { zmq::POLLIN };
    let mut items = [input, zmq::PollItem::from_fd(signal, events)];
    poll(&mut items, patience)?;
    if signals.is_some_and(|signals| signals.gather() > 0) {
        return Err(Failure::quiet(status::INTERRUPTED));
    }
    // A terminal gives one line at a time; without an answer, nothing is read.
    let mut line = [0; 16];
    let is_there = items.first().is_some_and(|item| !item.get_revents().is_empty());
    let read = if is_there { rustix::io::read(stdin(), &mut line) } else { Ok(0) };
    let read =
        read.map_err(|error| Failure::refused(format!("cannot read the answer: {error}")))?;
    let answer = String::from_utf8_lossy(line.get(..read).unwrap_or_default()).to_lowercase();
    match answer.trim_end() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::refused("not confirmed; nothing ran")),
    }
}
