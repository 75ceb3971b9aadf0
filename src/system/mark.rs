//! The mark of a command: a variable of its environment, which its descendants inherit.
//!
//! Promises: a mark has the daemon's process, the number of the command and whether it may leave
//! children, and a tag (HMAC-SHA256) that only a daemon with the same keys can make; so a command
//! cannot make the mark of another one. A later run with the same keys recognises the marks of an
//! earlier one, and whether that run still exists.
//! Leaves out: a process that clears its environment has no mark; one that may read the environment
//! of another can copy its mark.

use std::fs::File;
use std::io::Read;

use hmac::{Hmac, KeyInit, Mac};
use rustix::process::Pid;
use sha2::Sha256;

use crate::limits;
use crate::port::JobId;
use crate::system::tree;

/// The variable that holds it.
pub const VARIABLE: &str = "ZCMD_JOB";

/// The place of a mark: the name of a cgroup is public, and must not reveal the tag of an
/// environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The environment of a process.
    Environment,
    /// The name of a cgroup.
    Cgroup,
}

/// Bytes of a tag: half of the hash, 128 bits.
const TAG_BYTES: usize = 16;

/// One run of a daemon: its process, by ID and start time, which no other process shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pid: i32,
    started: u64,
}

/// The content of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The run of a daemon that made it.
    pub run: Run,
    /// The command.
    pub job: JobId,
    /// Whether that command may leave children.
    pub leave: bool,
}

/// The result of a search for a mark in the environment of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It has a mark of these keys.
    Marked(Mark),
    /// It has none.
    Unmarked,
    /// It is empty or cannot be read, as for a moment during `exec`.
    Empty,
}

/// Makes and verifies marks.
#[derive(Clone)]
pub struct Marks {
    /// The first key makes marks; a mark of any of them is valid.
    keys: Vec<[u8; 32]>,
    /// This run.
    pub run: Run,
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "marks of {:?}", self.run)
    }
}

impl Run {
    /// This process.
    fn this() -> Self {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self { pid, started: tree::stat(pid).map_or(0, |stat| stat.started) }
    }

    /// Whether the process still exists.
    pub fn is_alive(&self) -> bool {
        tree::stat(self.pid).is_some_and(|stat| stat.started == self.started)
    }
}

impl Marks {
    /// Makes marks with these keys for this process.
    pub fn new(keys: Vec<[u8; 32]>) -> Self {
        Self { keys, run: Run::this() }
    }

    /// The mark of a command: `PID.START.JOB.KIND.TAG`.
    pub fn of(&self, place: Place, job: JobId, leave: bool) -> String {
        let Run { pid, started } = self.run;
        let text = format!("{pid}.{started}.{}.{}", job.0, if leave { "left" } else { "own" });
        let tag = self.keys.first().map(|key| tag(key, place, &text)).unwrap_or_default();
        format!("{text}.{tag}")
    }

    /// Reads a mark; `None` if it was made with none of the keys.
    pub fn read(&self, place: Place, mark: &str) -> Option<Mark> {
        let (text, found) = mark.rsplit_once('.')?;
        // A comparison in constant time is not needed: only a process of this host can present a
        // tag, and it cannot measure the time.
        if !self.keys.iter().any(|key| tag(key, place, text) == found) {
            return None;
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [pid, started, job, kind] = parts.as_slice() else { return None };
        let run = Run { pid: pid.parse().ok()?, started: started.parse().ok()? };
        Some(Mark { run, job: JobId(job.parse().ok()?), leave: *kind == "left" })
    }

    /// Searches the environment of a process for a mark.
    pub fn look(&self, pid: Pid) -> Seen {
        let environment = environment(pid);
        if environment.is_empty() {
            return Seen::Empty;
        }
        let variables = environment.split(|byte| *byte == 0);
        let mut texts = variables.filter_map(|text| std::str::from_utf8(text).ok());
        let mark = texts.find_map(|text| {
            self.read(Place::Environment, text.strip_prefix(VARIABLE)?.strip_prefix('=')?)
        });
        mark.map_or(Seen::Unmarked, Seen::Marked)
    }
}

fn tag(key: &[u8; 32], place: Place, text: &str) -> String {
    let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return String::new() };
    let place = match place {
        Place::Environment => "environment ",
        Place::Cgroup => "cgroup ",
    };
    let tag = mac.chain_update(place).chain_update(text.as_bytes()).finalize().into_bytes();
    tag.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of a process's environment; empty if there is none, or it cannot be read. It is
/// read in one call: if the process ended between two, the rest with the mark would be missing.
fn environment(pid: Pid) -> Vec<u8> {
    let mut environment = vec![0; limits::ENVIRONMENT_BYTES_MAX];
    let file = File::open(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    let count = file.and_then(|mut file| file.read(&mut environment)).unwrap_or(0);
    environment.truncate(count);
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_wound_a_mark_is_known_again_by_its_keys_and_no_other_can_be_made_of_it() {
        let old = Marks::new(vec![[1; 32]]);
        let new = Marks::new(vec![[2; 32], [1; 32]]);
        let read = |marks: &Marks, mark: &str| marks.read(Place::Environment, mark);
        let mark = old.of(Place::Environment, JobId(7), false);
        let found = read(&new, &mark).unwrap();
        assert_eq!((found.job, found.leave, found.run), (JobId(7), false, old.run));
        assert!(found.run.is_alive());
        assert!(read(&new, &old.of(Place::Environment, JobId(7), true)).unwrap().leave);
        assert_eq!(read(&Marks::new(vec![[2; 32]]), &mark), None);
        assert_eq!(read(&new, &old.of(Place::Cgroup, JobId(7), false)), None);
        for (from, to) in [(".7.", ".8."), (".own.", ".left."), (".own", "")] {
            assert_eq!(read(&new, &mark.replacen(from, to, 1)), None, "{from} {to}");
        }
        assert_eq!(read(&new, ""), None);
        assert!(!Run { pid: old.run.pid, started: 0 }.is_alive());
    }
}
