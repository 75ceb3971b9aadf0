//! Processes and their parents, as /proc shows them (proc(5)).
//!
//! Promises: descendants are found by their present parent; a signal goes to the process that was
//! examined, not to a later one with its ID; no call blocks.
//! Leaves out: a process that has lost its parent, which `system::orphans` handles.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::limits;

/// What distinguishes a process from a later one with its ID, and its relations. An ID from outside
/// this process's namespace is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The ID of its parent.
    pub parent: i32,
    /// The ID of its session.
    pub session: i32,
    /// Its start time, in clock ticks since the boot.
    pub started: u64,
}

/// Reads the data of a process; `None` if there is no process with this ID.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold any character; state, parent, group and session follow it.
    let mut fields = text.rsplit(") ").next()?.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { parent, session, started: fields.nth(15)?.parse().ok()? })
}

/// All processes that /proc shows.
pub fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// The children of a process.
pub fn children(pid: Pid) -> Vec<Pid> {
    listed_children(pid).unwrap_or_else(|| searched_children(pid))
}

/// The children of a process, from the lists that the kernel keeps for each thread. Kernels without
/// CONFIG_PROC_CHILDREN have none.
fn listed_children(pid: Pid) -> Option<Vec<Pid>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).ok()?.flatten() {
        let text = fs::read_to_string(thread.path().join("children")).ok()?;
        let pids = text.split_whitespace().filter_map(|number| number.parse().ok());
        children.extend(pids.filter_map(Pid::from_raw));
    }
    Some(children)
}

/// The same, by the parent of every process.
fn searched_children(pid: Pid) -> Vec<Pid> {
    processes().filter(|child| is_child(*child, pid)).collect()
}

fn is_child(child: Pid, parent: Pid) -> bool {
    let parent = parent.as_raw_nonzero().get();
    stat(child.as_raw_nonzero().get()).is_some_and(|stat| stat.parent == parent)
}

/// All descendants of a process, each with its parent and after it; at most `TREE_PROCESSES_MAX`.
pub fn descendants(root: Pid) -> Vec<(Pid, Pid)> {
    let (mut found, mut parents) = (Vec::new(), vec![root]);
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if found.len() == limits::TREE_PROCESSES_MAX {
                return found;
            }
            found.push((child, parent));
            parents.push(child);
        }
    }
    found
}

/// Signals a process if it is still a child of this parent.
pub fn signal_child(child: Pid, parent: Pid, signal: Signal) {
    signal_if(child, signal, || is_child(child, parent));
}

/// Signals a process if the process behind its pidfd is still the one that was examined.
pub fn signal_if(pid: Pid, signal: Signal, is_meant: impl FnOnce() -> bool) {
    let Ok(descriptor) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    if is_meant() {
        // A process that has ended meanwhile needs no signal.
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
