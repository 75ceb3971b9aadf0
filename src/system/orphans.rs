//! Processes that have lost their parent, and so have become children of this one, which is the
//! subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
//!
//! Promises: each is looked at until it is known whose it is, and not again. A command's is known
//! by its cgroup, its session or the mark in its environment. One that is none of a running
//! command's, and has no mark of a command that may leave children, has escaped and is killed. What
//! was a child of this process before it became the daemon is left alone; if there was any, or if
//! this is the first process of a container, so is every process without a mark, since it may come
//! from there. The ended are reaped. One of them may have left another, so a look lists all again
//! until none in the list has ended: that list is whole. If none of a few is, the look says so.
//! An environment that cannot be read may be in the middle of `exec`: it is read again after
//! `LOOK_AGAIN`, and nothing waits meanwhile.
//! Leaves out: how commands end.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions};

use crate::limits;
use crate::port::JobId;
use crate::system::cgroup::Cgroups;
use crate::system::mark::{Marks, Seen};
use crate::system::tree;

/// Whose an orphan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A command's.
    Job(JobId),
    /// It is left alone.
    Spared,
    /// No running command's: it has been killed, and is not gone yet.
    Killed,
    /// Not known yet, since this moment.
    Unknown(Instant),
}

/// The orphans, as far as they are known.
#[derive(Debug)]
pub struct Orphans {
    known: HashMap<Pid, Owner>,
    /// Whether one without a mark may belong to another.
    spares: bool,
}

/// What tells whose an orphan is.
#[derive(Debug)]
pub struct Signs<'a> {
    /// The running commands, by the number of their process, which is that of their session.
    pub commands: &'a HashMap<Pid, JobId>,
    /// The marks of commands.
    pub marks: &'a Marks,
    /// The cgroups of commands.
    pub cgroups: Option<&'a Cgroups>,
}

impl Orphans {
    /// Remembers the children that this process has already.
    pub fn begin() -> Self {
        let own = rustix::process::getpid();
        let children = tree::children(own);
        let spares = own.is_init() || !children.is_empty();
        Self { known: children.into_iter().map(|pid| (pid, Owner::Spared)).collect(), spares }
    }

    /// Looks at all children. Returns those that have become known as a running command's, and
    /// whether all have been seen: not if in each list was one that had ended.
    pub fn look(&mut self, signs: &Signs<'_>) -> (Vec<(JobId, Pid)>, bool) {
        let mut found = Vec::new();
        let is_whole = (0..limits::LISTS_PER_LOOK).any(|_| !self.look_once(signs, &mut found));
        (found, is_whole)
    }

    /// Looks at one list of all children; tells whether one of them had ended.
    fn look_once(&mut self, signs: &Signs<'_>, found: &mut Vec<(JobId, Pid)>) -> bool {
        let mut reaped = false;
        let children: HashSet<Pid> =
            tree::children(rustix::process::getpid()).into_iter().collect();
        self.known.retain(|pid, _| children.contains(pid));
        for pid in children {
            if signs.commands.contains_key(&pid) {
                continue;
            }
            let status = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
            if !status.is_ok_and(|ended| ended.is_none()) {
                self.known.remove(&pid);
                reaped = true;
                continue;
            }
            let owner = match self.known.get(&pid) {
                Some(Owner::Unknown(since)) => self.owner(pid, *since, signs),
                // The command is over, and this was missed.
                Some(Owner::Job(job)) if !signs.commands.values().any(|other| other == job) => {
                    kill(pid)
                }
                Some(_) => continue,
                None => self.owner(pid, Instant::now(), signs),
            };
            if let Owner::Job(job) = owner {
                found.push((job, pid));
            }
            self.known.insert(pid, owner);
        }
        reaped
    }

    /// Whose a process is that is not known yet.
    fn owner(&self, pid: Pid, since: Instant, signs: &Signs<'_>) -> Owner {
        let cgroup = signs.cgroups.and_then(|cgroups| cgroups.owner(pid, signs.marks));
        // Not `getsid`, whose 0 for a session of another namespace is no `Pid`.
        let session = tree::stat(pid.as_raw_nonzero().get()).map_or(0, |stat| stat.session);
        let session = Pid::from_raw(session).and_then(|session| signs.commands.get(&session));
        let mark = match (cgroup, session) {
            (Some(mark), _) => mark,
            (None, Some(job)) => return Owner::Job(*job),
            (None, None) => match signs.marks.look(pid) {
                Seen::Marked(mark) => mark,
                Seen::Empty if since.elapsed() < limits::LOOK_AGAIN => {
                    return Owner::Unknown(since);
                }
                Seen::Empty | Seen::Unmarked if self.spares => return Owner::Spared,
                Seen::Empty | Seen::Unmarked => return kill(pid),
            },
        };
        let is_running = signs.commands.values().any(|job| *job == mark.job);
        match mark.leave {
            true => Owner::Spared,
            false if mark.run == signs.marks.run && is_running => Owner::Job(mark.job),
            false => kill(pid),
        }
    }

    /// A command that may leave children is over: those that are left are left alone.
    pub fn release(&mut self, job: JobId) {
        for owner in self.known.values_mut().filter(|owner| **owner == Owner::Job(job)) {
            *owner = Owner::Spared;
        }
    }

    /// The orphans of a command.
    pub fn of(&self, job: JobId) -> impl Iterator<Item = Pid> {
        let its = self.known.iter().filter(move |(_, owner)| **owner == Owner::Job(job));
        its.map(|(pid, _)| *pid)
    }

    /// The orphans of which it is not known yet whose they are.
    pub fn unknown(&self) -> impl Iterator<Item = Pid> {
        let unknown = self.known.iter().filter(|(_, owner)| matches!(owner, Owner::Unknown(_)));
        unknown.map(|(pid, _)| *pid)
    }

    /// Whether it is still not known whose this one is.
    pub fn is_unknown(&self, pid: Pid) -> bool {
        matches!(self.known.get(&pid), Some(Owner::Unknown(_)))
    }
}

/// It is a child of this process and not reaped, so the number is its own.
fn kill(pid: Pid) -> Owner {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    Owner::Killed
}

/// Ends what the commands of earlier runs have left, as their marks show; tells how many processes
/// that were. Processes in another namespace may be those of a daemon that cannot be seen from
/// here.
pub fn sweep(marks: &Marks) -> usize {
    let namespace = |process: String| std::fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let own = namespace("self".to_owned());
    let is_left_over = |pid: Pid| match marks.look(pid) {
        Seen::Marked(mark) => !mark.leave && mark.run != marks.run && !mark.run.is_alive(),
        Seen::Unmarked | Seen::Empty => false,
    };
    let mut ended = HashSet::new();
    for _ in 0..limits::SWEEPS_MAX {
        let before = ended.len();
        for pid in tree::processes() {
            if pid != rustix::process::getpid()
                && is_left_over(pid)
                && own.is_some()
                && namespace(pid.as_raw_nonzero().to_string()) == own
                && ended.insert(pid)
            {
                tree::signal_if(pid, Signal::KILL, || is_left_over(pid));
            }
        }
        // Until a whole look finds nothing that was started meanwhile.
        if ended.len() == before {
            break;
        }
    }
    ended.len()
}
