//! Recovery from a panic.
//!
//! Promises: a panic in the handling of one event ends neither the daemon nor the handling of
//! others. Only the place in the source is reported, never the message of the panic, which may
//! repeat a request. Reporting never blocks.
//! Leaves out: the reply to the request, which `Service::recover` decides.

use std::cell::Cell;
use std::io::Write;
use std::panic::AssertUnwindSafe;

use crate::system::log::standard_error;

thread_local! {
    /// The place of the last panic in the source.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// Sets a panic hook that reports the place in the source and nothing else: the message may repeat
/// a request. Output that a stuck reader of standard error does not take is lost.
pub(super) fn tell_panics_by_place() {
    let errors = standard_error().ok();
    std::panic::set_hook(Box::new(move |panic| {
        let at = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        if let Some(mut errors) = errors.as_ref() {
            let _ = errors.write_all(format!("zcmdd: panic at {at}\n").as_bytes());
        }
        PANICKED_AT.set(Some(at));
    }));
}

/// Calls `work`, and catches a panic.
///
/// # Errors
/// The place of the panic. What `work` changed stays changed.
pub(super) fn attempt(work: impl FnOnce()) -> Result<(), String> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| PANICKED_AT.take().unwrap_or_else(|| "an unknown place".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// Panics until the messages exceed a pipe's size, in a separate process.
    #[test]
    fn old_wound_a_panic_waited_for_the_reader_of_standard_error() {
        const PANICS: &str = "ZCMD_TEST_PANICS";
        if std::env::var_os(PANICS).is_some() {
            tell_panics_by_place();
            (0..5000).for_each(|_| assert!(attempt(|| panic!("a fault")).is_err()));
            return;
        }
        let name =
            "daemon::survive::tests::old_wound_a_panic_waited_for_the_reader_of_standard_error";
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(PANICS, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait().unwrap() {
                break Some(status);
            }
            if start.elapsed() > Duration::from_secs(20) {
                process.kill().unwrap();
                process.wait().unwrap();
                break None;
            }
            std::thread::yield_now();
        };
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
        let text = std::io::read_to_string(process.stderr.take().unwrap()).unwrap();
        assert!(text.starts_with("zcmdd: panic at src/daemon/survive.rs:"), "{text}");
    }

    #[test]
    fn old_wound_a_panic_in_one_request_ended_the_daemon() {
        let mut handled = Vec::new();
        for number in 0..3 {
            let done = attempt(|| {
                handled.push(number);
                assert_ne!(number, 1, "a fault, as a test can have it");
            });
            assert_eq!(done.is_err(), number == 1);
        }
        assert_eq!(handled, [0, 1, 2], "what comes after it is handled");
    }
}
