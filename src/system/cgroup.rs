//! A cgroup for each command, where a cgroup v2 is delegated to the daemon (cgroups(7)).
//!
//! Promises: a cgroup counts as delegated if the daemon is in it, it is not the root, it has the
//! extended attribute `user.delegate` or `trusted.delegate` that systemd sets for `Delegate=yes`,
//! it has `cgroup.kill` (Linux 5.14), and a directory can be made in it; no other cgroup is
//! changed. No controller is enabled, so the daemon may stay in its cgroup. `cgroup.kill` kills all
//! processes in the cgroup of a command, whatever their parent, session or environment.
//! Leaves out: a command with the daemon's right to write can move itself out.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use crate::limits;
use crate::system::mark::{Mark, Marks, Place};
use crate::system::tree;

/// The extended attributes that mark a delegated cgroup (systemd.resource-control(5)).
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// The prefix of the names of cgroups; the command's mark follows.
const PREFIX: &str = "zcmd.";

/// The cgroup that is delegated to the daemon.
#[derive(Debug)]
pub struct Cgroups {
    /// Its directory in the file system.
    directory: PathBuf,
    /// Its path in the hierarchy, as /proc/PID/cgroup shows it.
    path: String,
    /// Cgroups of ended commands, which are removed when they are empty.
    over: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds the daemon's own cgroup, if it is delegated.
    pub fn find() -> Option<Self> {
        let path = path_of("self")?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let directory = mounts.lines().find_map(|line| directory(line, &path))?;
        let is_delegated = |name| {
            let mut value = [0; 8];
            let length = rustix::fs::getxattr(&directory, name, &mut value);
            length.is_ok_and(|length| value.get(..length) == Some(b"1"))
        };
        let works = path != "/"
            && DELEGATED.into_iter().any(is_delegated)
            && directory.join("cgroup.kill").exists();
        let probe = directory.join(format!("{PREFIX}{}", std::process::id()));
        (works && fs::create_dir(&probe).is_ok() && fs::remove_dir(&probe).is_ok())
            .then_some(Self { directory, path, over: Vec::new() })
    }

    /// Makes the cgroup of a command, named after its mark.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn make(&self, mark: &str) -> io::Result<PathBuf> {
        let cgroup = self.directory.join(format!("{PREFIX}{mark}"));
        fs::create_dir(&cgroup)?;
        Ok(cgroup)
    }

    /// The mark of the cgroup of a process; `None` if that is not a command's cgroup.
    pub fn owner(&self, pid: Pid, marks: &Marks) -> Option<Mark> {
        let path = path_of(pid.as_raw_nonzero())?;
        let within = path.strip_prefix(&self.path)?.strip_prefix('/')?;
        marks.read(Place::Cgroup, within.split('/').next()?.strip_prefix(PREFIX)?)
    }

    /// Marks the cgroup of an ended command for removal as soon as it is empty.
    pub fn retire(&mut self, cgroup: PathBuf) {
        self.over.push(cgroup);
        self.tidy();
    }

    /// Removes the empty cgroups of ended commands; the kernel refuses to remove the others.
    pub fn tidy(&mut self) {
        self.over.retain(|cgroup| {
            let removed = remove(cgroup);
            removed.is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
        });
    }

    /// Kills processes that earlier runs of this daemon left in their cgroups; returns whether
    /// there were any.
    pub fn sweep(&mut self, marks: &Marks) -> bool {
        let mut found = false;
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let mark = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            let Some(mark) = mark.and_then(|mark| marks.read(Place::Cgroup, mark)) else {
                continue;
            };
            if mark.run == marks.run || mark.run.is_alive() {
                continue;
            }
            if !mark.leave && is_populated(&entry.path()) {
                kill(&entry.path());
                found = true;
            }
            self.over.push(entry.path());
        }
        self.tidy();
        found
    }
}

/// Whether a live process is in a cgroup, or beneath it.
pub fn is_populated(cgroup: &Path) -> bool {
    let events = fs::read_to_string(cgroup.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 1")
}

/// Removes a cgroup without processes, and the cgroups that its command made in it: at most
/// `TREE_PROCESSES_MAX` at once.
fn remove(cgroup: &Path) -> io::Result<()> {
    if is_populated(cgroup) {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    let (mut found, mut next) = (vec![cgroup.to_owned()], 0);
    while let Some(at) = found.get(next) {
        let entries = fs::read_dir(at).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let room = limits::TREE_PROCESSES_MAX.saturating_sub(found.len());
        let inner: Vec<PathBuf> = inner.take(room).map(|entry| entry.path()).collect();
        found.extend(inner);
        next += 1;
    }
    found.iter().rev().try_for_each(fs::remove_dir)
}

/// Kills all processes in a cgroup and its descendants at once.
pub fn kill(cgroup: &Path) {
    // An error means that the cgroup is gone.
    let _ = fs::write(cgroup.join("cgroup.kill"), "1");
}

/// Signals the processes of a cgroup that are not among those `done`; at most `TREE_PROCESSES_MAX`
/// of them.
pub fn signal(cgroup: &Path, signal: Signal, done: &mut HashSet<Pid>) {
    let Some(name) = cgroup.file_name().and_then(|name| name.to_str()) else { return };
    let processes = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let pids = processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?));
    for pid in pids.take(limits::TREE_PROCESSES_MAX).filter(|pid| done.insert(*pid)) {
        let is_there = || {
            path_of(pid.as_raw_nonzero())
                .is_some_and(|path| path.split('/').any(|part| part == name))
        };
        tree::signal_if(pid, signal, is_there);
    }
}

/// Moves this process into a cgroup.
///
/// # Errors
/// The kernel refuses.
pub fn enter(cgroup: &str) -> io::Result<()> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")
}

/// The path of a process in the cgroup v2 hierarchy.
fn path_of(process: impl std::fmt::Display) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

/// The directory of a cgroup v2 path, if this line of mountinfo mounts it.
fn directory(line: &str, path: &str) -> Option<PathBuf> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let within = path.strip_prefix(root.trim_end_matches('/'))?;
    // A path with a blank is escaped here, and so not found.
    kind.starts_with("cgroup2 ").then(|| Path::new(point).join(within.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_a_cgroup_is_found_in_mountinfo() {
        let plain =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let part = "30 23 0:26 /a /mnt/c rw - cgroup2 cgroup2 rw";
        let one = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        let tests = [
            (plain, "/a/b", Some("/sys/fs/cgroup/a/b")),
            (part, "/a/b", Some("/mnt/c/b")),
            (part, "/b", None),
            (one, "/a", None),
            ("", "/a", None),
        ];
        for (line, path, wanted) in tests {
            assert_eq!(directory(line, path), wanted.map(PathBuf::from), "{line} {path}");
        }
    }
}
