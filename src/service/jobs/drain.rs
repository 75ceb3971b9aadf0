//! How the daemon ends: refuse, let commands finish for a grace, end them, answer everybody.
//!
//! Promises: each stage has an end in time, so the daemon ends whatever its peers and its commands
//! do. Leaves out: what is refused meanwhile, which `operations::Call` says.

use std::time::Duration;

use crate::limits;
use crate::port::{Action, Field, Level};
use crate::service::audit;
use crate::service::jobs::{Closed, Jobs};

/// How far the daemon is with ending.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    stage: Stage,
    /// When the next stage begins.
    due: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Commands may go on.
    Grace,
    /// Commands have been asked to end.
    End,
    /// All that are still there have been killed.
    Killed,
    /// No command is there, and replies have a little time.
    Farewell,
    /// Peers that have not taken their replies are not waited for.
    Leave,
}

impl Drain {
    /// Begins, with a grace for running commands.
    pub fn begin(now: Duration, grace: Duration) -> Self {
        Self { stage: Stage::Grace, due: Some(now.saturating_add(grace)) }
    }

    /// When the next stage begins.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether nothing is waited for any more.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Leave
    }

    /// Goes on: commands may run for the grace, then they are ended, and those that cannot be ended
    /// are left and answered for; then replies have a little time.
    pub fn tick(&mut self, now: Duration, jobs: &mut Jobs, out: &mut Vec<Action>) -> Vec<Closed> {
        let is_due = self.due.is_some_and(|due| now >= due);
        let until = |time| Some(now.saturating_add(time));
        let mut left = Vec::new();
        match self.stage {
            Stage::Grace if is_due => {
                *self = Self { stage: Stage::End, due: None };
                jobs.stop_running(now, |_| true, out);
            }
            Stage::Killed if is_due => {
                let (closed, names) = jobs.give_up(now);
                let fields = vec![("commands", Field::List(names))];
                out.push(audit::line(Level::Error, "left_running", fields));
                left = closed;
            }
            Stage::Farewell if is_due => *self = Self { stage: Stage::Leave, due: None },
            _ => {}
        }
        if jobs.is_empty() && !matches!(self.stage, Stage::Farewell | Stage::Leave) {
            *self = Self { stage: Stage::Farewell, due: until(limits::FAREWELL) };
        } else if self.stage == Stage::End && jobs.next_deadline().is_none() {
            *self = Self { stage: Stage::Killed, due: until(limits::AFTER_KILL) };
        }
        left
    }
}
