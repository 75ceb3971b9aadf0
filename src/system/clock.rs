//! The clock.
//!
//! Promises: uptime is monotonic, whatever happens to the time of day.
//! Leaves out: timers. The loop has one, the next deadline.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::port::Moment;

/// A clock that starts with the daemon.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts it.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time.
    pub fn now(&self) -> Moment {
        Moment { uptime: self.0.elapsed(), unix: unix_time() }
    }
}

/// Time since 1970-01-01 UTC; zero if the clock stands before that.
pub fn unix_time() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
