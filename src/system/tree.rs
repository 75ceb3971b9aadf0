//! Processes and their parents, as /proc shows them (proc(5)).
//!
//! Promises: descendants are found by the parent that they have now; what is signalled is the
//! process that was looked at, and not a later one of its number; nothing here waits.
//! Leaves out: a process that has lost its parent, which `system::orphans` looks after.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::limits;

/// What tells one process from a later one of its number, and where it belongs. A number that is
/// not known in this process's namespace is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The number of its parent.
    pub parent: i32,
    /// The number of its session.
    pub session: i32,
    /// When it was started, in clock ticks since the boot.
    pub started: u64,
}

/// Looks at a process; nothing if there is none of this number.
pub fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it come state, parent, group and session.
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
    processes().filter(|child| is_child(*child, pid)).collect()
}

fn is_child(child: Pid, parent: Pid) -> bool {
    let parent = parent.as_raw_nonzero().get();
    stat(child.as_raw_nonzero().get()).is_some_and(|stat| stat.parent == parent)
}

/// All descendants of a process, each with its parent and after it; no more than
/// `TREE_PROCESSES_MAX` of them.
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

/// Signals a process if it is still the child of this parent.
pub fn signal_child(child: Pid, parent: Pid, signal: Signal) {
    signal_if(child, signal, || is_child(child, parent));
}

/// Signals a process if it is, once it is held by its pidfd, still the one that is meant.
pub fn signal_if(pid: Pid, signal: Signal, is_meant: impl FnOnce() -> bool) {
    let Ok(descriptor) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    if is_meant() {
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
