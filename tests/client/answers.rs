//! One answer each: what is printed, and the exit status.

use zcmd::limits;
use zcmd::port::{Ended, OutputBytes};
use zcmd::protocol::reply::{Answer, Code, Error, Ran};
use zcmd::protocol::request::{Ask, Id, Os, Values};

use crate::played::{Played, error, exited, ran, run, value, zcmd};

#[test]
fn a_command_gives_its_output_and_its_exit_status() {
    let cut = Ran {
        truncated: Some(OutputBytes { stdout: 5_000_000, stderr: 3 }),
        ..ran(Ended::Exited(0), b"abc", b"")
    };
    let timed_out = Error {
        ran: Some(ran(Ended::Signaled("SIGKILL".into()), b"so far\n", b"")),
        ..error(Code::TimedOut, "ended after 30 s", Some(true))
    };
    let refused = |code, message| Answer::Error(error(code, message, Some(false)));
    let cases = [
        (Answer::Ran(ran(Ended::Exited(0), b"up 3 days\n", b"")), 0, "up 3 days\n", ""),
        (Answer::Ran(ran(Ended::Exited(7), b"", b"oops\n")), 7, "", "oops\n"),
        (Answer::Ran(ran(Ended::Exited(124), b"", b"")), 124, "", ""),
        (Answer::Ran(ran(Ended::Exited(255), b"", b"")), 255, "", ""),
        (Answer::Ran(ran(Ended::Signaled("SIGKILL".into()), b"x", b"")), 137, "x", ""),
        (Answer::Ran(ran(Ended::Signaled("SIGSEGV".into()), b"", b"")), 139, "", ""),
        (Answer::Ran(cut), 0, "abc", "3 of 5000000 bytes of standard output"),
        (Answer::Error(timed_out), 124, "so far\n", "zcmd: [timed_out] ended after 30 s"),
        (refused(Code::Unauthorized, "no"), 125, "", "zcmd: [unauthorized] no"),
        (
            refused(Code::BadParameter, "count: too large"),
            125,
            "",
            "zcmd: [bad_parameter] count: too large",
        ),
        (refused(Code::Forbidden, "not yours"), 126, "", "zcmd: [forbidden] not yours; zcmd list"),
        (
            refused(Code::NotStarted, "no such program"),
            126,
            "",
            "zcmd: [not_started] no such program",
        ),
        (
            refused(Code::UnknownCommand, "no such command"),
            127,
            "",
            "zcmd: [unknown_command] no such command",
        ),
        (refused(Code::ShuttingDown, "draining"), 125, "", "zcmd: [shutting_down] draining"),
        (refused(Code::Internal, "a\nb\u{1b}[2J"), 125, "", "zcmd: [internal] a\\nb\\u{1b}[2J"),
        (Answer::Error(error(Code::Internal, "lost", None)), 255, "", "zcmd: [internal] lost"),
    ];
    for (answer, status, out, err) in cases {
        Played::always(answer).run(&["os", "name"]).is(status, out, err);
    }
}

#[test]
fn output_is_passed_on_byte_for_byte() {
    let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let played = Played::always(Answer::Ran(ran(Ended::Exited(0), &all, &[b'e'; 70_000])));
    let run = played.run(&["os", "name"]);
    assert!(run.out == all && run.err == "e".repeat(70_000) && run.status == 0);
}

#[test]
fn maths_gives_a_value_or_1() {
    let played = Played::new(|request, caller| {
        let Ask::Compute { expression, variables } = &request.ask else { panic!() };
        let bad =
            Error { position: Some(2), ..error(Code::BadExpression, "2*$: not a number", None) };
        caller.reply(
            request,
            match (expression.as_str(), variables.as_slice()) {
                ("2^100", []) => value("1267650600228229401496703205376"),
                ("-2^2", []) => value("-4"),
                ("2 + 3", []) => value("5"),
                ("x", [(x, v)]) if x == "x" => value(v),
                _ => Answer::Error(bad),
            },
        );
        true
    });
    played.run(&["compute", "2^100"]).is(0, "1267650600228229401496703205376\n", "");
    played.run(&["compute", "-2^2"]).is(0, "-4\n", "");
    played.run(&["compute", "--", "-2^2"]).is(0, "-4\n", "");
    played.run(&["compute", "2", "+", "3"]).is(0, "5\n", "");
    played.run(&["compute", "--let", "x=-.5", "x"]).is(0, "-0.5\n", "");
    played.run(&["compute", "x", "--let", "x=7"]).is(0, "7\n", "");
    played.run(&["compute", "2*$"]).is(1, "", "zcmd: [bad_expression] 2*$: not a number");
    let run = played.run(&["compute", "--explain", "2*$"]);
    assert_eq!(
        (run.status, run.err.as_str()),
        (1, "zcmd: [bad_expression] 2*$: not a number\n2*$\n  ^\n")
    );
}

#[test]
fn json_is_printed_as_it_came() {
    let body = br#"{ "id":"i", "status":"error", "new":[1],
        "error":{"code":"bad_parameter","message":"m","executed":false} }"#;
    let played = Played::new(|request, caller| {
        assert_eq!(request.id, Some(Id::Text("i".into())));
        if let Ask::Os(os) = &request.ask {
            assert!(!os.stream);
        }
        caller.raw(body);
        true
    });
    let whole = format!("{}\n", std::str::from_utf8(body).unwrap());
    played.run(&["--json", "os", "--id", "i", "name"]).is(125, &whole, "");
    played.run(&["--json", "--id", "i", "ping"]).is(125, &whole, "");
}

#[test]
fn everything_after_the_name_is_a_parameter() {
    let played = Played::always(exited(0));
    let cases: &[(&[&str], &[&str])] = &[
        (&["os", "name"], &[]),
        (&["os", "name", "5", "-x", "--json"], &["5", "-x", "--json"]),
        (&["os", "name", "--", "-x", "--"], &["-x", "--"]),
        (&["os", "name", "5", "--", "x"], &["5", "--", "x"]),
        (&["os", "--", "name", "a b", ""], &["a b", ""]),
    ];
    for (arguments, parameters) in cases {
        played.run(arguments).is(0, "", "");
        let parameters = parameters.iter().map(|p| (*p).to_owned()).collect();
        let os = Os { name: "name".into(), parameters, stream: true, ..Os::default() };
        assert_eq!(played.seen().last().unwrap().ask, Ask::Os(os));
    }
}

#[test]
fn a_parameter_has_a_name_before_the_command_and_never_behind_it() {
    let played = Played::always(exited(0));
    /// Arguments, then the values in order, then those with a name.
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        &'static [(&'static str, &'static [&'static str])],
    );
    let cases: &[Case] = &[
        (&["-p", "lines=5", "name", "dpkg.log"], &["dpkg.log"], &[("lines", &["5"])]),
        (&["-plines==a=b", "name"], &[], &[("lines", &["=a=b"])]),
        (&["--parameter=f=", "-p", "f=-x", "--", "name"], &[], &[("f", &["", "-x"])]),
        (&["name", "-p", "lines=5", "lines=5"], &["-p", "lines=5", "lines=5"], &[]),
    ];
    for (arguments, ordered, named) in cases {
        played.run(&[&["os"], *arguments].concat()).is(0, "", "");
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let named = named.iter().map(|(name, values)| ((*name).to_owned(), texts(values)));
        let parameters = Values { ordered: texts(ordered), named: named.collect() };
        let os = Os { name: "name".into(), parameters, stream: true, ..Os::default() };
        assert_eq!(played.seen().last().unwrap().ask, Ask::Os(os), "{arguments:?}");
    }
    for wrong in ["lines", "=5", ""] {
        let ended = played.run(&["os", "-p", wrong, "name"]);
        assert_eq!(ended.status, 125);
        assert!(ended.err.contains("write NAME=VALUE"), "{}", ended.err);
    }
}

#[test]
fn a_command_reads_our_standard_input_within_bounds() {
    let played = Played::always(exited(0));
    let most = "x".repeat(limits::STDIN_BYTES_MAX);
    // In JSON it would be six times as long.
    let zeros = "\0".repeat(limits::STDIN_BYTES_MAX);
    let all: Vec<u8> = (0..=255).collect();
    let texts = ["", "a\né\u{0}\n", &most, &zeros].map(str::as_bytes);
    for stdin in texts.into_iter().chain([all.as_slice()]) {
        played.feed(&["os", "--stdin", "name"], stdin).is(0, "", "");
        let Ask::Os(os) = played.seen().pop().unwrap().ask else { panic!() };
        assert!(os.stdin == stdin);
    }
    let sent = played.seen().len();
    let over = format!("{most}x");
    let message = "standard input is larger than 131072 bytes";
    played.feed(&["os", "--stdin", "name"], &over).is(125, "", message);
    // Each one fits, and all together do not.
    let long = "x".repeat(limits::PARAMETER_BYTES_MAX);
    let arguments = [vec!["os", "name"], vec![long.as_str(); limits::PARAMETERS_MAX]].concat();
    played.run(&arguments).is(125, "", "a daemon takes 262144");
    assert_eq!(played.seen().len(), sent);
}

#[test]
fn the_plain_questions_are_answered_for_people() {
    let played = Played::new(|request, caller| {
        let json = match request.ask {
            Ask::Ping => r#"{"version":"0.1.0","uptime_ms":93784000}"#,
            Ask::Status => r#"{"requests":{"os":1,"compute":22},"running":3}"#,
            Ask::List => r#"{"compute":false,"commands":[{"name":"a","parameters":[]}]}"#,
            _ => r#"{"cancelled":true}"#,
        };
        caller.reply(request, value(json));
        true
    });
    played.run(&["ping"]).is(0, "zcmdd 0.1.0, up 1 day 2 h\n", "");
    let counters = "requests\n  os       1\n  compute  22\nrunning   3\n";
    played.run(&["status"]).is(0, counters, "");
    played.run(&["list"]).is(0, "a\n", "");
    for (text, id) in [("7", Id::Number(7)), ("07", Id::Text("07".into()))] {
        played.run(&["cancel", text]).is(0, "", "");
        assert_eq!(played.seen().pop().unwrap().ask, Ask::Cancel { target: Some(id), job: None });
    }
}

#[test]
fn replies_to_others_are_passed_over() {
    let played = Played::new(|request, caller| {
        caller.reply_to(Some(Id::Number(99)), value("1"));
        caller.reply_to(Some(Id::Text("99".into())), exited(3));
        caller.reply(request, value("2"));
        true
    });
    played.run(&["compute", "1+1"]).is(0, "2\n", "");
    // What a daemon could not read has no id.
    let played = Played::new(|_, caller| {
        caller.reply_to(None, Answer::Error(error(Code::Malformed, "bytes", None)));
        true
    });
    played.run(&["compute", "1+1"]).is(125, "", "zcmd: [malformed] bytes");
    let played = Played::new(|_, caller| {
        caller.raw(b"HTTP/1.1 400 Bad Request");
        true
    });
    played.run(&["compute", "1+1"]).is(255, "", "no reply of a daemon");
}

#[test]
fn a_wrong_command_line_is_answered_with_one_line_and_125() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "a subcommand is missing"),
        (&["dance"], "unknown subcommand \"dance\""),
        (&["--token", "x", "ping"], "--token"),
        (&["compute"], "an expression is missing"),
        (&["compute", "--let", "x", "1"], "write NAME=NUMBER"),
        (&["compute", "--let-columns", "x", "1"], "--let-columns"),
        (&["os"], "a command is missing"),
        (&["ping", "--stdin"], "--stdin is an option of os"),
        (&["ping", "me"], "one argument too many: \"me\""),
        (&["cancel"], "an id is missing"),
        (&["get"], "a file of the host is missing"),
        (&["put", "a"], "a file, and its path on the host"),
        (&["facts", "a"], "one argument too many"),
        (&["os", "--command", "a", "b"], "--command"),
        (&["--json", "get", "a"], "has more than one"),
        (&["get", "a/.."], "give LOCAL, too"),
        (&["put", "/nonexistent/a", "b"], "/nonexistent/a: No such file"),
        (&["put", "/dev/null", "b"], "not a regular file"),
        (&["batch", "1+1"], "cannot open 1+1: "),
        (&["batch", "--let-columns", "x"], "needs an expression"),
        (&["batch", "--token-file", "-"], "both the token and the input"),
        (&["--timeout", "soon", "ping"], "--timeout soon: expected seconds"),
        (&["--timeout"], "missing argument"),
    ];
    let played = Played::silent();
    for (arguments, message) in cases {
        played.run(arguments).is(125, "", message);
    }
    assert_eq!(played.seen(), []);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let subcommands = "compute os list ping status cancel menu batch keygen facts ls get put";
    for subcommand in subcommands.split(' ') {
        let run = run(zcmd("none", &[subcommand, "--help"]), "");
        assert!(run.status == 0 && run.err.is_empty(), "{run:?}");
        assert!(run.text().contains(&format!("zcmd {subcommand}")), "{run:?}");
    }
    run(zcmd("none", &["-V"]), "").is(0, concat!("zcmd ", env!("CARGO_PKG_VERSION"), "\n"), "");
}

#[test]
fn an_unknown_subcommand_is_a_program_if_there_is_one() {
    let folder = std::env::temp_dir().join(format!("zcmd-programs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // Links, since a file that a test has just written may be busy.
    for (name, program) in [("dance", "/bin/echo"), ("sing", "/bin/sh"), ("ping", "/bin/echo")] {
        std::os::unix::fs::symlink(program, folder.join(format!("zcmd-{name}"))).unwrap();
    }
    std::fs::write(folder.join("zcmd-torn"), "#!/none\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.join("zcmd-torn"), mode).unwrap();
    let ask = |arguments: &[&str], stdin: &str| {
        let mut command = zcmd("tcp://127.0.0.1:9", arguments);
        command.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
        run(command, stdin)
    };
    let passed = ["--json", "dance", "-x", "--help", "a b"];
    ask(&passed, "").is(0, "--json -x --help a b\n", "");
    ask(&["sing", "-c", "cat; exit 42"], "hello").is(42, "hello", "");
    ask(&["torn"], "").is(126, "", "cannot start");
    ask(&["../dance"], "").is(125, "", "unknown subcommand \"../dance\"");
    ask(&["ping"], "").is(125, "", "no daemon answers");
    let help = ask(&["--help"], "");
    let line = help.text().lines().find(|line| line.starts_with("Programs")).unwrap();
    assert!(line.contains("dance") && line.contains("sing"), "{line}");
    std::fs::remove_dir_all(folder).unwrap();
}
