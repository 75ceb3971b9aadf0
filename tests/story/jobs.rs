//! How a command ends, and what ends it.

use zcmd::port::{Ending, Event, JobId, Peer, Stream};
use zcmd::protocol::token::{Claims, Keys};
use zcmd::service::access::clients::Clients;

use super::harness::{KEY, NOW, Story, os, peer, policy, ran};

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
0 b <- {"status":"error","error":{"code":"not_found","message":"no command or watch that you may end has this id"}}
0 a <- {"id":2,"status":"error","error":{"code":"cancelled","message":"the command was cancelled before it started","executed":false}}
0 a <- {"id":"c","status":"ok","result":{"cancelled":true}}
0 terminate 0
0 a <- {"status":"ok","result":{"cancelled":true}}
5 a <- {"id":1,"status":"error","error":{"code":"cancelled","message":"the command was cancelled while it ran","executed":true},"result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":5}}
"#
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
            r#"5000 a <- {"id":0,"status":"error","error":{"code":"unauthorized","message":"the token is not valid any more, and the command was ended","executed":true},"result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":5000}}
"#
        );
    }
}
