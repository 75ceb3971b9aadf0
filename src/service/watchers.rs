//! The watchers: requests that are answered at an interval, until they are ended.
//!
//! Promises: their number is bounded, in all and for each subject. A watcher is due at its interval
//! and never twice at the same moment; a watcher that was not told in time is told once, not more
//! often. Without watchers there is no deadline.
//! Leaves out: what a watcher is told, and whether its token is still valid.

use std::time::Duration;

use crate::limits;
use crate::port::Subject;
use crate::protocol::request::Id;
use crate::service::origin::Origin;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The counters.
    Status,
    /// The commands that run and wait.
    Jobs,
}

/// One watcher.
#[derive(Debug)]
pub struct Watcher {
    /// The request that gets the replies.
    pub origin: Origin,
    /// Its token, which is checked again before each reply.
    pub token: String,
    /// What it watches.
    pub what: What,
    /// The time from one reply to the next.
    pub every: Duration,
}

/// All watchers, each with the time at which it is due.
#[derive(Debug, Default)]
pub struct Watchers(Vec<(Duration, Watcher)>);

impl Watchers {
    /// Adds a watcher, which is due at this time; returns whether there is room for it.
    #[must_use]
    pub fn add(&mut self, due: Duration, watcher: Watcher) -> bool {
        let same =
            self.0.iter().filter(|(_, known)| known.origin.subject == watcher.origin.subject);
        let has_room =
            self.0.len() < limits::WATCHERS_MAX && same.count() < limits::WATCHERS_PER_SUBJECT_MAX;
        if has_room {
            self.0.push((due, watcher));
        }
        has_room
    }

    /// Takes out a watcher that is due.
    pub fn take_due(&mut self, now: Duration) -> Option<Watcher> {
        let at = self.0.iter().position(|(due, _)| *due <= now)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Puts a watcher back that was due at `now`.
    pub fn put_back(&mut self, now: Duration, watcher: Watcher) {
        self.0.push((now.saturating_add(watcher.every), watcher));
    }

    /// Makes all of them due: a reload may have ended their permission.
    pub fn hurry(&mut self) {
        self.0.iter_mut().for_each(|(due, _)| *due = Duration::ZERO);
    }

    /// Takes out those of one subject with this `id`.
    pub fn cancel(&mut self, subject: &Subject, id: &Id) -> Vec<Origin> {
        self.take(|origin| {
            origin.subject.as_ref() == Some(subject) && origin.id.as_ref() == Some(id)
        })
    }

    /// Takes out those of the peer with this routing id.
    pub fn abandon(&mut self, routing_id: Option<&Vec<u8>>) {
        self.take(|origin| origin.peer.envelope.first() == routing_id);
    }

    /// Takes out all.
    pub fn close(&mut self) -> Vec<Origin> {
        self.take(|_| true)
    }

    /// The time at which the next one is due; none without watchers.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.0.iter().map(|(due, _)| *due).min()
    }

    fn take(&mut self, which: impl Fn(&Origin) -> bool) -> Vec<Origin> {
        let taken = self.0.extract_if(.., |(_, watcher)| which(&watcher.origin));
        taken.map(|(_, watcher)| watcher.origin).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Peer;

    fn watcher(peer: u8, subject: &str, id: i128) -> Watcher {
        let peer = Peer { envelope: vec![vec![peer]], address: None, key: None };
        let subject = Some(Subject::new(None, subject.to_owned()));
        let origin = Origin { id: Some(Id::Number(id)), subject, ..Origin::unread(peer) };
        let every = Duration::from_secs(2);
        Watcher { origin, token: String::new(), what: What::Jobs, every }
    }

    #[test]
    fn their_number_is_bounded_in_all_and_for_each_subject() {
        let mut watchers = Watchers::default();
        for number in 0..limits::WATCHERS_MAX {
            let subject = ["a", "b"][number / limits::WATCHERS_PER_SUBJECT_MAX];
            if number == limits::WATCHERS_PER_SUBJECT_MAX {
                assert!(!watchers.add(Duration::ZERO, watcher(0, "a", 99)), "one subject too many");
            }
            assert!(watchers.add(Duration::ZERO, watcher(0, subject, number as i128)));
        }
        assert!(!watchers.add(Duration::ZERO, watcher(0, "c", 0)), "one too many");
        assert_eq!(watchers.close().len(), limits::WATCHERS_MAX);
        assert_eq!(watchers.next_deadline(), None);
    }

    #[test]
    fn each_is_due_once_an_interval_and_is_ended_by_its_own_only() {
        let at = Duration::from_secs;
        let mut watchers = Watchers::default();
        assert!(watchers.add(at(1), watcher(1, "a", 1)) && watchers.add(at(5), watcher(2, "b", 1)));
        assert_eq!(
            (watchers.take_due(at(0)).is_some(), watchers.next_deadline()),
            (false, Some(at(1)))
        );
        let late = watchers.take_due(at(4)).unwrap();
        watchers.put_back(at(4), late);
        assert!(watchers.take_due(at(4)).is_none());
        assert_eq!(watchers.next_deadline(), Some(at(5)));
        watchers.hurry();
        assert_eq!(watchers.next_deadline(), Some(at(0)));
        let subject = Subject::new(None, "a".to_owned());
        assert_eq!(watchers.cancel(&subject, &Id::Number(2)).len(), 0);
        assert_eq!(watchers.cancel(&subject, &Id::Number(1)).len(), 1);
        watchers.abandon(Some(&vec![1]));
        assert!(watchers.next_deadline().is_some(), "another peer's");
        watchers.abandon(Some(&vec![2]));
        assert_eq!(watchers.next_deadline(), None);
    }
}
