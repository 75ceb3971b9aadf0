//! How a connection begins: what libzmq tells of it, and why a handshake fails.
//!
//! Promises: a wrong key of the daemon, a key of the client that is not listed, CURVE on one side
//! alone, and a port of another program are told apart as far as the wire allows: a daemon without
//! room ends a connection as one with another key does, and so may one without CURVE.
//! Leaves out: the connection itself.

use std::net::ToSocketAddrs;

use rustix::io::Errno;

use crate::client::settings::Curve;
use crate::client::trace;

/// ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH of zmq_socket_monitor(3).
const MECHANISM_MISMATCH: u32 = 0x1100_0002;

/// Why a handshake fails, as far as the wire tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The daemon's key is the right one, and it refuses the client's.
    NotListed,
    /// It speaks ZMTP, and has or has not CURVE where this client has it not, or has.
    OtherMechanism,
    /// It ends the connection instead of an answer.
    Closed,
    /// It does not say what a daemon says.
    NoDaemon,
}

/// What a monitored socket tells of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A server takes the connection.
    Reached,
    /// The handshake has succeeded.
    Connected,
    /// No server takes the connection.
    Away,
    /// The handshake has failed.
    Failed(Fault),
    /// The connection is over.
    Broken,
    /// Something that does not matter.
    Other,
}

impl News {
    /// Reads the first frame of an event of zmq_socket_monitor(3); none if it is no event.
    pub fn read(event: &[u8]) -> Option<Self> {
        let (event, value) = match event {
            [low, high, value @ ..] => (u16::from_ne_bytes([*low, *high]), value),
            _ => return None,
        };
        let value = value.try_into().map_or(0, u32::from_ne_bytes);
        let is = |kind: zmq::SocketEvent| event == kind.to_raw();
        Some(if is(zmq::SocketEvent::CONNECTED) {
            Self::Reached
        } else if is(zmq::SocketEvent::HANDSHAKE_SUCCEEDED) {
            Self::Connected
        } else if is(zmq::SocketEvent::DISCONNECTED) {
            Self::Broken
        } else if is(zmq::SocketEvent::CONNECT_RETRIED) {
            Self::Away
        } else if is(zmq::SocketEvent::HANDSHAKE_FAILED_AUTH) {
            Self::Failed(Fault::NotListed)
        } else if is(zmq::SocketEvent::HANDSHAKE_FAILED_PROTOCOL) {
            Self::Failed(match value {
                MECHANISM_MISMATCH => Fault::OtherMechanism,
                _ => Fault::NoDaemon,
            })
        } else if is(zmq::SocketEvent::HANDSHAKE_FAILED_NO_DETAIL) {
            let closed = [Errno::PIPE, Errno::CONNRESET].map(Errno::raw_os_error);
            let is_closed = i32::try_from(value).is_ok_and(|value| closed.contains(&value));
            Self::Failed(if is_closed { Fault::Closed } else { Fault::NoDaemon })
        } else {
            Self::Other
        })
    }
}

impl Fault {
    /// What is wrong, and what to do.
    pub fn words(self, curve: Option<&Curve>) -> String {
        match (self, curve) {
            (Self::NotListed, Some(Curve { own: [_, own], .. })) => format!(
                "its key is the right one, and it refuses the client's: its owner has to list the \
                 key with the thumbprint {} (CURVE_CLIENTS_FILE)",
                own.thumbprint()
            ),
            (Self::Closed, Some(Curve { server, .. })) => format!(
                "it ends the connection: its key is most likely another one than that of \
                 ZCMD_SERVER_KEY (server_key), whose thumbprint is {}; or it has no CURVE, or no \
                 room for another connection",
                server.thumbprint()
            ),
            (Self::OtherMechanism, Some(_)) => "it has no CURVE: unset ZCMD_SERVER_KEY and \
                 ZCMD_KEY_FILE (server_key, key_file) if it is on this host"
                .to_owned(),
            (Self::NotListed | Self::Closed | Self::OtherMechanism, None) => {
                "it may want CURVE: set ZCMD_SERVER_KEY and ZCMD_KEY_FILE (server_key, key_file)"
                    .to_owned()
            }
            (Self::NoDaemon, _) => "it says nothing that zcmdd says: another program listens \
                 there; check the port"
                .to_owned(),
        }
    }
}

/// Tells, with `-v`, the addresses of a server that has a name. libzmq looks it up by itself.
pub fn tell_addresses(server: &str) {
    let place = server.strip_prefix("tcp://").filter(|_| trace::is_on());
    if let Some(place) = place {
        let found = place.to_socket_addrs().map(|found| found.map(|a| a.ip().to_string()));
        trace::tell(|| match found {
            Ok(found) => format!("{place} is {}", found.collect::<Vec<_>>().join(", ")),
            Err(error) => format!("{place}: {error}"),
        });
    }
}
