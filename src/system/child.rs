//! Commands as child processes, beside the loop.
//!
//! Promises: nothing here blocks. A child that was started ends with exactly one `Event::Ended`,
//! after all of its output. It is reaped when nothing is left of what it started, which, if there
//! was something, two looks `LOOK_AGAIN` apart, and those between, have found. So its number,
//! and that of its session, cannot belong to another before that. A signal reaches its process by
//! the pidfd, whatever group that has moved itself to, and what it started by its cgroup, if it has
//! one, by descent, and as orphans. Orphans are looked at once a turn.
//! Leaves out: what may be started, how long it may run and what becomes of its output.

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
    /// The same, by the numbers of their processes.
    commands: HashMap<Pid, JobId>,
    /// Descriptors that a command may have open when its entry says nothing.
    open_files: u64,
    marks: Marks,
    cgroups: Option<Cgroups>,
    orphans: Orphans,
    /// Whether the orphans have been looked at in this turn.
    looked: bool,
    /// Whether that look has seen them all.
    saw_all: bool,
    /// When they are to be looked at again, whatever happens.
    look_at: Option<Instant>,
    /// What the loop waits for.
    watch: Watch,
    buffer: Box<[u8]>,
}

impl Children {
    /// No children yet; orphans will be ours. Raises this process's own limit on descriptors to the
    /// highest that it may have, and remembers the former one for its children. The keys are those
    /// of the marks: the first makes them, all of them know them.
    ///
    /// # Errors
    /// No descriptor is left to wait with.
    pub fn new(keys: Vec<[u8; 32]>) -> io::Result<Self> {
        let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
        // Failing that, there are fewer descriptors, and commands that find none do not start.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        // Any process but 0 switches it on. On a kernel without it, orphans are init's.
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

    /// How it is known what belongs to a command: `cgroup` or `marks`.
    pub fn containment(&self) -> &'static str {
        if self.cgroups.is_some() { "cgroup" } else { "marks" }
    }

    /// Ends what commands of earlier runs with these keys have left; tells whether there was any.
    pub fn sweep(&mut self) -> bool {
        let found = self.cgroups.as_mut().is_some_and(|cgroups| cgroups.sweep(&self.marks));
        sweep(&self.marks) > 0 || found
    }

    /// Starts a command; tells at once if that fails.
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

    /// A new turn begins: what is known of orphans is old.
    pub fn begin_turn(&mut self) {
        self.looked = false;
    }

    /// Asks a command, and what it started, to end.
    pub fn terminate(&mut self, job: JobId) {
        if let Some(child) = self.running.get_mut(&job) {
            child.asked.get_or_insert_default();
        }
        self.look();
        self.signal(job, Signal::TERM);
    }

    /// Ends a command, and what it started; also what turns up of it later.
    pub fn kill(&mut self, job: JobId) {
        if let Some(child) = self.running.get_mut(&job) {
            child.killed = true;
        }
        self.look();
        self.signal(job, Signal::KILL);
    }

    /// Ends all commands.
    pub fn kill_all(&mut self) {
        let jobs: Vec<JobId> = self.running.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.kill(job));
    }

    /// Signals a command and all that is known of what it started, each process once.
    fn signal(&mut self, job: JobId, signal: Signal) {
        let Some(child) = self.running.get_mut(&job) else { return };
        let mut nobody = HashSet::new();
        let done = match &mut child.asked {
            Some(asked) if signal == Signal::TERM => asked,
            _ => &mut nobody,
        };
        // What has gone needs no signal. It is not reaped yet, so its numbers are its own.
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
        // What it has forked meanwhile is still in its group.
        if signal == Signal::KILL {
            let _ = rustix::process::kill_process_group(child.pid, signal);
        }
        child.cgroup.iter().for_each(|cgroup| cgroup::signal(cgroup, signal, done));
    }

    /// Looks at the orphans, once a turn. What has turned up of a command that is being ended gets
    /// the signal that it has missed.
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
        // Of these, no signal may tell that nothing is left.
        let lingers = |child: &Running| match child.stage {
            Stage::Lingers { quiet, .. } => self.cgroups.is_some() || quiet.is_some() || !saw_all,
            _ => false,
        };
        let again = self.orphans.unknown().next().is_some() || self.running.values().any(lingers);
        self.look_at = again.then(|| Instant::now() + limits::LOOK_AGAIN);
    }

    /// In how much time to look after them, whatever happens; never, if nothing is in doubt.
    pub fn next_look(&self) -> Option<Duration> {
        self.look_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Tells which commands have ended, and of which nothing is left. To be called once a turn,
    /// after what is ready; `signalled` when some child has ended.
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

    /// Tells of the end of one command, or that nothing is left of it, if that is so.
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
            // It has ended: this takes its place in the table of processes, and does not wait.
            let _ = child.process.wait();
            self.retire(child.cgroup);
        }
    }

    /// Whether the output of a command is left where it is.
    pub fn pause(&mut self, job: JobId, paused: bool) {
        if let Some(child) = self.running.get_mut(&job) {
            child.pause(job, &self.watch, paused);
        }
    }

    /// The descriptor that is readable when some command has something for `gather`.
    pub fn descriptor(&self) -> RawFd {
        self.watch.descriptor()
    }

    /// Takes what is ready: output, room for input, ends. The end of a command is told by
    /// `look_after`.
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

/// Signals a process and its descendants, each once. SIGKILL goes from the leaves up: what loses
/// its parent before it is signalled would have to be found as an orphan, for which there may be
/// no time. Any other signal goes from the root down, so that no parent does its next thing.
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
