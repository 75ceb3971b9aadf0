//! The processes that a command has started, as /proc shows them (proc(5)).
//!
//! Promises: descendants are found by the parent that they have now, and what has lost its parent
//! by the mark that its environment carries; what is signalled is the process that was looked at,
//! and not a later one of its number.
//! Leaves out: a process that has both lost its parent and wiped its environment belongs to
//! nobody.

use std::fs;
use std::io::Read;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::limits;
use crate::port::JobId;

/// The variable that marks what belongs to a command.
pub const MARK: &str = "ZCMD_JOB";

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A command's.
    Job(JobId),
    /// A command's that may leave processes behind.
    Left,
    /// Nobody's.
    Nobody,
}

/// The value of the mark: it names this daemon as well, since a daemon may run another.
pub fn mark(job: JobId, leave: bool) -> String {
    let daemon = std::process::id();
    if leave { format!("{daemon}.left") } else { format!("{daemon}.{}", job.0) }
}

/// Whose a process is, by the mark in its environment.
pub fn owner(pid: Pid) -> Owner {
    let mut environment = Vec::new();
    let read = fs::File::open(format!("/proc/{}/environ", pid.as_raw_nonzero()))
        .and_then(|file| file.take(limits::ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment));
    let variables =
        environment.split(|byte| *byte == 0).filter_map(|v| std::str::from_utf8(v).ok());
    let mark =
        variables.filter_map(|variable| variable.strip_prefix(MARK)?.strip_prefix('=')).next();
    let prefix = format!("{}.", std::process::id());
    match (read, mark.and_then(|mark| mark.strip_prefix(&prefix))) {
        (Ok(_), Some("left")) => Owner::Left,
        (Ok(_), Some(job)) => job.parse().map_or(Owner::Nobody, |job| Owner::Job(JobId(job))),
        _ => Owner::Nobody,
    }
}

/// The children of a process. Each of its threads has its own.
pub fn children(pid: Pid) -> Vec<Pid> {
    let mut children = Vec::new();
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    for thread in threads.into_iter().flatten().flatten() {
        let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let pids = text.split_whitespace().filter_map(|number| number.parse().ok());
        children.extend(pids.filter_map(Pid::from_raw));
    }
    children
}

/// Signals all descendants of a process, and no more than `TREE_PROCESSES_MAX` of them.
pub fn signal_descendants(root: Pid, signal: Signal) {
    let (mut parents, mut seen) = (vec![root], 0);
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            seen += 1;
            if seen > limits::TREE_PROCESSES_MAX {
                return;
            }
            signal_child(parent, child, signal);
            parents.push(child);
        }
    }
}

/// Signals a process if it is, still, a child of `parent`.
fn signal_child(parent: Pid, child: Pid, signal: Signal) {
    let Ok(descriptor) = rustix::process::pidfd_open(child, PidfdFlags::empty()) else { return };
    if children(parent).contains(&child) {
        // One that has ended meanwhile needs no signal.
        let _ = rustix::process::pidfd_send_signal(&descriptor, signal);
    }
}
