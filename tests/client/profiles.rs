//! Hosts of the configuration file: which settings hold, what is told of them, and how a host is
//! added.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::played::{Client, Played, Run, TOKEN, run, value};

/// A home directory with a token and a configuration file.
struct Home(PathBuf);

impl Home {
    fn new(config: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("zcmd-home-{}-{number}", std::process::id());
        let home = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(home.0.join(".config/zcmd")).unwrap();
        fs::set_permissions(&home.0, fs::Permissions::from_mode(0o700)).unwrap();
        home.secret("token", TOKEN);
        if !config.is_empty() {
            fs::write(home.config(), config).unwrap();
        }
        home
    }

    fn config(&self) -> PathBuf {
        self.0.join(".config/zcmd/config.toml")
    }

    fn secret(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The client of this home, with these variables besides.
    fn zcmd(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zcmd"));
        command.env_clear().env("HOME", &self.0).envs(variables.iter().copied()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
        run(self.zcmd(variables, arguments), "")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A host whose token is in the home directory.
fn host(name: &str, server: &str) -> String {
    format!("[hosts.{name}]\nserver = \"{server}\"\ntoken_file = \"~/token\"\n")
}

#[test]
fn an_option_goes_before_a_variable_and_that_before_the_file() {
    let played = [1, 2, 3, 4].map(|number| Played::always(value(&number.to_string())));
    let [one, two, three, four] = played.each_ref().map(|played| played.address.as_str());
    let home = Home::new(&format!("default = \"a\"\n{}{}", host("a", one), host("b", two)));
    let token = ("ZCMD_TOKEN", TOKEN);
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a str);
    let cases: &[Case<'_>] = &[
        (&[], &[], "1"),
        (&[], &["-H", "b"], "2"),
        (&[], &["--host=b"], "2"),
        (&[("ZCMD_HOST", "b")], &[], "2"),
        (&[("ZCMD_HOST", "b")], &["-H", "a"], "1"),
        // Who names a server does not mean the default host.
        (&[("ZCMD_SERVER", three), token], &[], "3"),
        (&[("ZCMD_SERVER", three), ("ZCMD_HOST", "b")], &[], "3"),
        (&[("ZCMD_SERVER", three), ("ZCMD_HOST", "b"), token], &["--server", four], "4"),
        // What --host names was named by an option.
        (&[("ZCMD_SERVER", three)], &["-H", "b"], "2"),
        (&[("ZCMD_SERVER", three)], &["-H", "b", "--server", four], "4"),
    ];
    for (variables, options, answer) in cases {
        let arguments = [*options, &["compute", "1"]].concat();
        home.run(variables, &arguments).is(0, &format!("{answer}\n"), "");
    }
    let none = home.run(&[("ZCMD_SERVER", three)], &["compute", "1"]);
    none.is(125, "", "no token");
}

#[test]
fn old_wound_the_token_of_a_variables_host_went_to_the_server_of_an_option() {
    let played = Played::always(value("1"));
    let home = Home::new(&host("b", &played.address));
    let other = Played::always(value("2"));
    let named = [("ZCMD_HOST", "b")];
    for arguments in [
        ["--server", &other.address, "compute", "1"].as_slice(),
        &["each", "-H", &other.address, "compute", "1"],
    ] {
        home.run(&named, arguments).is(125, "", "no token");
    }
    assert_eq!(other.seen().len(), 0);
}

#[test]
fn each_asks_hosts_by_name_and_addresses_with_the_settings_of_each() {
    let played = [1, 2, 3].map(|number| Played::always(value(&number.to_string())));
    let [nas, pi, other] = played.each_ref().map(|played| played.address.as_str());
    let home = Home::new(&format!("{}{}", host("nas", nas), host("pi", pi)));
    let hosts = home.0.join("hosts");
    fs::write(&hosts, format!("# by name and by address\npi\n{other}\n")).unwrap();
    let token = ("ZCMD_TOKEN", TOKEN);
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 3] = [
        (&["-H", "nas,pi"], &[("nas", "1"), ("pi", "2")]),
        (
            &["-H", "nas", "--hosts", hosts.to_str().unwrap()],
            &[("nas", "1"), ("pi", "2"), (other, "3")],
        ),
        (&["-H", other], &[(other, "3")]),
    ];
    for (options, answers) in cases {
        let done = home.run(&[token], &[&["--json", "each"], options, &["compute", "1"]].concat());
        assert_eq!(done.status, 0, "{done:?}");
        let rows = done.text().lines().map(|line| serde_json::from_str(line).expect(line));
        let rows: Vec<serde_json::Value> = rows.collect();
        let told =
            rows.iter().map(|row| (row["host"].as_str(), row["reply"]["result"].to_string()));
        let wanted = answers.iter().map(|(host, answer)| (Some(*host), (*answer).to_owned()));
        assert_eq!(told.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }
    let none = home.run(&[], &["each", "-H", "nas,nasty,pie", "compute", "1"]);
    assert_eq!((none.status, none.text(), none.err.lines().count()), (125, "", 2), "{none:?}");
    for name in ["nasty", "pie"] {
        assert!(none.err.contains(&format!("zcmd: [refused] {name}: --host {name}: ")), "{none:?}");
    }
    let retry = home.run(&[], &["--retry", "1", "each", "-H", "nas", "compute", "1"]);
    retry.is(125, "", "each: takes neither --server, --retry");
}

#[test]
fn the_file_is_found_where_it_is_looked_for() {
    let played = Played::always(value("1"));
    let text = format!("default = \"a\"\n{}", host("a", &played.address));
    let home = Home::new(&text);
    let other = home.0.join("other/zcmd");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("config.toml"), text.replace("\"a\"", "\"none\"")).unwrap();
    let (xdg, named) = (home.0.join("other"), other.join("config.toml"));
    let (xdg, named) = (xdg.to_str().unwrap(), named.to_str().unwrap());
    home.run(&[], &["compute", "1"]).is(0, "1\n", "");
    let fault = "other/zcmd/config.toml:1: default: there is no [hosts.none]";
    home.run(&[("XDG_CONFIG_HOME", xdg)], &["compute", "1"]).is(125, "", fault);
    home.run(&[("ZCMD_CONFIG", named)], &["compute", "1"]).is(125, "", fault);
    home.run(&[("ZCMD_CONFIG", "/none")], &["ping"]).is(125, "", "cannot open /none");
    home.run(&[("XDG_CONFIG_HOME", "/none")], &["-H", "a", "ping"]).is(125, "", "config add a");
    // A file with faults is no fault of those who do not need it.
    let variables = [("ZCMD_CONFIG", named), ("ZCMD_SERVER", &played.address)];
    let variables = [variables.as_slice(), &[("ZCMD_TOKEN", TOKEN)]].concat();
    home.run(&variables, &["compute", "1"]).is(0, "1\n", "");
    home.run(&[], &["-H", "b", "ping"]).is(125, "", "has no such host; it has [\"a\"]");
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    let home = Home::new(&host("a", "tcp://127.0.0.1:9"));
    fs::set_permissions(home.config(), fs::Permissions::from_mode(0o666)).unwrap();
    home.run(&[], &["-H", "a", "ping"]).is(125, "", "can be changed by others");
}

#[test]
fn every_value_of_a_host_counts_and_is_blamed_by_its_line() {
    let home = Home::new("");
    home.secret("client", &format!("{}\n{}\n", "0".repeat(40), "0".repeat(40)));
    let good = host("a", "tcp://127.0.0.1:9");
    let key = format!("server_key = \"{}\"\n", "1".repeat(40));
    for (more, fault) in [
        ("", "no daemon answers"),
        ("timeout = 0\n", "config.toml:4: timeout 0: expected seconds"),
        ("server_key = \"x\"\nkey_file = \"~/client\"\n", "config.toml:4: server_key is not a"),
        ("key_file = \"~/client\"\n", "config.toml:4: key_file and ZCMD_SERVER_KEY"),
        (&key, "config.toml:4: server_key and ZCMD_KEY_FILE"),
        (&format!("{key}key_file = \"../../client\"\n"), "no daemon answers"),
        (&format!("{key}key_file = \"none\"\n"), "config.toml:5: key_file: cannot open"),
        (&format!("{key}key_file = \"~/a.pub\"\n"), "a.pub is a public key"),
        ("srver = \"x\"\n", "config.toml:4: unknown key \"srver\"; known are server, server_key"),
    ] {
        fs::write(home.config(), format!("{good}{more}")).unwrap();
        home.run(&[], &["-H", "a", "ping"]).is(125, "", fault);
    }
    fs::write(home.config(), host("a", "tcp://nas:80x")).unwrap();
    let fault = "config.toml:2: server: \"tcp://nas:80x\" is no address of a server";
    home.run(&[], &["-H", "a", "ping"]).is(125, "", fault);
}

#[test]
fn the_servers_key_may_be_in_a_file() {
    let home = Home::new("");
    home.secret("client", &format!("{}\n{}\n", "0".repeat(40), "0".repeat(40)));
    home.secret("two", "1\n2\n");
    home.secret("one", &format!("{}\n", "1".repeat(40)));
    let (client, one, two) = (home.0.join("client"), home.0.join("one"), home.0.join("two"));
    let base = [
        ("ZCMD_SERVER", "tcp://127.0.0.1:9"),
        ("ZCMD_TOKEN", TOKEN),
        ("ZCMD_KEY_FILE", client.to_str().unwrap()),
    ];
    for (file, more, fault) in [
        (&one, &[][..], "no daemon answers"),
        (&two, &[], "more than one line"),
        (&one, &[("ZCMD_SERVER_KEY", "x")], "are both set"),
        (&home.0.join("none"), &[], "ZCMD_SERVER_KEY_FILE: cannot open"),
    ] {
        let file = ("ZCMD_SERVER_KEY_FILE", file.to_str().unwrap());
        let variables = [&base[..], &[file], more].concat();
        home.run(&variables, &["ping"]).is(125, "", fault);
    }
}

#[test]
fn old_wound_a_public_key_as_key_file_was_to_be_closed() {
    let home = Home::new("");
    fs::write(home.0.join("desk.pub"), format!("{}\n", "0".repeat(40))).unwrap();
    let file = home.0.join("desk.pub");
    let key = "1".repeat(40);
    let run = home.run(
        &[
            ("ZCMD_TOKEN", TOKEN),
            ("ZCMD_SERVER_KEY", &key),
            ("ZCMD_KEY_FILE", file.to_str().unwrap()),
        ],
        &["ping"],
    );
    run.is(125, "", "desk.pub is a public key; name the file");
    assert!(!run.err.contains("chmod"), "{run:?}");
}

#[test]
fn the_file_is_checked_as_a_whole() {
    let home = Home::new("");
    let good = format!("default = \"b\"\n{}", host("a", "tcp://127.0.0.1:9"));
    fs::write(home.config(), format!("{good}{}", host("b", "ipc:///x"))).unwrap();
    let out = "a: tcp://127.0.0.1:9, no CURVE, 9 bytes that are no JWT\n\
               b (default): ipc:///x, no CURVE, 9 bytes that are no JWT\n";
    home.run(&[], &["config", "check"]).is(0, out, "");
    fs::write(home.config(), format!("{good}[hosts.b]\nserver = \"x\"\n")).unwrap();
    let run = home.run(&[], &["config", "check"]);
    assert_eq!((run.status, run.text().lines().count()), (125, 1), "{run:?}");
    assert!(run.err.contains("b (default): ") && run.err.contains("config.toml:6: server"));
    fs::write(home.config(), "a = 1\nb = 2\n").unwrap();
    let run = home.run(&[], &["config", "check"]);
    assert_eq!((run.status, run.err.lines().count()), (125, 2), "{run:?}");
    fs::remove_file(home.config()).unwrap();
    home.run(&[], &["config", "check"]).is(125, "", "zcmd config add NAME makes");
}

#[test]
fn the_sources_and_steps_are_told_and_no_secret() {
    let played = Played::always(value("1"));
    let home = Home::new(&host("a", &played.address));
    home.secret("token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MX0.c2VjcmV0");
    let run = home.run(&[], &["-v", "-H", "a", "--timeout", "9", "ping"]);
    for part in [
        "host a of ",
        "config.toml:1 (--host)",
        "config.toml:2: server)",
        "subject alice, expired ",
        "takes the connection",
        "the handshake is done, with no CURVE",
        "bytes are sent",
    ] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert!(!run.err.contains("c2VjcmV0") && !run.err.contains(TOKEN), "{}", run.err);
}

#[test]
fn a_host_is_added_by_questions_on_a_terminal() {
    let home = Home::new("");
    let run = home.run(&[], &["config", "add", "nas"]);
    run.is(125, "", "config add asks on a terminal, and this is none; add to ");
    home.run(&[], &["config", "add", "a b"]).is(125, "", "is no name of a host");

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    let mut command = home.zcmd(&[], &["config", "add", "nas"]);
    command.stdin(terminal.try_clone().unwrap()).stderr(terminal);
    let mut client = Client::start(command);
    let mut terminal = File::from(master);
    let mut expect = |text: &str, answer: &str| {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            assert_eq!(terminal.read(&mut byte).unwrap(), 1);
            seen.extend(byte);
        }
        terminal.write_all(answer.as_bytes()).unwrap();
    };
    expect("Server, as", "nas\n");
    expect("is no address of a server", "");
    expect("Server, as", "tcp://127.0.0.1:9\n");
    expect("Public key", "x\n");
    expect("not a CURVE key", "");
    expect("Public key", "\n");
    expect("File of your token: ", "~/token\n");
    assert_eq!(client.status(), 0);
    let text = fs::read_to_string(home.config()).unwrap();
    let block = host("nas", "tcp://127.0.0.1:9");
    assert_eq!(text, format!("default = \"nas\"\n\n{block}"));
    assert_eq!(fs::metadata(home.config()).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&[], &["ping"]).is(125, "", "no daemon answers at tcp://127.0.0.1:9");
}
