//! Bytes and connections of peers that have no token.

use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::house::raw::{Good, Raw, descriptors, raise_descriptors};
use crate::house::{House, code, receive, until};

/// Milliseconds of processor time that the daemon has used.
fn used(house: &House) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", house.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
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
    let house = House::with(json!({}), &[("CONNECTIONS_MAX", "4096")]);
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
    let house = House::new(json!({"quiet": {"run": ["/bin/true"], "open_files_max": 64}}));
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
