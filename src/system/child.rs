//! Commands as child processes, beside the loop.
//!
//! Promises: nothing here blocks. A child that was started ends with exactly one `Event::Ended`,
//! after all of its output. Its end is known from its pidfd, not from its pipes, so a grandchild
//! that holds a pipe delays nothing. It is reaped when nothing is left of what it started, so its
//! number, and that of its process group, cannot belong to another before that. This process is
//! the subreaper: whoever loses its parent becomes its child (prctl(2), PR_SET_CHILD_SUBREAPER).
//! Leaves out: what may be started, how long it may run and what becomes of its output.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal};
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, WaitOptions};

use crate::limits;
use crate::port::{Ending, Event, Invocation, JobId, Stream};
use crate::system::tree::Owner;
use crate::system::{launch, tree};

/// All running commands.
#[derive(Debug)]
pub struct Children {
    running: BTreeMap<JobId, Child>,
    /// Descriptors that a command may have open when its entry says nothing.
    open_files: u64,
    /// Whether a command has run that may leave processes behind: whose mark is gone may be its.
    left: bool,
    /// Children of this process from before it became what it is.
    inherited: Vec<Pid>,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Child {
    process: std::process::Child,
    group: Pid,
    end: OwnedFd,
    stdin: Option<Input>,
    stdout: Option<File>,
    stderr: Option<File>,
    report: File,
    paused: bool,
    /// Bytes that are read at once.
    piece: usize,
    leave: bool,
    /// It has ended, and something that it started has not.
    lingers: bool,
    /// Whatever still turns up of it is killed.
    killed: bool,
}

/// What a command has still to read.
#[derive(Debug)]
struct Input {
    pipe: ChildStdin,
    text: Vec<u8>,
    written: usize,
}

/// Something of a child that the loop waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whose it is.
    pub job: JobId,
    /// What it is.
    pub part: Part,
    /// Its descriptor.
    pub descriptor: RawFd,
}

/// What of a child is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its end.
    End,
    /// Room in its standard input: the one slot that is waited for to be writable.
    Stdin,
    /// Its output.
    Output(Stream),
}

impl Children {
    /// No children yet; orphans will be ours. Raises this process's own limit on descriptors to the
    /// highest that it may have, and remembers the former one for its children.
    pub fn new() -> Self {
        let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
        // Failing that, there are fewer descriptors, and commands that find none do not start.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        // Any process but 0 switches it on. On a kernel without it, orphans are init's.
        let _ = rustix::process::set_child_subreaper(Some(Pid::INIT));
        Self {
            running: BTreeMap::new(),
            open_files: current.unwrap_or(1024),
            left: false,
            inherited: tree::children(rustix::process::getpid()),
            buffer: vec![0; limits::PIPE_BYTES_PER_TURN].into_boxed_slice(),
        }
    }

    /// Starts a command; tells at once if that fails.
    pub fn start(&mut self, job: JobId, invocation: &Invocation) -> Option<Event> {
        match spawn(job, invocation, self.open_files) {
            Ok(child) => {
                self.left |= invocation.execution.leave_children;
                self.running.insert(job, child);
                None
            }
            Err(error) => {
                let (step, reason) = ("spawn".to_owned(), error.to_string());
                let ending = Ending::NotStarted { step, reason };
                Some(Event::Ended { job, ending, leftover: false })
            }
        }
    }

    /// Asks a command, and what it started, to end.
    pub fn terminate(&mut self, job: JobId) {
        self.signal(job, Signal::TERM);
    }

    /// Ends a command, and what it started; also what turns up of it later.
    pub fn kill(&mut self, job: JobId) {
        if let Some(child) = self.running.get_mut(&job) {
            child.killed = true;
        }
        self.signal(job, Signal::KILL);
    }

    /// Ends all commands.
    pub fn kill_all(&mut self) {
        let jobs: Vec<JobId> = self.running.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.kill(job));
    }

    fn signal(&mut self, job: JobId, signal: Signal) {
        let Some(child) = self.running.get(&job) else { return };
        // It is not reaped yet, so the number is its own; a group that has gone is fine.
        let _ = rustix::process::kill_process_group(child.group, signal);
        tree::signal_descendants(child.group, signal);
        for (_, orphan) in self.orphans().into_iter().filter(|(owner, _)| *owner == job) {
            let _ = rustix::process::kill_process(orphan, signal);
            tree::signal_descendants(orphan, signal);
        }
    }

    /// The processes of commands that have lost their parent, and so are children of this one;
    /// those that have ended are reaped. One that belongs to no command has escaped from its own,
    /// and is killed.
    fn orphans(&self) -> Vec<(JobId, Pid)> {
        let mut orphans = Vec::new();
        let own = rustix::process::getpid();
        // As the first process of a container, it is the parent of all that lose theirs.
        let spares = self.left || own.is_init();
        for pid in tree::children(own) {
            let is_command = self.running.values().any(|child| child.group == pid);
            let is_alive = || {
                let status = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
                status.is_ok_and(|ended| ended.is_none())
            };
            if is_command || self.inherited.contains(&pid) || !is_alive() {
                continue;
            }
            // Whoever has not left the group of its command needs no mark.
            let group = rustix::process::getpgid(Some(pid)).ok();
            let job = self.running.iter().find(|(_, child)| Some(child.group) == group);
            match job.map_or_else(|| tree::owner(pid), |(job, _)| Owner::Job(*job)) {
                Owner::Job(job) if self.running.contains_key(&job) => orphans.push((job, pid)),
                Owner::Left if self.left => {}
                Owner::Nobody if spares => {}
                Owner::Job(_) | Owner::Left | Owner::Nobody => {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        }
        orphans
    }

    /// Looks after orphans, when some child has ended: reaps them, kills what is left of commands
    /// that were killed, and tells of which command nothing is left.
    pub fn look_after(&mut self, events: &mut Vec<Event>) {
        let orphans = self.orphans();
        for (job, orphan) in &orphans {
            if self.running.get(job).is_some_and(|child| child.killed) {
                let _ = rustix::process::kill_process(*orphan, Signal::KILL);
            }
        }
        let is_gone = |job: &JobId, child: &Child| {
            child.lingers && !orphans.iter().any(|(owner, _)| owner == job)
        };
        let gone: Vec<JobId> = self
            .running
            .iter()
            .filter(|(job, child)| is_gone(job, child))
            .map(|(j, _)| *j)
            .collect();
        for job in gone {
            self.reap(job);
            events.push(Event::Gone(job));
        }
    }

    fn reap(&mut self, job: JobId) {
        if let Some(mut child) = self.running.remove(&job) {
            // It has ended: this takes its place in the table of processes, and does not wait.
            let _ = child.process.wait();
        }
    }

    /// Whether the output of a command is left where it is.
    pub fn pause(&mut self, job: JobId, paused: bool) {
        if let Some(child) = self.running.get_mut(&job) {
            child.paused = paused;
        }
    }

    /// What to wait for.
    pub fn slots(&self, slots: &mut Vec<Slot>) {
        for (job, child) in &self.running {
            let mut wait = |part, descriptor| slots.push(Slot { job: *job, part, descriptor });
            if child.lingers {
                continue;
            }
            wait(Part::End, child.end.as_raw_fd());
            if let Some(stdin) = &child.stdin {
                wait(Part::Stdin, stdin.pipe.as_raw_fd());
            }
            for (stream, pipe) in [(Stream::Stdout, &child.stdout), (Stream::Stderr, &child.stderr)]
            {
                if let (Some(pipe), false) = (pipe, child.paused) {
                    wait(Part::Output(stream), pipe.as_raw_fd());
                }
            }
        }
    }

    /// Does what a slot is ready for.
    pub fn gather(&mut self, slot: Slot, events: &mut Vec<Event>) {
        let Slot { job, part, .. } = slot;
        let Some(child) = self.running.get_mut(&job) else { return };
        match part {
            Part::Stdin => child.feed(),
            Part::Output(stream) => {
                child.read(job, stream, &mut self.buffer, events);
            }
            Part::End => {
                let Some(ending) = child.finish(job, &mut self.buffer, events) else { return };
                let leftover =
                    !child.leave && self.orphans().iter().any(|(owner, _)| *owner == job);
                match self.running.get_mut(&job).filter(|_| leftover) {
                    Some(child) => child.lingers = true,
                    None => self.reap(job),
                }
                events.push(Event::Ended { job, ending, leftover });
            }
        }
    }
}

impl Default for Children {
    fn default() -> Self {
        Self::new()
    }
}

fn spawn(job: JobId, invocation: &Invocation, open_files: u64) -> io::Result<Child> {
    let (report, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // This end, and nothing else, is for the launcher to inherit.
    rustix::io::fcntl_setfd(&theirs, FdFlags::empty())?;
    let arguments =
        launch::arguments(invocation, theirs.as_raw_fd(), launch::own_pid(), open_files);
    let has_input = !invocation.stdin.is_empty();
    let mut process = Command::new("/proc/self/exe")
        .args(arguments)
        .env_clear()
        .envs(&invocation.execution.environment)
        .env(tree::MARK, tree::mark(job, invocation.execution.leave_children))
        .process_group(0)
        .stdin(if has_input { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(theirs);
    let watched = watch(&mut process, &invocation.stdin);
    let Ok((group, end, stdin, stdout, stderr)) = watched else {
        // Without a way to know its end it must not run: it is killed, and so soon reaped.
        process.kill()?;
        process.wait()?;
        return Err(watched.err().unwrap_or(io::ErrorKind::Other.into()));
    };
    let report = File::from(report);
    let leave = invocation.execution.leave_children;
    let piece = match invocation.stream {
        true => limits::STREAM_BYTES_PER_TURN,
        false => limits::PIPE_BYTES_PER_TURN,
    };
    let [paused, lingers, killed] = [false; 3];
    Ok(Child {
        process,
        group,
        end,
        stdin,
        stdout,
        stderr,
        report,
        paused,
        piece,
        leave,
        lingers,
        killed,
    })
}

type Watched = (Pid, OwnedFd, Option<Input>, Option<File>, Option<File>);

fn watch(process: &mut std::process::Child, text: &[u8]) -> io::Result<Watched> {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::Other)?;
    let end = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let stdin = process.stdin.take();
    if let Some(pipe) = &stdin {
        without_blocking(pipe)?;
    }
    let stdin = stdin.map(|pipe| Input { pipe, text: text.to_vec(), written: 0 });
    let stdout = process.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    let stderr = process.stderr.take().map(|pipe| File::from(OwnedFd::from(pipe)));
    for pipe in stdout.iter().chain(&stderr) {
        without_blocking(pipe)?;
    }
    Ok((pid, end, stdin, stdout, stderr))
}

fn without_blocking(pipe: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&pipe)?;
    Ok(rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?)
}

impl Child {
    /// Writes what its standard input has room for. A command that does not read it, or has closed
    /// it, misses the rest.
    fn feed(&mut self) {
        let Some(input) = &mut self.stdin else { return };
        let rest = input.text.get(input.written..).unwrap_or_default();
        match input.pipe.write(rest) {
            Ok(count) if count < rest.len() => input.written += count,
            Err(error) if would_block(&error) => {}
            _ => self.stdin = None,
        }
    }

    /// Reads once from one of its pipes; tells how much there was.
    fn read(
        &mut self,
        job: JobId,
        stream: Stream,
        buffer: &mut [u8],
        events: &mut Vec<Event>,
    ) -> usize {
        let pipe = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let buffer = buffer.get_mut(..self.piece).unwrap_or_default();
        match pipe.as_mut().map(|pipe| pipe.read(buffer)) {
            Some(Ok(count)) if count > 0 => {
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                events.push(Event::Output { job, stream, bytes });
                count
            }
            Some(Err(error)) if would_block(&error) => 0,
            // The end of the file, or a pipe that fails: there will be no more.
            _ => {
                *pipe = None;
                0
            }
        }
    }

    /// Takes what is left in its pipes, closes them, and tells how it ended. Nothing if it has not
    /// ended after all.
    fn finish(&mut self, job: JobId, buffer: &mut [u8], events: &mut Vec<Event>) -> Option<Ending> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match rustix::process::waitid(WaitId::PidFd(self.end.as_fd()), options) {
            Ok(status) => Some(status?),
            Err(_) => None, // Not to be known; it is over all the same.
        };
        for stream in [Stream::Stdout, Stream::Stderr] {
            // Bounded by what fits a pipe: somebody else may go on writing to it.
            let mut drained = 0;
            while drained < limits::DRAIN_BYTES_MAX {
                match self.read(job, stream, buffer, events) {
                    0 => break,
                    count => drained += count,
                }
            }
        }
        (self.stdin, self.stdout, self.stderr) = (None, None, None);
        Some(self.failure_to_launch().unwrap_or_else(|| ending(status.as_ref())))
    }

    fn failure_to_launch(&mut self) -> Option<Ending> {
        let mut report = [0; limits::LAUNCH_REPORT_BYTES_MAX];
        let count = self.report.read(&mut report).unwrap_or(0);
        launch::read_report(&String::from_utf8_lossy(report.get(..count).unwrap_or_default()))
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn ending(status: Option<&WaitIdStatus>) -> Ending {
    match status.and_then(WaitIdStatus::exit_status) {
        Some(code) => Ending::Exited(code),
        None => {
            let signal = status.and_then(WaitIdStatus::terminating_signal);
            Ending::Signaled(signal_name(signal.unwrap_or(0)))
        }
    }
}

fn signal_name(number: i32) -> String {
    let name = signal_hook::low_level::signal_name(number);
    name.map_or_else(|| format!("SIG{number}"), str::to_owned)
}
