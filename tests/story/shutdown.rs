//! How the daemon ends.

use zcmd::limits;
use zcmd::port::{Ending, Event, Unsent};

use super::harness::{Story, os, piece};

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
    story.unsent(piece("a", "1"), Unsent::WouldBlock);
    story.event(Event::Shutdown);
    assert!(!story.service.is_drained(), "the reader has a little time");
    story.wait(u64::try_from(limits::LAST_REPLIES.as_millis()).unwrap());
    story.unsent(piece("a", "1"), Unsent::WouldBlock);
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
4000 a <- {"id":1,"status":"error","error":{"code":"cancelled","message":"the command was cancelled while it ran","executed":true},"result":{"signal":"SIGTERM","stdout":"","stderr":"","duration_ms":4000}}
"#
    );
}
