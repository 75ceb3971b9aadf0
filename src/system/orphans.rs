//! Orphans: processes that have lost their parent and become children of this one, which is the
//! subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
//!
//! Promises: each orphan is examined until its command is known, and not again. A command's orphan
//! is identified by its cgroup, its session or the mark in its environment. An orphan of no running
//! command, without the mark of a command that may leave children, has escaped and is killed.
//! Children that this process had before it became the daemon are left alone; if there were any, or
//! if this is the first process of a container, so is every process without a mark, since it may be
//! theirs. Ended processes are reaped. An ended process may leave new orphans, so a scan lists all
//! children again until a list has no ended one; then the scan is complete. After `LISTS_PER_LOOK`
//! lists it gives up and is reported as incomplete. An unreadable environment may be a process in
//! `exec`: it is read again after `LOOK_AGAIN`, without blocking.
//! Leaves out: how commands end.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions};

use crate::limits;
use crate::port::JobId;
use crate::system::cgroup::Cgroups;
use crate::system::mark::{Marks, Seen};
use crate::system::tree;

/// The owner of an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A command.
    Job(JobId),
    /// The orphan is left alone.
    Spared,
    /// No running command: it was killed, and has not ended yet.
    Killed,
    /// Unknown since this moment.
    Unknown(Instant),
}

/// The known orphans.
#[derive(Debug)]
pub struct Orphans {
    known: HashMap<Pid, Owner>,
    /// Whether an orphan without a mark may belong to another program.
    spares: bool,
}

/// The evidence by which the owner of an orphan is found.
#[derive(Debug)]
pub struct Signs<'a> {
    /// The running commands, by process ID, which is also their session ID.
    pub commands: &'a HashMap<Pid, JobId>,
    /// The marks of commands.
    pub marks: &'a Marks,
    /// The cgroups of commands.
    pub cgroups: Option<&'a Cgroups>,
}

impl Orphans {
    /// Remembers the children that this process already has.
    pub fn begin() -> Self {
        let own = rustix::process::getpid();
        let children = tree::children(own);
        let spares = own.is_init() || !children.is_empty();
        Self { known: children.into_iter().map(|pid| (pid, Owner::Spared)).collect(), spares }
    }

    /// Scans all children. Returns those that were newly identified as a running command's, and
    /// whether the scan is complete: a list had no ended process.
    pub fn look(&mut self, signs: &Signs<'_>) -> (Vec<(JobId, Pid)>, bool) {
        let mut found = Vec::new();
        let is_whole = (0..limits::LISTS_PER_LOOK).any(|_| !self.look_once(signs, &mut found));
        (found, is_whole)
    }

    /// Scans one list of all children; returns whether one of them had ended.
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
                // The command has ended, and this orphan was not found before.
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

    /// The owner of a process that is not known yet.
    fn owner(&self, pid: Pid, since: Instant, signs: &Signs<'_>) -> Owner {
        let cgroup = signs.cgroups.and_then(|cgroups| cgroups.owner(pid, signs.marks));
        // Not `getsid`: its result for a session of another namespace is 0, which is no `Pid`.
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

    /// Leaves the orphans alone that an ended command may leave.
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

    /// The orphans whose owner is unknown.
    pub fn unknown(&self) -> impl Iterator<Item = Pid> {
        let unknown = self.known.iter().filter(|(_, owner)| matches!(owner, Owner::Unknown(_)));
        unknown.map(|(pid, _)| *pid)
    }

    /// Whether the owner of this orphan is still unknown.
    pub fn is_unknown(&self, pid: Pid) -> bool {
        matches!(self.known.get(&pid), Some(Owner::Unknown(_)))
    }
}

/// A child that is not reaped keeps its process ID.
fn kill(pid: Pid) -> Owner {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    Owner::Killed
}

/// Kills what commands of earlier runs left, as their marks show; returns the number of processes.
/// Processes of another namespace are spared: their daemon may run, unseen from here.
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
        // Until a complete scan finds nothing that was started meanwhile.
        if ended.len() == before {
            break;
        }
    }
    ended.len()
}
