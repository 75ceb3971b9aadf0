//! CURVE: what is read on the way, and whose keys and tokens are good.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::peers::gets_nothing;
use crate::house::raw::{Good, Raw};
use crate::house::{self, House, code, folder, receive, sh, until, write_secret, zcmdd};

const SIGHUP: i32 = 1;

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
    assert!(
        text.contains("the handshake fails; its key is the right one, and it refuses"),
        "{text}"
    );
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
