//! Servers that are away, leave, or drain; and tokens.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use zcmd::limits;
use zcmd::protocol::reply::{Answer, Code};

use crate::played::{Client, Played, TOKEN, error, exited, run, value, zcmd};

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

#[test]
fn no_daemon_is_found_out_at_once() {
    for server in [nobody(), "ipc:///nonexistent/zcmd".into(), format!("{},{}", nobody(), nobody())]
    {
        let run = run(zcmd(&server, &["ping"]), "");
        run.is(125, "", "zcmd: [unreachable] no daemon answers at ");
        assert!(run.took < Duration::from_secs(5), "{run:?}");
    }
}

#[test]
fn a_port_that_is_no_daemon_is_found_out() {
    // It takes connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("tcp://{}", listener.local_addr().unwrap());
    let waited = run(zcmd(&server, &["ping"]), "");
    waited.is(125, "", "zcmd: [unreachable] a server answers at ");
    assert!(waited.took < Duration::from_secs(limits::CONNECT_SECONDS), "{waited:?}");
    let path = format!("ipc:///{}", "x".repeat(200));
    run(zcmd(&path, &["ping"]), "").is(125, "", "check the address");
}

#[test]
fn the_first_server_that_answers_is_asked_once() {
    let (first, second) = (Played::always(value("1")), Played::always(value("2")));
    let servers = format!("{},{},{}", nobody(), first.address, second.address);
    run(zcmd(&servers, &["compute", "x"]), "").is(0, "1\n", "");
    // The option goes before the variable.
    let option = ["--server", &second.address, "compute", "x"];
    run(zcmd(&servers, &option), "").is(0, "2\n", "");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
}

#[test]
fn a_server_that_drains_sends_us_to_the_next() {
    let draining = Answer::Error(error(Code::ShuttingDown, "draining", Some(false)));
    let (first, second) = (Played::always(draining.clone()), Played::always(exited(3)));
    let servers = format!("{},{}", first.address, second.address);
    run(zcmd(&servers, &["os", "name"]), "").is(3, "", "");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    // If something ran there, it must not run again.
    let begun = Answer::Error(error(Code::ShuttingDown, "draining", Some(true)));
    let (first, second) = (Played::always(begun), Played::always(exited(3)));
    let servers = format!("{},{}", first.address, second.address);
    run(zcmd(&servers, &["os", "name"]), "").is(255, "", "draining");
    assert_eq!(second.seen().len(), 0);
}

#[test]
fn old_wound_ctrl_c_on_the_way_to_the_next_server() {
    let draining = Answer::Error(error(Code::ShuttingDown, "draining", Some(false)));
    let first = Played::always(draining);
    // It takes connections and says nothing.
    let second = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = format!("{},tcp://{}", first.address, second.local_addr().unwrap());
    let client = Client::start(zcmd(&servers, &["os", "name"]));
    let _connection = second.accept().unwrap();
    client.interrupt();
    client.end().is(130, "", "");
}

#[test]
fn old_wound_a_host_with_an_ipv6_address_only() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI has IPv6");
        return println!("skipped: this machine has no IPv6");
    }
    let played = Played::at("tcp://[::1]:*", |request, caller| {
        caller.reply(request, value("1"));
        true
    });
    let port = played.address.rsplit(':').next().unwrap();
    // A file of hosts that this client alone sees: a mount in a namespace of its own.
    let hosts = TokenFile::new("hosts", "127.0.0.1 four\n::1 six\n", 0o644);
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "/bin/sh", "-c"]);
        command.arg("mount --bind \"$0\" /etc/hosts && exec \"$@\"").arg(&hosts.0);
        command.args(arguments).env("ZCMD_ALLOW_CLEARTEXT", "yes").env("ZCMD_TOKEN", TOKEN);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    if unshare(&["true"]).status().map_or(true, |status| !status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI may mount");
        return println!("skipped: no namespace for a file of hosts");
    }
    let ask = |server: &str| {
        let program = env!("CARGO_BIN_EXE_zcmd");
        run(unshare(&[program, "--server", server, "compute", "1"]), "")
    };
    ask(&format!("tcp://six:{port}")).is(0, "1\n", "");
    let played4 = Played::always(value("4"));
    let port4 = played4.address.rsplit(':').next().unwrap();
    ask(&format!("tcp://four:{port4}")).is(0, "4\n", "");
    let away = ask(&format!("tcp://none:{port}"));
    away.is(125, "", "no daemon answers at tcp://none:");
    assert_eq!(played.seen().len(), 1);
}

#[test]
fn no_answer_in_time_is_255() {
    let played = Played::silent();
    let run = played.run(&["--timeout", "0.2", "compute", "1"]);
    run.is(255, "", "within 0.2 s");
    assert_eq!(played.seen().len(), 1);
}

#[test]
fn a_daemon_that_dies_is_noticed_before_the_deadline() {
    let played = Played::new(|_, _| false);
    let run = played.run(&["compute", "1"]);
    run.is(255, "", "may or may not have been done");
    assert!(run.took < Duration::from_secs(10), "{run:?}");
}

#[test]
fn what_a_daemon_said_before_it_died_counts() {
    for _ in 0..20 {
        let played = Played::new(|request, caller| {
            caller.reply(request, value("14"));
            false
        });
        played.run(&["compute", "2*(3+4)"]).is(0, "14\n", "");
    }
}

/// A file in the directory for temporary files, removed when this is dropped.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(name: &str, text: &str, mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("zcmd-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_token_comes_from_a_closed_file_or_standard_input() {
    let played = Played::always(value("1"));
    let closed = TokenFile::new("closed", &format!("{TOKEN}\n"), 0o600);
    let open = TokenFile::new("open", TOKEN, 0o644);
    let ask = |file: &str, stdin: &str| played.feed(&["--token-file", file, "compute", "1"], stdin);
    ask(closed.0.to_str().unwrap(), "").is(0, "1\n", "");
    ask("-", &format!("{TOKEN}\n")).is(0, "1\n", "");
    let mut variable = played.zcmd(&["compute", "1"]);
    variable.env_remove("ZCMD_TOKEN").env("ZCMD_TOKEN_FILE", &closed.0);
    run(variable, "").is(0, "1\n", "");
    assert_eq!(played.seen().len(), 3);
    ask(open.0.to_str().unwrap(), "").is(125, "", "chmod 600");
    ask("/nonexistent/token", "").is(125, "", "cannot open /nonexistent/token");
    ask("-", "").is(125, "", "the token is empty");
    let mut none = played.zcmd(&["compute", "1"]);
    none.env_remove("ZCMD_TOKEN");
    run(none, "").is(125, "", "set ZCMD_TOKEN_FILE");
    assert_eq!(played.seen().len(), 3);
}
