//! The drain: refuse requests, let commands finish for a grace period, end them, send all replies.
//!
//! Promises: each stage is bounded in time, so the daemon ends whatever its peers and commands do.
//! Leaves out: which requests are refused meanwhile (`operations::Call`).

use std::time::Duration;

use crate::limits;
use crate::port::{Action, Field, Level};
use crate::service::audit;
use crate::service::jobs::{Closed, Jobs};

/// The state of the drain.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    stage: Stage,
    /// When the next stage begins.
    due: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Commands may finish.
    Grace,
    /// Commands have got SIGTERM.
    End,
    /// Commands that did not end have got SIGKILL.
    Killed,
    /// No command runs; the last replies are sent.
    LastReplies,
    /// The daemon ends, whether or not peers have read their replies.
    Leave,
}

impl Drain {
    /// Begins with the grace period of running commands.
    pub fn begin(now: Duration, grace: Duration) -> Self {
        Self { stage: Stage::Grace, due: Some(now.saturating_add(grace)) }
    }

    /// When the next stage begins.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Whether the daemon may end now.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Leave
    }

    /// Enters the next stage if it is due. A command that cannot be ended is left running, and its
    /// request gets its reply.
    pub fn tick(&mut self, now: Duration, jobs: &mut Jobs, out: &mut Vec<Action>) -> Vec<Closed> {
        let is_due = self.due.is_some_and(|due| now >= due);
        let until = |time| Some(now.saturating_add(time));
        let mut left = Vec::new();
        match self.stage {
            Stage::Grace if is_due => {
                *self = Self { stage: Stage::End, due: None };
                jobs.stop_running(now, |_, _| true, out);
            }
            Stage::Killed if is_due => {
                let (closed, names) = jobs.give_up(now);
                let fields = vec![("commands", Field::List(names))];
                out.push(audit::line(Level::Error, "left_running", fields));
                left = closed;
            }
            Stage::LastReplies if is_due => *self = Self { stage: Stage::Leave, due: None },
            _ => {}
        }
        if jobs.is_empty() && !matches!(self.stage, Stage::LastReplies | Stage::Leave) {
            *self = Self { stage: Stage::LastReplies, due: until(limits::LAST_REPLIES) };
        } else if self.stage == Stage::End && jobs.next_deadline().is_none() {
            *self = Self { stage: Stage::Killed, due: until(limits::AFTER_KILL) };
        }
        left
    }
}
