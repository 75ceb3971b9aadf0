//! Command lines and variables with a slip: what is said, and that nothing is done.

use std::process::Command;

use zcmd::protocol::request::{Ask, Os};

use crate::played::{Played, run, value, zcmd};

#[test]
fn old_wound_a_dry_run_ran_the_command() {
    let played = Played::always(value(r#"{"argv":["/usr/bin/uname"]}"#));
    for arguments in [["os", "--explain", "uname"], ["--explain", "os", "uname"]] {
        played.run(&arguments).is(0, "{\"argv\":[\"/usr/bin/uname\"]}\n", "");
    }
    let os = Os { name: "uname".into(), explain: true, ..Os::default() };
    for request in played.seen() {
        assert_eq!(request.ask, Ask::Os(os.clone()));
    }
}

#[test]
fn old_wound_the_first_of_two_servers_was_dropped() {
    let played = Played::silent();
    let address = played.address.as_str();
    let cases: &[(&[&str], &str)] = &[
        (&["--server", address, "--server", address, "ping"], "give several addresses as --server"),
        (&["--timeout", "1", "ping", "--timeout=2"], "--timeout is given twice"),
        (&["--id", "1", "--id", "2", "ping"], "--id is given twice"),
        (&["--token-file", "a", "--token-file", "b", "ping"], "--token-file is given twice"),
    ];
    for (arguments, message) in cases {
        played.run(arguments).is(125, "", message);
    }
    assert_eq!(played.seen(), []);
}

#[test]
fn a_slip_is_told_with_the_word_that_was_meant() {
    let cases: &[(&[&str], &str)] = &[
        (&["compue", "1"], "unknown subcommand \"compue\": did you mean compute?"),
        (&["lst"], "did you mean list?"),
        (&["--sevrer", "x", "ping"], "unknown option \"--sevrer\": did you mean --server?"),
        (&["--token", "x", "ping"], "did you mean --token-file?"),
        (&["os", "--sdtin", "x"], "did you mean --stdin?"),
        (&["--jsn=1", "ping"], "did you mean --json?"),
        (&["-x", "ping"], "unknown option \"-x\""),
    ];
    for (arguments, message) in cases {
        run(zcmd("none", arguments), "").is(125, "", message);
    }
}

#[test]
fn old_wound_help_was_an_error() {
    let out = |arguments: &[&str]| {
        let run = run(zcmd("none", arguments), "");
        assert_eq!((run.status, run.err.as_str()), (0, ""), "{arguments:?}");
        run.text().to_owned()
    };
    assert_eq!(out(&["help"]), out(&["--help"]));
    assert_eq!(out(&["help", "os"]), out(&["os", "--help"]));
    run(zcmd("none", &["help", "os", "list"]), "").is(125, "", "one argument too many: \"list\"");
    for arguments in [&["token", "--help"][..], &["token", "-h"], &["keygen", "--help"], &["help"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_zcmdd")).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("zcmdd token --sub"), "{arguments:?}");
    }
}

#[test]
fn old_wound_variables_were_missing_in_the_help() {
    let help = run(zcmd("none", &["--help"]), "");
    for name in ["ZCMD_SERVER_KEY", "ZCMD_KEY_FILE", "ZCMD_ALLOW_CLEARTEXT", "ZCMD_TOKEN"] {
        assert!(help.text().contains(name), "{name}");
    }
}

#[test]
fn old_wound_a_misspelt_variable_was_ignored() {
    let played = Played::always(value("1"));
    let ask = |name: &str| {
        let mut command = played.zcmd(&["compute", "1"]);
        command.env(name, "x");
        run(command, "")
    };
    for (name, meant) in [
        ("ZCMD_SEVRER", "ZCMD_SERVER"),
        ("ZCMD_TOKENFILE", "ZCMD_TOKEN_FILE"),
        ("ZCDM_KEY_FILE", "ZCMD_KEY_FILE"),
    ] {
        ask(name).is(
            0,
            "1\n",
            &format!("the variable {name} has no effect; did you mean {meant}?"),
        );
    }
    for name in ["ZCMD_VECTORS", "ZCMD", "TOKEN", "ZCMD_OTHER_THING"] {
        ask(name).is(0, "1\n", "");
    }
}

#[test]
fn old_wound_a_misspelt_variable_of_the_daemon_was_ignored() {
    let check = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zcmdd"));
        command.env_clear().env(name, "1").arg("--check");
        command.env("JWT_SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyz");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (name, meant) in [
        ("MAX_CONCURENT_COMMANDS", Some("MAX_CONCURRENT_COMMANDS")),
        ("COMMAND_FILE", Some("COMMANDS_FILE")),
        ("RATE_BURST", None),
        ("LOGNAME", None),
    ] {
        let told = check(name);
        let line = meant.map(|meant| format!("{name} has no effect; did you mean {meant}?"));
        assert_eq!(told.contains("has no effect"), line.is_some(), "{told}");
        assert!(told.contains(&line.unwrap_or_default()), "{told}");
    }
}
