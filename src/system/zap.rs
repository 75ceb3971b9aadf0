//! The ZAP handler (RFC 27): libzmq asks it about each handshake, and reports failed handshakes.
//!
//! Promises: it is bound before the socket that it guards, since libzmq admits every peer when no
//! handler is bound; each valid request is answered once, in the order of the verdicts. Leaves out:
//! the verdict.

use std::net::IpAddr;

use zmq::{Context, DONTWAIT, PollEvents, PollItem, SNDMORE, Socket, SocketEvent, SocketType};

use crate::limits;
use crate::port::{Event, Handshake, Verdict};
use crate::system::signals::uninterrupted;

/// The address at which libzmq asks.
const ADDRESS: &str = "inproc://zeromq.zap.01";
/// The address at which a socket reports handshakes that failed before the handler was asked.
const FAILURES: &str = "inproc://failures";

/// The ZAP handler of one context.
pub struct Zap {
    questions: Socket,
    failures: Socket,
    /// Events may be left that the descriptors do not signal again.
    unsure: bool,
}

impl std::fmt::Debug for Zap {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Zap")
    }
}

impl Zap {
    /// A handler for all sockets of this context.
    ///
    /// # Errors
    /// There is one already, or no resources for one.
    pub fn open(context: &Context) -> Result<Self, zmq::Error> {
        let questions = context.socket(SocketType::ROUTER)?;
        questions.set_linger(0)?;
        questions.bind(ADDRESS)?;
        Ok(Self { questions, failures: context.socket(SocketType::PAIR)?, unsure: true })
    }

    /// Monitors the handshakes of a socket that is not bound yet.
    ///
    /// # Errors
    /// There are no resources for it.
    pub fn watch(&self, socket: &Socket) -> Result<(), zmq::Error> {
        let events =
            [SocketEvent::HANDSHAKE_FAILED_NO_DETAIL, SocketEvent::HANDSHAKE_FAILED_PROTOCOL];
        socket.monitor(FAILURES, events.iter().map(|event| i32::from(event.to_raw())).sum())?;
        self.failures.connect(FAILURES)
    }

    /// The descriptors that the loop waits for: reading both sockets twice a turn would cost more
    /// than the rest of a request. A descriptor signals new events only once (ZMQ_FD), so the
    /// handler remembers whether events may be left.
    pub fn poll_items(&self) -> [PollItem<'static>; 2] {
        let readable =
            |socket: &Socket| PollItem::from_fd(socket.get_fd().unwrap_or(-1), PollEvents::POLLIN);
        [readable(&self.questions), readable(&self.failures)]
    }

    /// Whether events may be left, whatever the descriptors signal.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Takes the events that have arrived.
    pub fn gather(&mut self, events: &mut Vec<Event>) {
        let enough = events.len() + limits::MESSAGES_PER_TURN;
        self.unsure = false;
        while let Some(frames) = receive(&self.questions) {
            events.extend(handshake(frames).map(Event::Handshake));
            if events.len() >= enough {
                self.unsure = true;
                break;
            }
        }
        let enough = events.len() + limits::MESSAGES_PER_TURN;
        while events.len() < enough {
            let Some(frames) = receive(&self.failures) else { break };
            let from = frames.last().map(|text| String::from_utf8_lossy(text));
            let host = from.as_ref().and_then(|text| text.strip_prefix("tcp://")?.rsplit_once(':'));
            let address = host.and_then(|(host, _)| address_of(host));
            events.push(Event::HandshakeFailed { address });
            self.unsure |= events.len() >= enough;
        }
    }

    /// Answers: RFC 27, with the key as the peer's `User-Id`.
    pub fn answer(&mut self, handshake: Handshake, verdict: Verdict) {
        // Sending may process the signals for messages that arrived meanwhile.
        self.unsure = true;
        let Handshake { ticket: [peer, request], key, .. } = handshake;
        let (status, text) = match verdict {
            Verdict::Admitted => ("200", "OK"),
            Verdict::Later => ("300", "try again later"),
            Verdict::Denied => ("400", "the key is not admitted"),
        };
        let key = key.unwrap_or_default();
        let frames: [&[u8]; 8] =
            [&peer, b"", b"1.0", &request, status.as_bytes(), text.as_bytes(), key.as_bytes(), b""];
        let last = frames.len() - 1;
        for (index, frame) in frames.into_iter().enumerate() {
            let flags = if index == last { DONTWAIT } else { DONTWAIT | SNDMORE };
            if uninterrupted(|| self.questions.send(frame, flags)).is_err() {
                return; // The peer has disconnected.
            }
        }
    }
}

/// The frames of the next message, if there is one: libzmq delivers them together.
fn receive(socket: &Socket) -> Option<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    loop {
        let frame = uninterrupted(|| socket.recv_msg(DONTWAIT)).ok()?;
        frames.push(frame.to_vec());
        if !frame.get_more() {
            return Some(frames);
        }
    }
}

/// An address in libzmq's format: with or without brackets, and, if link-local, with the name of
/// the interface (`fe80::1%eth0`), which says nothing about the peer.
pub(super) fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let address = text.split('%').next()?.parse::<IpAddr>().ok()?;
    Some(address.to_canonical())
}

/// Parses a request of libzmq. Only CURVE proves a key; the credentials of other mechanisms are
/// unverified claims.
fn handshake(frames: Vec<Vec<u8>>) -> Option<Handshake> {
    let [peer, _, _, request, _, address, _, mechanism, credentials @ ..] = frames.as_slice()
    else {
        return None;
    };
    let address = str::from_utf8(address).ok().and_then(address_of);
    let key = match (mechanism.as_slice(), credentials) {
        (b"CURVE", [key]) => zmq::z85_encode(key).ok(),
        _ => None,
    };
    Some(Handshake { ticket: [peer.clone(), request.clone()], address, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_wound_a_link_local_peer_has_no_address() {
        let cases = [
            ("fe80::1%eth0", Some("fe80::1")),
            ("[fe80::1%2]", Some("fe80::1")),
            ("[::1]", Some("::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1", Some("10.0.0.1")),
            (":0:0:1234", None),
            ("", None),
        ];
        for (text, address) in cases {
            assert_eq!(address_of(text), address.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}
