//! The steps of a run, for `-v`: one line of standard error each, with the time since the start.
//!
//! Promises: without `-v`, a step costs one look at a flag, and its text is not made. No step has
//! a secret: of keys their thumbprints, of tokens what they say.
//! Leaves out: answers and errors.

use std::sync::OnceLock;
use std::time::Instant;

use crate::client::text;

/// When the run began; set if its steps are told.
static BEGUN: OnceLock<Instant> = OnceLock::new();

/// From now on, steps are told.
pub fn begin() {
    let _ = BEGUN.set(Instant::now());
}

/// Whether steps are told.
pub fn is_on() -> bool {
    BEGUN.get().is_some()
}

/// Tells a step, if steps are told.
pub fn tell(step: impl FnOnce() -> String) {
    if let Some(begun) = BEGUN.get() {
        let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
        text::show(&format!("* {milliseconds:8.1} ms  {}", text::one_line(&step())));
    }
}
