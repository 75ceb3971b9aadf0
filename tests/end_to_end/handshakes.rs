//! Handshakes that fail: the client tells a wrong key, a key that is not listed, CURVE on one side
//! alone and another program apart.

use std::io::Write;
use std::net::TcpListener;

use serde_json::json;
use zcmd::protocol::curve::CurveKey;

use crate::house::{House, make_keys};

#[test]
fn failed_handshakes_are_told_apart() {
    let (house, plain) = (House::with_curve(json!({}), &[]), House::new(json!({})));
    let other = make_keys(&house.path("other"));
    let thumbprint = CurveKey::parse(&other).unwrap().thumbprint();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("tcp://{}", listener.local_addr().unwrap());
    // It speaks first, and does not end before the test does.
    std::thread::spawn(move || {
        listener
            .incoming()
            .map(|peer| {
                let mut peer = peer.unwrap();
                let _ = peer.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n");
                peer
            })
            .collect::<Vec<_>>()
    });
    let file = house.path("other");
    let public = house.path("other.pub");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: &[Case<'_>] = &[
        (&house.tcp, &[], ""),
        (&house.tcp, &[("ZCMD_KEY_FILE", &file)], "refuses the client's"),
        (&house.tcp, &[("ZCMD_KEY_FILE", &file)], &thumbprint),
        (&house.tcp, &[("ZCMD_SERVER_KEY", &other)], "most likely another one than that of"),
        (&house.tcp, &[("ZCMD_SERVER_KEY", &other)], &thumbprint),
        (
            &house.tcp,
            &[("ZCMD_SERVER_KEY", ""), ("ZCMD_SERVER_KEY_FILE", &public)],
            "most likely another one than that of",
        ),
        (&house.tcp, &[("ZCMD_SERVER_KEY", ""), ("ZCMD_KEY_FILE", "")], "it may want CURVE"),
        // The daemon may have ended the connection before the client sees that.
        (&plain.tcp, &[], "it has no CURVE"),
        (&elsewhere, &[], "another program listens there"),
    ];
    for (server, variables, told) in cases {
        let mut command = house.zcmd(&["--server", server, "compute", "40+2"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let wanted = if told.is_empty() { 0 } else { 125 };
        assert_eq!(output.status.code(), Some(wanted), "{told}: {err}");
        assert!(err.contains(told), "{told}: {err}");
    }
}
