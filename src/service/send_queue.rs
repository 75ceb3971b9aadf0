//! Replies that a peer does not take yet.
//!
//! A reply that would block comes back, waits here in the line of its peer, and is tried again,
//! first after 10 ms and then ever more rarely: the first of a line alone, and more when it is
//! taken.
//! Promises: the order of the replies to one peer is kept. All that waits is counted, with its
//! envelope and a fixed cost, and bounded: for each peer, for each subject over all its peers, for
//! all peers without a token together, and for all. A subject may hold half of what is left, so
//! that there is always room for those who hold little. A piece of a stream is refused before it
//! is sent, or is not lost. With nothing waiting there is no timer.
//! Leaves out: the commands whose output it is. `Service` pauses them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits;
use crate::port::{Action, Outgoing, Peer, Subject};
use crate::service::settings::CommandLimits;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// The replies that wait, by the routing id of their peer.
#[derive(Debug)]
pub struct SendQueue {
    bytes_max: usize,
    lines: BTreeMap<Vec<u8>, Line>,
    bytes: usize,
    /// What waits for each subject; for none, what waits for peers without a token.
    subjects: BTreeMap<Option<Subject>, usize>,
    /// What was sent before the last tick, and since: pieces, and what has waited, come back when
    /// they are not taken, and then have their room.
    sent: [usize; 2],
}

/// There was no room for a reply, and its peer will never see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// The replies that wait for one peer.
#[derive(Debug)]
struct Line {
    replies: VecDeque<Outgoing>,
    bytes: usize,
    /// When to try again. Before that, whether the last try succeeded is known.
    retry_at: Duration,
    pause: Duration,
    /// How many are tried at once.
    burst: usize,
    /// How many were sent from here and have neither been taken for certain nor come back.
    trying: usize,
    /// How many have come back, and stand in front of the others.
    back: usize,
}

/// What can wait in the socket so that the largest replies find room beside others: half of what is
/// left when one of them waits already is another one.
pub fn socket_room_for(output_bytes_max: usize) -> usize {
    // Two streams, in base64.
    let largest = output_bytes_max.saturating_mul(8) / 3;
    largest.saturating_mul(3).saturating_add(limits::OUTBOX_BYTES_MIN)
}

/// What can wait here: the same again, and what two pipes of each command hold, since all commands
/// may pass that on in one turn, which has to find room before it is sent.
pub fn room_for(limits: &CommandLimits, output_bytes_max: usize) -> usize {
    let pieces = limits.concurrent_max * 2 * crate::limits::PIPE_BYTES_PER_TURN;
    socket_room_for(output_bytes_max).saturating_add(pieces)
}

fn routing_id(peer: &Peer) -> Vec<u8> {
    peer.envelope.first().cloned().unwrap_or_default()
}

fn cost(reply: &Outgoing) -> usize {
    let envelope: usize = reply.peer.envelope.iter().map(Vec::len).sum();
    reply.body.len() + envelope + limits::OUTBOX_REPLY_COST
}

impl SendQueue {
    /// With room for so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let (lines, subjects) = Default::default();
        Self { bytes_max, lines, bytes: 0, subjects, sent: [0; 2] }
    }

    /// Changes the room; what waits stays.
    pub fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Sends a reply, or has it wait behind others for its peer.
    ///
    /// # Errors
    /// There is no room for it. It is lost, since its peer does not read.
    pub fn send(&mut self, reply: Outgoing, out: &mut Vec<Action>) -> Result<(), Lost> {
        // Most of the time nobody waits.
        if !self.lines.is_empty() && self.waits_for(&reply.peer) {
            return self.push(reply);
        }
        if reply.piece {
            // It comes back when there is no end of it to be told any more.
            let cost = cost(&reply);
            if cost > self.left() {
                return Err(Lost);
            }
            let [_, now] = &mut self.sent;
            *now = now.saturating_add(cost);
        }
        out.push(Action::Send(reply));
        Ok(())
    }

    /// Takes back a reply that would have blocked.
    ///
    /// # Errors
    /// As for `send`; never for a piece, nor for a reply that has waited here before.
    pub fn put_back(&mut self, now: Duration, reply: Outgoing) -> Result<(), Lost> {
        let id = routing_id(&reply.peer);
        let known = self.lines.get(&id).is_some_and(|line| line.trying > 0);
        if !known && !reply.piece && !self.fits(self.lines.get(&id), &reply) {
            return Err(Lost);
        }
        let line = self.lines.entry(id).or_insert_with(|| Line {
            replies: VecDeque::new(),
            bytes: 0,
            retry_at: now.saturating_add(FIRST_RETRY),
            pause: FIRST_RETRY,
            burst: 1,
            trying: 0,
            back: 0,
        });
        if known {
            line.trying -= 1;
            if line.back == 0 {
                line.pause = line.pause.saturating_mul(2).min(LAST_RETRY);
                line.retry_at = now.saturating_add(line.pause);
                line.burst = 1;
            }
        }
        let (cost, subject) = (cost(&reply), reply.subject.clone());
        line.bytes += cost;
        line.replies.insert(line.back, reply);
        line.back += 1;
        self.charge(subject, cost);
        Ok(())
    }

    /// Forgets a peer that has left.
    pub fn forget(&mut self, peer: &Peer) {
        for reply in self.lines.remove(&routing_id(peer)).into_iter().flat_map(|line| line.replies)
        {
            self.discharge(&reply);
        }
    }

    /// Whether something waits for this peer.
    pub fn waits_for(&self, peer: &Peer) -> bool {
        peer.envelope.first().is_some_and(|id| self.lines.contains_key(id))
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
        let [_, last] = self.sent;
        self.sent = [last, 0];
        let (mut caught_up, mut tried) = (Vec::new(), Vec::new());
        for (routing_id, line) in &mut self.lines {
            if now < line.retry_at {
                continue;
            }
            if line.trying > 0 {
                line.pause = FIRST_RETRY;
                line.burst = line.burst.saturating_mul(2);
            }
            if line.replies.is_empty() {
                caught_up.push(routing_id.clone());
                continue;
            }
            (line.trying, line.back) = (line.burst.min(line.replies.len()), 0);
            for reply in line.replies.drain(..line.trying) {
                line.bytes = line.bytes.saturating_sub(cost(&reply));
                tried.push(reply);
            }
            // Due at once: what comes back does so before the next tick.
            line.retry_at = now;
        }
        for reply in tried {
            self.discharge(&reply);
            let [before, _] = &mut self.sent;
            *before = before.saturating_add(cost(&reply));
            out.push(Action::Send(reply));
        }
        for routing_id in &caught_up {
            self.lines.remove(routing_id);
        }
        caught_up
    }

    /// Has a reply wait as the last one of its line.
    fn push(&mut self, reply: Outgoing) -> Result<(), Lost> {
        let id = routing_id(&reply.peer);
        if !self.fits(self.lines.get(&id), &reply) {
            return Err(Lost);
        }
        let Some(line) = self.lines.get_mut(&id) else { return Err(Lost) };
        let (cost, subject) = (cost(&reply), reply.subject.clone());
        line.bytes += cost;
        line.replies.push_back(reply);
        self.charge(subject, cost);
        Ok(())
    }

    fn fits(&self, line: Option<&Line>, reply: &Outgoing) -> bool {
        let cost = cost(reply);
        let of_peer = line.map_or(0, |line| line.bytes) + cost;
        let of_subject = self.subjects.get(&reply.subject).map_or(0, |bytes| *bytes) + cost;
        match &reply.subject {
            None => {
                of_peer <= limits::OUTBOX_BYTES_PER_STRANGER_MAX
                    && of_subject <= limits::OUTBOX_BYTES_OF_STRANGERS_MAX
            }
            Some(_) => {
                let has_room = !reply.piece || of_peer <= limits::OUTBOX_BYTES_PER_PEER_MAX;
                has_room && of_subject <= self.left() / 2
            }
        }
    }

    /// Room that is left when all that may come back does.
    fn left(&self) -> usize {
        let [before, now] = self.sent;
        self.bytes_max.saturating_sub(self.bytes).saturating_sub(before).saturating_sub(now)
    }

    fn charge(&mut self, subject: Option<Subject>, cost: usize) {
        self.bytes += cost;
        *self.subjects.entry(subject).or_default() += cost;
    }

    fn discharge(&mut self, reply: &Outgoing) {
        let cost = cost(reply);
        self.bytes = self.bytes.saturating_sub(cost);
        if let Some(bytes) = self.subjects.get_mut(&reply.subject) {
            *bytes = bytes.saturating_sub(cost);
            if *bytes == 0 {
                self.subjects.remove(&reply.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: Option<&str>) -> Option<Subject> {
        name.map(|name| Subject::new(None, name.to_owned()))
    }

    fn reply(peer: &[u8], account: Option<&str>, body: Vec<u8>, piece: bool) -> Outgoing {
        let peer = Peer { envelope: vec![peer.to_vec()], address: None, key: None };
        Outgoing { peer, body, subject: subject(account), piece }
    }

    fn small(peer: &[u8], body: u8) -> Outgoing {
        reply(peer, Some("a"), vec![body], false)
    }

    fn sent(out: &mut Vec<Action>) -> Vec<Outgoing> {
        let reply = |action| match action {
            Action::Send(reply) => reply,
            other => panic!("{other:?}"),
        };
        out.drain(..).map(reply).collect()
    }

    fn bodies(out: &mut Vec<Action>) -> Vec<u8> {
        sent(out).iter().map(|reply| reply.body[0]).collect()
    }

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    const ROOM: usize = 8 * 1024 * 1024;

    #[test]
    fn a_slow_reader_gets_everything_in_order_and_delays_nobody() {
        let (mut queue, mut out) = (SendQueue::new(ROOM), Vec::new());
        queue.put_back(ms(0), small(b"a", 1)).unwrap();
        queue.send(small(b"a", 4), &mut out).unwrap();
        // What came back in the same turn stands before what was said later.
        queue.put_back(ms(0), small(b"a", 2)).unwrap();
        queue.put_back(ms(0), small(b"a", 3)).unwrap();
        queue.send(small(b"b", 9), &mut out).unwrap();
        assert_eq!(bodies(&mut out), [9]);
        assert_eq!(queue.next_deadline(), Some(ms(10)));
        assert!(queue.tick(ms(9), &mut out).is_empty() && out.is_empty());
        assert!(queue.tick(ms(10), &mut out).is_empty());
        assert_eq!(bodies(&mut out), [1], "the first of a line alone");
        queue.put_back(ms(11), small(b"a", 1)).unwrap();
        queue.send(small(b"a", 5), &mut out).unwrap();
        assert_eq!(queue.next_deadline(), Some(ms(31)), "ever more rarely");
        queue.tick(ms(31), &mut out);
        queue.tick(ms(31), &mut out);
        assert_eq!(bodies(&mut out), [1, 2, 3], "more when it is taken");
        // Of two, the second would have blocked.
        queue.put_back(ms(31), small(b"a", 3)).unwrap();
        queue.tick(ms(51), &mut out);
        queue.tick(ms(51), &mut out);
        assert_eq!(bodies(&mut out), [3, 4, 5]);
        assert_eq!(queue.tick(ms(51), &mut out), [b"a".to_vec()]);
        assert_eq!((queue.next_deadline(), queue.bytes, queue.subjects.len()), (None, 0, 0));
    }

    #[test]
    fn old_wound_envelopes_that_are_not_counted_fill_the_memory() {
        let (mut queue, mut kept) = (SendQueue::new(ROOM), 0);
        let mut long = small(b"a", 1);
        long.peer.envelope.extend(vec![vec![0; 255]; 6]);
        while queue.put_back(ms(0), long.clone()).is_ok() {
            kept += 1;
        }
        let real = kept * (6 * 255 + limits::OUTBOX_REPLY_COST);
        assert!(real <= ROOM / 2 && queue.bytes >= real, "{kept} {}", queue.bytes);
        queue.forget(&long.peer);
        assert_eq!((queue.bytes, queue.subjects.len()), (0, 0));
    }

    #[test]
    fn old_wound_one_silent_peer_takes_the_room_of_all() {
        let mut queue = SendQueue::new(ROOM);
        let mut fill = |account: Option<&str>, size: usize| {
            let mut bytes = 0;
            for number in 0..100_u8 {
                for peer in 0..100_u8 {
                    let reply = reply(&[number, peer], account, vec![0; size], false);
                    let cost = cost(&reply);
                    bytes += queue.put_back(ms(0), reply).map_or(0, |()| cost);
                }
            }
            bytes
        };
        // Peers without a token have a small share, each of them next to nothing.
        let strangers = fill(None, 1000);
        assert!(strangers <= limits::OUTBOX_BYTES_OF_STRANGERS_MAX, "{strangers}");
        // One subject over many connections does not take more than half of what is left.
        let mut left = ROOM - strangers;
        for subject in ["a", "b", "c", "d"] {
            let held = fill(Some(subject), 60_000);
            assert!(held > left / 4 && held <= left / 2, "{subject}: {held} of {left}");
            left -= held;
        }
        queue.put_back(ms(0), reply(b"e", Some("e"), vec![0; 100_000], false)).unwrap();
        let line = |queue: &mut SendQueue| {
            let sent = queue.send(reply(b"s", None, vec![0; 500], false), &mut Vec::new());
            sent.is_ok()
        };
        queue = SendQueue::new(ROOM);
        queue.put_back(ms(0), reply(b"s", None, vec![0; 500], false)).unwrap();
        let kept = (0..100).filter(|_| line(&mut queue)).count();
        assert!((1..10).contains(&kept), "{kept}");
    }

    #[test]
    fn old_wound_a_piece_of_a_stream_is_lost_in_silence() {
        let (mut queue, mut out) = (SendQueue::new(64 * 1024), Vec::new());
        let piece = |number| reply(&[number], Some("a"), vec![0; 8192], true);
        // Sent to many peers in one turn: all that was not refused finds room if it comes back.
        let mut taken = 0;
        for number in 0..100 {
            taken += usize::from(queue.send(piece(number), &mut out).is_ok());
        }
        assert_eq!(taken, 7);
        assert!(queue.tick(ms(0), &mut Vec::new()).is_empty());
        for reply in sent(&mut out) {
            assert_eq!(queue.put_back(ms(0), reply), Ok(()));
        }
        queue.tick(ms(0), &mut Vec::new());
        assert!(queue.bytes <= 64 * 1024);
        assert_eq!(queue.send(piece(99), &mut out), Err(Lost));
    }

    #[test]
    fn a_last_reply_finds_room_behind_a_stream() {
        let (mut queue, mut out) = (SendQueue::new(ROOM), Vec::new());
        let full = reply(b"a", Some("a"), vec![0; limits::OUTBOX_BYTES_PER_PEER_MAX], true);
        queue.put_back(ms(0), full).unwrap();
        let mut next = small(b"a", 1);
        assert_eq!(queue.send(next.clone(), &mut out), Ok(()));
        next.piece = true;
        assert_eq!(queue.send(next, &mut out), Err(Lost));
    }
}
