//! Memory of idle connections.
//!
//! Promises: a connection counts when its handshake is done (ZMTP 3, RFC 37, spoken by hand, so
//! that it costs this process a descriptor and no more). After their end, memory is read when the
//! server has closed its descriptors, has answered once more, and has had time to give it back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use zcmd::client::status::Failure;

use crate::Plan;
use crate::server::{LOOK, Server, failed, raise_descriptors};
use crate::table::Row;
use crate::wire::Target;

/// How many connections are wanted.
const WANTED: usize = 10_000;
/// Descriptors that each side needs for other things; the daemon keeps some back for commands.
const OTHERS: usize = 600;
/// How long an answer to a handshake may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may take to give memory back: the daemon does so after a second.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(3);

/// How many connections there can be: the daemon gives one address half of what it can have.
pub(crate) fn count() -> usize {
    WANTED.min(raise_descriptors().saturating_sub(OTHERS) / 2)
}

/// KiB a connection, and those that are still resident after the end of all.
pub(crate) fn measure(
    server: &Server,
    target: &Target<'_>,
    plan: &Plan,
) -> Result<[f64; 2], Failure> {
    let address = server.servers.addresses.concat();
    let (before, descriptors) = (server.resident_kib()?, server.descriptors()?);
    let mut connections = Vec::new();
    while connections.len() < count() {
        plan.check()?;
        match connect(address.trim_start_matches("tcp://")) {
            Ok(connection) => connections.push(connection),
            // The daemon bounds the handshakes of its host at once: this one comes too early.
            Err(error) if is_end(error.kind()) => std::thread::sleep(LOOK),
            Err(error) => return Err(failed("an idle connection")(error)),
        }
    }
    target.answers()?;
    let count = connections.len().max(1) as f64;
    let held = (server.resident_kib()? - before) / count;
    drop(connections);
    while server.descriptors()? > descriptors {
        plan.check()?;
        std::thread::sleep(LOOK);
    }
    target.answers()?;
    // What is given back goes a moment later.
    let until = Instant::now() + GIVEN_BACK_WITHIN;
    while Instant::now() < until && server.resident_kib()? > before + held * count / 10.0 {
        std::thread::sleep(LOOK);
    }
    Ok([held, (server.resident_kib()? - before) / count])
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL".to_vec();
    bytes.resize(64, 0);
    bytes.extend(b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER");
    stream.write_all(&bytes)?;
    // Its greeting, and the two bytes that begin its own READY.
    stream.read_exact(&mut [0; 66])?;
    Ok(stream)
}

/// Whether the other side has ended a connection.
fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The rows of this part.
pub(crate) fn rows() -> [Row; 2] {
    let name = format!("a connection of {}", count());
    [Row::new(name, "KiB"), Row::new("not given back after their end", "KiB")]
}
