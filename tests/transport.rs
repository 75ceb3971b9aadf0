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

use house::raw::{Good, Raw, descriptors, raise_descriptors};
use house::{House, code, folder, receive, sh, until, write_secret, zcmdd};
use serde_json::{Value, json};

const SIGHUP: i32 = 1;

/// A process that ends with its test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether nothing comes for as long as a good client takes for many answers.
fn gets_nothing(socket: &zmq::Socket, good: &Good<'_>) -> bool {
    (0..50).for_each(|_| good.is_answered());
    socket.recv_bytes(zmq::DONTWAIT) == Err(zmq::Error::EAGAIN)
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
    // What they ask for a name of is passed over; each is a peer like any other.
    for squatter in &mut squatters {
        squatter.send(false, &house.body(json!({"command_type": "ping"}))).unwrap();
    }
    until("their answers", || {
        let status = house.ask(json!({"command_type": "status"}))["result"].clone();
        let pings = status["totals"]["requests"]["ping"]["ok"].as_u64();
        (pings == Some(1 + 1 + 64 * 2 + 128)).then_some(())
    });
}

#[test]
fn old_wound_two_peers_with_one_routing_id() {
    let house = House::new(json!({}));
    let twin = || {
        let socket = house.context.socket(zmq::DEALER).unwrap();
        socket.set_identity(b"twin").unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(30_000).unwrap();
        socket.connect(&house.tcp).unwrap();
        socket
    };
    let twins = [twin(), twin()];
    for round in 0..20 {
        for (number, twin) in twins.iter().enumerate() {
            house.send(twin, json!({"command_type": "ping", "id": 100 * number + round}));
        }
        for (number, twin) in twins.iter().enumerate() {
            assert_eq!(receive(twin)["id"], 100 * number + round);
        }
    }
}

#[test]
fn old_wound_a_peer_that_takes_the_routing_id_of_one_that_left() {
    let go = folder().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.05; done; echo hush", go.display());
    let house = House::new(json!({"slow": sh(&script)}));
    let good = Good::new(&house);
    let mut victim = Raw::ready(&house, b"victim");
    let slow = json!({"command_type": "os", "command_name": "slow"});
    victim.send(false, &house.body(slow)).unwrap();
    until("its start", || (!house.logged("command_accepted").is_empty()).then_some(()));
    let before = descriptors(&house);
    drop(victim);
    until("its leave", || (descriptors(&house) < before).then_some(()));
    let thief = house.context.socket(zmq::DEALER).unwrap();
    thief.set_identity(b"victim").unwrap();
    thief.set_rcvtimeo(30_000).unwrap();
    thief.connect(&house.tcp).unwrap();
    house.send(&thief, json!({"command_type": "ping", "token": ""}));
    assert_eq!(code(&receive(&thief)), "unauthorized");
    fs::write(&go, "").unwrap();
    until("the end", || (!house.logged("command_ended").is_empty()).then_some(()));
    assert!(gets_nothing(&thief, &good));
    let status = house.ask(json!({"command_type": "status"}));
    assert_eq!(status["result"]["totals"]["replies_lost"], 1);
    fs::remove_dir_all(go.parent().unwrap()).unwrap();
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
    assert!(grown < 80_000, "{grown} KiB more than before");
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

/// Writes down what goes through it, both ways.
fn proxy(to: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let (to, seen) = (to.trim_start_matches("tcp://").to_owned(), Arc::default());
    let written: Arc<Mutex<Vec<u8>>> = Arc::clone(&seen);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(&to).unwrap();
            let ways = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for (mut from, mut into) in ways {
                let written = Arc::clone(&written);
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        written.lock().unwrap().extend(&buffer[..count]);
                        into.write_all(&buffer[..count]).unwrap();
                    }
                    let _ = into.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (address, seen)
}

#[test]
fn no_token_is_on_the_wire_with_curve() {
    for (curve, readable) in [(true, false), (false, true)] {
        let build = if curve { House::with_curve } else { House::with };
        let house = build(json!({}), &[]);
        let (address, seen) = proxy(&house.tcp);
        let output = house.zcmd(&["compute", "40+2"]).env("ZCMD_SERVER", address).output().unwrap();
        assert_eq!(output.stdout, b"42\n", "{output:?}");
        let seen = seen.lock().unwrap();
        let token = fs::read_to_string(house.path("token")).unwrap();
        let found = |text: &[u8]| seen.windows(text.len()).any(|window| window == text);
        assert!(found(if curve { b"CURVE" } else { b"NULL" }));
        for text in [token.trim_end().as_bytes(), b"command_type", b"40+2", b"status"] {
            assert_eq!(found(text), readable, "with CURVE: {curve}");
        }
    }
}

#[test]
fn an_unknown_key_never_gets_an_answer_nor_does_null_or_plain() {
    let house = House::with_curve(json!({"quiet": sh(":")}), &[]);
    let good = Good::new(&house);
    house::make_keys(&house.path("other"));
    let stranger = |prepare: &dyn Fn(&zmq::Socket)| {
        let socket = house.context.socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        prepare(&socket);
        socket.connect(&house.tcp).unwrap();
        let os = json!({"command_type": "os", "command_name": "quiet"});
        for _ in 0..20 {
            socket.send(house.body(os.clone()), zmq::DONTWAIT).unwrap();
        }
        socket
    };
    let strangers = [
        stranger(&|socket| house.show_key(socket, "other")),
        stranger(&|_| {}),
        stranger(&|socket| {
            socket.set_plain_username(Some("desk")).unwrap();
            socket.set_plain_password(Some("desk")).unwrap();
        }),
        stranger(&|socket| {
            // The right key of its own, and the wrong one of the daemon.
            house.show_key(socket, "client");
            let wrong = zmq::CurveKeyPair::new().unwrap().public_key;
            socket.set_curve_serverkey(&wrong).unwrap();
        }),
    ];
    // The same by hand, past the greeting: an INITIATE that no HELLO came before.
    let mut raw = Raw::open(&house);
    raw.write_all(&Raw::greeting("CURVE")).unwrap();
    raw.write_all(b"\x04\x09\x08INITIATE").unwrap();
    for socket in &strangers {
        assert!(gets_nothing(socket, &good));
    }
    until("a line", || (!house.logged("turned_away").is_empty()).then_some(()));
    assert_eq!(house.logged("command_accepted").len(), 0);
    let lines = house.logged("turned_away");
    assert_eq!((lines.len(), &lines[0]["address"]), (1, &json!("127.0.0.1")));
    let status = house.ask(json!({"command_type": "status"}));
    assert!(status["result"]["totals"]["turned_away"].as_u64().unwrap() >= 3, "{status}");

    assert_eq!(house.os("quiet", &[])["result"]["exit_code"], 0);
    for event in ["command_accepted", "command_ended"] {
        assert_eq!(house.logged(event)[0]["client"], "desk");
    }
    // The client says what is wrong, and that nothing ran.
    let refused = |variables: &[(&str, &str)]| {
        let output = house.zcmd(&["ping"]).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = refused(&[("ZCMD_KEY_FILE", &house.path("other"))]);
    assert!(text.contains("the handshake fails; is ZCMD_SERVER_KEY its"), "{text}");
    let text = refused(&[("ZCMD_SERVER_KEY", ""), ("ZCMD_KEY_FILE", "")]);
    assert!(text.contains("the handshake fails; it may want CURVE"), "{text}");
}

#[test]
fn a_stolen_token_is_of_no_use_with_another_key() {
    let house = House::with_curve(json!({}), &[]);
    let thief = house::make_keys(&house.path("thief"));
    let client = fs::read_to_string(house.path("client.pub")).unwrap();
    let list = format!("{} desk\n{thief} thief bob\n", client.trim_end());
    fs::write(house.path("clients"), &list).unwrap();
    house.signal(SIGHUP);
    until("the reload", || (!house.logged("reloaded").is_empty()).then_some(()));
    let bound = zcmdd(&[("JWT_SECRET_KEY_FILE", &house.path("key"))])
        .args(["token", "--sub", "alice", "--cnf", client.trim_end()])
        .output()
        .unwrap();
    let bound = String::from_utf8(bound.stdout).unwrap().trim_end().to_owned();
    let ask = |key: &str, request: Value| {
        let socket = house.context.socket(zmq::DEALER).unwrap();
        house.show_key(&socket, key);
        socket.set_rcvtimeo(30_000).unwrap();
        socket.connect(&house.tcp).unwrap();
        house.send(&socket, request);
        receive(&socket)
    };
    let ping = json!({"command_type": "ping", "token": bound});
    assert_eq!(ask("client", ping.clone())["status"], "ok");
    assert_eq!(code(&ask("thief", ping)), "unauthorized");
    // Nor may that key speak for anybody but bob.
    assert_eq!(code(&ask("thief", json!({"command_type": "ping"}))), "unauthorized");
    let reasons: Vec<_> = house.logged("refused").iter().map(|l| l["reason"].clone()).collect();
    let speak = "the client's key may not speak for this subject";
    assert_eq!(reasons, ["bound to another key", speak]);
    assert_eq!(house.logged("refused")[0]["client"], "thief");
}

#[test]
fn old_wound_a_reload_changes_all_of_keys_clients_and_revocations_or_nothing() {
    let place = folder();
    let revoked = place.join("revoked").display().to_string();
    fs::write(&revoked, "").unwrap();
    let house = House::with_curve(json!({}), &[("REVOKED_TOKENS_FILE", &revoked)]);
    let kept = house.dealer();
    let ping = |socket: &zmq::Socket| {
        house.send(socket, json!({"command_type": "ping"}));
        receive(socket)
    };
    assert_eq!(ping(&kept)["status"], "ok");
    let payload = fs::read_to_string(house.path("token")).unwrap();
    let payload = payload.split('.').nth(1).unwrap().to_owned();
    let payload = {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()
    };
    let jti =
        serde_json::from_slice::<Value>(&payload).unwrap()["jti"].as_str().unwrap().to_owned();
    let reload = |event: &str| {
        let before = house.logged(event).len();
        house.signal(SIGHUP);
        until(event, || (house.logged(event).len() > before).then_some(()));
    };
    // One bad file of four, and the revocation in the other does not count.
    fs::write(&revoked, format!("{jti}\n")).unwrap();
    let clients = fs::read_to_string(house.path("clients")).unwrap();
    fs::write(house.path("clients"), "nonsense\n").unwrap();
    reload("reload_refused");
    assert_eq!(ping(&house.dealer())["status"], "ok");
    // Put right, both count, for connections that are there already as well.
    fs::write(house.path("clients"), &clients).unwrap();
    reload("reloaded");
    assert_eq!(code(&ping(&kept)), "unauthorized");
    assert_eq!(house.logged("refused").last().unwrap()["reason"], "revoked");
    fs::write(&revoked, "").unwrap();
    reload("reloaded");
    let status = house.ask(json!({"command_type": "status"}));
    assert_eq!(status["result"]["totals"]["reloads"], json!({"done": 2, "refused": 1}));
    // A key that was taken off the list is out, whatever its connection was.
    fs::write(house.path("clients"), "").unwrap();
    reload("reloaded");
    assert_eq!(code(&ping(&kept)), "unauthorized");
    let last = house.logged("refused").last().unwrap().clone();
    assert_eq!(last["reason"], "the client's key is no longer let in");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_network_in_the_clear_is_refused_at_the_start_and_warned_of_when_allowed() {
    let key = ("JWT_SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyz");
    let output = zcmdd(&[key, ("SERVER_ADDRESS", "tcp://0.0.0.0:0")]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("zcmdd keygen --curve"));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = folder();
    let path = |name: &str| folder.join(name).display().to_string();
    let [log, socket] = ["log", "s"].map(path);
    let daemon = zcmdd(&[
        key,
        ("SERVER_ADDRESS", &format!("tcp://0.0.0.0:{port},ipc://{socket}")),
        ("ALLOW_CLEARTEXT", "yes"),
        ("DEFAULT_SCOPE", "status"),
        ("LOG_FILE", &log),
    ])
    .spawn();
    let _daemon = Ends(daemon.unwrap());
    let token = zcmdd(&[key]).args(["token", "--sub", "a"]).output().unwrap().stdout;
    let status = until("an answer", || {
        let mut zcmd = std::process::Command::new(env!("CARGO_BIN_EXE_zcmd"));
        zcmd.env("ZCMD_TOKEN", String::from_utf8_lossy(&token).trim_end());
        let output =
            zcmd.args(["--json", "--server", &format!("ipc://{socket}"), "status"]).output();
        serde_json::from_slice::<Value>(&output.unwrap().stdout).ok()
    });
    assert_eq!(status["result"]["cleartext"], true, "{status}");
    assert!(fs::read_to_string(&log).unwrap().contains("reads the tokens"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_ipc_socket_has_its_mode_and_group_and_a_live_one_is_left_alone() {
    let group = rustix::process::getgid().as_raw().to_string();
    let house = House::with(json!({}), &[("IPC_GROUP", &group), ("IPC_MODE", "0620")]);
    let path = house.ipc.trim_start_matches("ipc://").to_owned();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.permissions().mode() & 0o777, found.gid().to_string()), (0o620, group));
    let start = |endpoint: &str| {
        zcmdd(&[
            ("JWT_SECRET_KEY_FILE", &house.path("key")),
            ("SERVER_ADDRESS", endpoint),
            ("LOG_FILE", "/dev/null"),
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let refused = |endpoint: &str, why: &str| {
        let output = start(endpoint).wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(why), "{text}");
    };
    refused(&house.ipc, "another process listens there");
    assert_eq!(house.ask(json!({"command_type": "ping"}))["status"], "ok");
    let file = house.path("file");
    fs::write(&file, "precious").unwrap();
    refused(&format!("ipc://{file}"), "no socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    refused(&format!("ipc://{}/none/s", house.path("")), "cannot listen there");
    // A stale one is replaced, with the default mode.
    let stale = house.path("stale");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    fs::set_permissions(&stale, fs::Permissions::from_mode(0o777)).unwrap();
    let _other = Ends(start(&format!("ipc://{stale}")));
    until("the new socket", || {
        let found = fs::metadata(&stale).ok();
        found.filter(|found| found.permissions().mode() & 0o777 == 0o660)
    });
}

#[test]
fn keys_are_made_closed_and_never_over_others() {
    let place = folder();
    let path = place.join("key").display().to_string();
    let public = house::make_keys(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(format!("{path}.pub")).unwrap(), format!("{public}\n"));
    let secret = fs::read_to_string(&path).unwrap();
    assert_eq!((secret.lines().count(), secret.lines().nth(1)), (2, Some(public.as_str())));
    for program in [env!("CARGO_BIN_EXE_zcmdd"), env!("CARGO_BIN_EXE_zcmd")] {
        let curve = program.ends_with("zcmdd").then_some("--curve");
        let arguments = ["keygen"].into_iter().chain(curve).chain([path.as_str()]);
        let output = std::process::Command::new(program).args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), secret);
    write_secret(&place.join("jwt"), "0123456789abcdefghijklmnopqrstuvwxyz");
    // A key that others can read, or that is none, is refused at the start, and not repeated.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let jwt = place.join("jwt").display().to_string();
    fs::write(place.join("clients"), "").unwrap();
    let clients = place.join("clients").display().to_string();
    let variables = [
        ("JWT_SECRET_KEY_FILE", jwt.as_str()),
        ("CURVE_SECRET_KEY_FILE", &path),
        ("CURVE_CLIENTS_FILE", &clients),
    ];
    for why in ["chmod 600", "line 1: is not a CURVE key"] {
        let output = zcmdd(&variables).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains(why) && !text.contains("hush"), "{text}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "hush").unwrap();
    }
    fs::remove_dir_all(place).unwrap();
}
