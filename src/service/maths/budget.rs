//! A budget of work for each expression.
//!
//! Promises: the steps that cost more than their few bytes of text suggest are charged, so that
//! the time of every expression is bounded.
//! Leaves out: cheap steps, which the length of the text bounds.

use super::error::ErrorKind;
use crate::limits::EXPRESSION_WORK_MAX;

/// The work that is left for an expression, in units of about a nanosecond.
pub(super) struct Budget(u32);

/// The cost of a function call in the worst case.
pub(super) const CALL: u32 = 100;

/// The cost of one iteration of a loop over integers.
pub(super) const STEP: u32 = 12;

impl Budget {
    pub(super) const fn new() -> Budget {
        Budget(EXPRESSION_WORK_MAX)
    }

    pub(super) fn charge(&mut self, cost: u32) -> Result<(), ErrorKind> {
        self.0 = self.0.checked_sub(cost).ok_or(ErrorKind::WorkLimit)?;
        Ok(())
    }
}
