//! The socket: a ZeroMQ `ROUTER`.
//!
//! Promises: frames are read one by one; a frame over a bound is dropped at once, never collected;
//! a message of a wrong layout is reported once, and no part of it is used. Sending never blocks: a
//! reply that cannot be sent is refused with the reason.
//! Leaves out: what is in a body, and what becomes of a reply that is refused.

use std::net::IpAddr;
use std::time::Duration;

use zmq::{Context, DONTWAIT, Error, Message, PollEvents, PollItem, SNDMORE, Socket, SocketType};

use crate::limits;
use crate::port::{Event, Misframing, Outgoing, Peer, Unsent};
use crate::system::listener::{Access, with_access};
use crate::system::signals::uninterrupted;
use crate::system::zap::{Zap, address_of};

/// A bound socket.
pub struct Router {
    socket: Socket,
    endpoints: Vec<String>,
    /// Whether peers have shown a key.
    curve: bool,
    /// The unfinished message.
    partial: Partial,
}

/// An unfinished message.
#[derive(Default)]
struct Partial {
    frames: Vec<Vec<u8>>,
    bytes: usize,
    address: Option<IpAddr>,
    key: Option<String>,
    fault: Option<Misframing>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Router")
    }
}

impl Router {
    /// Listens on all endpoints, with at most `connections_max` connections; with CURVE if there is
    /// a secret key.
    ///
    /// # Errors
    /// The first endpoint that cannot be listened on, and why.
    pub fn bind(
        context: &Context,
        zap: &Zap,
        endpoints: &[String],
        connections_max: i32,
        curve_secret: Option<[u8; 32]>,
        access: &Access,
    ) -> Result<Self, String> {
        let prepare = || {
            let socket = harden(context.socket(SocketType::ROUTER))?;
            // A bound for all endpoints together (table in crates/libzmq/src/lib.rs).
            socket.set_backlog(connections_max)?;
            if let Some(secret) = curve_secret {
                socket.set_curve_server(true)?;
                socket.set_curve_secretkey(&secret)?;
            }
            zap.watch(&socket)?;
            Ok(socket)
        };
        let socket = prepare().map_err(|error: Error| format!("cannot make a socket: {error}"))?;
        let mut bound = Vec::new();
        for endpoint in endpoints {
            let bind = || socket.bind(endpoint).map_err(|error| error.to_string());
            let done = match endpoint.strip_prefix("ipc://") {
                Some(path) => with_access(path, access, bind),
                None => bind(),
            };
            done.map_err(|why| format!("SERVER_ADDRESS={endpoint}: cannot listen there: {why}"))?;
            let last = socket.get_last_endpoint().ok().and_then(Result::ok);
            bound.push(last.unwrap_or_else(|| endpoint.clone()));
        }
        let partial = Partial::default();
        Ok(Self { socket, endpoints: bound, curve: curve_secret.is_some(), partial })
    }

    /// Where it listens: the endpoints as bound, with the port in the place of a `*`.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Sets the bytes of replies that may wait in libzmq for all peers together.
    pub fn set_reply_room(&self, bytes: usize) {
        // An option with another meaning: see the table in crates/libzmq/src/lib.rs.
        let kib = i32::try_from(bytes / 1024).unwrap_or(i32::MAX).max(1);
        // It takes any number above 0.
        let _ = self.socket.set_rate(kib);
    }

    /// What the loop waits for.
    pub fn poll_item(&self) -> PollItem<'_> {
        self.socket.as_poll_item(PollEvents::POLLIN)
    }

    /// Whether a message is there, or arrives within this time.
    pub fn is_ready(&self, within: Duration) -> bool {
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        zmq::poll(&mut [self.poll_item()], within).is_ok_and(|ready| ready > 0)
    }

    /// Takes at most `MESSAGES_PER_TURN` messages and as many frames as they may have; the rest
    /// stays for the next turn.
    pub fn gather(&mut self, events: &mut Vec<Event>) {
        let (mut dropped, mut bytes) = (0, 0);
        let enough = events.len() + limits::MESSAGES_PER_TURN;
        while events.len() < enough
            && bytes < limits::MESSAGE_BYTES_PER_TURN
            && dropped < limits::DROPPED_FRAMES_PER_TURN_MAX
        {
            // EAGAIN: nothing more to read. The next turn meets any other error again.
            let received = uninterrupted(|| self.socket.recv_msg(DONTWAIT));
            let Ok(mut frame) = received else { return };
            let more = frame.get_more();
            bytes += frame.len();
            dropped += usize::from(self.partial.fault.is_some());
            self.partial.push(&mut frame, more, self.curve);
            if !more {
                events.extend(std::mem::take(&mut self.partial).finish());
            }
        }
    }

    /// Sends a reply.
    ///
    /// # Errors
    /// It is not sent; the reason.
    pub fn send(&self, reply: &Outgoing) -> Result<(), Unsent> {
        self.try_send(&reply.peer, &reply.body).map_err(|error| match error {
            Error::EAGAIN => Unsent::WouldBlock,
            // EHOSTUNREACH: with ROUTER_MANDATORY, the peer has left.
            _ => Unsent::Gone,
        })
    }

    fn try_send(&self, peer: &Peer, body: &[u8]) -> Result<(), Error> {
        // The first frame decides whether libzmq takes the message; it is not sent itself.
        let mut announced = announce(peer, body);
        for frame in &peer.envelope {
            let flags = DONTWAIT | SNDMORE | std::mem::take(&mut announced);
            uninterrupted(|| self.socket.send(frame.as_slice(), flags))?;
        }
        uninterrupted(|| self.socket.send(body, DONTWAIT))
    }
}

/// The memory of a reply in libzmq, in KiB, in unused bits of the flags: the corrections read it
/// (table in crates/libzmq/src/lib.rs), and any other libzmq ignores it.
fn announce(peer: &Peer, body: &[u8]) -> i32 {
    let cost = |bytes: usize| bytes + limits::FRAME_COST;
    let frames = peer.envelope.iter().skip(1).map(|frame| cost(frame.len()));
    let kib = (frames.sum::<usize>() + cost(body.len())).div_ceil(1024);
    i32::try_from(kib).unwrap_or(i32::MAX).min(i32::MAX >> 8) << 8
}

/// The options that keep strangers from filling or stalling the socket; all before it is bound.
fn harden(socket: Result<Socket, Error>) -> Result<Socket, Error> {
    let socket = socket?;
    socket.set_maxmsgsize(limits::FRAME_BYTES_MAX)?;
    socket.set_handshake_ivl(limits::HANDSHAKE_MS_MAX)?;
    socket.set_rcvhwm(limits::PEER_MESSAGES_MAX)?;
    socket.set_sndhwm(limits::PEER_MESSAGES_MAX)?;
    // Two options that only multicast and heartbeats use, which the corrections use for the bytes
    // that all peers may have waiting and for the time to finish a message
    // (crates/libzmq/src/lib.rs).
    socket.set_recovery_ivl(limits::INCOMING_KIB_MAX)?;
    socket.set_heartbeat_timeout(limits::MESSAGE_MS_MAX)?;
    socket.set_linger(limits::LINGER_MS)?;
    // TCP detects dead hosts. ZMTP heartbeats would take a slow reader for dead: while a queue is
    // full, libzmq does not read the answers to them.
    let [idle, interval, count] = limits::KEEPALIVE;
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_idle(idle)?;
    socket.set_tcp_keepalive_intvl(interval)?;
    socket.set_tcp_keepalive_cnt(count)?;
    socket.set_ipv6(true)?;
    socket.set_router_mandatory(true)?;
    socket.set_router_handover(false)?;
    // With a domain, libzmq refuses peers below ZMTP 3, and so random bytes.
    socket.set_zap_domain("zcmd")?;
    Ok(socket)
}

impl Partial {
    fn push(&mut self, frame: &mut Message, more: bool, curve: bool) {
        self.bytes = self.bytes.saturating_add(frame.len());
        if more && frame.len() > limits::ENVELOPE_FRAME_BYTES_MAX {
            self.fault.get_or_insert(Misframing::LongEnvelope);
        } else if self.frames.len() >= limits::MESSAGE_FRAMES_MAX {
            self.fault.get_or_insert(Misframing::TooManyFrames);
        } else if self.bytes > limits::MESSAGE_BYTES_MAX {
            self.fault.get_or_insert(Misframing::TooManyBytes);
        }
        if self.fault.is_none() {
            self.frames.push(frame.to_vec());
        }
        if !more {
            // ZeroMQ knows the address of a message, not of a peer.
            self.address = frame.gets("Peer-Address").and_then(address_of);
            let key = if curve { frame.gets("User-Id") } else { None };
            self.key = key.filter(|key| !key.is_empty()).map(str::to_owned);
        }
    }

    /// Splits a whole message: the envelope ends with the last empty frame before the body; one
    /// without an empty frame, and one that is too large, is the routing id alone.
    fn finish(self) -> Option<Event> {
        let Self { mut frames, address, key, mut fault, .. } = self;
        let last = frames.len().saturating_sub(1);
        let before = if fault.is_some() { &frames[..] } else { frames.get(..last)? };
        let delimiter = before.iter().rposition(|frame| frame.is_empty());
        let envelope_length = match fault {
            Some(Misframing::LongEnvelope | Misframing::TooManyFrames) => 1,
            _ => delimiter.map_or(1, |position| position + 1),
        };
        let mut rest = frames.split_off(envelope_length.min(frames.len()));
        let peer = Peer { envelope: frames, address, key };
        let body = rest.pop().unwrap_or_default();
        if fault.is_none() && !rest.is_empty() {
            fault = Some(Misframing::SeveralBodies);
        } else if fault.is_none() && body.is_empty() {
            fault = Some(Misframing::EmptyBody);
        }
        Some(match fault {
            None => Event::Message { peer, body },
            Some(fault) => Event::Misframed { peer, fault },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(frames: &[&[u8]]) -> Event {
        let mut partial = Partial::default();
        for (index, frame) in frames.iter().enumerate() {
            partial.push(&mut Message::from(*frame), index + 1 < frames.len(), false);
        }
        partial.finish().expect("an event")
    }

    #[test]
    fn the_envelope_is_what_stands_before_the_body() {
        let id: &[u8] = b"\0abcd";
        let body: &[u8] = b"{}";
        let cases: &[(&[&[u8]], usize)] = &[
            (&[id, body], 1),
            (&[id, b"", body], 2),
            (&[id, b"client", b"", body], 3),
            (&[id, b"", b"client", b"", body], 4),
            (&[id, b"1", b"2", b"3", b"4", b"5", b"", body], 7),
        ];
        for (frames, envelope_length) in cases {
            let Event::Message { peer, body: found } = read(frames) else { panic!("{frames:?}") };
            assert_eq!(peer.envelope, frames[..*envelope_length]);
            assert_eq!(found, body);
        }
    }

    #[test]
    fn old_wound_an_envelope_of_any_size_is_sent_back() {
        let (id, full, long): (&[u8], &[u8], &[u8]) = (b"\0abcd", &[b'x'; 255], &[b'x'; 256]);
        let largest = [id, full, full, full, full, full, b"", b"{}"];
        let Event::Message { peer, .. } = read(&largest) else { panic!("lawful") };
        assert_eq!(peer.envelope, largest[..7]);
        let cases: [&[&[u8]]; 4] = [
            &[id, long, b"", b"{}"],
            &[id, b"", long, b"{}"],
            &[id, full, full, full, full, full, full, b"", b"{}"],
            &[id, b"", b"", b"", b"", b"", b"", b"", b""],
        ];
        for frames in cases {
            let Event::Misframed { peer, .. } = read(frames) else { panic!("{frames:?}") };
            assert_eq!(peer.envelope, [id]);
        }
    }

    #[test]
    fn any_other_layout_is_reported_once_and_nothing_of_it_is_used() {
        let id: &[u8] = b"\0abcd";
        let large = vec![b'x'; limits::MESSAGE_BYTES_MAX];
        let many = vec![id; limits::MESSAGE_FRAMES_MAX + 1];
        let cases: &[(&[&[u8]], Misframing, usize)] = &[
            (&[id, b"{}", b"{}"], Misframing::SeveralBodies, 1),
            (&[id, b"", b"{}", b"{}"], Misframing::SeveralBodies, 2),
            (&[id, b""], Misframing::EmptyBody, 1),
            (&[id, b"", b""], Misframing::EmptyBody, 2),
            (&[id], Misframing::EmptyBody, 1),
            (&[id, &large], Misframing::TooManyBytes, 1),
            (&[id, b"", &large], Misframing::TooManyBytes, 2),
            (&[id, b"", &large, b"{}"], Misframing::LongEnvelope, 1),
            (&many, Misframing::TooManyFrames, 1),
        ];
        for (frames, wanted, envelope_length) in cases {
            let Event::Misframed { peer, fault } = read(frames) else { panic!("a message") };
            assert_eq!((fault, peer.envelope.len()), (*wanted, *envelope_length), "{wanted:?}");
        }
    }
}
