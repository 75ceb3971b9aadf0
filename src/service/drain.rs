//! How the daemon ends: refuse, let commands finish for a grace, end them, answer everybody.
//!
//! Promises: each stage has an end in time, so the daemon ends whatever its peers do.
//! Leaves out: what is refused meanwhile, which `operations::Call` says.

use std::time::Duration;

use crate::limits;
use crate::port::{Action, Field, Level, Moment};
use crate::service::Service;
use crate::service::audit;
use crate::service::refusal::Refusal;

/// How far the daemon is with ending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    stage: Stage,
    /// When the next stage begins.
    pub(super) due: Option<Duration>,
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
    /// Whoever has not taken its replies will not be waited for.
    Leave,
}

impl Service {
    /// Whether it was asked to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether all is answered and the daemon may end. Whoever has not taken its reply by the time
    /// that commands are ended will not be waited for.
    pub fn is_drained(&self) -> bool {
        let Some(Drain { stage, .. }) = self.draining else { return false };
        self.jobs.is_empty() && (self.outbox.is_empty() || stage == Stage::Leave)
    }

    /// Goes on with ending: commands may run for the grace, then they are ended, and those that
    /// cannot be are left; then whoever does not take its replies is waited for a little longer.
    pub(super) fn drain(&mut self, now: &Moment, out: &mut Vec<Action>) {
        let Some(mut drain) = self.draining else { return };
        let is_due = drain.due.is_some_and(|due| now.uptime >= due);
        let until = |time| Some(now.uptime.saturating_add(time));
        match drain.stage {
            Stage::Grace if is_due => {
                drain = Drain { stage: Stage::End, due: None };
                self.jobs.stop_running(now.uptime, |_| true, out);
            }
            Stage::Killed if is_due => self.give_up(now, out),
            Stage::Farewell if is_due => drain = Drain { stage: Stage::Leave, due: None },
            _ => {}
        }
        if self.jobs.is_empty() && matches!(drain.stage, Stage::End | Stage::Killed) {
            drain = Drain { stage: Stage::Farewell, due: until(limits::FAREWELL) };
        } else if drain.stage == Stage::End && self.jobs.next_deadline().is_none() {
            drain = Drain { stage: Stage::Killed, due: until(limits::AFTER_KILL) };
        }
        self.draining = Some(drain);
    }

    /// Leaves the commands that SIGKILL has not ended, says which, and answers for them: none of
    /// them does anything any more.
    fn give_up(&mut self, now: &Moment, out: &mut Vec<Action>) {
        let (closed, names) = self.jobs.give_up(now.uptime);
        let fields = vec![("commands", Field::List(names))];
        out.push(audit::line(Level::Error, "left_running", fields));
        self.close_all(closed, out);
    }

    /// Begins to end: what waits will not begin.
    pub(super) fn shut_down(&mut self, now: &Moment, out: &mut Vec<Action>) {
        if self.draining.is_none() {
            let until = now.uptime.saturating_add(self.settings.shutdown_grace);
            self.draining = Some(Drain { stage: Stage::Grace, due: Some(until) });
            let (running, waiting) = self.jobs.counts();
            let count = |n: usize| Field::Number(n as i128);
            let fields = vec![("running", count(running)), ("waiting", count(waiting))];
            out.push(audit::line(Level::Info, "draining", fields));
            let closed = self.jobs.close_waiting(now.uptime, |_| Some(Refusal::ShuttingDown));
            self.close_all(closed, out);
        }
    }
}
