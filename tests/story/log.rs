//! What has a line in the log, and what has none.

use zcmd::port::{Action, Ending, Event, JobId, LogState, Misframing};
use zcmd::protocol::token::{Claims, Keys};

use super::harness::{KEY, NOW, Story, os, peer};

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

/// Which commands are answered with `internal` while a required log is behind: those that have not
/// started, with and without a place.
#[test]
fn while_a_required_log_is_behind_no_command_starts_and_each_is_answered() {
    for required in ["no", "yes"] {
        let places = [("LOG_REQUIRED", required), ("MAX_CONCURRENT_COMMANDS", "1")];
        let mut story = Story::new(&places);
        story.ask("runs", "os:*", &os("run", 1));
        story.ask("waits", "os:*", &os("run", 2));
        story.service.see_log(LogState { whole: false, ..LogState::default() });
        story.ask("new", "os:*", &os("run", 3));
        story.ended(0, Ending::Exited(0));
        let refused = story.trace.matches(r#""code":"internal""#).count();
        let started = story.trace.matches("start ").count();
        let wanted = if required == "yes" { (2, 1) } else { (0, 2) };
        assert_eq!((refused, started), wanted, "{required}: {}", story.trace);
        story.service.see_log(LogState::default());
        story.ask("later", "os:*", &os("run", 4));
        assert_eq!(story.trace.matches(r#""code":"internal""#).count(), refused);
    }
}

#[test]
fn debug_has_a_line_for_every_request() {
    let mut story = Story::new(&[("LOG_LEVEL", "debug")]);
    story.ask("a", "compute", r#"{"command_type":"compute","expression":"1"}"#);
    story.ask("a", "", r#"{"command_type":"compute","expression":"1"}"#);
    story.say("x", "not json");
    let wanted = ["request", "refused the token's scope does not include compute", "request"];
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
