//! Strangers and clients at the real daemon's socket: what was known to hurt a libzmq, CURVE, and
//! what an owner sees of both.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use house::{House, code, folder, receive, sh, until, write_secret, zcmdd};
use serde_json::{Value, json};

const SIGHUP: i32 = 1;

/// A peer that speaks ZMTP 3 by hand (RFC 37).
struct Raw(TcpStream);

impl Raw {
    fn open(house: &House) -> TcpStream {
        let stream = TcpStream::connect(house.tcp.trim_start_matches("tcp://")).unwrap();
        stream.set_read_timeout(Some(house::PATIENCE)).unwrap();
        stream.set_write_timeout(Some(house::PATIENCE)).unwrap();
        stream
    }

    fn greeting(mechanism: &str) -> [u8; 64] {
        let mut greeting = [0; 64];
        (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
        greeting[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
        greeting
    }

    /// A connection whose handshake with NULL is done, under this routing id.
    fn ready(house: &House, id: &[u8]) -> Self {
        let mut stream = Self::open(house);
        let mut ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0".to_vec();
        ready.push(u8::try_from(id.len()).unwrap());
        ready.extend(id);
        let mut frame = vec![4, u8::try_from(ready.len()).unwrap()];
        frame.extend(ready);
        stream.write_all(&Self::greeting("NULL")).unwrap();
        stream.write_all(&frame).unwrap();
        // Its greeting, and the two bytes that begin its own READY.
        stream.read_exact(&mut [0; 66]).unwrap();
        Self(stream)
    }

    fn send(&mut self, more: bool, body: &[u8]) -> std::io::Result<()> {
        self.0.write_all(&[u8::from(more) | 2])?;
        self.0.write_all(&(body.len() as u64).to_be_bytes())?;
        self.0.write_all(body)
    }
}

/// A client that was there before, and is answered within a second whatever the others do.
struct Good<'a>(&'a House, zmq::Socket);

impl<'a> Good<'a> {
    fn new(house: &'a House) -> Self {
        let good = Self(house, house.dealer());
        good.is_answered();
        good
    }

    fn is_answered(&self) {
        let begin = Instant::now();
        self.0.send(&self.1, json!({"command_type": "ping"}));
        assert_eq!(receive(&self.1)["status"], "ok");
        assert!(begin.elapsed() < Duration::from_secs(1), "after {:?}", begin.elapsed());
    }
}

/// Whether nothing comes for as long as a good client takes for many answers.
fn gets_nothing(socket: &zmq::Socket, good: &Good<'_>) -> bool {
    (0..50).for_each(|_| good.is_answered());
    socket.recv_bytes(zmq::DONTWAIT) == Err(zmq::Error::EAGAIN)
}

/// Lets this process have as many descriptors as it may.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn descriptors(house: &House) -> usize {
    fs::read_dir(format!("/proc/{}/fd", house.pid())).unwrap().count()
}

/// Milliseconds of processor time that the daemon has used.
fn used(house: &House) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", house.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

#[test]
fn old_wound_squatting_of_the_next_routing_ids() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    // Where libzmq begins to count, for the first and the second ROUTER of a process.
    let mut squatters = Vec::new();
    for first in [0x6b8b_4567_u32, 0xe43c_9869] {
        for next in 0..64 {
            let id = [&[0][..], &(first + next).to_be_bytes()].concat();
            squatters.push(Raw::ready(&house, &id));
        }
    }
    for _ in 0..64 {
        Good::new(&house);
        good.is_answered();
    }
    // What they say is not heard, and none of it is kept.
    for squatter in &mut squatters {
        let _ = squatter.send(false, &house.body(json!({"command_type": "ping"})));
    }
    good.is_answered();
    let pings =
        house.ask(json!({"command_type": "status"}))["result"]["totals"]["requests"]["ping"]["ok"]
            .as_u64();
    assert_eq!(pings, Some(1 + 1 + 64 * 2 + 1));
}

#[test]
fn old_wound_two_peers_with_one_routing_id() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    let twin = || {
        let socket = house.context.socket(zmq::DEALER).unwrap();
        socket.set_identity(b"twin").unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(&house.tcp).unwrap();
        socket
    };
    let (first, second) = (twin(), twin());
    house.send(&first, json!({"command_type": "ping"}));
    assert_eq!(receive(&first)["status"], "ok");
    for _ in 0..200 {
        let _ = second.send(house.body(json!({"command_type": "ping"})), zmq::DONTWAIT);
    }
    assert!(gets_nothing(&second, &good));
    house.send(&first, json!({"command_type": "ping"}));
    assert_eq!(receive(&first)["status"], "ok");
}

#[test]
fn old_wound_a_message_without_end() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    let before = house.proc_status("VmHWM");
    for frame in [0, 1, 65_536] {
        let (mut raw, frame) = (Raw::ready(&house, b"endless"), vec![b'x'; frame]);
        let mut left = 200 * 1024 * 1024_usize;
        while left > 0 && raw.send(true, &frame).is_ok() {
            // Each frame costs nine bytes on its way.
            left = left.saturating_sub(frame.len() + 9);
            if left % 1024 < 9 {
                good.is_answered();
            }
        }
        assert!(left > 0, "the connection was never ended");
        good.is_answered();
    }
    let grown = house.proc_status("VmHWM") - before;
    assert!(grown < 20_000, "{grown} KiB more than before");
}

#[test]
fn old_wound_random_bytes_and_zmtp_1() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    let body = house.body(json!({"command_type": "compute", "expression": "1+1"}));
    let mut state = 1_u64;
    for round in 0..100 {
        let noise = match round {
            // ZMTP 1 (RFC 13): an anonymous greeting, and a message.
            0 => {
                [&b"\x01\0\xff"[..], &(body.len() as u64 + 1).to_be_bytes(), b"\0", &body].concat()
            }
            // ZMTP 2 (RFC 15).
            1 => [b"\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0\x02", &[0, 0][..], &body].concat(),
            _ => (0..300 * round)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state.to_le_bytes()[0]
                })
                .collect(),
        };
        let mut stream = Raw::open(&house);
        // The daemon may have ended the connection before it has all.
        let _ = stream.write_all(&noise);
        good.is_answered();
        if round < 4 {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            assert!(!said.windows(6).any(|window| window == b"status"), "{said:?}");
        }
    }
    let turned_away = until("a line about them", || house.logged("turned_away").into_iter().next());
    assert_eq!(turned_away["address"], "127.0.0.1");
    assert_eq!(house.logged("turned_away").len(), 1, "one line an address and minute");
}

#[test]
fn old_wound_two_thousand_half_open_connections() {
    raise_descriptors();
    let house = House::new(json!({}));
    let good = Good::new(&house);
    let before = descriptors(&house);
    let mut strangers = Vec::new();
    for number in 0..2000 {
        let mut stream = Raw::open(&house);
        // Half of them begin a handshake.
        if number % 2 == 0 {
            stream.write_all(&Raw::greeting("NULL")[..32]).unwrap();
        }
        strangers.push(stream);
        if number % 100 == 0 {
            good.is_answered();
            Good::new(&house);
        }
    }
    until("their end", || {
        good.is_answered();
        (descriptors(&house) <= before).then_some(())
    });
}

#[test]
fn old_wound_a_thousand_idle_connections_and_256_descriptors() {
    raise_descriptors();
    let house = House::new(json!({"quiet": sh(":")}));
    let good = Good::new(&house);
    let few = rustix::process::Rlimit { current: Some(256), maximum: Some(256) };
    let pid = rustix::process::Pid::from_raw(house.pid());
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, few).unwrap();
    let strangers: Vec<_> = (0..1000).map(|_| Raw::open(&house)).collect();
    until("no descriptor left", || (descriptors(&house) >= 255).then_some(()));
    let (begin, before) = (Instant::now(), used(&house));
    let mut answers = 0;
    while begin.elapsed() < Duration::from_secs(2) {
        good.is_answered();
        answers += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let spent = used(&house) - before;
    assert!(spent < 500, "{spent} ms of processor time for {answers} answers in two seconds");
    // No command starts, which is said, and the daemon goes on.
    house.send(&good.1, json!({"command_type": "os", "command_name": "quiet"}));
    assert_eq!(code(&receive(&good.1)), "not_started");
    drop(strangers);
    Good::new(&house);
    until("room for commands", || {
        (house.os("quiet", &[])["result"]["exit_code"] == 0).then_some(())
    });
}

#[test]
fn old_wound_a_reader_that_does_not_read() {
    let house = House::with(
        json!({"large": {"run": ["/usr/bin/head", "-c", "65536", "/dev/zero"]}}),
        &[("MAX_QUEUED_COMMANDS", "4096")],
    );
    let good = Good::new(&house);
    let before = house.proc_status("VmHWM");
    let mut lazy = Raw::ready(&house, b"lazy");
    let body = house.body(json!({"command_type": "os", "command_name": "large"}));
    for number in 0..1500 {
        lazy.send(false, &body).unwrap();
        if number % 10 == 0 {
            good.is_answered();
        }
    }
    let status = || house.ask(json!({"command_type": "status"}))["result"].clone();
    until("their end", || {
        good.is_answered();
        (house.logged("command_ended").len() >= 1500 || status()["totals"]["replies_lost"] != 0)
            .then_some(())
    });
    until("all to be over", || {
        let commands = &status()["commands"];
        (commands["running"] == 0 && commands["waiting"] == 0).then_some(())
    });
    let grown = house.proc_status("VmHWM") - before;
    assert!(grown < 150_000, "{grown} KiB more than before");
}

#[test]
fn old_wound_a_reply_to_a_peer_that_has_vanished() {
    let house = House::new(json!({"slow": sh("exec sleep 0.3")}));
    let good = Good::new(&house);
    for number in 1..=4 {
        let mut raw = Raw::ready(&house, b"");
        let body = json!({"command_type": "os", "command_name": "slow"});
        raw.send(false, &house.body(body)).unwrap();
        until("its start", || (house.logged("command_accepted").len() == number).then_some(()));
    }
    until("their end", || {
        good.is_answered();
        (house.logged("command_ended").len() == 4).then_some(())
    });
    until("the loss to be counted", || {
        let status = house.ask(json!({"command_type": "status"}));
        (status["result"]["totals"]["replies_lost"] == 4).then_some(())
    });
}

#[test]
fn old_wound_no_descriptor_of_the_daemon_survives_exec() {
    let house = House::new(json!({}));
    let good = Good::new(&house);
    good.is_answered();
    let folder = format!("/proc/{}/fdinfo", house.pid());
    let mut looked_at = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let information = fs::read_to_string(entry.path()).unwrap();
        let flags = information.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        assert!(number <= 2 || flags & 0o2_000_000 != 0, "{number} {flags:o}");
        looked_at += 1;
    }
    assert!(looked_at > 10);
}
