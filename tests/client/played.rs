//! A daemon played by a closure, and the client run against it.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zcmd::port::{Ended, Stream};
use zcmd::protocol::envelope::{self, Envelope};
use zcmd::protocol::json::Json;
use zcmd::protocol::reply::{Answer, Code, Error, Ran, Reply};
use zcmd::protocol::request::{Ask, Id, Os, Request, Values};

/// No test takes longer, or it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const TOKEN: &str = "the-token";

/// A daemon with a script.
pub(crate) struct Played {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where the script sends its replies.
pub(crate) struct Caller<'a> {
    socket: &'a zmq::Socket,
    envelope: &'a [Vec<u8>],
}

impl Caller<'_> {
    pub(crate) fn reply(&self, request: &Request, answer: Answer) {
        self.raw(&Reply { id: request.id.clone(), answer }.encode());
    }

    pub(crate) fn reply_to(&self, id: Option<Id>, answer: Answer) {
        self.raw(&Reply { id, answer }.encode());
    }

    pub(crate) fn raw(&self, body: &[u8]) {
        self.frames(&[body]);
    }

    pub(crate) fn frames(&self, frames: &[&[u8]]) {
        let envelope = self.envelope.iter().map(Vec::as_slice);
        let frames = envelope.chain(frames.iter().copied());
        let _ = self.socket.send_multipart(frames, 0);
    }
}

impl Played {
    /// Plays a daemon that hands each request to `script`, until that returns false.
    pub(crate) fn new(script: impl FnMut(&Request, &Caller<'_>) -> bool + Send + 'static) -> Self {
        Self::at("tcp://127.0.0.1:*", script)
    }

    /// The same at this address.
    pub(crate) fn at(
        address: &str,
        script: impl FnMut(&Request, &Caller<'_>) -> bool + Send + 'static,
    ) -> Self {
        let socket = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        // A ROUTER drops what is over its mark.
        socket.set_sndhwm(0).unwrap();
        socket.set_ipv6(address.contains('[')).unwrap();
        socket.bind(address).unwrap();
        socket.set_linger(1000).unwrap();
        socket.set_rcvtimeo(20).unwrap();
        let address = socket.get_last_endpoint().unwrap().unwrap();
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || play(&socket, script, &seen, &stop))
        };
        Self { address, seen, stop, thread: Some(thread) }
    }

    /// A daemon that gives everything the same answer.
    pub(crate) fn always(answer: Answer) -> Self {
        Self::new(move |request, caller| {
            caller.reply(request, answer.clone());
            true
        })
    }

    /// A daemon that never answers.
    pub(crate) fn silent() -> Self {
        Self::new(|_, _| true)
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until as many requests have come.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        wait_until("requests", || self.seen.lock().unwrap().len() >= count);
        self.seen()
    }

    /// The client, ready to be given its arguments.
    pub(crate) fn zcmd(&self, arguments: &[&str]) -> Command {
        zcmd(&self.address, arguments)
    }

    /// Runs the client to its end with nothing to read.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run(self.zcmd(arguments), "")
    }

    /// Runs the client to its end with this to read.
    pub(crate) fn feed(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Run {
        run(self.zcmd(arguments), stdin)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let played = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            played.unwrap().expect("the script went well");
        }
    }
}

fn play(
    socket: &zmq::Socket,
    mut script: impl FnMut(&Request, &Caller<'_>) -> bool,
    seen: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut frames) = socket.recv_multipart(0) else { continue };
        let body = frames.pop().unwrap();
        let request = decode(&body);
        assert!(request.token == TOKEN || request.token.starts_with("eyJ"), "{request:?}");
        seen.lock().unwrap().push(request.clone());
        if !script(&request, &Caller { socket, envelope: &frames }) {
            return;
        }
    }
}

/// The client with this server and a token, ready to be given its arguments.
pub(crate) fn zcmd(server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zcmd"));
    command.args(arguments).env_remove("ZCMD_TOKEN_FILE");
    command.env("ZCMD_SERVER", server).env("ZCMD_TOKEN", TOKEN);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a client ran.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Run {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// Checks that it ended so, and said no more than one line.
    #[track_caller]
    pub(crate) fn is(&self, status: i32, out: &str, err: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.text(), out, "{self:?}");
        match err {
            "" => assert_eq!(self.err, "", "{self:?}"),
            _ => assert!(self.err.contains(err) && self.err.lines().count() == 1, "{self:?}"),
        }
    }
}

/// Runs a client to its end.
pub(crate) fn run(command: Command, stdin: impl AsRef<[u8]>) -> Run {
    let mut client = Client::start(command);
    let mut input = client.child.stdin.take().unwrap();
    let stdin = stdin.as_ref().to_vec();
    // A client that ends early leaves some of it unread.
    let writer = std::thread::spawn(move || drop(input.write_all(&stdin)));
    let run = client.end();
    writer.join().unwrap();
    run
}

/// A client that is running.
pub(crate) struct Client {
    pub(crate) child: Child,
    begun: Instant,
}

impl Client {
    pub(crate) fn start(mut command: Command) -> Self {
        Self { child: command.spawn().unwrap(), begun: Instant::now() }
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Reads from standard output until `text` has come.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        let out = self.child.stdout.as_mut().unwrap();
        while !String::from_utf8_lossy(&read).ends_with(text) {
            let mut byte = [0];
            assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&read));
            read.extend(byte);
        }
        String::from_utf8(read).unwrap()
    }

    /// Waits for its end, reading what it still writes.
    pub(crate) fn end(mut self) -> Run {
        let out = self.child.stdout.take().map(reader);
        let err = self.child.stderr.take().map(reader);
        let status = self.status();
        let text = |all: Option<Receiver<Vec<u8>>>| {
            all.map(|all| all.recv_timeout(PATIENCE).unwrap()).unwrap_or_default()
        };
        let (out, err) = (text(out), String::from_utf8(text(err)).unwrap());
        Run { status, out, err, took: self.begun.elapsed() }
    }

    /// Waits for its end, reading nothing.
    pub(crate) fn status(&mut self) -> i32 {
        let mut ended = None;
        wait_until("the client's end", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        let ended = ended.unwrap();
        ended.code().unwrap_or_else(|| panic!("ended by signal {:?}", ended.signal()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(mut source: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        let _ = send.send(all);
    });
    receive
}

/// Waits for a condition, for a bounded time.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::yield_now();
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn ran(end: Ended, stdout: &[u8], stderr: &[u8]) -> Ran {
    Ran {
        end,
        stdout: stdout.to_vec(),
        stderr: stderr.to_vec(),
        duration: Duration::from_millis(5),
        truncated: None,
        success: None,
    }
}

pub(crate) fn output(bytes: &[u8]) -> Answer {
    Answer::Output { stream: Stream::Stdout, bytes: bytes.to_vec() }
}

pub(crate) fn exited(code: i32) -> Answer {
    Answer::Ran(ran(Ended::Exited(code), b"", b""))
}

pub(crate) fn value(json: &str) -> Answer {
    Answer::Result(json.to_owned())
}

/// An error with this message; for a command, with whether it ran.
pub(crate) fn error(code: Code, message: &str, executed: Option<bool>) -> Error {
    let message = message.to_owned();
    Error { code, message, position: None, retry_after: None, executed, ran: None }
}

pub(crate) fn cancelled(signal: &str) -> Answer {
    let ran = Some(ran(Ended::Signaled(signal.into()), b"", b""));
    Answer::Error(Error { ran, ..error(Code::Cancelled, "cancelled", Some(true)) })
}

/// Reads a request of the client, as a daemon would.
pub(crate) fn decode(body: &[u8]) -> Request {
    let Envelope { id, kind, token, fields } = Envelope::read(body).expect("a good request");
    let text = |name: &str| fields.get(name).map(|json| json.string().unwrap().into_owned());
    let flag = |name: &str| fields.get(name).is_some_and(|json| json.boolean().unwrap());
    let ask = match kind.as_ref() {
        "compute" => {
            let variables = fields.get("variables").map(|json| json.object().unwrap());
            let pair = |(name, json): (&str, Json<'_>)| (name.to_owned(), json.text().to_owned());
            let variables = variables.map(|object| object.members().map(pair).collect());
            let expression = text("expression").unwrap();
            Ask::Compute { expression, variables: variables.unwrap_or_default() }
        }
        "os" => Ask::Os(Os {
            name: text("command_name").unwrap(),
            parameters: values(fields.get("parameters").unwrap()),
            stdin: match text("stdin_base64") {
                Some(text) => STANDARD.decode(text).unwrap(),
                None => text("stdin").unwrap_or_default().into_bytes(),
            },
            timeout: (fields.get("timeout_ms"))
                .map(|json| Duration::from_millis(json.integer().unwrap())),
            stream: flag("stream"),
            explain: flag("explain"),
            confirmed: flag("confirmed"),
        }),
        "list" => Ask::List,
        "status" => Ask::Status,
        "ping" => Ask::Ping,
        "cancel" => {
            let target = fields.get("target").map(|json| envelope::id(json).unwrap());
            Ask::Cancel { target, job: fields.get("job").map(|json| json.integer().unwrap()) }
        }
        other => panic!("the client asks for {other}"),
    };
    Request { id, token: token.into_owned(), ask }
}

fn values(json: Json<'_>) -> Values {
    let texts = |json: Json<'_>| match json.string() {
        Ok(text) => vec![text.into_owned()],
        Err(_) => json.array().unwrap().iter().map(|j| j.string().unwrap().into_owned()).collect(),
    };
    let Ok(object) = json.object() else { return texts(json).into_iter().collect() };
    let pair = |(name, json): (&str, Json<'_>)| (name.to_owned(), texts(json));
    let mut named: std::collections::BTreeMap<_, _> = object.members().map(pair).collect();
    Values { ordered: named.remove("").unwrap_or_default(), named }
}

/// The id that a `cancel` is about.
pub(crate) fn target(request: &Request) -> Option<&Id> {
    match &request.ask {
        Ask::Cancel { target, .. } => target.as_ref(),
        _ => None,
    }
}
