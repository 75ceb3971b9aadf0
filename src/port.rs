//! The door between the decisions (`service`) and the machine (`system`): plain data, no logic.
//!
//! Promises: what crosses it is owned and complete. Events say what happened, actions say what to
//! do, and nobody has to ask back.
//! Leaves out: what a message means, and how anything is done.

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

/// Whom limits and counts belong to: the issuer and the subject of a token. A copy costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject(Rc<(Option<String>, String)>);

impl Subject {
    /// The subject of this issuer (`iss`, `sub`; RFC 7519, 4.1).
    pub fn new(issuer: Option<String>, name: String) -> Self {
        Self(Rc::new((issuer, name)))
    }

    /// Who made the token.
    pub fn issuer(&self) -> Option<&str> {
        self.0.0.as_deref()
    }

    /// Whom the token is about.
    pub fn name(&self) -> &str {
        &self.0.1
    }
}

/// Names one command from its acceptance to its reply. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Where a message came from, and so where its replies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The frames before the body, routing id first, sent back as they came.
    pub envelope: Vec<Vec<u8>>,
    /// The address of the connection; none for `ipc`.
    pub address: Option<IpAddr>,
    /// The CURVE key that the peer has shown to have, in Z85; none without CURVE.
    pub key: Option<String>,
}

/// A peer that wants to be let in, and waits.
#[derive(Debug)]
pub struct Handshake {
    /// Where the verdict goes.
    pub ticket: [Vec<u8>; 2],
    /// The address of the connection; none for `ipc`.
    pub address: Option<IpAddr>,
    /// The CURVE key that it has shown to have, in Z85; none without CURVE.
    pub key: Option<String>,
}

/// Whether a peer is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Admitted,
    /// Not now; it may try again.
    Later,
    /// It is not.
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
    /// A peer wants to be let in. It waits for an `Action::Judge`.
    Handshake(Handshake),
    /// A peer did not get as far as that: it speaks another protocol, shows no key, or has left.
    TurnedAway {
        /// Its address; none for `ipc`.
        address: Option<IpAddr>,
    },
    /// A message of a lawful layout.
    Message {
        /// Who sent it.
        peer: Peer,
        /// Its last frame, of `MESSAGE_BYTES_MAX` bytes at most.
        body: Vec<u8>,
    },
    /// A message of any other layout. Its frames are gone.
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
        /// Where it wrote to.
        stream: Stream,
        /// What it wrote; never empty.
        bytes: Vec<u8>,
    },
    /// A command is over, with all of its output: there is exactly one such event for each job.
    Ended {
        /// Which command.
        job: JobId,
        /// How.
        ending: Ending,
        /// Whether something that it started is still there. Then `Gone` follows.
        leftover: bool,
    },
    /// Nothing is left of what a command had started.
    Gone(JobId),
    /// A reply could not be sent, and comes back with the reason.
    Unsent(Outgoing, Unsent),
    /// The daemon was asked to stop: drain, then end.
    Shutdown,
}

/// Why a message has no body that could be read.
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

/// A reply on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub peer: Peer,
    /// What.
    pub body: Vec<u8>,
    /// Whose bounds it counts against when it waits; none without a valid token.
    pub subject: Option<Subject>,
    /// Whether it is a piece of a stream, behind which more follows.
    pub piece: bool,
}

/// Why a reply was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The peer does not read, and its queue is full; or all queues are.
    WouldBlock,
    /// The peer has left.
    Gone,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this exit code, 0 to 255.
    Exited(i32),
    /// A signal of this name ended it, such as `SIGKILL`.
    Signaled(String),
    /// It never ran: a path is not what it must be.
    BadPath {
        /// The parameter whose value it is.
        parameter: String,
        /// What the path must be, or why it could not be opened.
        reason: String,
    },
    /// It never ran.
    NotStarted {
        /// The step of the launch that failed.
        step: String,
        /// What the machine said.
        reason: String,
    },
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Let a peer in, or not.
    Judge(Handshake, Verdict),
    /// Send a reply. Failing, it comes back as `Event::Unsent`.
    Send(Outgoing),
    /// Start a command. Its job ends with exactly one `Event::Ended`, whatever happens.
    Start {
        /// Its name from now on.
        job: JobId,
        /// All that is to be known of it.
        invocation: Box<Invocation>,
    },
    /// Ask a command and what it started to end: SIGTERM.
    Terminate(JobId),
    /// End a command and what it started: SIGKILL.
    Kill(JobId),
    /// Stop reading a command's output until `Resume`: its reader does not keep up.
    Pause(JobId),
    /// Read a command's output again.
    Resume(JobId),
    /// Write a line to the log.
    Log(Record),
}

/// A command that was permitted, ready to be started. Made by `service::commands` alone.
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
    /// Whether its output is passed on as it comes, in small pieces.
    pub stream: bool,
    /// As what and within which limits it runs.
    pub execution: Rc<Execution>,
}

/// As what and within which limits a command runs: what its entry says, whole from the file to
/// the launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// How long it may run; the setting of the daemon when absent.
    pub timeout: Option<Duration>,
    /// How long it has from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Bytes that are kept of each of its streams; the setting of the daemon when absent.
    pub output_bytes_max: Option<usize>,
    /// How many of its name may run at the same time.
    pub at_most: Option<usize>,
    /// Name or number of the user that it runs as; the daemon's when absent.
    pub user: Option<String>,
    /// Name or number of the group that it runs as; the user's when absent.
    pub group: Option<String>,
    /// Its working directory.
    pub directory: String,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// The kernel's limits on it, by names out of `RESOURCES`; an absent one is the daemon's own.
    pub resources: BTreeMap<&'static str, u64>,
    /// Whether what it starts may go on after its end.
    pub leave_children: bool,
    /// A name of which all commands that have it run one at a time.
    pub lock: Option<String>,
    /// The exit codes that count as success, if the entry says so; else empty.
    pub success: Vec<u8>,
}

/// The names of the limits that the kernel holds a command to, each with its least value: bytes of
/// address space (RLIMIT_AS), seconds of processor time (RLIMIT_CPU), open descriptors
/// (RLIMIT_NOFILE), processes of its user (RLIMIT_NPROC), bytes of a file that it writes
/// (RLIMIT_FSIZE).
pub const RESOURCES: [(&str, u64); 5] = [
    ("memory_bytes_max", limits::MEMORY_BYTES_MIN),
    ("cpu_seconds_max", 1),
    ("open_files_max", 1),
    ("processes_max", 1),
    ("file_bytes_max", 1),
];

/// A path must lie beneath a directory, with all symbolic links followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beneath {
    /// The parameter whose value it is.
    pub parameter: String,
    /// The directory.
    pub directory: String,
    /// The path, which begins with the directory.
    pub path: String,
    /// Where it stands in the arguments, if it is to be opened and a path to its descriptor is to
    /// stand there instead: the index of an argument, and the byte of it. Otherwise empty.
    pub places: Vec<(usize, usize)>,
}

/// A name must be that of something in a directory; of a link, it is the link's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The parameter whose value it is.
    pub parameter: String,
    /// The directory.
    pub directory: String,
    /// The name.
    pub name: String,
}

/// How much a line of the log matters; a log keeps its own level and the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is lost.
    Error,
    /// The owner should look at it.
    Warn,
    /// What an auditor wants to know.
    Info,
    /// Every request.
    Debug,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// What happened, in one word.
    pub event: &'static str,
    /// The particulars, in order.
    pub fields: Vec<(&'static str, Field)>,
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
