//! Any bytes through the client's reader of replies, as a malicious daemon may send them: what
//! decodes is the same after it was written and read again, has an exit status, and moves no
//! cursor when it is shown to a person.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zcmd::client::frames::Frames;
use zcmd::client::{catalogue, status, text};
use zcmd::protocol::reply::{Answer, Reply};
use zcmd::protocol::request::{Ask, Os};
use zcmd_fuzz::{lenient, printable};

fuzz_target!(|body: &[u8]| {
    let reply = match Reply::decode(body) {
        Ok(reply) => reply,
        Err(fault) => {
            assert!(fault.position <= body.len() && printable(&fault.message), "{fault:?}");
            return;
        }
    };
    if let Some(theirs) = lenient(body) {
        let wanted = match reply.answer {
            Answer::Result(_) | Answer::Number(_) | Answer::Ran(_) => "ok",
            Answer::Output { .. } => "output",
            Answer::Event(_) => "event",
            Answer::Error(_) => "error",
        };
        assert_eq!(theirs["status"], wanted);
    }
    assert_eq!(Reply::decode(&reply.encode()), Ok(reply.clone()));
    status::of(&reply.answer, true);
    status::of(&reply.answer, false);
    match &reply.answer {
        Answer::Result(json) | Answer::Number(json) => show(json),
        Answer::Error(error) => {
            let line = text::one_line(&error.message);
            assert!(printable(&line), "{line:?}");
            text::caret("1+2", error.position.unwrap_or_default());
        }
        Answer::Event(json) => {
            let mut frames = Frames::default();
            for what in ["status", "jobs"] {
                if let Ok(shown) = frames.show(what, json, false) {
                    assert!(shown.lines().all(printable), "{what}: {shown:?}");
                }
            }
        }
        Answer::Ran(_) | Answer::Output { .. } => {}
    }
});

fn show(json: &str) {
    let compute = Ask::Compute { expression: String::new(), variables: Vec::new() };
    let cancel = Ask::Cancel { target: None, job: Some(1) };
    for ask in
        [compute, Ask::Os(Os::default()), Ask::List, Ask::Status, Ask::Jobs, Ask::Ping, cancel]
    {
        if let Ok(shown) = catalogue::show(&ask, json) {
            assert!(shown.lines().all(printable), "{ask:?}: {shown:?}");
        }
    }
}
