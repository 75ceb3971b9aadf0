//! What runs and whose it is, its end by others, and the requests that are answered at an interval.

use zcmd::port::{Ending, Event, JobId, Stream, Unsent};
use zcmd::service::access::roles::Roles;

use super::harness::{KEY, Story, os, piece, policy};

const WATCH: &str = r#"{"command_type":"watch","what":"jobs","every_ms":2000,"id":9}"#;

/// What `watch` of `jobs` tells when there is nothing.
const NONE: &str = r#"{"id":9,"status":"event","result":{"jobs":[]}}"#;

#[test]
fn a_caller_sees_its_own_commands_and_an_admin_those_of_all_without_parameters() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
    let secret = r#"{"command_type":"os","command_name":"hush","parameters":["s3cret"],"id":1}"#;
    story.ask("a", "os:*", secret);
    story.ask("b", "os:*", &os("run", 2));
    let bytes = b"12345".to_vec();
    story.event(Event::Output { job: JobId(0), stream: Stream::Stderr, bytes });
    story.wait(50);
    story.trace();
    let jobs = r#"{"command_type":"jobs"}"#;
    for (who, scope) in [("a", ""), ("b", "os:*"), ("c", "os:* status"), ("c", "admin")] {
        story.ask(who, scope, jobs);
    }
    assert_eq!(
        story.trace(),
        r#"50 a <- {"status":"ok","result":{"jobs":[{"job":0,"id":1,"command":"hush","state":"running","age_ms":50,"stdout_bytes":0,"stderr_bytes":5}]}}
50 b <- {"status":"ok","result":{"jobs":[{"job":1,"id":2,"command":"run","state":"waiting","age_ms":50,"stdout_bytes":0,"stderr_bytes":0}]}}
50 c <- {"status":"ok","result":{"jobs":[]}}
50 c <- {"status":"ok","result":{"jobs":[{"job":0,"id":1,"command":"hush","state":"running","age_ms":50,"stdout_bytes":0,"stderr_bytes":5,"subject":"a","address":"10.0.0.1"},{"job":1,"id":2,"command":"run","state":"waiting","age_ms":50,"stdout_bytes":0,"stderr_bytes":0,"subject":"b","address":"10.0.0.1"}]}}
"#
    );
    // Told to end, and then with processes that outlive it.
    story.ask("a", "", r#"{"command_type":"cancel","job":0}"#);
    story.ask("a", "", jobs);
    let ending = Ending::Signaled("SIGTERM".into());
    story.event(Event::Ended { job: JobId(0), ending, leftover: true });
    story.ask("a", "", jobs);
    let trace = story.trace();
    assert!(
        trace.contains(r#""state":"ending""#) && trace.contains(r#""state":"left""#),
        "{trace}"
    );
}

#[test]
fn a_command_of_another_is_cancelled_with_the_scope_admin_only_and_that_is_logged() {
    let mut story = Story::new(&[]);
    story.ask("a", "os:*", &os("run", 1));
    story.trace();
    for (body, scope) in [
        (r#"{"command_type":"cancel","job":0}"#, "os:* compute status"),
        (r#"{"command_type":"cancel","job":7}"#, "admin"),
        (r#"{"command_type":"cancel","target":1}"#, "admin"),
    ] {
        story.ask("b", scope, body);
        let trace = story.trace();
        assert!(
            trace.contains("\"code\":\"not_found\"") && !trace.contains("terminate"),
            "{trace}"
        );
    }
    for malformed in [
        r#"{"command_type":"cancel"}"#,
        r#"{"command_type":"cancel","job":-1}"#,
        r#"{"command_type":"cancel","job":0,"target":1}"#,
    ] {
        story.ask("b", "admin", malformed);
        assert!(story.trace().contains("\"code\":\"malformed\""), "{malformed}");
    }
    story.log();
    story.ask("b", "admin", r#"{"command_type":"cancel","job":0}"#);
    story.ended(0, Ending::Signaled("SIGTERM".into()));
    let whole = std::mem::take(&mut story.trace);
    assert!(whole.contains("0 log cancelled\n"), "{whole}");
    let replies: Vec<_> = whole.lines().filter(|line| line.contains(" <- ")).collect();
    assert_eq!(replies.len(), 2, "each request is answered once: {whole}");
    assert!(replies[0].starts_with(r#"0 b <- {"status":"ok","result":{"cancelled":true}}"#));
    assert!(replies[1].contains(r#"0 a <- {"id":1,"status":"error","error":{"code":"cancelled""#));
}

#[test]
fn a_watch_is_answered_at_once_and_at_its_interval_until_its_token_ends() {
    let mut story = Story::new(&[]);
    assert_eq!(story.service.next_deadline(), None);
    story.ask("a", "", WATCH);
    story.wait(3999);
    assert_eq!(story.trace(), format!("0 a <- {NONE}\n2000 a <- {NONE}\n"));
    // The token holds for a minute, and for half a minute more by leeway.
    story.wait(120_000);
    let trace = story.trace();
    assert_eq!(trace.lines().count(), 44, "{trace}");
    let last = r#"90000 a <- {"id":9,"status":"error","error":{"code":"unauthorized","#;
    assert!(trace.lines().last().unwrap().starts_with(last), "{trace}");
    assert_eq!(story.service.next_deadline(), None, "a daemon without watchers sleeps");
}

#[test]
fn a_watch_ends_with_a_cancel_a_drain_a_reload_that_takes_its_right_and_its_peer() {
    type Case<'a> = (&'a str, fn(&mut Story), &'a str);
    let ends: [Case<'_>; 3] = [
        (
            "cancel",
            |story| story.ask("a", "", r#"{"command_type":"cancel","target":9}"#),
            r#"{"code":"cancelled","message":"the watch was cancelled"}"#,
        ),
        ("drain", |story| story.event(Event::Shutdown), r#"{"code":"shutting_down","#),
        (
            "reload",
            |story| story.reload(policy(&KEY.to_uppercase(), "", None)),
            r#"{"code":"unauthorized","#,
        ),
    ];
    for (name, end, why) in ends {
        let mut story = Story::new(&[]);
        story.ask("a", "", WATCH);
        story.wait(10);
        story.trace();
        end(&mut story);
        let trace = story.trace();
        let last = format!(r#"10 a <- {{"id":9,"status":"error","error":{why}"#);
        assert!(trace.lines().any(|line| line.starts_with(&last)), "{name}: {trace}");
        story.wait(10_000);
        assert!(!story.trace().contains(r#""id":9"#), "{name}: told on");
    }
    // A reload that keeps it tells it once more, and it goes on.
    let mut story = Story::new(&[]);
    story.ask("a", "", WATCH);
    story.wait(10);
    story.trace();
    story.reload(policy(KEY, "", None));
    story.wait(2000);
    assert_eq!(story.trace(), format!("10 a <- {NONE}\n2010 a <- {NONE}\n"));
    story.unsent(piece("a", NONE), Unsent::Gone);
    story.wait(10_000);
    assert_eq!((story.trace().as_str(), story.service.next_deadline()), ("", None));
}

#[test]
fn a_watch_ends_with_a_reload_that_takes_the_word_from_its_role() {
    let with_role = |line: &str| {
        let mut policy = policy(KEY, "", None);
        policy.authority.roles = Roles::parse(line).unwrap().into();
        policy
    };
    let mut story = Story::new(&[]);
    story.reload(with_role("ops status\n"));
    story.ask("a", "role:ops", r#"{"command_type":"watch","what":"status","id":9}"#);
    assert!(story.trace().contains(r#"{"id":9,"status":"event""#));
    story.reload(with_role("ops compute\n"));
    let trace = story.trace();
    assert!(trace.contains(r#"{"id":9,"status":"error","error":{"code":"forbidden""#), "{trace}");
    assert_eq!(story.service.next_deadline(), None);
}

#[test]
fn a_watcher_that_does_not_read_is_passed_over_and_then_sees_the_present() {
    let mut story = Story::new(&[]);
    story.ask("a", "", WATCH);
    let id = r#"{"command_type":"watch","what":"jobs","id":8}"#;
    story.ask("b", "", id);
    story.trace();
    // The socket of `a` takes nothing for an hour.
    story.unsent(piece("a", NONE), Unsent::WouldBlock);
    for _ in 0..20 {
        let now = story.moment();
        let mut out = Vec::new();
        story.now += std::time::Duration::from_secs(3);
        story.service.tick(&story.moment(), &mut out);
        let mut to_a = 0;
        while let Some(reply) = story.service.next_reply(&mut out) {
            if reply.peer.envelope[0] == b"a" {
                to_a += 1;
                story.service.unsent(&now, reply, Unsent::WouldBlock, &mut out);
            }
        }
        assert!(to_a <= 1, "one reply is tried, and none is added");
    }
    // From here on the socket takes all that waits.
    story.ask("b", "os:*", &os("run", 1));
    story.wait(4000);
    let trace = story.trace();
    let to_a: Vec<_> = trace.lines().filter(|line| line.contains(" a <- ")).collect();
    assert!((3..=4).contains(&to_a.len()), "what waited, and then the present: {trace}");
    assert!(trace.matches("b <-").count() >= 4, "the other one is told each second: {trace}");
}

#[test]
fn watchers_are_few_and_their_interval_is_bounded_and_their_scope_is_checked() {
    let mut story = Story::new(&[("RATE_LIMIT", "100")]);
    let ask = |story: &mut Story, who: &str, id: u32| {
        story.ask(who, "", &WATCH.replace("9}", &format!("{id}}}")));
        let trace = story.trace();
        let busy = trace.contains(r#""code":"busy","message":"too many watch already;"#);
        assert!(busy || trace.contains("event"), "{trace}");
        !busy
    };
    let taken = |story: &mut Story, who| (0..6).filter(|id| ask(story, who, *id)).count();
    assert_eq!([taken(&mut story, "a"), taken(&mut story, "b"), taken(&mut story, "c")], [4, 4, 0]);
    story.ask("a", "", r#"{"command_type":"cancel","target":2}"#);
    assert!(ask(&mut story, "c", 1), "there is room again");
    let cases = [
        (r#""what":"list""#, "what: use status or jobs"),
        (r#""every_ms":2000"#, "what is missing"),
        (r#""what":"jobs","every_ms":999"#, "every_ms: must be 1000 to 86400000"),
        (r#""what":"jobs","every_ms":86400001"#, "every_ms: must be 1000 to 86400000"),
        (r#""what":"status""#, "the token's scope does not include status"),
    ];
    for (fields, why) in cases {
        story.ask("d", "compute", &format!(r#"{{"command_type":"watch",{fields}}}"#));
        let trace = story.trace();
        assert!(trace.contains(why), "{fields}: {trace}");
    }
}

#[test]
fn a_list_of_jobs_is_bounded_and_tells_how_many_are_left_out() {
    let limits = [
        ("MAX_CONCURRENT_COMMANDS", "1"),
        ("MAX_QUEUED_COMMANDS", "600"),
        ("MAX_REQUESTS_PER_MINUTE", "0"),
    ];
    let mut story = Story::new(&limits);
    (0..520).for_each(|id| story.ask(&format!("s{}", id / 40), "os:*", &os("run", id)));
    story.trace();
    story.ask("a", "admin", r#"{"command_type":"jobs"}"#);
    let trace = story.trace();
    assert_eq!(trace.matches(r#""command":"run""#).count(), 512);
    assert!(trace.ends_with("],\"more\":8}}\n"), "{trace}");
}
