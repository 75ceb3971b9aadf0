//! The states of a job and all transitions between them, as a table that a test walks.
//!
//! A job waits, has a place, runs, is asked to end (SIGTERM), is killed (SIGKILL), and has ended.
//! If it has left something running, its place is held until that has gone, too.

use std::time::Duration;

use super::{Closed, Jobs, Lingering, Order};
use crate::port::{Action, Ending, JobId, Moment, Peer, Subject};
use crate::protocol::request::Id;
use crate::protocol::request::Os;
use crate::protocol::token::Unopened;
use crate::service::access::caller::Caller;
use crate::service::commands::Commands;
use crate::service::origin::Origin;
use crate::service::settings::CommandLimits;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Starting,
    Running,
    Asked,
    Killed,
    /// Ended and answered; what it left is asked to end.
    Left,
    /// Ended and answered; what it left is killed.
    LeftDead,
    /// Ended and answered; nothing is left.
    Gone,
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another job holds the only place, or does not any more.
    Tick,
    /// Its time limit, or its grace, is over.
    Due,
    Cancel,
    /// A reload shuts its caller out.
    Expel,
    /// It has ended, and left nothing.
    Ends,
    /// It has ended, and left something.
    EndsAndLeaves,
    /// What it left has gone.
    LeftoverGone,
    /// The daemon does not wait for it any more.
    GiveUp,
}

use State::*;
use Step::*;

const STATES: [State; 8] = [Waiting, Starting, Running, Asked, Killed, Left, LeftDead, Gone];
const STEPS: [Step; 8] = [Tick, Due, Cancel, Expel, Ends, EndsAndLeaves, LeftoverGone, GiveUp];

/// A row for each state, a column for each step: the state that follows, with `!` if the job is
/// answered then. A job that waits has no place, and one that starts begins with the next tick.
const TRANSITIONS: &str = "
            Tick     Due      Cancel   Expel    Ends       EndsAndLeaves LeftoverGone GiveUp
Waiting     Waiting  Gone!    Gone!    Gone!    Waiting    Waiting       Waiting      Waiting
Starting    Running  Running  Gone!    Gone!    Starting   Starting      Starting     Starting
Running     Running  Asked    Asked    Asked    Gone!      Left!         Running      Gone!
Asked       Asked    Killed   Asked    Asked    Gone!      Left!         Asked        Gone!
Killed      Killed   Killed   Killed   Killed   Gone!      LeftDead!     Killed       Gone!
Left        Left     LeftDead Left     Left     Left       Left          Gone         Gone
LeftDead    LeftDead LeftDead LeftDead LeftDead LeftDead   LeftDead      Gone         Gone
Gone        Gone     Gone     Gone     Gone     Gone       Gone          Gone         Gone
";

const JOB: JobId = JobId(1);
const SECOND: Duration = Duration::from_secs(1);

/// Jobs of which one holds the only place, and the one that is looked at.
struct Bench {
    jobs: Jobs,
    now: Duration,
    out: Vec<Action>,
}

impl Bench {
    fn new() -> Self {
        let limits = CommandLimits {
            concurrent_max: 1,
            queued_max: 8,
            per_subject_max: 8,
            timeout: 10 * SECOND,
            output_bytes_max: 100,
        };
        let (jobs, now, out) = (Jobs::new(limits), SECOND, Vec::new());
        let mut bench = Self { jobs, now, out };
        bench.jobs.open(now, order(limits, 0)).unwrap();
        bench.jobs.open(now, order(limits, 1)).unwrap();
        bench.jobs.tick(now, &mut bench.out);
        bench
    }

    /// Brings the job to a state, by the shortest way.
    fn at(state: State) -> Self {
        let mut bench = Self::new();
        let way: &[Step] = match state {
            Waiting | Starting => &[],
            Running => &[Tick],
            Asked => &[Tick, Cancel],
            Killed => &[Tick, Cancel, Due],
            Left => &[Tick, EndsAndLeaves],
            LeftDead => &[Tick, EndsAndLeaves, Due],
            Gone => &[Tick, Ends],
        };
        if state != Waiting {
            let (now, ending) = (bench.now, Ending::Exited(0));
            bench.jobs.close(now, JobId(0), ending, false, &mut bench.out);
            bench.jobs.give_places();
        }
        for step in way {
            bench.take(*step);
        }
        assert_eq!(bench.state(), state);
        bench
    }

    fn state(&self) -> State {
        let jobs = &self.jobs;
        if jobs.waiting.contains_key(&JOB) {
            return Waiting;
        }
        if jobs.starting.contains_key(&JOB) {
            return Starting;
        }
        match (jobs.running.get(&JOB), jobs.lingering.get(&JOB)) {
            (Some(job), _) => match (job.stop, job.due) {
                (None, _) => Running,
                (Some(_), Some(_)) => Asked,
                (Some(_), None) => Killed,
            },
            (_, Some(Lingering { due: Some(_), .. })) => Left,
            (_, Some(Lingering { due: None, .. })) => LeftDead,
            (None, None) => Gone,
        }
    }

    /// Takes a step; tells whether the job was answered.
    fn take(&mut self, step: Step) -> bool {
        let (now, out) = (self.now, &mut self.out);
        let ends = |jobs: &mut Jobs, out: &mut Vec<Action>, leftover| {
            jobs.close(now, JOB, Ending::Exited(0), leftover, out).into_iter().collect()
        };
        let closed: Vec<Closed> = match step {
            Tick => self.jobs.tick(now, out),
            Due => {
                self.now += 11 * SECOND;
                self.jobs.tick(self.now, out)
            }
            Cancel => {
                let id = Id::Number(1);
                self.jobs
                    .cancel(now, |_, order| order.origin.id.as_ref() == Some(&id), out)
                    .unwrap_or_default()
            }
            Expel => {
                let mine = |order: &Order| order.origin.id == Some(Id::Number(1));
                self.jobs.expel(now, |o| mine(o).then_some(Unopened("revoked")), out)
            }
            Ends => ends(&mut self.jobs, out, false),
            EndsAndLeaves => ends(&mut self.jobs, out, true),
            LeftoverGone => {
                self.jobs.gone(JOB);
                Vec::new()
            }
            GiveUp => self.jobs.give_up(now).0,
        };
        closed.iter().any(|closed| closed.order.origin.id == Some(Id::Number(1)))
    }
}

fn subject() -> Subject {
    Caller::imagined("os:*").subject().clone()
}

fn order(limits: CommandLimits, id: i128) -> Order {
    let commands = Commands::parse(r#"{"a": {"run": ["/bin/a"]}}"#).unwrap();
    let os = Os { name: "a".into(), ..Os::default() };
    let permit = commands.permit(&Caller::imagined("os:*"), &limits, &os).unwrap();
    let peer = Peer { envelope: vec![b"a".to_vec()], address: None, key: None };
    let origin = Origin { id: Some(Id::Number(id)), ..Origin::unread(peer) };
    let accepted = Moment { uptime: SECOND, unix: Duration::ZERO };
    let (command, token, audit) = ("a".to_owned(), String::new(), Vec::new());
    Order { origin, subject: subject(), command, permit, stream: false, accepted, token, audit }
}

#[test]
fn every_transition_of_a_job_is_that_of_the_table() {
    let mut rows = TRANSITIONS.trim().lines().map(str::split_whitespace);
    assert!(rows.next().unwrap().eq(STEPS.map(|step| format!("{step:?}"))));
    for (state, mut row) in STATES.into_iter().zip(rows) {
        assert_eq!(row.next(), Some(format!("{state:?}").as_str()));
        for step in STEPS {
            let mut bench = Bench::at(state);
            let answered = if bench.take(step) { "!" } else { "" };
            let found = format!("{:?}{answered}", bench.state());
            assert_eq!(row.next(), Some(found.as_str()), "{state:?}, {step:?}");
        }
        assert_eq!(row.next(), None);
    }
}
