//! Output that is sent while the command runs, and its reader.

use zcmd::port::{Ending, Event, JobId, Stream, Unsent};

use super::harness::{Story, piece};

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
    story.unsent(piece("a", "é1"), Unsent::WouldBlock);
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
    story.unsent(piece("a", ""), Unsent::Gone);
    assert_eq!(story.trace(), "0 start 0 /bin/run [\"x\"]\n0 terminate 0\n");
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
    story.unsent(piece("a", ""), Unsent::WouldBlock);
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
