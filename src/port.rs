//! The boundary between the decisions (`service`) and the machine (`system`): plain data, no logic.
//!
//! Promises: data that crosses it is owned and complete. Events say what happened, actions say what
//! to do, and neither side calls back.
//! Leaves out: what a message means, and how an action is performed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::limits;

/// The time of one turn of the loop, read once and handed to every decision of that turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic time since the daemon started. Deadlines and limits are measured in it.
    pub uptime: Duration,
    /// Time since 1970-01-01 UTC. Tokens and the log are read and written in it.
    pub unix: Duration,
}

/// The issuer and the subject of a token: the key for limits and counts. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject(Rc<(Option<String>, String)>);

impl Subject {
    /// The subject of this issuer (`iss`, `sub`; RFC 7519, 4.1).
    pub fn new(issuer: Option<String>, name: String) -> Self {
        Self(Rc::new((issuer, name)))
    }

    /// The `iss` of the token.
    pub fn issuer(&self) -> Option<&str> {
        self.0.0.as_deref()
    }

    /// The `sub` of the token.
    pub fn name(&self) -> &str {
        &self.0.1
    }
}

/// Identifies one command from its acceptance to its reply; unique in a run of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// The source of a message, and the destination of its replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The frames before the body, routing id first; they are returned unchanged.
    pub envelope: Vec<Vec<u8>>,
    /// The address of the connection; none for `ipc`.
    pub address: Option<IpAddr>,
    /// The CURVE key that the peer has proved to own, in Z85; none without CURVE.
    pub key: Option<String>,
}

/// A peer whose handshake waits for a verdict.
#[derive(Debug)]
pub struct Handshake {
    /// The destination of the verdict.
    pub ticket: [Vec<u8>; 2],
    /// The address of the connection; none for `ipc`.
    pub address: Option<IpAddr>,
    /// The CURVE key that the peer has proved to own, in Z85; none without CURVE.
    pub key: Option<String>,
}

/// The verdict on a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer is admitted.
    Admitted,
    /// The peer is refused for now; it may try again.
    Later,
    /// The peer is refused.
    Denied,
}

/// One of the two output streams of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer asks to be admitted. It waits for an `Action::Judge`.
    Handshake(Handshake),
    /// A handshake failed before it could be judged: the peer speaks another protocol, shows no
    /// key, or has disconnected.
    HandshakeFailed {
        /// Its address; none for `ipc`.
        address: Option<IpAddr>,
    },
    /// A message with a valid layout.
    Message {
        /// Who sent it.
        peer: Peer,
        /// Its last frame, of `MESSAGE_BYTES_MAX` bytes at most.
        body: Vec<u8>,
    },
    /// A message with an invalid layout. Its frames are dropped.
    Misframed {
        /// Who sent it.
        peer: Peer,
        /// What is wrong with it.
        fault: Misframing,
    },
    /// A running command wrote something.
    Output {
        /// Which command.
        job: JobId,
        /// The stream.
        stream: Stream,
        /// What it wrote; never empty.
        bytes: Vec<u8>,
    },
    /// A command has ended, and all of its output was delivered. Each job has exactly one such
    /// event.
    Ended {
        /// Which command.
        job: JobId,
        /// How.
        ending: Ending,
        /// Whether processes that it started still run. Then `Gone` follows.
        leftover: bool,
    },
    /// All processes that a command had started have ended.
    Gone(JobId),
    /// The daemon received a signal to stop: it drains, then ends.
    Shutdown,
}

/// Why a message has no readable body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misframing {
    /// More than one frame after the envelope.
    SeveralBodies,
    /// The last frame is empty.
    EmptyBody,
    /// More than `MESSAGE_FRAMES_MAX` frames.
    TooManyFrames,
    /// A frame before the last one has more than `ENVELOPE_FRAME_BYTES_MAX` bytes.
    LongEnvelope,
    /// More than `MESSAGE_BYTES_MAX` bytes.
    TooManyBytes,
}

/// A reply to be sent. The loop takes it from the service, sends it, and reports a failure at once:
/// so replies are not actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The destination.
    pub peer: Peer,
    /// The body.
    pub body: Vec<u8>,
    /// The subject whose bounds it counts against while it waits; none without a valid token.
    pub subject: Option<Subject>,
    /// Whether it is a piece of a stream, so that more replies follow.
    pub piece: bool,
}

/// Why a reply was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The queue of the peer is full because it does not read, or the queues of all peers together
    /// are full.
    WouldBlock,
    /// The peer has disconnected.
    Gone,
}

/// Numbers of bytes of the two output streams of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputBytes {
    /// Of standard output.
    pub stdout: u64,
    /// Of standard error.
    pub stderr: u64,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code, 0 to 255.
    Exited(i32),
    /// By a signal of this name, such as `SIGKILL`.
    Signaled(String),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its exit code, 0 to 255.
    Exited(i32),
    /// A signal of this name ended it, such as `SIGKILL`.
    Signaled(String),
    /// It did not start: a path breaks its rule.
    BadPath {
        /// The parameter whose value it is.
        parameter: String,
        /// What the path must be, or why it could not be opened.
        reason: String,
    },
    /// It did not start.
    NotStarted {
        /// The step of the launch that failed.
        step: String,
        /// The error of the operating system.
        reason: String,
    },
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Answer a handshake.
    Judge(Handshake, Verdict),
    /// Start a command. Its job ends with exactly one `Event::Ended`, even if the start fails.
    Start {
        /// Its identifier.
        job: JobId,
        /// What to run, and how.
        invocation: Box<Invocation>,
    },
    /// Ask a command and what it started to end: SIGTERM.
    Terminate(JobId),
    /// End a command and what it started: SIGKILL.
    Kill(JobId),
    /// Stop reading a command's output until `Resume`: the peer does not keep up.
    Pause(JobId),
    /// Read a command's output again.
    Resume(JobId),
    /// Write a line to the log.
    Log(Record),
}

/// A permitted command, ready to start. Only `service::commands` makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// Absolute path of the program.
    pub program: String,
    /// Its arguments, without the program.
    pub arguments: Vec<String>,
    /// Paths that must lie beneath their directories.
    pub beneath: Vec<Beneath>,
    /// Names that must stand in their directories.
    pub entries: Vec<Entry>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
    /// Variables beside those of its `execution`.
    pub variables: Vec<(String, String)>,
    /// Whether its output is streamed in small pieces.
    pub stream: bool,
    /// Its user, environment and limits.
    pub execution: Rc<Execution>,
}

/// The user, environment and limits of a command: what its entry in the commands file says, passed
/// unchanged from the file to the launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// Its time limit; the daemon's setting when absent.
    pub timeout: Option<Duration>,
    /// The time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Bytes of each output stream that are kept; the daemon's setting when absent.
    pub output_bytes_max: Option<usize>,
    /// How many commands of this name run at the same time.
    pub at_most: Option<usize>,
    /// Name or number of its user; the daemon's when absent.
    pub user: Option<String>,
    /// Name or number of its group; the user's when absent.
    pub group: Option<String>,
    /// Its working directory.
    pub directory: String,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Its resource limits, by names from `RESOURCES`; the daemon's own when absent.
    pub resources: BTreeMap<&'static str, u64>,
    /// Whether processes that it starts may outlive it.
    pub leave_children: bool,
    /// A name of which all commands that have it run one at a time.
    pub lock: Option<String>,
    /// The exit codes that count as success, if the entry says so; else empty.
    pub success: Vec<u8>,
}

/// The names of the resource limits (setrlimit(2)), each with its least value: bytes of address
/// space (RLIMIT_AS), seconds of processor time (RLIMIT_CPU), open descriptors (RLIMIT_NOFILE),
/// processes of its user (RLIMIT_NPROC), bytes of a file that it writes (RLIMIT_FSIZE).
pub const RESOURCES: [(&str, u64); 5] = [
    ("memory_bytes_max", limits::MEMORY_BYTES_MIN),
    ("cpu_seconds_max", 1),
    ("open_files_max", 1),
    ("processes_max", 1),
    ("file_bytes_max", 1),
];

/// A place in the arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The index of the argument.
    pub argument: usize,
    /// The byte offset in it.
    pub byte: usize,
}

/// A path must lie beneath a directory, with all symbolic links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beneath {
    /// The parameter whose value it is.
    pub parameter: String,
    /// The directory.
    pub directory: String,
    /// The path, which begins with the directory.
    pub path: String,
    /// The places in the arguments where the path is replaced by that of an open descriptor: index
    /// of the argument, and byte within it. Empty if the path is not opened.
    pub places: Vec<Place>,
}

/// A name must be that of an entry of a directory; a symbolic link counts by its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The parameter whose value it is.
    pub parameter: String,
    /// The directory.
    pub directory: String,
    /// The name.
    pub name: String,
}

/// The level of a log line; a log writes its own level and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Data is lost.
    Error,
    /// The owner should act.
    Warn,
    /// Events for an audit.
    Info,
    /// Every request.
    Debug,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The level.
    pub level: Level,
    /// The name of the event, one word.
    pub event: &'static str,
    /// The fields, in order.
    pub fields: Vec<(&'static str, Field)>,
}

/// The state of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Whether every line so far was written, or is counted in a line that was.
    pub whole: bool,
    /// Bytes of lines that wait to be written.
    pub backlog: usize,
    /// Lines that were lost since the start.
    pub lost: u64,
    /// The last error since the start.
    pub last_error: Option<Rc<str>>,
}

/// The state before the first line.
impl Default for LogState {
    fn default() -> Self {
        Self { whole: true, backlog: 0, lost: 0, last_error: None }
    }
}

/// One value in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Any text; the log escapes it.
    Text(String),
    /// A count, a size, a number of milliseconds.
    Number(i128),
    /// An argument list.
    List(Vec<String>),
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Field {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}
