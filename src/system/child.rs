//! Commands as child processes.
//!
//! Promises: no call blocks. A started child has exactly one `Event::Ended`, after all of its
//! output. It is reaped when all that it started has ended; if it had started processes, that is
//! confirmed by two scans `LOOK_AGAIN` apart and by those between. So its process ID and session ID
//! are not reused before. A signal reaches the process by its pidfd, even if it changed its process
//! group, and its descendants by its cgroup, if it has one, by descent, and as orphans. Orphans are
//! scanned once a turn.
//! Leaves out: which commands may start, their time limits, and the use of their output.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::limits;
use crate::port::{Ending, Event, Invocation, JobId};
use crate::system::cgroup::{self, Cgroups};
use crate::system::mark::{self, Marks, Place};
use crate::system::orphans::{Orphans, Signs, sweep};
use crate::system::running::{Running, Stage, spawn};
use crate::system::tree;
use crate::system::watch::{Part, Watch};

/// All running commands.
#[derive(Debug)]
pub struct Children {
    running: BTreeMap<JobId, Running>,
    /// The same commands, by process ID.
    commands: HashMap<Pid, JobId>,
    /// The limit on open descriptors of a command whose entry sets none.
    open_files: u64,
    marks: Marks,
    cgroups: Option<Cgroups>,
    orphans: Orphans,
    /// Whether the orphans were scanned in this turn.
    looked: bool,
    /// Whether that scan was complete.
    saw_all: bool,
    /// The time of the next scan, even without an event.
    look_at: Option<Instant>,
    /// The descriptors that the loop waits for.
    watch: Watch,
    buffer: Box<[u8]>,
}

impl Children {
    /// No children yet; makes this process the subreaper. Raises its own soft limit on descriptors
    /// to the hard limit, and remembers the former one for its children. The first key makes marks;
    /// all of them verify marks.
    ///
    /// # Errors
    /// No descriptor is left for epoll.
    pub fn new(keys: Vec<[u8; 32]>) -> io::Result<Self> {
        let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
        // If the limit cannot be raised, commands for which no descriptor is left do not start.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        // Any process ID but 0 enables it. Without support of the kernel, orphans belong to init.
        let _ = rustix::process::set_child_subreaper(Some(Pid::INIT));
        Ok(Self {
            running: BTreeMap::new(),
            commands: HashMap::new(),
            open_files: current.unwrap_or(1024),
            marks: Marks::new(keys),
            cgroups: Cgroups::find(),
            orphans: Orphans::begin(),
            looked: false,
            saw_all: false,
            look_at: None,
            watch: Watch::new()?,
            buffer: vec![0; limits::PIPE_BYTES_PER_TURN].into_boxed_slice(),
        })
    }

    /// How the processes of a command are found: `cgroup` or `marks`.
    pub fn containment(&self) -> &'static str {
        if self.cgroups.is_some() { "cgroup" } else { "marks" }
    }

    /// Kills what commands of earlier runs with these keys left; returns whether there were any.
    pub fn sweep(&mut self) -> bool {
        let found = self.cgroups.as_mut().is_some_and(|cgroups| cgroups.sweep(&self.marks));
        sweep(&self.marks) > 0 || found
    }

    /// Starts a command; returns an event if that fails.
    pub fn start(&mut self, job: JobId, invocation: &Invocation) -> Option<Event> {
        let not_started = |step: &str, error: io::Error| {
            let (step, reason) = (step.to_owned(), error.to_string());
            let ending = Ending::NotStarted { step, reason };
            Some(Event::Ended { job, ending, leftover: false })
        };
        let leave = invocation.execution.leave_children;
        let name = self.marks.of(Place::Cgroup, job, leave);
        let cgroup = match self.cgroups.as_ref().map(|cgroups| cgroups.make(&name)).transpose() {
            Ok(cgroup) => cgroup,
            Err(error) => return not_started("cgroup", error),
        };
        let mark = self.marks.of(Place::Environment, job, leave);
        let mark = (mark::VARIABLE, mark.as_str());
        match spawn(job, invocation, self.open_files, mark, cgroup.clone(), &self.watch) {
            Ok(running) => {
                self.commands.insert(running.pid, job);
                self.running.insert(job, running);
                None
            }
            Err(error) => {
                self.retire(cgroup);
                not_started("spawn", error)
            }
        }
    }

    fn retire(&mut self, cgroup: Option<std::path::PathBuf>) {
        if let (Some(cgroups), Some(cgroup)) = (&mut self.cgroups, cgroup) {
            cgroups.retire(cgroup);
        }
    }

    /// Begins a turn: the last scan of orphans is out of date.
    pub fn begin_turn(&mut self) {
        self.looked = false;
    }

    /// Sends SIGTERM to a command and its descendants.
    pub fn terminate(&mut self, job: JobId) {
        if let Some(child) = self.running.get_mut(&job) {
            child.asked.get_or_insert_default();
        }
        self.look();
        self.signal(job, Signal::TERM);
    }

    /// Kills a command and its descendants, and those that are found later.
    pub fn kill(&mut self, job: JobId) {
        if let Some(child) = self.running.get_mut(&job) {
            child.killed = true;
        }
        self.look();
        self.signal(job, Signal::KILL);
    }

    /// Kills all commands.
    pub fn kill_all(&mut self) {
        let jobs: Vec<JobId> = self.running.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.kill(job));
    }

    /// Signals a command and all of its known descendants, each process once.
    fn signal(&mut self, job: JobId, signal: Signal) {
        let Some(child) = self.running.get_mut(&job) else { return };
        let mut none = HashSet::new();
        let done = match &mut child.asked {
            Some(asked) if signal == Signal::TERM => asked,
            _ => &mut none,
        };
        // A process that has ended needs no signal. It is not reaped yet, so its ID is not reused.
        if signal == Signal::KILL {
            child.cgroup.iter().for_each(|cgroup| cgroup::kill(cgroup));
        }
        let end = &child.end;
        signal_tree(child.pid, signal, done, || {
            let _ = rustix::process::pidfd_send_signal(end, signal);
        });
        for orphan in self.orphans.of(job) {
            signal_tree(orphan, signal, done, || {
                let _ = rustix::process::kill_process(orphan, signal);
            });
        }
        // Children that it forked meanwhile are still in its process group.
        if signal == Signal::KILL {
            let _ = rustix::process::kill_process_group(child.pid, signal);
        }
        child.cgroup.iter().for_each(|cgroup| cgroup::signal(cgroup, signal, done));
    }

    /// Scans the orphans, once a turn. Newly found descendants of a command that is being ended get
    /// the signal that they missed.
    fn look(&mut self) {
        if std::mem::replace(&mut self.looked, true) {
            return;
        }
        let cgroups = self.cgroups.as_ref();
        let signs = Signs { commands: &self.commands, marks: &self.marks, cgroups };
        let (found, saw_all) = self.orphans.look(&signs);
        self.saw_all = saw_all;
        let mut found: Vec<JobId> = found.into_iter().map(|(job, _)| job).collect();
        found.dedup();
        for job in found {
            match self.running.get(&job) {
                Some(child) if child.killed => self.signal(job, Signal::KILL),
                Some(child) if child.asked.is_some() => self.signal(job, Signal::TERM),
                _ => {}
            }
        }
        // For these, no SIGCHLD may follow the end of the last descendant.
        let lingers = |child: &Running| match child.stage {
            Stage::Lingers { quiet, .. } => self.cgroups.is_some() || quiet.is_some() || !saw_all,
            _ => false,
        };
        let again = self.orphans.unknown().next().is_some() || self.running.values().any(lingers);
        self.look_at = again.then(|| Instant::now() + limits::LOOK_AGAIN);
    }

    /// The time until the next scan that is due without an event; `None` if nothing is in doubt.
    pub fn next_look(&self) -> Option<Duration> {
        self.look_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Reports commands that have ended, and commands whose descendants have all ended. Call once a
    /// turn, after `gather`; `signalled` on SIGCHLD.
    pub fn look_after(&mut self, signalled: bool, events: &mut Vec<Event>) {
        let is_due = self.next_look().is_some_and(|left| left.is_zero());
        let has_ended = |child: &Running| matches!(child.stage, Stage::Ended(_));
        if !signalled && !is_due && !self.running.values().any(has_ended) {
            return;
        }
        for (job, child) in &mut self.running {
            if matches!(child.stage, Stage::Held) {
                child.finish(*job, &self.watch, &mut self.buffer, events);
            }
        }
        self.looked = false;
        self.look();
        let jobs: Vec<JobId> = self.running.keys().copied().collect();
        for job in jobs {
            self.settle(job, events);
        }
        if let Some(cgroups) = &mut self.cgroups {
            cgroups.tidy();
        }
    }

    /// Reports the end of one command, or that its descendants have ended, if that is so.
    fn settle(&mut self, job: JobId, events: &mut Vec<Event>) {
        let Some(child) = self.running.get_mut(&job) else { return };
        let is_there = self.orphans.of(job).next().is_some()
            || child.cgroup.as_deref().is_some_and(cgroup::is_populated);
        match &mut child.stage {
            Stage::Runs | Stage::Held => {}
            Stage::Ended(ending) => {
                let ending = ending.clone();
                let doubts: Vec<Pid> = self.orphans.unknown().collect();
                let leftover = !child.leave && (is_there || !doubts.is_empty() || !self.saw_all);
                match leftover {
                    true => {
                        child.stage = Stage::Lingers { doubts, quiet: None };
                        self.look_at.get_or_insert_with(|| Instant::now() + limits::LOOK_AGAIN);
                    }
                    false => self.reap(job),
                }
                events.push(Event::Ended { job, ending, leftover });
            }
            Stage::Lingers { doubts, quiet } => {
                doubts.retain(|pid| self.orphans.is_unknown(*pid));
                match quiet {
                    _ if is_there || !doubts.is_empty() || !self.saw_all => *quiet = None,
                    Some(since) if since.elapsed() >= limits::LOOK_AGAIN => {
                        self.reap(job);
                        events.push(Event::Gone(job));
                    }
                    Some(_) => {}
                    None => {
                        *quiet = Some(Instant::now());
                        self.look_at.get_or_insert_with(|| Instant::now() + limits::LOOK_AGAIN);
                    }
                }
            }
        }
    }

    fn reap(&mut self, job: JobId) {
        if let Some(mut child) = self.running.remove(&job) {
            self.commands.remove(&child.pid);
            if child.leave {
                self.orphans.release(job);
            }
            // The process has ended: this reaps it, and does not block.
            let _ = child.process.wait();
            self.retire(child.cgroup);
        }
    }

    /// Whether reading the output of a command is paused.
    pub fn pause(&mut self, job: JobId, paused: bool) {
        if let Some(child) = self.running.get_mut(&job) {
            child.pause(job, &self.watch, paused);
        }
    }

    /// The descriptor that is readable when `gather` has something to do.
    pub fn descriptor(&self) -> RawFd {
        self.watch.descriptor()
    }

    /// Handles ready descriptors: output, room for input, ends. `look_after` reports the end of a
    /// command.
    pub fn gather(&mut self, events: &mut Vec<Event>) {
        for (job, part) in self.watch.ready() {
            let Some(child) = self.running.get_mut(&job) else { continue };
            match part {
                Part::Stdin => child.feed(),
                Part::Output(stream) => {
                    child.read(job, stream, &mut self.buffer, events);
                }
                Part::End => child.finish(job, &self.watch, &mut self.buffer, events),
            }
        }
    }
}

/// Signals a process and its descendants, each once. SIGKILL goes from the leaves to the root: a
/// process whose parent dies first would have to be found as an orphan, for which there may be no
/// time. Other signals go from the root to the leaves, so that no parent reacts to the end of a
/// child.
fn signal_tree(root: Pid, signal: Signal, done: &mut HashSet<Pid>, signal_root: impl FnOnce()) {
    let mut below = tree::descendants(root);
    let mut signal_root = Some(signal_root).filter(|_| done.insert(root));
    if signal == Signal::KILL {
        below.reverse();
    } else if let Some(signal_root) = signal_root.take() {
        signal_root();
    }
    for (process, parent) in below {
        if done.insert(process) {
            tree::signal_child(process, parent, signal);
        }
    }
    if let Some(signal_root) = signal_root {
        signal_root();
    }
}
