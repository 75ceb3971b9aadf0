//! The same request to many hosts, side by side in one loop.
//!
//! Promises: at most `at_most` hosts are asked at the same time; each has the timeout to itself.
//! After `stop_after` failures no further host is begun. Ctrl-C cancels the commands that run, and
//! begins no further host. Memory is bounded, whatever hosts send. Every host that was named is
//! told with one of the outcomes of `report`.
//! Leaves out: standard input, and other requests than commands and expressions.

pub mod hosts;
pub mod one;
pub mod report;

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::client::connection::poll;
use crate::client::conversation::watch;
use crate::client::each::one::One;
use crate::client::settings::Given;
use crate::client::status::{self, Failure};
use crate::client::text;
use crate::limits;
use crate::protocol::request::Ask;
use crate::system::signals::Signals;

/// What to ask, and whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// A file with names of hosts, one a line.
    pub file: Option<String>,
    /// Hosts that are asked at the same time, 1 to `EACH_AT_ONCE_MAX`.
    pub at_most: usize,
    /// Failures after which no further host is begun, 1 or more.
    pub stop_after: Option<usize>,
    /// The request: a command whose output comes as it is written, or an expression.
    pub ask: Ask,
}

/// Why no further host is begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Failures,
    Interrupt,
}

struct Run<'a> {
    each: &'a Each,
    signals: &'a Signals,
    all: Vec<One>,
    stop: Option<Stop>,
}

impl Each {
    /// Asks all hosts of `--host` and of the file, prints what became of each, and returns the
    /// worst exit status (`report::worst`), or 130 after Ctrl-C.
    ///
    /// # Errors
    /// A host is not known, or has no token: then none is asked. The report cannot be written.
    pub fn run(&self, given: &Given, signals: &Signals) -> Result<u8, Failure> {
        let names = hosts::names(given.host.as_deref(), self.file.as_deref());
        let hosts = hosts::settings(&names.map_err(Failure::refused)?, given)?;
        let all = hosts
            .into_iter()
            .map(|(host, settings)| One::new(host, settings, self.ask.clone(), self.at_most));
        let mut run = Run { each: self, signals, all: all.collect(), stop: None };
        run.all()?;
        let ends: Vec<_> = run.all.into_iter().filter_map(One::end).collect();
        let mut out = |bytes: &[u8]| write(bytes, signals);
        match given.json {
            true => report::json(&ends, &mut out)?,
            false => report::table(&ends, &mut out)?,
        }
        Ok(match run.stop {
            Some(Stop::Interrupt) => status::of_interrupt(signals),
            _ => report::worst(&ends),
        })
    }
}

impl Run<'_> {
    /// Asks until every host has its end.
    fn all(&mut self) -> Result<(), Failure> {
        loop {
            self.begin();
            let mut progress = false;
            for one in self.all.iter_mut().filter(|one| one.is_under_way()) {
                one.step();
                progress |= !one.is_under_way();
            }
            if progress {
                // There is room for others.
                self.heed_failures();
                continue;
            }
            if !self.all.iter().any(One::is_under_way) {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Begins as many as there is room for.
    fn begin(&mut self) {
        let under_way = self.all.iter().filter(|one| one.is_under_way()).count();
        let room = self.each.at_most.saturating_sub(under_way);
        for one in self.all.iter_mut().filter(|one| one.is_waiting()).take(room) {
            one.begin();
        }
    }

    fn heed_failures(&mut self) {
        let failures = self.all.iter().filter(|one| one.has_failed()).count();
        if self.stop.is_none() && self.each.stop_after.is_some_and(|max| failures >= max) {
            self.stop = Some(Stop::Failures);
            self.skip_the_rest("not begun, after the failures of others");
        }
    }

    fn skip_the_rest(&mut self, why: &str) {
        self.all.iter_mut().filter(|one| one.is_waiting()).for_each(|one| one.skip(why));
    }

    /// Waits until one of those under way has something to do, or Ctrl-C.
    fn wait(&mut self) -> Result<(), Failure> {
        let (signal, events) = watch(Some(self.signals));
        let mut items = vec![zmq::PollItem::from_fd(signal, events)];
        let mut until = Instant::now() + Duration::from_secs(limits::TIMEOUT_SECONDS_MAX);
        for one in &self.all {
            items.extend(one.items());
            until = one.due().map_or(until, |due| due.min(until));
        }
        poll(&mut items, until)?;
        if items.first().is_some_and(zmq::PollItem::is_readable) {
            self.interrupt();
        }
        Ok(())
    }

    /// Ctrl-C: the first one ends what runs, the second one does not wait for it.
    fn interrupt(&mut self) {
        let count = self.signals.gather();
        if count == 0 {
            return;
        }
        let is_second = count > 1 || self.stop == Some(Stop::Interrupt);
        self.stop = Some(Stop::Interrupt);
        self.skip_the_rest("not begun, after Ctrl-C");
        for one in self.all.iter_mut().filter(|one| one.is_under_way()) {
            one.interrupt(is_second);
        }
    }
}

/// Writes to standard output, in parts that a pipe with room takes without blocking; Ctrl-C ends
/// it.
fn write(mut bytes: &[u8], signals: &Signals) -> Result<(), Failure> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        let (signal, events) = watch(Some(signals));
        let room = zmq::PollItem::from_fd(stdout.as_raw_fd(), zmq::POLLOUT);
        let mut items = [room, zmq::PollItem::from_fd(signal, events)];
        poll(&mut items, Instant::now() + Duration::from_secs(limits::TIMEOUT_SECONDS_MAX))?;
        let [room, signal] = items.map(|item| !item.get_revents().is_empty());
        if signal && signals.gather() > 0 {
            return Err(Failure::quiet(status::of_interrupt(signals)));
        }
        if !room {
            continue;
        }
        let part = bytes.get(..limits::WRITE_BYTES_MAX).unwrap_or(bytes);
        match rustix::io::write(&stdout, part) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(text::unwritten(&error.into())),
        }
    }
    Ok(())
}
