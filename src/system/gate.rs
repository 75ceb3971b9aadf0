//! The gate: libzmq asks here about each handshake (ZAP, RFC 27), and tells of those that failed.
//!
//! Promises: bound before the socket that it guards, since libzmq lets everybody in when nobody
//! is there to be asked; each question that was understood is answered once, in the order of the
//! verdicts. Leaves out: the verdict.

use std::net::IpAddr;

use zmq::{Context, DONTWAIT, PollEvents, PollItem, Socket, SocketEvent, SocketType};

use crate::limits;
use crate::port::{Event, Handshake, Verdict};

/// Where libzmq asks.
const ADDRESS: &str = "inproc://zeromq.zap.01";
/// Where a socket tells of handshakes that failed before anybody was asked.
const FAILURES: &str = "inproc://failures";

/// The gate of one context.
pub struct Gate {
    questions: Socket,
    failures: Socket,
    /// Something may have come that its descriptor will not tell of any more.
    unsure: bool,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Gate")
    }
}

impl Gate {
    /// A gate for all sockets of this context.
    ///
    /// # Errors
    /// There is one already, or no room for one.
    pub fn open(context: &Context) -> Result<Self, zmq::Error> {
        let questions = context.socket(SocketType::ROUTER)?;
        questions.set_linger(0)?;
        questions.bind(ADDRESS)?;
        Ok(Self { questions, failures: context.socket(SocketType::PAIR)?, unsure: true })
    }

    /// Listens to what a socket, yet to be bound, tells of its handshakes.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn watch(&self, socket: &Socket) -> Result<(), zmq::Error> {
        let events =
            [SocketEvent::HANDSHAKE_FAILED_NO_DETAIL, SocketEvent::HANDSHAKE_FAILED_PROTOCOL];
        socket.monitor(FAILURES, events.iter().map(|event| i32::from(event.to_raw())).sum())?;
        self.failures.connect(FAILURES)
    }

    /// What the loop waits for: the descriptors, since to ask both sockets twice a turn costs more
    /// than the rest of a request. A descriptor tells of news once (ZMQ_FD), so what may be left
    /// has to be remembered.
    pub fn poll_items(&self) -> [PollItem<'static>; 2] {
        let readable =
            |socket: &Socket| PollItem::from_fd(socket.get_fd().unwrap_or(-1), PollEvents::POLLIN);
        [readable(&self.questions), readable(&self.failures)]
    }

    /// Whether there may be something to gather, whatever the descriptors say.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Takes what has come.
    pub fn gather(&mut self, events: &mut Vec<Event>) {
        let enough = events.len() + limits::MESSAGES_PER_TURN;
        self.unsure = false;
        while let Ok(frames) = self.questions.recv_multipart(DONTWAIT) {
            events.extend(handshake(frames).map(Event::Handshake));
            if events.len() >= enough {
                self.unsure = true;
                break;
            }
        }
        let enough = events.len() + limits::MESSAGES_PER_TURN;
        while events.len() < enough {
            let Ok(frames) = self.failures.recv_multipart(DONTWAIT) else { break };
            let from = frames.last().map(|text| String::from_utf8_lossy(text));
            let from = from.as_ref().and_then(|text| text.strip_prefix("tcp://")?.parse().ok());
            let address = from.map(|from: std::net::SocketAddr| from.ip().to_canonical());
            events.push(Event::TurnedAway { address });
            self.unsure |= events.len() >= enough;
        }
    }

    /// Answers: RFC 27, with the key as the peer's `User-Id`.
    pub fn answer(&mut self, handshake: Handshake, verdict: Verdict) {
        // To send may take in the news of what has come meanwhile.
        self.unsure = true;
        let Handshake { ticket: [peer, request], key, .. } = handshake;
        let (status, text) = match verdict {
            Verdict::Admitted => ("200", "OK"),
            Verdict::Later => ("300", "come again later"),
            Verdict::Denied => ("400", "not known here"),
        };
        let key = key.unwrap_or_default();
        let frames: [&[u8]; 8] =
            [&peer, b"", b"1.0", &request, status.as_bytes(), text.as_bytes(), key.as_bytes(), b""];
        // A peer that has left misses its answer.
        let _ = self.questions.send_multipart(frames, DONTWAIT);
    }
}

/// The question that libzmq asks. Only CURVE shows a key; the credentials of any other mechanism
/// are somebody's claim.
fn handshake(frames: Vec<Vec<u8>>) -> Option<Handshake> {
    let [peer, _, _, request, _, address, _, mechanism, credentials @ ..] = frames.as_slice()
    else {
        return None;
    };
    let address = str::from_utf8(address).ok().and_then(|text| text.parse::<IpAddr>().ok());
    let key = match (mechanism.as_slice(), credentials) {
        (b"CURVE", [key]) => zmq::z85_encode(key).ok(),
        _ => None,
    };
    let address = address.map(|address| address.to_canonical());
    Some(Handshake { ticket: [peer.clone(), request.clone()], address, key })
}
