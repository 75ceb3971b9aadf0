//! Peers for tests of the transport: one that writes ZMTP by hand, and one that must not be
//! delayed.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{House, receive};

/// A peer that writes ZMTP 3 by hand (RFC 37).
pub struct Raw<S = TcpStream>(pub S);

impl Raw {
    pub fn open(house: &House) -> TcpStream {
        Self::open_from(Ipv4Addr::LOCALHOST, house)
    }

    /// Connects from this loopback address.
    pub fn open_from(source: Ipv4Addr, house: &House) -> TcpStream {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
        let (family, closed) = (AddressFamily::INET, SocketFlags::CLOEXEC);
        let socket = socket_with(family, SocketType::STREAM, closed, None).unwrap();
        bind(&socket, &SocketAddrV4::new(source, 0)).unwrap();
        let daemon: SocketAddrV4 = house.tcp.trim_start_matches("tcp://").parse().unwrap();
        connect(&socket, &daemon).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
        stream.set_write_timeout(Some(super::PATIENCE)).unwrap();
        stream
    }

    /// Connects from an address by number; the first 65,024 numbers have different ones.
    pub fn open_as(number: usize, house: &House) -> TcpStream {
        let [high, low] = [number / 254, number % 254 + 1].map(|part| u8::try_from(part).unwrap());
        Self::open_from(Ipv4Addr::new(127, 1, high, low), house)
    }

    pub fn greeting(mechanism: &str) -> [u8; 64] {
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
        greeting
    }

    /// Completes a handshake with NULL, with this routing id.
    pub fn handshake(id: &[u8]) -> Vec<u8> {
        let mut ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0".to_vec();
        ready.push(u8::try_from(id.len()).unwrap());
        ready.extend(id);
        let mut bytes = Self::greeting("NULL").to_vec();
        bytes.extend([4, u8::try_from(ready.len()).unwrap()]);
        bytes.extend(ready);
        bytes
    }

    /// A connection after its handshake.
    pub fn ready(house: &House, id: &[u8]) -> Self {
        Self::over(Self::open(house), id)
    }
}

impl<S: Read + Write> Raw<S> {
    /// The same over another stream.
    pub fn over(mut stream: S, id: &[u8]) -> Self {
        stream.write_all(&Raw::handshake(id)).unwrap();
        // The greeting of the daemon, and the first two bytes of its READY.
        stream.read_exact(&mut [0; 66]).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, more: bool, body: &[u8]) -> std::io::Result<()> {
        self.0.write_all(&[u8::from(more) | 2])?;
        self.0.write_all(&(body.len() as u64).to_be_bytes())?;
        self.0.write_all(body)
    }
}

/// An established client, which is answered whatever the others do: within a time that a starved
/// client exceeds and a busy machine keeps.
pub struct Good<'a>(pub &'a House, pub zmq::Socket);

impl<'a> Good<'a> {
    pub fn new(house: &'a House) -> Self {
        let good = Self(house, house.dealer());
        good.is_answered();
        good
    }

    pub fn is_answered(&self) {
        let begin = Instant::now();
        self.0.send(&self.1, json!({"command_type": "ping"}));
        assert_eq!(receive(&self.1)["status"], "ok");
        assert!(begin.elapsed() < Duration::from_secs(10), "after {:?}", begin.elapsed());
    }
}

/// Raises the limit on descriptors to the hard limit.
pub fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

pub fn descriptors(house: &House) -> usize {
    fs::read_dir(format!("/proc/{}/fd", house.pid())).unwrap().count()
}
