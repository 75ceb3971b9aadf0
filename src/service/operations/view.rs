//! The state that `status` and `jobs` show, once or at an interval.
//!
//! Promises: it is read, and not changed.
//! Leaves out: what is shown of it, and to whom.

use super::{Call, Operation};
use crate::port::{LogState, Moment};
use crate::service::access::caller::Caller;
use crate::service::counters::Counters;
use crate::service::jobs::Jobs;
use crate::service::policy::Policy;
use crate::service::refusal::Refusal;
use crate::service::settings::Settings;

/// The state of the service.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The time.
    pub now: &'a Moment,
    /// What the files say.
    pub policy: &'a Policy,
    /// What the variables say.
    pub settings: &'a Settings,
    /// The commands that run or wait.
    pub jobs: &'a Jobs,
    /// Counts since the start.
    pub counters: &'a Counters,
    /// The state of the log.
    pub log: &'a LogState,
}

impl Call<'_> {
    /// The state at this call.
    pub(super) fn view(&self) -> View<'_> {
        let Self { now, policy, settings, jobs, counters, log, .. } = self;
        View { now, policy, settings, jobs, counters, log }
    }
}

impl Operation {
    /// Checks the scope of a caller.
    ///
    /// # Errors
    /// It does not include the word of this operation.
    pub(super) fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        match self.scope {
            Some(word) if !caller.may(word) => Err(caller.forbidden(word.to_owned())),
            _ => Ok(()),
        }
    }
}
