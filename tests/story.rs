//! Whole stories: events go into the service in virtual time, and the trace of what it decides is
//! compared. The test plays the machine.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use zcmd::limits;
use zcmd::port::{Action, Ending, Event, Field, JobId, Misframing, Moment, Outgoing, Peer, Stream};
use zcmd::port::{Subject, Unsent};
use zcmd::protocol::token::{Claims, Keys};
use zcmd::service::Service;
use zcmd::service::access::authority::{Authority, Revoked};
use zcmd::service::access::clients::Clients;
use zcmd::service::commands::Commands;
use zcmd::service::policy::Policy;
use zcmd::service::settings::{Settings, TokenRules};

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const NOW: f64 = 1_800_000_000.0;

const COMMANDS: &str = r#"{
    "run": {"run": ["/bin/run", "{a}"], "timeout_seconds": 10,
            "parameters": [{"name": "a", "type": "word", "default": "x"}]},
    "one": {"run": ["/bin/one"], "at_most": 1},
    "hush": {"run": ["/bin/hush", "{p}"],
             "parameters": [{"name": "p", "type": "text", "secret": true}]}
}"#;

struct Story {
    service: Service,
    now: Duration,
    trace: String,
    actions: Vec<Action>,
}

impl Story {
    fn new(variables: &[(&str, &str)]) -> Self {
        let settings = Settings::read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            let value = found.map(|(_, value)| (*value).into());
            value.or((name == "JWT_SECRET_KEY").then(|| KEY.into()))
        });
        let (settings, mut policy) = (settings.unwrap(), policy(KEY, "", None));
        policy.authority.rules = settings.tokens.clone();
        let service = Service::new(settings, policy);
        Self { service, now: Duration::ZERO, trace: String::new(), actions: Vec::new() }
    }

    /// A message of somebody who holds a token of this scope.
    fn ask(&mut self, who: &str, scope: &str, request: &str) {
        let body = self.body(who, scope, request);
        self.say(who, &body);
    }

    fn body(&self, who: &str, scope: &str, request: &str) -> String {
        let claims = Claims {
            subject: who.to_owned(),
            scope: Some(scope.to_owned()),
            expires: NOW + 60.0,
            ..Claims::default()
        };
        let token = Keys::parse(KEY).unwrap().sign(&claims);
        request.replacen('{', &format!("{{\"token\":\"{token}\","), 1)
    }

    fn say(&mut self, who: &str, body: &str) {
        self.event(Event::Message { peer: peer(who), body: body.as_bytes().to_vec() });
    }

    fn ended(&mut self, job: u64, ending: Ending) {
        self.event(Event::Ended { job: JobId(job), ending, leftover: false });
    }

    fn event(&mut self, event: Event) {
        let now = self.moment();
        self.service.handle(&now, event, &mut self.actions);
        self.turn();
    }

    fn reload(&mut self, policy: Policy) {
        let now = self.moment();
        self.service.replace(&now, policy, &mut self.actions);
        self.turn();
    }

    /// Lets time pass, deadline by deadline, as the loop does.
    fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(next) = self.service.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
        self.turn();
    }

    fn turn(&mut self) {
        let now = self.moment();
        self.service.tick(&now, &mut self.actions);
        for action in self.actions.drain(..) {
            let at = self.now.as_millis();
            let line = match action {
                Action::Send(Outgoing { peer, body, .. }) => {
                    let to = String::from_utf8(peer.envelope[0].clone()).unwrap();
                    format!("{to} <- {}", String::from_utf8(body).unwrap())
                }
                Action::Start { job, invocation } => {
                    format!("start {} {} {:?}", job.0, invocation.program, invocation.arguments)
                }
                Action::Judge(_, verdict) => format!("{verdict:?}"),
                Action::Terminate(job) => format!("terminate {}", job.0),
                Action::Kill(job) => format!("kill {}", job.0),
                Action::Pause(job) => format!("pause {}", job.0),
                Action::Resume(job) => format!("resume {}", job.0),
                Action::Log(record) => {
                    let reason = record.fields.iter().find(|(name, _)| *name == "reason");
                    let text = match reason {
                        Some((_, Field::Text(text))) => format!(" {text}"),
                        _ => String::new(),
                    };
                    format!("log {}{text}", record.event)
                }
            };
            writeln!(self.trace, "{at} {line}").unwrap();
        }
    }

    fn moment(&self) -> Moment {
        Moment { uptime: self.now, unix: Duration::from_secs_f64(NOW) + self.now }
    }

    /// The trace since it was asked for last, without the lines of the log.
    fn trace(&mut self) -> String {
        let trace = std::mem::take(&mut self.trace);
        let lines = trace.lines().filter(|line| line.split(' ').nth(1) != Some("log"));
        lines.map(|line| format!("{line}\n")).collect()
    }

    fn log(&mut self) -> Vec<String> {
        let trace = std::mem::take(&mut self.trace);
        trace
            .lines()
            .filter_map(|line| line.split_once(" log "))
            .map(|(_, l)| l.to_owned())
            .collect()
    }
}

/// A piece of a stream of this subject.
fn piece(who: &str, body: &str) -> Outgoing {
    let subject = Some(Subject::new(None, who.to_owned()));
    Outgoing { peer: peer(who), body: body.as_bytes().to_vec(), subject, piece: true }
}

fn policy(keys: &str, revoked: &str, clients: Option<Clients>) -> Policy {
    let authority = Authority {
        rules: TokenRules { leeway: Duration::from_secs(30), ..TokenRules::default() },
        keys: Keys::parse(keys).unwrap(),
        revoked: Revoked::parse(revoked).unwrap(),
        clients,
        roles: Default::default(),
    };
    Policy { authority, commands: Commands::parse(COMMANDS).unwrap() }
}

fn peer(who: &str) -> Peer {
    let address = Some(IpAddr::from([10, 0, 0, 1]));
    Peer { envelope: vec![who.as_bytes().to_vec()], address, key: None }
}

fn os(name: &str, id: u32) -> String {
    format!(r#"{{"command_type":"os","command_name":"{name}","id":{id}}}"#)
}

fn ran(id: u32, end: &str, duration: u32) -> String {
    format!(
        r#"{{"id":{id},"status":"ok","result":{{{end},"stdout":"","stderr":"","duration_ms":{duration}}}}}"#
    )
}

#[test]
fn each_kind_of_request_gets_its_reply() {
    let mut story = Story::new(&[]);
    story.ask("a", "compute", r#"{"command_type":"compute","expression":"2*(3+4)","id":"x"}"#);
    story.ask(
        "a",
        "compute",
        r#"{"command_type":"compute","expression":"a^b","variables":{"a":2,"b":100}}"#,
    );
    story.ask("a", "", r#"{"command_type":"ping"}"#);
    story.ask("a", "os:one", r#"{"command_type":"list"}"#);
    story.ask("a", "compute", &os("one", 1));
    story.ask("a", "os:*", &os("two", 2));
    story.ask("a", "os:run", r#"{"command_type":"os","command_name":"run","parameters":["-x"]}"#);
    story.ask("a", "", r#"{"command_type":"status"}"#);
    story.ask("a", "os:*", r#"{"command_type":"cancel","target":9}"#);
    assert_eq!(
        story.trace(),
        format!(
            r#"0 a <- {{"id":"x","status":"ok","result":14}}
0 a <- {{"status":"ok","result":1267650600228229401496703205376}}
0 a <- {{"status":"ok","result":{{"version":"{}","uptime_ms":0}}}}
0 a <- {{"status":"ok","result":{{"compute":false,"commands":[{{"name":"one","parameters":[]}}]}}}}
0 a <- {{"id":1,"status":"error","error":{{"code":"forbidden","message":"the token does not reach os:one; ask the owner to add it to its scope","executed":false}}}}
0 a <- {{"id":2,"status":"error","error":{{"code":"unknown_command","message":"there is no command two; `list` tells which there are","executed":false}}}}
0 a <- {{"status":"error","error":{{"code":"bad_parameter","message":"parameter a: must not make an argument begin with -, unless its entry says \"dash\": true; it is 1 to 64 letters, digits, _ . or -, such as eth0","executed":false}}}}
0 a <- {{"status":"error","error":{{"code":"forbidden","message":"the token does not reach status; ask the owner to add it to its scope"}}}}
0 a <- {{"status":"error","error":{{"code":"not_found","message":"no running or waiting command of yours has this id"}}}}
"#,
            env!("CARGO_PKG_VERSION")
        )
    );
}

#[test]
fn six_jobs_at_limit_two_take_three_rounds() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "2")]);
    for id in 0..6 {
        story.ask("a", "os:*", &os("run", id));
    }
    for round in 0..3 {
        story.wait(1000);
        story.ended(2 * round, Ending::Exited(0));
        story.ended(2 * round + 1, Ending::Exited(0));
    }
    let (start, end) = (|n| format!("start {n} /bin/run [\"x\"]\n"), r#""exit_code":0"#);
    let (reply, s) = (|id| format!("a <- {}\n", ran(id, end, 1000)), start);
    let wanted = [
        format!("0 {}0 {}", s(0), s(1)),
        format!("1000 {}1000 {}1000 {}1000 {}", reply(0), s(2), reply(1), s(3)),
        format!("2000 {}2000 {}2000 {}2000 {}", reply(2), s(4), reply(3), s(5)),
        format!("3000 {}3000 {}", reply(4), reply(5)),
    ];
    assert_eq!(story.trace(), wanted.concat());
}

#[test]
fn old_wound_maths_does_not_wait_for_sleep() {
    let mut story = Story::new(&[]);
    for id in 0..40 {
        story.ask("a", "os:*", &os("run", id));
    }
    story.trace();
    story.ask("a", "compute", r#"{"command_type":"compute","expression":"1+1"}"#);
    assert_eq!(story.trace(), "0 a <- {\"status\":\"ok\",\"result\":2}\n");
}

#[test]
fn old_wound_a_time_out_is_not_a_success() {
    let mut story = Story::new(&[]);
    story.ask("a", "os:*", &os("run", 1));
    story.event(Event::Output { job: JobId(0), stream: Stream::Stdout, bytes: b"half".to_vec() });
    story.wait(20_000);
    story.ended(0, Ending::Signaled("SIGKILL".into()));
    assert_eq!(
        story.trace(),
        r#"0 start 0 /bin/run ["x"]
10000 terminate 0
12000 kill 0
20000 a <- {"id":1,"status":"error","error":{"code":"timed_out","message":"the command was ended at its time limit","executed":true},"result":{"signal":"SIGKILL","stdout":"half","stderr":"","duration_ms":20000}}
"#
    );
}

#[test]
fn old_wound_a_signal_is_not_exit_0_and_no_start_is_not_executed() {
    let mut story = Story::new(&[]);
    story.ask("a", "os:*", &os("run", 1));
    story.ended(0, Ending::Signaled("SIGSEGV".into()));
    story.ask("a", "os:*", &os("run", 2));
    let (step, reason) = ("exec".into(), "no such file".into());
    story.ended(1, Ending::NotStarted { step, reason });
    assert_eq!(
        story.trace(),
        format!(
            r#"0 start 0 /bin/run ["x"]
0 a <- {}
0 start 1 /bin/run ["x"]
0 a <- {{"id":2,"status":"error","error":{{"code":"not_started","message":"the program could not be started; the daemon's log says why","executed":false}}}}
"#,
            ran(1, r#""signal":"SIGSEGV""#, 0)
        )
    );
}

#[test]
fn a_command_is_cancelled_by_its_own_subject_alone() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
    story.ask("a", "os:*", &os("run", 1));
    story.ask("a", "os:*", &os("run", 2));
    story.ask("b", "os:*", r#"{"command_type":"cancel","target":1}"#);
    story.ask("a", "os:*", r#"{"command_type":"cancel","target":2,"id":"c"}"#);
    story.ask("a", "os:*", r#"{"command_type":"cancel","target":1}"#);
    story.wait(5);
    story.ended(0, Ending::Signaled("SIGTERM".into()));
    assert_eq!(
        story.trace(),
        r#"0 start 0 /bin/run ["x"]
0 b <- {"status":"error","error":{"code":"not_found","message":"no running or waiting command of yours has this id"}}
0 a <- {"id":2,"status":"error","error":{"code":"cancelled","message":"the command was cancelled before it began","executed":false}}
0 a <- {"id":"c","status":"ok","result":{"cancelled":true}}
0 terminate 0
0 a <- {"status":"ok","result":{"cancelled":true}}
5 a <- {"id":1,"status":"error","error":{"code":"cancelled","message":"the command was ended before its time","executed":true},"result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":5}}
"#
    );
}

#[test]
fn old_wound_a_process_that_cannot_be_killed_does_not_hold_up_the_end() {
    let mut story = Story::new(&[("SHUTDOWN_GRACE_SECONDS", "1")]);
    story.ask("a", "os:*", r#"{"command_type":"os","command_name":"one"}"#);
    story.event(Event::Shutdown);
    // The grace of the daemon, that of the command, and the time that SIGKILL has.
    story.wait(7_900);
    assert!(story.trace.contains("3000 kill 0") && !story.service.is_drained(), "{}", story.trace);
    story.wait(200);
    assert!(story.trace.contains("8000 log left_running"), "{}", story.trace);
    assert!(story.trace.contains(r#"8000 a <- {"status":"error","error":{"code":"cancelled""#));
    assert!(story.service.is_drained(), "{}", story.trace);
}

#[test]
fn old_wound_a_silent_reader_held_the_end_for_the_whole_grace() {
    let mut story = Story::new(&[]);
    story.event(Event::Unsent(piece("a", "1"), Unsent::WouldBlock));
    story.event(Event::Shutdown);
    assert!(!story.service.is_drained(), "the reader has a little time");
    story.wait(u64::try_from(limits::FAREWELL.as_millis()).unwrap());
    story.event(Event::Unsent(piece("a", "1"), Unsent::WouldBlock));
    assert!(story.service.is_drained(), "no command is there to wait for");
}

#[test]
fn a_shutdown_refuses_drains_and_answers_everybody() {
    let limits = [("MAX_CONCURRENT_COMMANDS", "1"), ("SHUTDOWN_GRACE_SECONDS", "3")];
    let mut story = Story::new(&limits);
    story.ask("a", "os:*", &os("run", 1));
    story.ask("a", "os:*", &os("run", 2));
    story.event(Event::Shutdown);
    story.ask("a", "compute", r#"{"command_type":"compute","expression":"1"}"#);
    story.event(Event::Shutdown);
    assert!(!story.service.is_drained());
    story.wait(4000);
    story.ended(0, Ending::Signaled("SIGTERM".into()));
    assert!(story.service.is_drained());
    assert_eq!(
        story.trace(),
        r#"0 start 0 /bin/run ["x"]
0 a <- {"id":2,"status":"error","error":{"code":"shutting_down","message":"the daemon is shutting down; try another host","executed":false}}
0 a <- {"status":"error","error":{"code":"shutting_down","message":"the daemon is shutting down; try another host"}}
3000 terminate 0
4000 a <- {"id":1,"status":"error","error":{"code":"cancelled","message":"the command was ended before its time","executed":true},"result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":4000}}
"#
    );
}

#[test]
fn waiting_for_retry_after_ms_always_suffices() {
    let mut story = Story::new(&[("MAX_REQUESTS_PER_MINUTE", "60"), ("RATE_BURST", "2")]);
    for _ in 0..3 {
        story.ask("a", "", r#"{"command_type":"ping"}"#);
    }
    story.ask("b", "", r#"{"command_type":"ping"}"#);
    let trace = story.trace();
    assert_eq!(trace.matches("\"ok\"").count(), 3, "{trace}");
    assert!(trace.contains(r#""code":"rate_limited","message":"too many requests; wait for retry_after_ms","retry_after_ms":1000"#));
    story.wait(1000);
    story.ask("a", "", r#"{"command_type":"ping"}"#);
    assert!(story.trace().contains("\"ok\""));
}

#[test]
fn old_wound_limits_that_limit_nothing() {
    let limits = [
        ("MAX_CONCURRENT_COMMANDS", "3"),
        ("MAX_COMMANDS_PER_SUBJECT", "2"),
        ("MAX_QUEUED_COMMANDS", "2"),
    ];
    let mut story = Story::new(&limits);
    let started = |story: &mut Story| story.trace().matches("start ").count();
    for id in 0..3 {
        story.ask("a", "os:*", &os("one", id));
    }
    assert_eq!(started(&mut story), 1, "at_most 1 of its name");
    story.ask("a", "os:*", &os("one", 3));
    let trace = story.trace();
    assert!(
        trace.contains(r#""code":"busy","#) && trace.contains("retry_after_ms\":32000"),
        "{trace}"
    );

    let mut story = Story::new(&limits);
    (0..4).for_each(|id| story.ask("a", "os:*", &os("run", id)));
    assert_eq!(started(&mut story), 2, "two of one subject");
    story.ask("b", "os:*", &os("run", 1));
    assert_eq!(started(&mut story), 1, "whoever has fewer running is not behind those that wait");
    story.ended(0, Ending::Exited(0));
    assert_eq!(started(&mut story), 1, "a place that is free is taken");
}

#[test]
fn one_caller_with_sixty_waiting_does_not_delay_anothers_first() {
    let mut story =
        Story::new(&[("MAX_CONCURRENT_COMMANDS", "2"), ("MAX_REQUESTS_PER_MINUTE", "0")]);
    (0..62).for_each(|id| story.ask("a", "os:*", &os("run", id)));
    story.ask("b", "os:*", &os("run", 7));
    story.trace();
    story.ended(0, Ending::Exited(0));
    assert!(story.trace().contains("\n0 start 62 "), "b's first comes before a's third");
}

#[test]
fn old_wound_failed_tokens_lock_nobody_out_and_do_not_fill_the_log() {
    let mut story = Story::new(&[]);
    for _ in 0..200 {
        story.say("x", r#"{"command_type":"ping","token":"a.b.c"}"#);
        story.say("x", "not json");
        story.event(Event::Misframed { peer: peer("x"), fault: Misframing::SeveralBodies });
    }
    let all = story.trace.clone();
    assert_eq!(all.matches("x <- ").count(), 600, "each is answered");
    let replies: String = all.lines().filter(|line| line.contains(" <- ")).collect();
    assert!(all.contains("log refused signature") && !replies.contains("signature"), "{replies}");
    assert_eq!(story.log().len(), 10);
    story.ask("a", "", r#"{"command_type":"ping"}"#);
    assert!(story.trace().contains("\"ok\""), "the same address, a good token");
    story.wait(60_000);
    assert_eq!(story.log(), ["refused_without_line"]);
    story.wait(600_000);
    assert_eq!(story.log(), Vec::<String>::new(), "no timer without a reason");
    assert_eq!(story.service.next_deadline(), None);
}

#[test]
fn a_stream_waits_for_its_reader_and_for_nobody_else() {
    let mut story = Story::new(&[]);
    let request = r#"{"command_type":"os","command_name":"run","id":1,"stream":true}"#;
    story.ask("a", "os:*", request);
    let write = |story: &mut Story, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        story.event(Event::Output { job: JobId(0), stream: Stream::Stdout, bytes });
    };
    write(&mut story, "é1".as_bytes());
    write(&mut story, b"\xc3");
    write(&mut story, b"\xa9");
    story.event(Event::Unsent(piece("a", "é1"), Unsent::WouldBlock));
    story.ask("b", "", r#"{"command_type":"ping","id":2}"#);
    write(&mut story, b"2");
    story.wait(10);
    story.ended(0, Ending::Exited(0));
    let trace = story.trace().replace(env!("CARGO_PKG_VERSION"), "V");
    assert_eq!(
        trace,
        r#"0 start 0 /bin/run ["x"]
0 a <- {"id":1,"status":"output","stream":"stdout","data":"é1"}
0 a <- {"id":1,"status":"output","stream":"stdout","data":"é"}
0 pause 0
0 b <- {"id":2,"status":"ok","result":{"version":"V","uptime_ms":0}}
0 pause 0
10 a <- é1
10 a <- {"id":1,"status":"output","stream":"stdout","data":"2"}
10 resume 0
10 a <- {"id":1,"status":"ok","result":{"exit_code":0,"stdout":"","stderr":"","duration_ms":10}}
"#
    );
}

#[test]
fn a_client_that_vanished_from_a_stream_ends_its_command() {
    let mut story = Story::new(&[]);
    story.ask("a", "os:*", r#"{"command_type":"os","command_name":"run","stream":true}"#);
    story.event(Event::Unsent(piece("a", ""), Unsent::Gone));
    assert_eq!(story.trace(), "0 start 0 /bin/run [\"x\"]\n0 terminate 0\n");
}

#[test]
fn old_wound_secrets_and_tokens_are_in_no_line_of_the_log() {
    let mut story = Story::new(&[("LOG_LEVEL", "debug")]);
    let request = r#"{"command_type":"os","command_name":"hush","parameters":["Xyzzy"],"id":1}"#;
    let (now, mut actions) = (story.moment(), Vec::new());
    story.ask("a", "os:*", request);
    assert!(story.trace().contains("Xyzzy"), "the command gets it");
    let claims = Claims {
        subject: "a".into(),
        scope: Some("os:*".into()),
        expires: NOW + 9.0,
        ..Claims::default()
    };
    let token = Keys::parse(KEY).unwrap().sign(&claims);
    let bodies = [
        request.replacen('{', &format!("{{\"token\":\"{token}\","), 1),
        format!(r#"{{"command_type":"ping","token":"{token}x"}}"#),
        format!(r#"{{"command_type":"ping","id":"{token}"}}"#),
        format!(r#"{{"command_type":"{token}"}}"#),
        format!(r#"{{"command_type":"ping","{token}":1}}"#),
        format!(r#"{{"command_type":"os","command_name":["{token}"]}}"#),
    ];
    for body in bodies {
        let event = Event::Message { peer: peer("a"), body: body.into_bytes() };
        story.service.handle(&now, event, &mut actions);
    }
    story.service.handle(
        &now,
        Event::Ended { job: JobId(0), ending: Ending::Exited(0), leftover: false },
        &mut actions,
    );
    let logged: String = actions
        .iter()
        .filter_map(|action| match action {
            Action::Log(record) => Some(format!("{record:?}")),
            _ => None,
        })
        .collect();
    assert!(logged.contains("hush") && logged.contains("***"), "{logged}");
    let signature = token.rsplit('.').next().unwrap();
    for secret in ["Xyzzy", signature, KEY] {
        assert!(!logged.contains(secret), "{logged}");
    }
}

#[test]
fn old_wound_a_token_without_scope_cannot_flood_the_log_with_cancels() {
    let mut story = Story::new(&[("MAX_REQUESTS_PER_MINUTE", "60")]);
    for _ in 0..1000 {
        story.ask("a", "", r#"{"command_type":"cancel","target":1}"#);
    }
    // 60 are within the rate of the subject, and each has its line; of the others, 10 have one.
    assert_eq!(story.log().len(), 60 + 10);
}

#[test]
fn a_second_stream_on_a_connection_that_is_stalled_is_held_up_and_loses_nothing_in_silence() {
    let mut story = Story::new(&[]);
    for id in 1..=2 {
        story.ask(
            "a",
            "os:*",
            &format!(r#"{{"command_type":"os","command_name":"run","id":{id},"stream":true}}"#),
        );
    }
    let write = |story: &mut Story, job: u64, count: usize| {
        let event = |bytes| Event::Output { job: JobId(job), stream: Stream::Stdout, bytes };
        (0..count).for_each(|_| story.event(event(vec![b'x'; 8192])));
    };
    story.event(Event::Unsent(piece("a", ""), Unsent::WouldBlock));
    story.trace();
    write(&mut story, 1, 1);
    assert_eq!(story.trace(), "0 pause 1\n");
    // It goes on writing all the same: what finds no room is told in the end.
    write(&mut story, 1, 400);
    story.ended(1, Ending::Exited(0));
    story.trace();
    story.wait(10);
    let trace = story.trace();
    assert!(
        trace.contains(r#""truncated":{"stdout_bytes":3284992,"stderr_bytes":0}"#),
        "{trace:.300}"
    );
}

#[test]
fn what_was_stopped_before_it_began_was_not_executed() {
    let mut story = Story::new(&[]);
    for (id, stop) in [(0, "time"), (1, "cancel")] {
        story.ask("a", "os:*", &os("run", id));
        match stop {
            "time" => story.wait(10_000),
            _ => story.ask("a", "os:*", r#"{"command_type":"cancel","target":1}"#),
        }
        let (step, reason) = ("launch".into(), "ended".into());
        story.ended(id.into(), Ending::NotStarted { step, reason });
    }
    let trace = story.trace();
    for code in ["timed_out", "cancelled"] {
        let error = format!(r#""error":{{"code":"{code}","message":"#);
        let line =
            trace.lines().find(|line| line.contains(&error)).unwrap_or_else(|| panic!("{trace}"));
        assert!(line.contains(r#""executed":false"#), "{line}");
    }
}

#[test]
fn a_queue_that_is_full_of_others_has_a_place_for_somebodys_first() {
    let limits = [("MAX_CONCURRENT_COMMANDS", "1"), ("MAX_QUEUED_COMMANDS", "4")];
    let mut story = Story::new(&limits);
    (0..6).for_each(|id| story.ask("a", "os:*", &os("run", id)));
    assert_eq!(story.trace().matches("\"busy\"").count(), 1);
    story.ask("b", "os:*", &os("run", 1));
    assert_eq!(story.trace(), "", "it waits");
    story.ask("b", "os:*", &os("run", 2));
    assert_eq!(story.trace().matches("\"busy\"").count(), 1);
}

#[test]
fn a_leftover_holds_its_place_until_it_is_gone() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1"), ("MAX_QUEUED_COMMANDS", "1")]);
    (0..2).for_each(|id| story.ask("a", "os:*", &os("run", id)));
    story.event(Event::Ended { job: JobId(0), ending: Ending::Exited(0), leftover: true });
    story.ask("a", "os:*", &os("run", 2));
    let trace = story.trace();
    assert!(trace.contains("0 terminate 0") && trace.contains("retry_after_ms\":2000"), "{trace}");
    story.wait(2000);
    assert_eq!(story.trace(), "2000 kill 0\n");
    story.event(Event::Gone(JobId(0)));
    assert_eq!(story.trace(), "2000 start 1 /bin/run [\"x\"]\n");
}

#[test]
fn old_wound_a_command_started_before_its_line_was_in_the_log() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
    story.ask("a", "os:*", &os("run", 0));
    story.ask("a", "os:*", &os("run", 1));
    story.ended(0, Ending::Exited(0));
    let words = |line: &str| line.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ");
    let trace: Vec<String> = story.trace.lines().map(words).collect();
    let wanted = [
        "log command_accepted",
        "start 0",
        "log command_accepted",
        "log command_ended",
        "a <-",
        "start 1",
    ];
    assert_eq!(trace, wanted);
}

#[test]
fn old_wound_all_waiting_commands_started_in_one_turn() {
    let mut story = Story::new(&[
        ("MAX_CONCURRENT_COMMANDS", "64"),
        ("MAX_COMMANDS_PER_SUBJECT", "64"),
        ("MAX_QUEUED_COMMANDS", "0"),
        ("MAX_REQUESTS_PER_MINUTE", "0"),
    ]);
    let now = story.moment();
    for id in 0..70 {
        let body = story.body("a", "os:*", &os("run", id)).into_bytes();
        let event = Event::Message { peer: peer("a"), body };
        story.service.handle(&now, event, &mut story.actions);
    }
    let mut starts = Vec::new();
    story.turn();
    while let Some(at) = story.service.next_deadline().filter(|at| *at <= story.now) {
        assert!(at <= story.now && starts.len() < 100, "the loop does not sleep");
        starts.push(story.trace().matches("start ").count());
        story.turn();
    }
    starts.push(story.trace().matches("start ").count());
    assert_eq!(starts.iter().sum::<usize>(), 64, "the others are busy: a place is taken at once");
    assert!(starts.iter().all(|count| *count <= limits::STARTS_PER_TURN), "{starts:?}");
}

#[test]
fn old_wound_a_command_waited_for_ever() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
    let request = |id| format!(r#"{{"command_type":"os","command_name":"run","id":{id}}}"#);
    story.ask("a", "os:*", &request(1));
    story.wait(9_000);
    story.ask("b", "os:*", &request(2));
    story.wait(5_000);
    story.trace();
    story.wait(5_000);
    assert_eq!(
        story.trace(),
        r#"19000 b <- {"id":2,"status":"error","error":{"code":"busy","message":"the command did not get its turn within its time limit; wait for retry_after_ms","retry_after_ms":100,"executed":false}}
"#
    );
    assert_eq!(story.service.next_deadline(), None);
}

#[test]
fn old_wound_a_command_waited_for_a_peer_that_had_gone() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
    story.ask("a", "os:*", &os("run", 1));
    story.ask("b", "os:*", &os("run", 2));
    story.event(Event::Unsent(piece("b", ""), Unsent::Gone));
    story.event(Event::Unsent(piece("a", ""), Unsent::Gone));
    story.trace();
    story.ended(0, Ending::Exited(0));
    assert!(!story.trace().contains("start"), "what waited is gone");
}

#[test]
fn debug_has_a_line_for_every_request() {
    let mut story = Story::new(&[("LOG_LEVEL", "debug")]);
    story.ask("a", "compute", r#"{"command_type":"compute","expression":"1"}"#);
    story.ask("a", "", r#"{"command_type":"compute","expression":"1"}"#);
    story.say("x", "not json");
    let wanted = ["request", "refused the token does not reach compute", "request"];
    let log = story.log();
    assert!(
        log.iter().take(3).zip(wanted).all(|(line, wanted)| line.starts_with(wanted)),
        "{log:?}"
    );
    assert_eq!(log.iter().filter(|line| *line == "request").count(), 3);
    let mut story = Story::new(&[]);
    story.ask("a", "compute", r#"{"command_type":"compute","expression":"1"}"#);
    assert_eq!(story.log(), Vec::<String>::new());
}

#[test]
fn a_default_scope_reaches_what_it_names_for_tokens_that_name_none() {
    let claims = Claims { subject: "a".into(), expires: NOW + 60.0, ..Claims::default() };
    let body = |scope: Option<&str>| {
        let claims = Claims { scope: scope.map(str::to_owned), ..claims.clone() };
        let token = Keys::parse(KEY).unwrap().sign(&claims);
        format!(r#"{{"command_type":"compute","expression":"1+1","token":"{token}"}}"#)
    };
    for (default, scope, reaches) in [
        ("compute", None, true),
        ("compute", Some("status"), false),
        ("compute", Some(""), false),
        ("status", None, false),
        ("", None, false),
    ] {
        let mut story = Story::new(&[("DEFAULT_SCOPE", default)]);
        story.say("a", &body(scope));
        let trace = story.trace();
        assert_eq!(trace.contains("\"result\":2"), reaches, "{default} {scope:?} {trace}");
        assert_eq!(trace.contains("\"forbidden\""), !reaches, "{default} {scope:?} {trace}");
    }
}

/// A token's claims, a reload's key, revocations and clients, and why they end what it started.
#[test]
fn old_wound_a_reload_let_commands_of_revoked_callers_go_on() {
    let key = "0".repeat(40);
    let clients = |text: &str| Some(Clients::parse(text).unwrap());
    let other = KEY.to_uppercase();
    let desk = format!("{key} desk");
    let cases = [
        (KEY, "", clients(&desk), ""),
        (KEY, "j", clients(&desk), "revoked"),
        (&other, "", clients(&desk), "signature does not match"),
        (KEY, "", clients(""), "the client's key is no longer let in"),
        (
            KEY,
            "",
            clients(&format!("{key} desk bob")),
            "the client's key may not speak for this subject",
        ),
    ];
    for (keys, revoked, after, why) in cases {
        let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
        story.reload(policy(KEY, "", clients(&desk)));
        let claims = Claims {
            subject: "a".into(),
            scope: Some("os:*".into()),
            expires: NOW + 1.0,
            id: Some("j".into()),
            ..Claims::default()
        };
        let token = Keys::parse(KEY).unwrap().sign(&claims);
        let asks = Peer { key: Some(key.clone()), ..peer("a") };
        for id in 0..2 {
            let body = os("run", id).replacen('{', &format!("{{\"token\":\"{token}\","), 1);
            story.event(Event::Message { peer: asks.clone(), body: body.into_bytes() });
        }
        // By then the token has expired, which ends nothing.
        story.wait(5_000);
        assert_eq!(story.trace(), "0 start 0 /bin/run [\"x\"]\n");
        story.reload(policy(keys, revoked, after));
        let log = story.trace.clone();
        let trace = story.trace();
        if why.is_empty() {
            assert_eq!(trace, "");
            continue;
        }
        assert!(log.contains(&format!("log command_ended {why}\n")), "{log}");
        assert!(trace.contains("5000 terminate 0\n"), "{trace}");
        let waiting = r#"a <- {"id":1,"status":"error","error":{"code":"unauthorized","#;
        assert!(trace.contains(waiting) && trace.contains("\"executed\":false"), "{trace}");
        story.ended(0, Ending::Signaled("SIGTERM".into()));
        assert_eq!(
            story.trace(),
            r#"5000 a <- {"id":0,"status":"error","error":{"code":"unauthorized","message":"the token does not hold any more, and the command was ended","executed":true},"result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":5000}}
"#
        );
    }
}

#[test]
fn old_wound_internal_was_never_sent() {
    // As if the handling had panicked after its last step: what it had decided stays.
    let mut story = Story::new(&[]);
    let broken = |story: &mut Story, body: String| {
        let (now, body) = (story.moment(), body.into_bytes());
        story.service.handle(&now, Event::Message { peer: peer("a"), body }, &mut story.actions);
        story.service.recover(&now, "src/x.rs:1:2", &mut story.actions);
        story.turn();
        std::mem::take(&mut story.trace)
    };
    let run = story.body("a", "os:*", &os("run", 2));
    let error = r#""status":"error","error":{"code":"internal","message":"a fault of the daemon; its log says where"}}"#;
    assert_eq!(
        broken(&mut story, run),
        format!(
            "0 log command_accepted\n0 log command_ended panic at src/x.rs:1:2\n\
             0 a <- {{\"id\":2,{error}\n"
        ),
        "it does not start"
    );
    let ping = story.body("a", "", r#"{"command_type":"ping","id":1}"#);
    for body in [ping, "{".to_owned()] {
        let trace = broken(&mut story, body);
        assert_eq!(trace.matches(" <- ").count(), 1, "one answer: {trace}");
        assert!(!trace.contains("internal"), "{trace}");
    }
    story.ask("a", "os:*", &os("run", 3));
    assert!(story.trace().contains("start 1"), "what comes after it is served");
}
