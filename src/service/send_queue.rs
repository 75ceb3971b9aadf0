//! The replies on their way out, and those that a peer does not take yet: the one owner of
//! backpressure.
//!
//! In each turn the daemon takes one reply after the other, sends it, and tells at once if it would
//! block. Such a reply waits in the line of its peer and is tried again, first after 10 ms and then
//! ever more rarely.
//! Promises: the order of the replies to one peer is kept. All that waits is counted, with its
//! envelope and a fixed cost, and bounded: for each peer, for each subject over all its peers, for
//! all peers without a token together, and for all. A subject may hold half of what is left, so
//! that there is always room for those who hold little. A piece of a stream is refused before it
//! is sent, or is not lost. With nothing waiting there is no timer.
//! Leaves out: the commands whose output it is. `Service` pauses them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits;
use crate::port::{Outgoing, Peer, Subject};
use crate::service::settings::CommandLimits;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// All replies that are not sent.
#[derive(Debug)]
pub struct SendQueue {
    bytes_max: usize,
    /// Replies of this turn, to peers for whom nothing waited.
    ready: VecDeque<Outgoing>,
    /// What the pieces of streams among them cost: each has its room if it has to wait.
    reserved: usize,
    /// The replies that wait, by the routing id of their peer.
    lines: BTreeMap<Vec<u8>, Line>,
    bytes: usize,
    /// What waits for each subject; for none, what waits for peers without a token.
    subjects: BTreeMap<Option<Subject>, usize>,
    /// The lines that are tried in this turn, and how many replies of them still may be.
    due: Vec<Vec<u8>>,
    tries: usize,
}

/// There is no room for a reply, and its peer will never see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// What the queue says next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// This reply is to be sent; if that would block, it is put back before the next question.
    Send(Outgoing),
    /// The peer of this routing id has taken all that waited for it.
    CaughtUp(Vec<u8>),
    /// A reply is lost: its peer does not read, and has no room left.
    Lost,
}

/// The replies that wait for one peer.
#[derive(Debug)]
struct Line {
    replies: VecDeque<Outgoing>,
    bytes: usize,
    /// When to try again.
    retry_at: Duration,
    /// How long it waits after the next try that fails, halved.
    pause: Duration,
    /// Whether a reply of it was handed out and has not come back: then it is taken.
    tried: bool,
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
        let (ready, lines, subjects, due) = Default::default();
        Self { bytes_max, ready, reserved: 0, lines, bytes: 0, subjects, due, tries: 0 }
    }

    /// Changes the room; what waits stays.
    pub fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Takes a reply: it is sent in this turn, or waits behind others for its peer.
    ///
    /// # Errors
    /// There is no room for it. It is lost, since its peer does not read.
    pub fn push(&mut self, reply: Outgoing) -> Result<(), Lost> {
        // Most of the time no peer has something waiting.
        if !self.lines.is_empty() && self.waits_for(&reply.peer) {
            if !self.fits(&reply) {
                return Err(Lost);
            }
            self.wait(reply);
            return Ok(());
        }
        if reply.piece {
            // There may be no other reply left to tell that it is lost.
            let cost = cost(&reply);
            if cost > self.left() {
                return Err(Lost);
            }
            self.reserved += cost;
        }
        self.ready.push_back(reply);
        Ok(())
    }

    /// A turn begins: the lines that are due are tried in it.
    pub fn begin_turn(&mut self, now: Duration) {
        self.tries = limits::RETRIES_PER_TURN;
        let due = self.lines.iter().filter(|(_, line)| line.retry_at <= now);
        self.due = due.map(|(id, _)| id.clone()).collect();
    }

    /// What to do next in this turn; none when all is sent or waits.
    pub fn pop(&mut self) -> Option<Next> {
        while let Some(id) = self.due.pop() {
            // It has gone meanwhile.
            let Some(line) = self.lines.get_mut(&id) else { continue };
            if self.tries == 0 {
                // The others stay due, and so the next turn begins at once.
                self.due.clear();
                break;
            }
            let Some(reply) = line.replies.pop_front() else {
                self.lines.remove(&id);
                return Some(Next::CaughtUp(id));
            };
            if std::mem::replace(&mut line.tried, true) {
                line.pause = FIRST_RETRY / 2;
            }
            self.tries -= 1;
            line.bytes = line.bytes.saturating_sub(cost(&reply));
            self.discharge(&reply);
            self.due.push(id);
            return Some(Next::Send(reply));
        }
        while let Some(reply) = self.ready.pop_front() {
            if reply.piece {
                self.reserved = self.reserved.saturating_sub(cost(&reply));
            }
            if self.lines.is_empty() || !self.waits_for(&reply.peer) {
                return Some(Next::Send(reply));
            }
            // Its peer has not taken another one in this turn. A piece has its room, which it gives
            // up for this.
            if reply.piece || self.fits(&reply) {
                self.wait(reply);
            } else {
                return Some(Next::Lost);
            }
        }
        None
    }

    /// Takes back the reply of the last `Next::Send`, which would have blocked.
    ///
    /// # Errors
    /// As for `push`; never for a piece, nor for a reply that has waited here before.
    pub fn put_back(&mut self, now: Duration, reply: Outgoing) -> Result<(), Lost> {
        let id = routing_id(&reply.peer);
        let has_waited = self.due.last() == Some(&id);
        if has_waited {
            self.due.pop();
        } else if !reply.piece && !self.fits(&reply) {
            return Err(Lost);
        }
        let (cost, subject) = (cost(&reply), reply.subject.clone());
        let line = self.lines.entry(id).or_insert_with(|| Line {
            replies: VecDeque::new(),
            bytes: 0,
            retry_at: now,
            pause: FIRST_RETRY / 2,
            tried: false,
        });
        line.tried = false;
        line.pause = line.pause.saturating_mul(2).min(LAST_RETRY);
        line.retry_at = now.saturating_add(line.pause);
        line.bytes += cost;
        line.replies.push_front(reply);
        self.charge(subject, cost);
        Ok(())
    }

    /// Forgets a peer that has left; tells how many replies waited for it.
    pub fn forget(&mut self, peer: &Peer) -> usize {
        let line = self.lines.remove(&routing_id(peer));
        let replies = line.map(|line| line.replies).unwrap_or_default();
        replies.iter().for_each(|reply| self.discharge(reply));
        replies.len()
    }

    /// Whether something waits for this peer.
    pub fn waits_for(&self, peer: &Peer) -> bool {
        peer.envelope.first().is_some_and(|id| self.lines.contains_key(id))
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.ready.is_empty()
    }

    /// When the next turn has something to send or to try again.
    pub fn next_deadline(&self) -> Option<Duration> {
        match self.ready.is_empty() {
            true => self.lines.values().map(|line| line.retry_at).min(),
            false => Some(Duration::ZERO),
        }
    }

    /// Has a reply wait as the last one of its peer's line.
    fn wait(&mut self, reply: Outgoing) {
        let Some(line) = self.lines.get_mut(&routing_id(&reply.peer)) else { return };
        let (cost, subject) = (cost(&reply), reply.subject.clone());
        line.bytes += cost;
        line.replies.push_back(reply);
        self.charge(subject, cost);
    }

    fn fits(&self, reply: &Outgoing) -> bool {
        let (cost, line) = (cost(reply), self.lines.get(&routing_id(&reply.peer)));
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

    /// Room that is left when all pieces that are ready have to wait.
    fn left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes).saturating_sub(self.reserved)
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

    /// Sends all that may be sent to peers that read; tells the bodies. What is for others comes
    /// back.
    fn turn(queue: &mut SendQueue, now: u64, reads: &[&[u8]]) -> Vec<u8> {
        let mut bodies = Vec::new();
        queue.begin_turn(ms(now));
        while let Some(next) = queue.pop() {
            match next {
                Next::Send(reply) if reads.contains(&&*reply.peer.envelope[0]) => {
                    bodies.push(reply.body[0]);
                }
                Next::Send(reply) => assert_eq!(queue.put_back(ms(now), reply), Ok(())),
                Next::CaughtUp(_) => bodies.push(CAUGHT_UP),
                Next::Lost => bodies.push(LOST),
            }
        }
        bodies
    }

    const CAUGHT_UP: u8 = 100;
    const LOST: u8 = 101;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    const ROOM: usize = 8 * 1024 * 1024;

    #[test]
    fn a_slow_reader_gets_everything_in_order_and_delays_nobody() {
        let mut queue = SendQueue::new(ROOM);
        let push = |queue: &mut SendQueue, peer: &[u8], bodies: &[u8]| {
            bodies.iter().for_each(|body| queue.push(small(peer, *body)).unwrap());
        };
        push(&mut queue, b"a", &[1, 2]);
        push(&mut queue, b"b", &[9]);
        assert_eq!(turn(&mut queue, 0, &[b"b"]), [9]);
        push(&mut queue, b"a", &[3]);
        assert_eq!(queue.next_deadline(), Some(ms(10)));
        assert!(turn(&mut queue, 9, &[b"a", b"b"]).is_empty());
        assert!(turn(&mut queue, 10, &[]).is_empty());
        assert_eq!(queue.next_deadline(), Some(ms(30)), "ever more rarely");
        // One that is taken begins anew with short pauses.
        queue.begin_turn(ms(30));
        let Some(Next::Send(first)) = queue.pop() else { panic!("a retry") };
        let Some(Next::Send(second)) = queue.pop() else { panic!("the next of its line") };
        assert_eq!((first.body, &second.body), (vec![1], &vec![2]));
        queue.put_back(ms(30), second).unwrap();
        assert_eq!((queue.pop(), queue.next_deadline()), (None, Some(ms(40))));
        push(&mut queue, b"a", &[4]);
        assert_eq!(turn(&mut queue, 40, &[b"a"]), [2, 3, 4, CAUGHT_UP]);
        assert_eq!((queue.next_deadline(), queue.bytes, queue.subjects.len()), (None, 0, 0));
        for pause in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            push(&mut queue, b"a", &[1]);
            let now = queue.next_deadline().unwrap();
            turn(&mut queue, u64::try_from(now.as_millis()).unwrap(), &[]);
            assert_eq!(queue.next_deadline(), Some(now + ms(pause)));
        }
    }

    #[test]
    fn a_long_line_is_sent_over_several_turns() {
        let (mut queue, wanted) = (SendQueue::new(ROOM), limits::RETRIES_PER_TURN + 5);
        queue.put_back(ms(0), small(b"a", 0)).unwrap();
        (1..wanted).for_each(|_| queue.push(small(b"a", 0)).unwrap());
        assert_eq!(turn(&mut queue, 10, &[b"a"]).len(), limits::RETRIES_PER_TURN);
        assert_eq!(queue.next_deadline(), Some(ms(10)), "the next turn begins at once");
        assert_eq!(turn(&mut queue, 10, &[b"a"]), [0, 0, 0, 0, 0, CAUGHT_UP]);
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
        queue = SendQueue::new(ROOM);
        queue.put_back(ms(0), reply(b"s", None, vec![0; 500], false)).unwrap();
        let line = |_: &i32| queue.push(reply(b"s", None, vec![0; 500], false)).is_ok();
        let kept = (0..100).filter(line).count();
        assert!((1..10).contains(&kept), "{kept}");
        // The same if it does not take the first of many in one turn.
        queue = SendQueue::new(ROOM);
        (0..100).for_each(|_| queue.push(reply(b"s", None, vec![0; 500], false)).unwrap());
        let lost = turn(&mut queue, 0, &[]).iter().filter(|body| **body == LOST).count();
        assert_eq!(lost, 100 - 1 - kept);
    }

    #[test]
    fn old_wound_a_piece_of_a_stream_is_lost_in_silence() {
        let mut queue = SendQueue::new(64 * 1024);
        let piece = |number| reply(&[number], Some("a"), vec![0; 8192], true);
        // Of many in one turn, all that was not refused finds room if it comes back, whatever else
        // waits meanwhile.
        let mut taken = (0..100).filter(|number| queue.push(piece(*number)).is_ok());
        assert_eq!(taken.by_ref().count(), 7);
        (0..100).for_each(|number| {
            queue.push(reply(&[number], Some("b"), vec![0; 8192], false)).unwrap()
        });
        queue.begin_turn(ms(0));
        let mut kept = 0;
        while let Some(next) = queue.pop() {
            let Next::Send(reply) = next else { continue };
            let piece = reply.piece;
            let done = queue.put_back(ms(0), reply);
            assert!(done.is_ok() || !piece);
            kept += usize::from(piece);
        }
        assert_eq!(kept, 7);
        assert!(queue.bytes <= 64 * 1024);
        assert_eq!(queue.push(piece(99)), Err(Lost));
    }

    #[test]
    fn old_wound_pieces_for_a_peer_that_blocks_in_their_turn_are_lost_in_silence() {
        for (room, size) in [(64 * 1024, 8192), (ROOM, 87_500)] {
            let mut queue = SendQueue::new(room);
            let piece = || reply(b"a", Some("a"), vec![0; size], true);
            let taken = (0..64).filter(|_| queue.push(piece()).is_ok()).count();
            assert!(!turn(&mut queue, 0, &[]).contains(&LOST));
            let kept = turn(&mut queue, 10, &[b"a"]);
            assert_eq!(kept.iter().filter(|body| **body == 0).count(), taken);
        }
    }

    #[test]
    fn a_last_reply_finds_room_behind_a_stream() {
        let mut queue = SendQueue::new(ROOM);
        let full = reply(b"a", Some("a"), vec![0; limits::OUTBOX_BYTES_PER_PEER_MAX], true);
        queue.put_back(ms(0), full).unwrap();
        let mut next = small(b"a", 1);
        assert_eq!(queue.push(next.clone()), Ok(()));
        next.piece = true;
        assert_eq!(queue.push(next), Err(Lost));
    }
}
