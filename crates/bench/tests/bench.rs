//! The program with its own daemons, and with a server that this test plays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_zcmd-bench");
    let zcmdd = std::path::Path::new(program).with_file_name("zcmdd");
    assert!(zcmdd.exists(), "build all of the workspace: there is no {}", zcmdd.display());
    Command::new(program).args(arguments).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn all_parts_are_measured() {
    let output = bench(&["--json", "--rounds", "2", "--requests", "100", "--in-flight", "8"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = table.pointer("/rows").unwrap().as_array().unwrap();
    let mut parts: Vec<_> = rows.iter().map(|row| row["part"].as_str().unwrap()).collect();
    parts.dedup_by_key(|part| part.split(':').next().unwrap());
    assert_eq!(parts.len(), 6, "{parts:?}");
    assert_eq!(rows.len(), 4 + 3 + 2 + 3 + 2 + 4);
    for row in rows {
        assert_eq!(row["rounds"], 2, "{row}");
        assert!(row["daemon"]["median"].is_f64(), "{row}");
        let has_baseline = !row["part"].as_str().unwrap().starts_with("fresh");
        assert_eq!(row["ratio"]["q1"].is_f64(), has_baseline, "{row}");
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    for (arguments, message) in [
        (&["--in-flight", "0"][..], "a number from 1 to 256"),
        (&["--rounds", "x"], "a number from 1 to 1000"),
        (&["dance"], "no part \"dance\""),
        (&["--timeout", "0", "wire"], "the time is over"),
        (&["--server", "tcp://127.0.0.1:9", "idle"], "on its wire only"),
    ] {
        let output = bench(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert!(err(&output).contains(message), "{output:?}");
    }
}

#[test]
fn a_daemon_that_is_there_has_a_baseline_and_no_limit() {
    let (limited, answer) = (
        r#"{"id":1,"status":"error","error":{"code":"rate_limited","message":"too many","retry_after_ms":1000}}"#,
        r#"{"id":1,"status":"ok","result":14}"#,
    );
    for (reply, status) in [(limited, 125), (answer, 0)] {
        let router = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        router.bind("tcp://127.0.0.1:*").unwrap();
        let address = router.get_last_endpoint().unwrap().unwrap();
        // Ends with the test.
        std::thread::spawn(move || {
            while let Ok(frames) = router.recv_multipart(0) {
                let peer = frames.first().unwrap();
                router.send_multipart([peer.as_slice(), reply.as_bytes()], 0).unwrap();
            }
        });
        let output = Command::new(env!("CARGO_BIN_EXE_zcmd-bench"))
            .args(["--server", &address, "--rounds", "2", "--requests", "50"])
            .env_remove("ZCMD_TOKEN_FILE")
            .env("ZCMD_TOKEN", "the-token")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        match status {
            0 => {
                let text = String::from_utf8(output.stdout).unwrap();
                assert!(text.contains("64 in flight, requests/s"), "{text}");
            }
            _ => assert!(err(&output).contains("MAX_REQUESTS_PER_MINUTE=0"), "{output:?}"),
        }
    }
}
