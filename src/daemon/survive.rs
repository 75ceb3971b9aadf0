//! Surviving a panic.
//!
//! Promises: a panic in the handling of one event ends neither the daemon nor the handling of
//! others; what is told of it is its place in the source and never its text, which may hold what a
//! request says. Leaves out: what becomes of the request, which `Service::recover` decides.

use std::cell::Cell;
use std::io::Write;
use std::panic::AssertUnwindSafe;

thread_local! {
    /// Where the source panicked last.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// Has a panic tell the place of the source and nothing else: its text may hold what a request
/// says.
pub(super) fn tell_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
        let _ = writeln!(std::io::stderr(), "zcmdd: panic at {at}");
        PANICKED_AT.set(Some(at));
    }));
}

/// Does something, and survives its panic.
///
/// # Errors
/// It panicked; where. What it works on is as it was left then.
pub(super) fn attempt(work: impl FnOnce()) -> Result<(), String> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| PANICKED_AT.take().unwrap_or_else(|| "an unknown place".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
