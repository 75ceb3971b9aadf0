//! The descriptors of all commands behind one: an epoll instance (epoll(7)).
//!
//! Promises: the loop waits for one descriptor however many commands run, so that they cost others
//! nothing while they are silent. What is ready is told in turn, so none is forgotten.
//! Leaves out: what a descriptor is ready for.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Result;

use crate::limits;
use crate::port::{JobId, Stream};

/// What of a command is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its end.
    End,
    /// Room in its standard input: the one part that is waited for to be writable.
    Stdin,
    /// Its output.
    Output(Stream),
}

/// All parts, by the number that stands for each.
const PARTS: [Part; 4] =
    [Part::End, Part::Stdin, Part::Output(Stream::Stdout), Part::Output(Stream::Stderr)];

/// What is waited for.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Nothing is waited for yet.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    /// The descriptor that is readable when some part is ready.
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Waits for a part from now on. A descriptor that is closed is not waited for any more.
    ///
    /// # Errors
    /// The kernel has no room for it.
    pub fn add(&self, descriptor: impl AsFd, job: JobId, part: Part) -> Result<()> {
        let number = PARTS.iter().position(|known| *known == part).unwrap_or_default();
        let data = EventData::new_u64((job.0 << 2) | number as u64);
        let flags = if part == Part::Stdin { EventFlags::OUT } else { EventFlags::IN };
        epoll::add(&self.0, descriptor, data, flags)
    }

    /// Does not wait for a part any more.
    pub fn remove(&self, descriptor: impl AsFd) {
        // One that is not waited for stays so.
        let _ = epoll::delete(&self.0, descriptor);
    }

    /// What is ready now; what is beyond a turn's share is told in the next ones.
    pub fn ready(&self) -> Vec<(JobId, Part)> {
        let mut events = Vec::with_capacity(limits::READY_PER_TURN);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A signal that interrupts it leaves all for the next turn.
        let _ = epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), Some(&now));
        let part = |event: &epoll::Event| {
            let data = event.data.u64();
            Some((JobId(data >> 2), *PARTS.get((data & 3) as usize)?))
        };
        events.iter().filter_map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn more_than_a_turn_takes_is_told_in_the_next_turns_and_none_is_forgotten() {
        let watch = Watch::new().unwrap();
        let pipes: Vec<_> = (0..2 * limits::READY_PER_TURN as u64 + 1)
            .map(|number| {
                let (reader, mut writer) = std::io::pipe().unwrap();
                watch.add(&reader, JobId(number), Part::Output(Stream::Stderr)).unwrap();
                writer.write_all(b"x").unwrap();
                (reader, writer)
            })
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let ready = watch.ready();
            assert!(ready.len() <= limits::READY_PER_TURN);
            assert!(ready.iter().all(|(_, part)| *part == Part::Output(Stream::Stderr)));
            seen.extend(ready.into_iter().map(|(job, _)| job));
        }
        assert_eq!(seen.len(), pipes.len());
        watch.remove(&pipes[0].0);
        drop(pipes);
        assert_eq!(watch.ready(), []);
    }
}
