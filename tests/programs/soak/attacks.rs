//! Attacks by strangers and by holders of a token.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::{Scene, Tally};

/// Requests of one connection in flight.
const WINDOW: u64 = 32;
/// Concurrent connections of strangers, and connections made in a second.
const CONNECTIONS: usize = 100;
const CONNECTIONS_PER_SECOND: u32 = 500;
/// The timeout of last replies.
const PATIENCE: Duration = Duration::from_secs(15);

/// Valid requests, to be mutated.
const REQUESTS: &[&str] = &[
    r#"{"command_type":"ping","token":"TOKEN","id":7}"#,
    r#"{"command_type":"list","token":"TOKEN"}"#,
    r#"{"command_type":"status","token":"TOKEN","id":"a"}"#,
    r#"{"command_type":"compute","token":"TOKEN","expression":"2*(3+4)^sin(pi)/7!"}"#,
    r#"{"command_type":"compute","token":"TOKEN","expression":"x%y","variables":{"x":1e3,"y":-7}}"#,
    r#"{"command_type":"os","token":"TOKEN","command_name":"true","parameters":[]}"#,
    r#"{"command_type":"os","token":"TOKEN","command_name":"say","parameters":["a \"b\" \u00e9"]}"#,
    r#"{"command_type":"os","token":"TOKEN","command_name":"count","stdin":"x\ny","stream":true}"#,
    r#"{"command_type":"os","token":"TOKEN","command_name":"say","parameters":["x"],"explain":true}"#,
    r#"{"command_type":"cancel","token":"TOKEN","target":7,"id":18446744073709551615}"#,
];

/// Pseudo-random numbers, the same in every run.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: usize) -> usize {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    /// The text with one to four small changes.
    fn mutated(&mut self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(text.len());
            match self.below(6) {
                0 if !text.is_empty() => text[at] = self.below(256) as u8,
                1 if !text.is_empty() => text[at] ^= 1 << self.below(8),
                2 => text.insert(at, b"\"\\{}[],:\0\xff9-"[self.below(12)]),
                3 => drop(text.drain(at..text.len().min(at + 8))),
                4 => text.truncate(at + 1),
                _ => {
                    let part = text[at..text.len().min(at + 16)].repeat(1 + self.below(200));
                    text.splice(at..at, part);
                }
            }
        }
        text
    }
}

/// Mutated bodies with a valid token: each gets one last reply.
pub fn bodies(scene: &Scene<'_>) -> Result<Tally, String> {
    let (socket, token) = (scene.host.dealer(1000)?, scene.host.token("bodies"));
    let mut chance = Chance(0x5eed);
    exchange(scene, &socket, || {
        let request = REQUESTS[chance.below(REQUESTS.len())];
        // Mostly with an intact token: little is read after an invalid one.
        match chance.below(4) {
            0 => chance.mutated(request.replace("TOKEN", &token).as_bytes()),
            _ => {
                let text = chance.mutated(request.as_bytes());
                match text.windows(5).position(|window| window == b"TOKEN") {
                    Some(at) => [&text[..at], token.as_bytes(), &text[at + 5..]].concat(),
                    None => text,
                }
            }
        }
    })
}

/// Sends the messages of `next`, `WINDOW` at a time, and takes the last reply to each.
fn exchange(
    scene: &Scene<'_>,
    socket: &zmq::Socket,
    mut next: impl FnMut() -> Vec<u8>,
) -> Result<Tally, String> {
    let text = |error: zmq::Error| error.to_string();
    let (mut sent, mut answered, mut heard) = (0, 0, Instant::now());
    while scene.is_on() || (answered < sent && heard.elapsed() < PATIENCE) {
        while scene.is_on() && sent - answered < WINDOW {
            socket.send(next(), 0).map_err(text)?;
            sent += 1;
        }
        if socket.poll(zmq::POLLIN, 50).map_err(text)? > 0 {
            let body = socket.recv_bytes(0).map_err(text)?;
            heard = Instant::now();
            let piece = br#""status":"output""#;
            answered += u64::from(!body.windows(piece.len()).any(|window| window == piece));
        }
    }
    Ok(Tally { sent, answered: Some(answered) })
}

/// Connections that violate ZMTP in each of its steps, `CONNECTIONS` at a time. A connection counts
/// as answered if the daemon has closed it before the next replaces it.
pub fn garbage(scene: &Scene<'_>) -> Result<Tally, String> {
    let mut open = std::collections::VecDeque::new();
    let (mut chance, mut sent, mut ended) = (Chance(0xbad), 0, 0);
    while scene.is_on() {
        let connected = TcpStream::connect_timeout(&scene.host.address, Duration::from_secs(1));
        let mut stream = connected.map_err(|error| error.to_string())?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        // The daemon may have closed it before everything was written.
        let _ = stream.write(&garble(&mut chance));
        sent += 1;
        open.push_back(stream);
        if open.len() > CONNECTIONS {
            ended += open.pop_front().map_or(0, |stream| u64::from(has_ended(stream)));
        }
        std::thread::sleep(Duration::from_secs(1) / CONNECTIONS_PER_SECOND);
    }
    Ok(Tally { sent, answered: Some(ended) })
}

fn garble(chance: &mut Chance) -> Vec<u8> {
    let greeting =
        [&b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL"[..], &[0; 16], &[0], &[0; 31]].concat();
    let ready = b"\x04\x29\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
    let count = chance.below(4096);
    match chance.below(8) {
        0 => chance.bytes(count),
        1 => greeting[..chance.below(greeting.len())].to_vec(),
        2 => [&greeting[..], &ready[..chance.below(ready.len())]].concat(),
        3 => chance.mutated(&[&greeting[..], ready].concat()),
        // Half of a frame of 200 KiB; a frame of 2^63 bytes; frames without a last one.
        4 => [&greeting[..], ready, b"\x02\0\0\0\0\0\x03\x20\0", &[b'x'; 100_000]].concat(),
        5 => [&greeting[..], ready, b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff", b"x"].concat(),
        6 => [&greeting[..], ready, &b"\x01\x01x".repeat(50_000)].concat(),
        _ => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    }
}

fn has_ended(mut stream: TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Small requests without a token over a few connections, as fast as possible.
pub fn flood(scene: &Scene<'_>) -> Result<Tally, String> {
    let sockets = (0..4).map(|_| scene.host.dealer(1000)).collect::<Result<Vec<_>, _>>()?;
    let (mut sent, mut answered) = (0, 0);
    while scene.is_on() {
        for socket in &sockets {
            sent +=
                (0..100).take_while(|_| socket.send("{}", zmq::DONTWAIT).is_ok()).count() as u64;
            while socket.recv_bytes(zmq::DONTWAIT).is_ok() {
                answered += 1;
            }
        }
    }
    Ok(Tally { sent, answered: Some(answered) })
}

/// Strangers with envelopes of the greatest size, who do not read.
pub fn unread_strangers(scene: &Scene<'_>) -> Result<Tally, String> {
    let frame = vec![b'x'; 60_000];
    let envelope = [frame.as_slice(), &frame, &frame, &frame, b"", b"{}"];
    let largest = [&frame[..255]; 5].into_iter().chain([b"".as_slice(), b"{}"]);
    unread(scene, &[envelope.to_vec(), largest.collect()])
}

/// Holders of a token with large requests, who do not read.
pub fn unread_holders(scene: &Scene<'_>) -> Result<Tally, String> {
    let token = scene.host.token("unread");
    let requests = [
        r#"{"command_type":"os","token":"TOKEN","command_name":"zeros"}"#,
        r#"{"command_type":"list","token":"TOKEN"}"#,
        r#"{"command_type":"os","token":"TOKEN","command_name":"stream","stream":true}"#,
    ]
    .map(|request| request.replace("TOKEN", &token));
    let messages = requests.iter().map(|request| vec![b"".as_slice(), request.as_bytes()]);
    unread(scene, &messages.collect::<Vec<_>>())
}

/// Sends these messages in turn over many connections that are never read.
fn unread(scene: &Scene<'_>, messages: &[Vec<&[u8]>]) -> Result<Tally, String> {
    let sockets = (0..16).map(|_| scene.host.dealer(1)).collect::<Result<Vec<_>, _>>()?;
    let mut sent = 0;
    while scene.is_on() {
        let mut blocked = true;
        for socket in &sockets {
            for message in messages {
                if socket.send_multipart(message, zmq::DONTWAIT).is_ok() {
                    sent += 1;
                    blocked = false;
                }
            }
        }
        if blocked {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(Tally { sent, answered: None })
}

/// Commands that run without end, fork, and ignore SIGTERM: each is answered.
pub fn commands(scene: &Scene<'_>) -> Result<Tally, String> {
    let (socket, token) = (scene.host.dealer(1000)?, scene.host.token("commands"));
    let names = ["slow", "forks", "stubborn", "session", "leaves", "stream"];
    let mut turn = 0;
    exchange(scene, &socket, || {
        turn += 1;
        let name = names[turn % names.len()];
        let request = format!(r#""command_name":"{name}","timeout_ms":300,"token":"{token}""#);
        format!(r#"{{"command_type":"os","id":{turn},{request}}}"#).into_bytes()
    })
}

/// All attacks at the same time.
pub fn mixed(scene: &Scene<'_>) -> Result<Tally, String> {
    let all = [bodies, garbage, flood, unread_strangers, unread_holders, commands];
    std::thread::scope(|scope| {
        let running = all.map(|attack| scope.spawn(move || attack(scene)));
        let mut sum = Tally { sent: 0, answered: Some(0) };
        for attack in running {
            let tally = attack.join().map_err(|_| "an attack panicked".to_owned())??;
            sum.sent += tally.sent;
            sum.answered = Some(sum.answered.unwrap_or(0) + tally.answered.unwrap_or(0));
        }
        Ok(sum)
    })
}
