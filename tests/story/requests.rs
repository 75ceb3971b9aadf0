//! Requests that get their answer at once.

use zcmd::port::Event;
use zcmd::protocol::token::{Claims, Keys};

use super::harness::{KEY, NOW, Story, os, peer};

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
0 a <- {{"id":1,"status":"error","error":{{"code":"forbidden","message":"the token's scope does not include os:one; ask the owner to add it","executed":false}}}}
0 a <- {{"id":2,"status":"error","error":{{"code":"unknown_command","message":"there is no command two; `list` shows the commands","executed":false}}}}
0 a <- {{"status":"error","error":{{"code":"bad_parameter","message":"parameter a: must not make an argument begin with -, unless its entry says \"dash\": true; it is 1 to 64 letters, digits, _ . or -, such as eth0","executed":false}}}}
0 a <- {{"status":"error","error":{{"code":"forbidden","message":"the token's scope does not include status; ask the owner to add it"}}}}
0 a <- {{"status":"error","error":{{"code":"not_found","message":"no command or watch that you may end has this id"}}}}
"#,
            env!("CARGO_PKG_VERSION")
        )
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
    assert!(
        trace.contains(
            r#""code":"rate_limited","message":"too many requests","retry_after_ms":1000"#
        )
    );
    story.wait(1000);
    story.ask("a", "", r#"{"command_type":"ping"}"#);
    assert!(story.trace().contains("\"ok\""));
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

#[test]
fn old_wound_messages_lacked_their_subject_or_counted_to_zero() {
    let mut story = Story::new(&[]);
    let compute = |name: &str| {
        format!(r#"{{"command_type":"compute","expression":"1","variables":{{"{name}":3}}}}"#)
    };
    let os = |name: &str, values: &str| {
        format!(r#"{{"command_type":"os","command_name":"{name}","parameters":{values}}}"#)
    };
    let cases = [
        (compute("pi"), r#""message":"variable \"pi\" is a constant; choose another name""#),
        (compute("sin"), r#""message":"variable \"sin\" is a function; choose another name""#),
        (os("hsuh", "[]"), "there is no command hsuh; did you mean hush?"),
        (os("reboot", "[]"), "there is no command reboot; `list` shows the commands"),
        (os("one", r#"["x"]"#), "this command takes no parameters; leave them out"),
        (os("run", r#"["x","y","z"]"#), "too many values, by 2: this command takes 1 at most"),
    ];
    for (request, wanted) in cases {
        story.ask("a", "compute os:*", &request);
        let trace = story.trace();
        assert!(trace.contains(wanted), "{trace}");
    }
}
