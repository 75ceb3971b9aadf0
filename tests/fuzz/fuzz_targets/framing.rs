//! Messages of any layout through the daemon's socket, beside a plain model on their frames: each
//! message is one event, with the envelope, the body or the fault that the model finds.
//!
//! An input is a list of frames: a byte whose bit 0 says that the frame is long, bit 1 that it is
//! the last of its message; a byte for the length, which counts 2 KiB when the frame is long; and
//! the bytes of a short frame. Leaves out: libzmq's own protocol, since peers are in this process.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use zcmd::limits::{MESSAGE_BYTES_MAX, MESSAGE_FRAMES_MAX};
use zcmd::port::{Event, Misframing};
use zcmd::system::listener::Access;
use zcmd::system::router::Router;
use zcmd::system::zap::Zap;

/// Messages and bytes of one input: enough to go over each bound a few times.
const MESSAGES_MAX: usize = 32;
const BYTES_MAX: usize = 3 * MESSAGE_BYTES_MAX;
/// Bytes of a routing id that some peer could have: only such frames have a place in an envelope.
const ROUTING_ID_BYTES_MAX: usize = 255;

thread_local! {
    static SOCKETS: RefCell<(Router, zmq::Socket, Zap)> = RefCell::new(connect());
}

fn connect() -> (Router, zmq::Socket, Zap) {
    let context = zmq::Context::new();
    let zap = Zap::open(&context).expect("a zap");
    let endpoint = "inproc://framing".to_owned();
    let access = Access { mode: 0o600, group: None };
    let router = Router::bind(&context, &zap, &[endpoint], 1000, None, &access).expect("a router");
    let dealer = context.socket(zmq::DEALER).expect("a dealer");
    dealer.connect("inproc://framing").expect("a connection");
    (router, dealer, zap)
}

fuzz_target!(|input: &[u8]| {
    let messages = messages(input);
    SOCKETS.with_borrow_mut(|(router, dealer, _)| {
        for frames in &messages {
            dealer.send_multipart(frames, 0).expect("room");
        }
        let mut events = Vec::new();
        for _ in 0..10_000 {
            if events.len() >= messages.len() {
                break;
            }
            router.gather(&mut events);
        }
        assert_eq!(events.len(), messages.len(), "one event for each message");
        events.iter().zip(&messages).for_each(|(event, frames)| judge(event, frames));
    });
});

fn messages(mut input: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut messages, mut frames, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let [kind, length, rest @ ..] = input {
        let long = kind & 1 == 1;
        let taken = if long { 0 } else { usize::from(*length).min(rest.len()) };
        let frame =
            if long { vec![b'x'; usize::from(*length) << 11] } else { rest[..taken].to_vec() };
        input = &rest[taken..];
        bytes += frame.len();
        if messages.len() >= MESSAGES_MAX || bytes > BYTES_MAX {
            break;
        }
        frames.push(frame);
        if kind & 2 == 2 {
            messages.push(std::mem::take(&mut frames));
        }
    }
    messages
}

/// What a message is: the length of its envelope without the routing id, and a fault or its body.
fn model(frames: &[Vec<u8>]) -> (usize, Result<&[u8], Misframing>) {
    // The routing id comes before: one frame of five bytes.
    let sizes = frames.iter().scan(5, |sum, frame| {
        *sum += frame.len();
        Some(*sum)
    });
    let whole = sizes.take(MESSAGE_FRAMES_MAX - 1).take_while(|sum| *sum <= MESSAGE_BYTES_MAX);
    let kept = whole.count();
    let envelope = |frames: &[Vec<u8>]| {
        frames.iter().rposition(Vec::is_empty).map_or(0, |position| position + 1)
    };
    if kept < frames.len() {
        let full = kept == MESSAGE_FRAMES_MAX - 1;
        let fault = if full { Misframing::TooManyFrames } else { Misframing::TooManyBytes };
        return (envelope(&frames[..kept]), Err(fault));
    }
    let (body, before) = frames.split_last().expect("a frame");
    let length = envelope(before);
    match (before.len() - length, body.as_slice()) {
        (0, []) => (length, Err(Misframing::EmptyBody)),
        (0, body) => (length, Ok(body)),
        _ => (length, Err(Misframing::SeveralBodies)),
    }
}

fn judge(event: &Event, frames: &[Vec<u8>]) {
    let (length, wanted) = model(frames);
    let (peer, found) = match event {
        Event::Message { peer, body } => (peer, Ok(body.as_slice())),
        Event::Misframed { peer, fault } => (peer, Err(*fault)),
        other => panic!("{other:?}"),
    };
    let (id, envelope) = peer.envelope.split_first().expect("a routing id");
    assert!(id.len() == 5 && id[0] == 0, "{id:?}");
    assert!(frames.starts_with(envelope), "an envelope is the first frames as they came");
    if frames.iter().any(|frame| frame.len() > ROUTING_ID_BYTES_MAX) && found.is_err() {
        // Which of several faults is told, and how much of such an envelope is kept, may differ.
        assert!(wanted.is_err() || frames[..length].iter().any(|f| f.len() > ROUTING_ID_BYTES_MAX));
        return;
    }
    assert_eq!(found, wanted);
    // A fault may be told to the peer alone.
    assert!(envelope.len() == length || (found.is_err() && envelope.is_empty()), "{envelope:?}");
}
