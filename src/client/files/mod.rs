//! Facts and files of a host, by commands that its owner declares: `facts`, `files`, `read`,
//! `write`, as `zcmd-tool` understands them.
//!
//! Promises: each step is an ordinary `os` request, with the limits of its command. A refusal for a
//! time is waited for, within the time of one request. What a host tells is checked, and escaped
//! where it is shown. Memory does not depend on the size of a file.
//! Leaves out: which files may be reached, which the entries of the commands file say.

mod get;
mod put;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::client::connection::poll;
use crate::client::conversation::Conversation;
use crate::client::settings::Settings;
use crate::client::status::{self, Failure};
use crate::client::text::one_line;
use crate::client::{ask_once, catalogue, catch, fresh_id, text};
use crate::limits;
use crate::port::Ended;
use crate::protocol::json::{Fault, Json, Object};
use crate::protocol::reply::{Answer, Code, Error, Ran};
use crate::protocol::request::{Ask, Os, Request};
use crate::system::line::time;
use crate::system::signals::Signals;

/// What to do, and by which command of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    /// The name in the commands file, if it is not the usual one.
    pub command: Option<String>,
    /// What to do.
    pub job: Job,
}

/// What to do with a host or its files.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Show what the host is and how it is.
    Facts,
    /// Show what is in a directory.
    List(Option<String>),
    /// Copy a file of the host here.
    Get {
        /// Its path on the host.
        remote: String,
        /// Where to; under its own name in the current directory unless given.
        local: Option<String>,
    },
    /// Copy a file to the host.
    Put {
        /// The file.
        local: String,
        /// Its path on the host.
        remote: String,
    },
}

impl Job {
    /// The command of the host that does it.
    fn command(&self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::List(_) => "files",
            Self::Get { .. } => "read",
            Self::Put { .. } => "write",
        }
    }
}

impl Files {
    /// Does it, and returns the exit status.
    ///
    /// # Errors
    /// The host refuses, a file here cannot be read or written, or what came is not what was asked
    /// for.
    pub fn run(&self, settings: &Settings) -> Result<u8, Failure> {
        let command = self.command.as_deref().unwrap_or(self.job.command());
        // Ctrl-C has its usual effect while a file here is summed up.
        let source = match &self.job {
            Job::Put { local, .. } => Some(put::Source::open(local)?),
            _ => None,
        };
        let signals = &catch()?;
        let mut exchange = Exchange { settings, command, signals, open: None };
        match (&self.job, source) {
            (Job::Get { .. } | Job::Put { .. }, _) if settings.json => {
                Err(Failure::refused("--json prints a reply, and a copy has more than one"))
            }
            (Job::Get { remote, local }, _) => get::get(&mut exchange, remote, local.as_deref()),
            (Job::Put { remote, .. }, Some(source)) => put::put(&mut exchange, source, remote),
            (Job::List(path), _) => exchange.show(path.iter().cloned().collect(), list),
            _ => exchange.show(Vec::new(), catalogue::table),
        }
    }
}

/// Requests for one command, one after the other over one connection.
struct Exchange<'a> {
    settings: &'a Settings,
    command: &'a str,
    signals: &'a Signals,
    open: Option<Conversation<'a>>,
}

impl Exchange<'_> {
    /// Runs the command once, and prints what it tells as a person reads it.
    fn show(
        &mut self,
        parameters: Vec<String>,
        words: impl Fn(&str) -> Result<String, Fault>,
    ) -> Result<u8, Failure> {
        if self.settings.json {
            let os = Os {
                name: self.command.to_owned(),
                parameters: parameters.into_iter().collect(),
                ..Os::default()
            };
            return ask_once(self.settings, Ask::Os(os), Some(self.signals));
        }
        let ran = self.run(parameters, Vec::new())?;
        let shown = words(&String::from_utf8_lossy(&ran.stdout)).map_err(|fault| odd(&fault))?;
        let written = io::stdout().write_all(shown.as_bytes());
        written.map_err(|error| text::unwritten(&error))?;
        Ok(status::DONE)
    }

    /// Runs the command until it ends well, and waits as long as the host asks for.
    fn run(&mut self, parameters: Vec<String>, stdin: Vec<u8>) -> Result<Ran, Failure> {
        let name = self.command.to_owned();
        let ask = Ask::Os(Os {
            name,
            parameters: parameters.into_iter().collect(),
            stdin,
            ..Os::default()
        });
        let until = Instant::now() + self.settings.timeout;
        loop {
            match self.answer(ask.clone())? {
                Answer::Ran(ran) if ran.end == Ended::Exited(0) && ran.truncated.is_none() => {
                    return Ok(ran);
                }
                Answer::Error(Error { code, retry_after: Some(wait), .. })
                    if matches!(code, Code::RateLimited | Code::Busy)
                        && Instant::now() + wait < until =>
                {
                    self.pause(wait)?;
                }
                answer => return Err(refusal(&answer)),
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> Result<Answer, Failure> {
        if let Some(conversation) = &mut self.open {
            conversation.ask_next(ask)?;
            return conversation.answer();
        }
        let id = self.settings.id.clone().unwrap_or_else(fresh_id);
        let request = Request { id: Some(id), token: self.settings.token.clone(), ask };
        let open = Conversation::open_quietly(self.settings, request, Some(self.signals))?;
        self.open.insert(open).answer()
    }

    /// Lets time pass; Ctrl-C ends it.
    fn pause(&self, wait: Duration) -> Result<(), Failure> {
        let until = Instant::now() + wait.max(Duration::from_millis(1));
        while Instant::now() < until {
            poll(&mut [zmq::PollItem::from_fd(self.signals.descriptor(), zmq::POLLIN)], until)?;
            if self.signals.gather() > 0 {
                return Err(Failure::quiet(status::of_interrupt(self.signals)));
            }
        }
        Ok(())
    }
}

/// What an answer other than the one that is needed comes to.
fn refusal(answer: &Answer) -> Failure {
    let message = match answer {
        Answer::Error(error) => return Failure::answered(error, true, status::words(error)),
        Answer::Ran(ran) if ran.end == Ended::Exited(0) => {
            let message = "output was cut; the command needs an output_bytes_max of 1048576";
            return Failure::uncertain(message);
        }
        Answer::Ran(ran) => {
            let said = String::from_utf8_lossy(&ran.stderr);
            let said = said.trim_end().trim_start_matches("zcmd-tool: ");
            match (&ran.end, said) {
                (Ended::Signaled(signal), _) => format!("{signal} ended the command: {said}"),
                (Ended::Exited(code), "") => format!("the command ended with status {code}"),
                (Ended::Exited(_), said) => said.to_owned(),
            }
        }
        _ => "the daemon answered something else".to_owned(),
    };
    Failure { status: status::of(answer, true), ..Failure::failed(message) }
}

fn odd(fault: &Fault) -> Failure {
    Failure::uncertain(format!("what the command tells makes no sense: {fault}"))
}

/// The entries of a directory: mode, bytes, time of the last change, and name, with `/` after that
/// of a directory and `@` after that of a link.
fn list(json: &str) -> Result<String, Fault> {
    let object = Json::parse(json.as_bytes())?.object()?;
    let mut lines = String::new();
    for entry in need(&object, "entries")?.array()? {
        let entry = entry.object()?;
        let (mode, kind) = (need(&entry, "mode")?.string()?, need(&entry, "type")?.string()?);
        let bytes: u64 = need(&entry, "bytes")?.integer()?;
        let changed: i64 = need(&entry, "mtime")?.integer()?;
        let changed = u64::try_from(changed).unwrap_or(0).min(limits::UNIX_SECONDS_MAX);
        let changed = time(Duration::from_secs(changed));
        let name = match entry.get("name") {
            Some(name) => one_line(&name.string()?),
            None => format!("(base16) {}", one_line(&need(&entry, "name_base16")?.string()?)),
        };
        let mark = match kind.as_ref() {
            "directory" => "/",
            "link" => "@",
            _ => "",
        };
        let (mode, changed) = (one_line(&mode), changed.get(..19).unwrap_or_default());
        lines.push_str(&format!("{mode} {bytes:>12} {changed}Z {name}{mark}\n"));
    }
    let left_out: u64 = need(&object, "left_out")?.integer()?;
    if left_out > 0 {
        text::diagnose(&format!("{left_out} more entries are not shown"));
    }
    Ok(lines)
}

fn need<'a>(object: &Object<'a>, name: &str) -> Result<Json<'a>, Fault> {
    let missing = || Fault { position: 0, message: format!("{name} is missing") };
    object.get(name).ok_or_else(missing)
}

/// Bytes as the command line and JSON write a sum of them.
fn sum_text(sum: Sha256) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The sum of what is left of a source, and how many bytes that is.
fn sum(mut source: impl Read) -> io::Result<(String, u64)> {
    let (mut sum, mut bytes) = (Sha256::new(), 0_u64);
    let mut chunk = vec![0; limits::READ_BYTES_MAX];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok((sum_text(sum), bytes)),
            Ok(count) => {
                sum.update(chunk.get(..count).unwrap_or_default());
                bytes = bytes.saturating_add(count as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How far a copy is, in a line that the next one wipes; nothing where no person looks.
struct Progress {
    name: String,
    shown: Option<Instant>,
}

impl Progress {
    fn new(name: &str) -> Self {
        let shown = io::stderr().is_terminal().then(Instant::now);
        Self { name: one_line(name), shown }
    }

    fn show(&mut self, have: u64, size: u64) {
        let between = Duration::from_millis(limits::PROGRESS_MS);
        if self.shown.is_some_and(|shown| shown.elapsed() >= between) {
            self.shown = Some(Instant::now());
            text::progress(&format!("{}: {have} of {size} bytes", self.name));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            text::progress("");
        }
    }
}

/// Opens a file here: a regular one, and no link to another place if it may be made.
fn open_local(path: &str, options: &mut OpenOptions, flags: OFlags) -> Result<File, Failure> {
    let cannot = |why: &dyn std::fmt::Display| Failure::refused(format!("{path}: {why}"));
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| cannot(&error))?;
    match file.metadata() {
        Ok(found) if found.is_file() => Ok(file),
        Ok(_) => Err(cannot(&"not a regular file")),
        Err(error) => Err(cannot(&error)),
    }
}
