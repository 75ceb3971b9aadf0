//! `--retry`: sends a request again if it was certainly not executed.
//!
//! Promises: a request is sent again only if no daemon took the last one, or the daemon said that
//! it did not execute it: `rate_limited`, `busy`, `shutting_down`. The delay is the daemon's, or
//! `RETRY_SECONDS`; a retry that would exceed the time of the whole run is not made.
//! Leaves out: `batch`, `get` and `put`, which wait for rate limits themselves, and `menu`.

use std::time::{Duration, Instant};

use crate::client::connection::{NOTHING, poll};
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::{deadline, trace};
use crate::limits;
use crate::protocol::reply::Code;
use crate::system::signals::Signals;

/// Does it, and again as often as the settings say. What is done learns whether a failure may be
/// answered with another try, and has to be returned rather than told.
///
/// # Errors
/// The last failure; or a signal came while this waited.
pub fn run<T>(
    settings: &Settings,
    signals: Option<&Signals>,
    mut attempt: impl FnMut(&Settings, bool) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut left = settings.retry;
    if left == 0 {
        return attempt(settings, false);
    }
    let until = deadline(settings);
    let settings = Settings { until: Some(until), ..settings.clone() };
    loop {
        match attempt(&settings, left > 0) {
            Err(failure) if left > 0 && is_for_again(&failure, until) => {
                left -= 1;
                trace::tell(|| format!("[{}] {}; waiting", failure.code, failure.message));
                pause(Instant::now() + delay(&failure), signals)?;
            }
            done => return done,
        }
    }
}

/// Whether nothing was done, another try may help, and there is time for it.
pub fn is_for_again(failure: &Failure, until: Instant) -> bool {
    let codes = [Code::RateLimited, Code::Busy, Code::ShuttingDown].map(Code::name);
    let may_help = failure.code == status::UNREACHABLE || codes.contains(&failure.code);
    failure.status == status::REFUSED && may_help && Instant::now() + delay(failure) < until
}

fn delay(failure: &Failure) -> Duration {
    failure.retry_after.unwrap_or(Duration::from_secs(limits::RETRY_SECONDS))
}

fn pause(until: Instant, signals: Option<&Signals>) -> Result<(), Failure> {
    let (signal, events) = signals.map_or(NOTHING, |it| (it.descriptor(), zmq::POLLIN));
    while Instant::now() < until {
        poll(&mut [zmq::PollItem::from_fd(signal, events)], until)?;
        if let Some(signals) = signals
            && signals.gather() > 0
        {
            return Err(Failure::quiet(status::of_interrupt(signals)));
        }
    }
    Ok(())
}
