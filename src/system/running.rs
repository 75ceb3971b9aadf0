//! One command as a child process: its start, its pipes and its end.
//!
//! Promises: no call blocks. Its end is known from its pidfd, not from its pipes, so a grandchild
//! that holds a pipe delays nothing. Its output is complete when its end is reported. The launcher
//! gets the arguments, the environment in a memory file that no other process has, and a pipe for
//! its report. The launcher itself has an empty environment, since it runs with the daemon's
//! rights.
//! Leaves out: the command's descendants, which `system::child` tracks.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::time::Instant;

use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::FdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, PidfdFlags};
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus};

use crate::limits;
use crate::port::{Ending, Event, Invocation, JobId, Stream};
use crate::system::launch::{self, Launch};
use crate::system::signals;
use crate::system::watch::{Part, Watch};

/// A command that was started and is not reaped.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: std::process::Child,
    /// Its process ID and session ID.
    pub(super) pid: Pid,
    /// Its pidfd.
    pub(super) end: OwnedFd,
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
    report: File,
    /// Its own cgroup, if it has one.
    pub(super) cgroup: Option<PathBuf>,
    pub(super) paused: bool,
    /// Bytes of one read.
    piece: usize,
    /// Whether its descendants may outlive it.
    pub(super) leave: bool,
    pub(super) stage: Stage,
    /// The processes that were sent SIGTERM, so that none is sent it twice.
    pub(super) asked: Option<HashSet<Pid>>,
    /// Whether descendants that are found later are killed.
    pub(super) killed: bool,
}

/// The state of a command.
#[derive(Debug)]
pub(super) enum Stage {
    /// It runs.
    Runs,
    /// It has ended, but a tracer holds its status: it is checked again on SIGCHLD.
    Held,
    /// It has ended, and that is not reported yet.
    Ended(Ending),
    /// It has ended, and descendants may remain.
    Lingers {
        /// These orphans may be its descendants.
        doubts: Vec<Pid>,
        /// Since when no scan has found a descendant.
        quiet: Option<Instant>,
    },
}

/// The input that a command has not read yet.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) pipe: ChildStdin,
    text: Vec<u8>,
    written: usize,
}

/// Starts a command with this mark in its environment and in this cgroup, and watches it.
pub(super) fn spawn(
    job: JobId,
    invocation: &Invocation,
    open_files: u64,
    mark: (&str, &str),
    cgroup: Option<PathBuf>,
    watch: &Watch,
) -> io::Result<Running> {
    let (report, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Only this end and the environment are inherited by the launcher.
    rustix::io::fcntl_setfd(&theirs, FdFlags::empty())?;
    let environment = hand_over(invocation, mark)?;
    let launch = Launch {
        report: theirs.as_raw_fd(),
        environment: environment.as_raw_fd(),
        parent: launch::own_pid(),
        files: open_files,
        cgroup: cgroup.as_deref(),
    };
    let has_input = !invocation.stdin.is_empty();
    let mut process = Command::new("/proc/self/exe")
        .args(launch.arguments(invocation))
        .env_clear()
        .stdin(if has_input { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop((theirs, environment));
    let watched = open(&mut process, &invocation.stdin).and_then(|open| {
        let (_, end, stdin, stdout, stderr) = &open;
        watch.add(end, job, Part::End)?;
        if let Some(stdin) = stdin {
            watch.add(&stdin.pipe, job, Part::Stdin)?;
        }
        add_output(watch, job, stdout.as_ref(), stderr.as_ref())?;
        Ok(open)
    });
    let Ok((pid, end, stdin, stdout, stderr)) = watched else {
        // Without a way to detect its end it must not run: it is killed, and reaped soon.
        process.kill()?;
        process.wait()?;
        return Err(watched.err().unwrap_or(io::ErrorKind::Other.into()));
    };
    Ok(Running {
        process,
        pid,
        end,
        stdin,
        stdout,
        stderr,
        report: File::from(report),
        cgroup,
        paused: false,
        piece: match invocation.stream {
            true => limits::STREAM_BYTES_PER_TURN,
            false => limits::PIPE_BYTES_PER_TURN,
        },
        leave: invocation.execution.leave_children,
        stage: Stage::Runs,
        asked: None,
        killed: false,
    })
}

/// Writes the environment of a command to a file for its launcher, each variable ended by NUL.
fn hand_over(invocation: &Invocation, mark: (&str, &str)) -> io::Result<File> {
    let own = invocation.execution.environment.iter().map(|(name, value)| (&**name, &**value));
    let passed = invocation.variables.iter().map(|(name, value)| (&**name, &**value));
    let all = own.chain(passed).chain([mark]);
    let text: String = all.map(|(name, value)| format!("{name}={value}\0")).collect();
    let mut file = File::from(rustix::fs::memfd_create("environment", MemfdFlags::empty())?);
    file.write_all(text.as_bytes())?;
    Ok(file)
}

fn add_output(
    watch: &Watch,
    job: JobId,
    stdout: Option<&File>,
    stderr: Option<&File>,
) -> io::Result<()> {
    for (stream, pipe) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
        pipe.map_or(Ok(()), |pipe| watch.add(pipe, job, Part::Output(stream)))?;
    }
    Ok(())
}

type Opened = (Pid, OwnedFd, Option<Input>, Option<File>, Option<File>);

fn open(process: &mut std::process::Child, text: &[u8]) -> io::Result<Opened> {
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

impl Running {
    /// Whether reading its output is paused.
    pub(super) fn pause(&mut self, job: JobId, watch: &Watch, paused: bool) {
        if std::mem::replace(&mut self.paused, paused) == paused {
            return;
        }
        let (stdout, stderr) = (self.stdout.as_ref(), self.stderr.as_ref());
        if paused {
            stdout.into_iter().chain(stderr).for_each(|pipe| watch.remove(pipe));
        } else if add_output(watch, job, stdout, stderr).is_err() {
            // If epoll has no room for it, it is read when the command has ended.
            self.paused = true;
        }
    }

    /// Writes to its standard input while there is room. A command that closes it or does not read
    /// it misses the rest.
    pub(super) fn feed(&mut self) {
        let Some(input) = &mut self.stdin else { return };
        let rest = input.text.get(input.written..).unwrap_or_default();
        match input.pipe.write(rest) {
            Ok(count) if count < rest.len() => input.written += count,
            Err(error) if would_block(&error) => {}
            _ => self.stdin = None,
        }
    }

    /// Reads once from one of its pipes; returns the number of bytes.
    pub(super) fn read(
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
            // End of file or a failed pipe: no more output follows.
            _ => {
                *pipe = None;
                0
            }
        }
    }

    /// Handles its end: reads the rest of its pipes, closes them, and returns how it ended, if its
    /// status is available.
    pub(super) fn finish(
        &mut self,
        job: JobId,
        watch: &Watch,
        buffer: &mut [u8],
        events: &mut Vec<Event>,
    ) {
        // It stays readable from now on.
        watch.remove(&self.end);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match rustix::process::waitid(WaitId::PidFd(self.end.as_fd()), options) {
            Ok(None) => {
                self.stage = Stage::Held;
                return;
            }
            Ok(status) => status,
            Err(_) => None, // The status is lost, but it has ended.
        };
        for stream in [Stream::Stdout, Stream::Stderr] {
            // Bounded by the size of a pipe: another process may go on writing to it.
            let mut drained = 0;
            while drained < limits::DRAIN_BYTES_MAX {
                match self.read(job, stream, buffer, events) {
                    0 => break,
                    count => drained += count,
                }
            }
        }
        (self.stdin, self.stdout, self.stderr) = (None, None, None);
        let ending = self.failure_to_launch().unwrap_or_else(|| ending(status.as_ref()));
        self.stage = Stage::Ended(ending);
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
            Ending::Signaled(signals::name(signal.unwrap_or(0)))
        }
    }
}
