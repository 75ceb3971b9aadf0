//! What the supervisor is told, and when: ready, reloading, stopping, alive (sd_notify(3)).
//!
//! Promises: without a supervisor, nothing is sent, and without its watchdog there is no deadline.
//! A sign of life is sent by the loop itself, so that it ends when the loop does. A message is one
//! line that fits a datagram. Leaves out: the socket.

use std::io;
use std::time::Duration;

use crate::limits;
use crate::system::supervisor::{Supervisor, monotonic_microseconds, watchdog};

/// The supervisor of this daemon.
#[derive(Debug)]
pub(super) struct Supervised {
    supervisor: Supervisor,
    watchdog: Option<Watchdog>,
    is_stopping: bool,
}

/// The signs of life.
#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    /// When the next one is due, as uptime.
    due: Duration,
}

impl Supervised {
    /// What the environment says.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` names no socket.
    pub(super) fn from_environment() -> io::Result<Self> {
        let supervisor = Supervisor::from_environment()?;
        Ok(Self { supervisor, watchdog: watchdog().map(Watchdog::new), is_stopping: false })
    }

    /// Tells that the daemon serves.
    pub(super) fn ready(&self, status: &str) -> io::Result<()> {
        self.supervisor.tell(&format!("READY=1\n{}", status_line(status)))
    }

    /// Tells that the files are read again. `ready` ends it.
    pub(super) fn reloading(&self) -> io::Result<()> {
        let now = monotonic_microseconds();
        self.supervisor.tell(&format!("RELOADING=1\nMONOTONIC_USEC={now}"))
    }

    /// Tells once that the daemon ends.
    pub(super) fn stopping(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_stopping, true) {
            return Ok(());
        }
        let status = "ends when the running commands have ended";
        self.supervisor.tell(&format!("STOPPING=1\n{}", status_line(status)))
    }

    /// The time to the next sign of life.
    pub(super) fn next_sign(&self, now: Duration) -> Option<Duration> {
        self.watchdog.as_ref().map(|watchdog| watchdog.due.saturating_sub(now))
    }

    /// Gives a sign of life if one is due.
    pub(super) fn give_sign(&mut self, now: Duration) -> io::Result<()> {
        let is_due = self.watchdog.as_mut().is_some_and(|watchdog| watchdog.is_due(now));
        if is_due { self.supervisor.tell("WATCHDOG=1") } else { Ok(()) }
    }
}

impl Watchdog {
    /// Two signs within the time that the supervisor waits.
    fn new(patience: Duration) -> Self {
        Self { interval: (patience / 2).max(limits::WATCHDOG_INTERVAL_MIN), due: Duration::ZERO }
    }

    /// Whether a sign is due; the next one then is an interval later.
    fn is_due(&mut self, now: Duration) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now.saturating_add(self.interval);
        }
        is_due
    }
}

/// A status for people, on one line.
fn status_line(status: &str) -> String {
    let line = status.chars().map(|c| if c.is_control() { ' ' } else { c });
    format!("STATUS={}", line.take(limits::STATUS_CHARACTERS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_come_twice_within_the_patience_of_the_supervisor_and_no_more_often() {
        let mut watchdog = Watchdog::new(Duration::from_secs(60));
        let due: Vec<u64> =
            (0..=100).filter(|second| watchdog.is_due(Duration::from_secs(*second))).collect();
        assert_eq!(due, [0, 30, 60, 90]);
        let hasty = Watchdog::new(Duration::from_micros(1));
        assert_eq!(hasty.interval, limits::WATCHDOG_INTERVAL_MIN, "the loop does not spin");
    }

    #[test]
    fn a_status_is_one_line_that_fits_a_datagram() {
        assert_eq!(status_line("a\nREADY=0\u{7}"), "STATUS=a READY=0 ");
        let longest = status_line(&"\u{10ffff}".repeat(5000));
        assert!(longest.len() < 4096, "{}", longest.len());
    }
}
