//! Replies that a peer does not take yet.
//!
//! A reply that would block comes back, waits here, and is tried again, first after 10 ms and then
//! ever more rarely; the replies behind it wait in line.
//! Promises: the order of the replies to one peer is kept; what waits is bounded for each peer and
//! for all; with nothing waiting there is no timer.
//! Leaves out: the commands whose output it is. `Service` pauses them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits;
use crate::port::{Action, Peer};

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The replies that wait, by the routing id of their peer.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: BTreeMap<Vec<u8>, Line>,
    bytes: usize,
}

/// There was no room for a reply, and its peer will never see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// The replies that wait for one peer.
#[derive(Debug)]
struct Line {
    replies: VecDeque<(Peer, Vec<u8>)>,
    bytes: usize,
    /// When to try again. Before that, whether the last try succeeded is known.
    retry_at: Duration,
    pause: Duration,
    /// All that waited was sent, and nothing has come back yet.
    trying: bool,
}

fn routing_id(peer: &Peer) -> Vec<u8> {
    peer.envelope.first().cloned().unwrap_or_default()
}

impl Outbox {
    /// Sends a reply, or has it wait behind others for its peer. The last reply to a request may
    /// wait also where a piece of output would find no room.
    ///
    /// # Errors
    /// There is no room for it. It is lost, since its peer does not read.
    pub fn send(
        &mut self,
        peer: Peer,
        body: Vec<u8>,
        last: bool,
        out: &mut Vec<Action>,
    ) -> Result<(), Lost> {
        // Most of the time nobody waits.
        if self.lines.is_empty() {
            out.push(Action::Send { peer, body });
            return Ok(());
        }
        match self.lines.get_mut(&routing_id(&peer)) {
            None => {
                out.push(Action::Send { peer, body });
                Ok(())
            }
            Some(line) => line.push(peer, body, last, &mut self.bytes),
        }
    }

    /// Takes back a reply that would have blocked.
    ///
    /// # Errors
    /// As for `send`.
    pub fn put_back(&mut self, now: Duration, peer: Peer, body: Vec<u8>) -> Result<(), Lost> {
        let line = self.lines.entry(routing_id(&peer)).or_insert_with(|| Line {
            replies: VecDeque::new(),
            bytes: 0,
            retry_at: now.saturating_add(FIRST_RETRY),
            pause: FIRST_RETRY,
            trying: false,
        });
        if std::mem::take(&mut line.trying) {
            line.pause = line.pause.saturating_mul(2).min(LAST_RETRY);
            line.retry_at = now.saturating_add(line.pause);
        }
        // It was accepted once.
        line.push(peer, body, true, &mut self.bytes)
    }

    /// Forgets a peer that has left.
    pub fn forget(&mut self, peer: &Peer) {
        if let Some(line) = self.lines.remove(&routing_id(peer)) {
            self.bytes = self.bytes.saturating_sub(line.bytes);
        }
    }

    /// Whether something waits for this peer.
    pub fn waits_for(&self, peer: &Peer) -> bool {
        !self.lines.is_empty() && self.lines.contains_key(&routing_id(peer))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// When to try again.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.lines.values().map(|line| line.retry_at).min()
    }

    /// Tries again what is due; tells the routing ids of the peers that took everything.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Action>) -> Vec<Vec<u8>> {
        let mut caught_up = Vec::new();
        for (routing_id, line) in &mut self.lines {
            if now < line.retry_at {
                continue;
            }
            if line.trying && line.replies.is_empty() {
                caught_up.push(routing_id.clone());
                continue;
            }
            for (peer, body) in line.replies.drain(..) {
                out.push(Action::Send { peer, body });
            }
            self.bytes = self.bytes.saturating_sub(std::mem::take(&mut line.bytes));
            // Due at once: what comes back does so before the next tick.
            line.retry_at = now;
            line.trying = true;
        }
        for routing_id in &caught_up {
            self.lines.remove(routing_id);
        }
        caught_up
    }
}

impl Line {
    fn push(
        &mut self,
        peer: Peer,
        body: Vec<u8>,
        last: bool,
        all_bytes: &mut usize,
    ) -> Result<(), Lost> {
        let own = self.bytes.saturating_add(body.len());
        let all = all_bytes.saturating_add(body.len());
        let fits = last || own <= limits::OUTBOX_BYTES_PER_PEER_MAX || self.replies.is_empty();
        let all_fit = all <= limits::OUTBOX_BYTES_MAX || *all_bytes == 0;
        if !fits || !all_fit {
            return Err(Lost);
        }
        (self.bytes, *all_bytes) = (own, all);
        self.replies.push_back((peer, body));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &[u8]) -> Peer {
        Peer { envelope: vec![name.to_vec()], address: None, key: None }
    }

    fn sent(out: &mut Vec<Action>) -> Vec<Vec<u8>> {
        let body = |action| match action {
            Action::Send { body, .. } => body,
            other => panic!("{other:?}"),
        };
        out.drain(..).map(body).collect()
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_slow_reader_gets_everything_in_order_and_delays_nobody() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        outbox.put_back(ms(0), peer(b"a"), vec![1]).unwrap();
        outbox.send(peer(b"a"), vec![2], false, &mut out).unwrap();
        outbox.send(peer(b"b"), vec![9], false, &mut out).unwrap();
        assert_eq!(sent(&mut out), [vec![9]]);
        assert_eq!(outbox.next_deadline(), Some(ms(10)));
        assert!(outbox.tick(ms(9), &mut out).is_empty());
        assert!(outbox.tick(ms(10), &mut out).is_empty());
        assert_eq!(sent(&mut out), [vec![1], vec![2]]);
        outbox.put_back(ms(11), peer(b"a"), vec![2]).unwrap();
        outbox.send(peer(b"a"), vec![3], false, &mut out).unwrap();
        assert_eq!(outbox.next_deadline(), Some(ms(31)), "ever more rarely");
        assert!(outbox.tick(ms(31), &mut out).is_empty());
        assert_eq!(sent(&mut out), [vec![2], vec![3]]);
        assert_eq!(outbox.tick(ms(31), &mut out), [b"a".to_vec()]);
        assert_eq!((outbox.next_deadline(), outbox.bytes), (None, 0));
    }

    #[test]
    fn what_waits_is_bounded() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        let piece = || vec![0; limits::OUTBOX_BYTES_PER_PEER_MAX / 2];
        let mut kept = 0;
        for name in 0..200_u8 {
            kept += usize::from(outbox.put_back(ms(0), peer(&[name]), piece()).is_ok());
            for _ in 0..3 {
                let sent = outbox.send(peer(&[name]), piece(), false, &mut out);
                kept += usize::from(sent.is_ok() && outbox.waits_for(&peer(&[name])));
            }
        }
        assert_eq!(kept, 2 * limits::OUTBOX_BYTES_MAX / limits::OUTBOX_BYTES_PER_PEER_MAX);
        (0..200).for_each(|name| outbox.forget(&peer(&[name])));
        assert_eq!(outbox.bytes, 0);
    }

    #[test]
    fn a_last_reply_finds_room_behind_a_stream() {
        let (mut outbox, mut out) = (Outbox::default(), Vec::new());
        let full = vec![0; limits::OUTBOX_BYTES_PER_PEER_MAX];
        outbox.put_back(ms(0), peer(b"a"), full).unwrap();
        assert_eq!(outbox.send(peer(b"a"), vec![1], false, &mut out), Err(Lost));
        assert_eq!(outbox.send(peer(b"a"), vec![2], true, &mut out), Ok(()));
    }
}
