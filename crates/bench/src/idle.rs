//! Memory of idle connections.
//!
//! Promises: a connection counts when its handshake is done (ZMTP 3, RFC 37, written by hand, so
//! that it costs this process only a descriptor). After the connections are closed, memory is read
//! when the server has closed its descriptors, has answered one more request, and has had time to
//! return memory.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use zcmd::client::status::Failure;

use crate::Plan;
use crate::server::{LOOK, Server, failed, raise_descriptors};
use crate::table::Row;
use crate::wire::Target;

/// The wanted number of connections.
const WANTED: usize = 10_000;
/// Descriptors that each side needs for other purposes; the daemon reserves some for commands.
const OTHERS: usize = 600;
/// The timeout of a handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time for a server to return memory: the daemon does so after a second.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(3);

/// The possible number of connections: the daemon allows one address half of its maximum.
pub(crate) fn count() -> usize {
    WANTED.min(raise_descriptors().saturating_sub(OTHERS) / 2)
}

/// KiB for each connection, and KiB for each that stay resident after all are closed.
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
            // The daemon limits the rate of handshakes of its host: this one is too early.
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
    // Memory is returned a moment later.
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
    // The server's greeting, and the first two bytes of its READY.
    stream.read_exact(&mut [0; 66])?;
    Ok(stream)
}

/// Whether the other side has closed a connection.
fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// The rows of this part.
pub(crate) fn rows() -> [Row; 2] {
    let name = format!("a connection of {}", count());
    [Row::new(name, "KiB"), Row::new("not given back after their end", "KiB")]
}
