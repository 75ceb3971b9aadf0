//! The processes that a command has started, as /proc shows them (proc(5)).
//!
//! Promises: descendants are found by the parent that they have now, and what has lost its parent
//! by the mark that its environment carries; what is signalled is the process that was looked at,
//! and not a later one of its number.
//! Leaves out: a process that has both lost its parent and wiped its environment belongs to
//! nobody.

use std::fs;
use std::io::Read;
use std::time::Duration;

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

/// Whose a process is, by the mark in its environment. In the middle of `exec` it has none for a
/// moment, which is waited for.
pub fn owner(pid: Pid) -> Owner {
    let mut environment = environment(pid);
    for _ in 0..limits::EXEC_LOOKS_MAX {
        if !environment.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_micros(50));
        environment = self::environment(pid);
    }
    let variables =
        environment.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
    let mark = variables.filter_map(|text| text.strip_prefix(MARK)?.strip_prefix('=')).next();
    let prefix = format!("{}.", std::process::id());
    match mark.and_then(|mark| mark.strip_prefix(&prefix)) {
        Some("left") => Owner::Left,
        Some(job) => job.parse().map_or(Owner::Nobody, |job| Owner::Job(JobId(job))),
        None => Owner::Nobody,
    }
}

/// The beginning of a process's environment; empty if there is none, or it cannot be read.
fn environment(pid: Pid) -> Vec<u8> {
    let mut environment = Vec::new();
    let file = fs::File::open(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    if let Ok(file) = file
        && file.take(limits::ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment).is_err()
    {
        environment.clear();
    }
    environment
}

/// The children of a process.
pub fn children(pid: Pid) -> Vec<Pid> {
    listed_children(pid).unwrap_or_else(|| searched_children(pid))
}

/// The children of a process, each of whose threads has its own, as the kernel lists them. Kernels
/// without CONFIG_PROC_CHILDREN do not.
fn listed_children(pid: Pid) -> Option<Vec<Pid>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).ok()?.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).ok()?;
        let pids = text.split_whitespace().filter_map(|number| number.parse().ok());
        children.extend(pids.filter_map(Pid::from_raw));
    }
    Some(children)
}

/// The same, by looking at the parent of every process.
fn searched_children(pid: Pid) -> Vec<Pid> {
    let parent = pid.as_raw_nonzero().to_string();
    let is_child = |stat: &str| {
        // The name, in parentheses, may hold anything; after it come state and parent.
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(parent.as_str())
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let children = numbers.filter(|number| {
        fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| is_child(&stat))
    });
    children.filter_map(Pid::from_raw).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_with_and_without_a_list_of_the_kernel() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let own = rustix::process::getpid();
        assert!(searched_children(own).contains(&pid));
        assert!(children(own).contains(&pid));
        assert!(children(pid).is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!searched_children(own).contains(&pid));
    }
}
