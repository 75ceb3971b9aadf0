//! Which command starts when, and which waits.

use zcmd::limits;
use zcmd::port::{Ending, Event, JobId, Unsent};

use super::harness::{Story, os, peer, piece, ran};

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
        r#"19000 b <- {"id":2,"status":"error","error":{"code":"busy","message":"the command did not get its turn within its time limit","retry_after_ms":100,"executed":false}}
"#
    );
    assert_eq!(story.service.next_deadline(), None);
}

#[test]
fn old_wound_a_command_waited_for_a_peer_that_had_gone() {
    let mut story = Story::new(&[("MAX_CONCURRENT_COMMANDS", "1")]);
    story.ask("a", "os:*", &os("run", 1));
    story.ask("b", "os:*", &os("run", 2));
    story.unsent(piece("b", ""), Unsent::Gone);
    story.unsent(piece("a", ""), Unsent::Gone);
    story.trace();
    story.ended(0, Ending::Exited(0));
    assert!(!story.trace().contains("start"), "what waited is gone");
}
