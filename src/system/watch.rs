//! The descriptors of all commands behind one: an epoll instance (epoll(7)).
//!
//! Promises: the loop waits for one descriptor however many commands run, so silent commands cost
//! others nothing. Ready descriptors are reported in rotation, so none is starved.
//! Leaves out: the meaning of readiness.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Result;

use crate::limits;
use crate::port::{JobId, Stream};

/// The part of a command that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its end.
    End,
    /// Room in its standard input: the only part that is watched for writing.
    Stdin,
    /// Its output.
    Output(Stream),
}

/// All parts; the index of a part is its number in epoll.
const PARTS: [Part; 4] =
    [Part::End, Part::Stdin, Part::Output(Stream::Stdout), Part::Output(Stream::Stderr)];

/// The watched descriptors.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Watches nothing yet.
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

    /// Watches a part from now on. Closing the descriptor ends the watch.
    ///
    /// # Errors
    /// The kernel has no room for it.
    pub fn add(&self, descriptor: impl AsFd, job: JobId, part: Part) -> Result<()> {
        let number = PARTS.iter().position(|known| *known == part).unwrap_or_default();
        let data = EventData::new_u64((job.0 << 2) | number as u64);
        let flags = if part == Part::Stdin { EventFlags::OUT } else { EventFlags::IN };
        epoll::add(&self.0, descriptor, data, flags)
    }

    /// Stops watching a part.
    pub fn remove(&self, descriptor: impl AsFd) {
        // An error means that it was not watched.
        let _ = epoll::delete(&self.0, descriptor);
    }

    /// The ready parts; those beyond a turn's share are reported in the next turns.
    pub fn ready(&self) -> Vec<(JobId, Part)> {
        let mut events = Vec::with_capacity(limits::READY_PER_TURN);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // After an interruption by a signal, all are reported in the next turn.
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
