//! The client: ask a daemon, print its answer, say by the exit status what became of it.
//!
//! Promises: standard output carries answers and nothing else, except in `menu`, which is for
//! people; everything else is one line on standard error. Every run ends with one of the statuses
//! of `status`, and none waits without a bound.
//! Leaves out: the command line, which `bin/zcmd.rs` reads.

pub mod again;
pub mod batch;
pub mod catalogue;
pub mod config;
pub mod configure;
pub mod confirm;
pub mod connecting;
pub mod connection;
pub mod conversation;
pub mod each;
pub mod external;
pub mod files;
pub mod frames;
pub mod handshake;
pub mod help;
pub mod lines;
pub mod menu;
pub mod named;
pub mod own_token;
pub mod page;
pub mod requests;
pub mod settings;
pub mod sources;
pub mod status;
pub mod text;
pub mod trace;
pub mod values;
pub mod variables;

use std::io::Write;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::client::conversation::Conversation;
use crate::client::settings::{Given, Settings};
use crate::client::status::Failure;
use crate::limits;
use crate::protocol;
use crate::protocol::reply::{Answer, Code};
use crate::protocol::request::{Ask, Id, Os, Request};
use crate::protocol::token::Claims;
use crate::system::files::read_bytes_within;
use crate::system::keypair;
use crate::system::signals::{SIGHUP, SIGINT, SIGTERM, Signals, is_ignored};

/// What one run of the client is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// Ask once, and print the answer.
    Ask(Ask),
    /// Ask for the end of each of these.
    Cancel(Vec<Ask>),
    /// Ask once for a command that reads this process's standard input.
    AskWithInput(Os),
    /// Evaluate many expressions.
    Batch(batch::Batch),
    /// Look at the host, or move a file.
    Files(files::Files),
    /// Show what the command of this name takes.
    Page(String),
    /// Offer what there is to a person; these names may be completed in expressions.
    Menu(Vec<String>),
    /// Ask many hosts.
    Each(each::Each),
    /// Make a pair of CURVE keys in this file.
    Keygen(String),
    /// Check or change the configuration file.
    Config(configure::Action),
    /// Tell what the token at hand says.
    Whoami,
}

/// Does it, says on standard error what went wrong, and returns the exit status.
pub fn run(task: Task, given: &Given) -> u8 {
    perform(task, given).unwrap_or_else(|failure| {
        text::fail(&failure);
        failure.status
    })
}

fn perform(task: Task, given: &Given) -> Result<u8, Failure> {
    let settings = || Settings::gather(given);
    match task {
        Task::Ask(ask @ (Ask::Os(_) | Ask::Watch { .. })) => {
            ask_once(&settings()?, ask, Some(&catch()?))
        }
        Task::Ask(ask) => ask_once(&settings()?, ask, None),
        Task::Cancel(asks) => {
            let settings = settings()?;
            asks.into_iter()
                .try_fold(status::DONE, |worst, ask| Ok(worst.max(ask_once(&settings, ask, None)?)))
        }
        Task::AskWithInput(os) => {
            let settings = settings()?;
            let bytes_max = limits::STDIN_BYTES_MAX;
            let stdin = read_bytes_within(std::io::stdin(), "standard input", bytes_max);
            let stdin = stdin.map_err(Failure::refused)?;
            ask_once(&settings, Ask::Os(Os { stdin, ..os }), Some(&catch()?))
        }
        Task::Page(name) => page::show(&settings()?, &name),
        Task::Batch(batch) => batch.run(&settings()?),
        Task::Files(files) => files.run(&settings()?),
        Task::Menu(names) => menu::run(&settings()?, &catch()?, names),
        Task::Each(each) => each.run(given, &catch()?),
        Task::Keygen(path) => keygen(&path),
        Task::Config(action) => configure::run(&action),
        Task::Whoami => whoami(given),
    }
}

/// Makes a pair of keys, and prints the public one: what the owner of a daemon lists.
fn keygen(path: &str) -> Result<u8, Failure> {
    let public = keypair::write(path).map_err(Failure::refused)?;
    writeln!(std::io::stdout(), "{public}").map_err(|error| text::unwritten(&error))?;
    Ok(status::DONE)
}

/// Tells what the token at hand says.
fn whoami(given: &Given) -> Result<u8, Failure> {
    let token = settings::token_at_hand(given)?;
    let claims = Claims::unverified(&token)
        .ok_or_else(|| Failure::refused("the token is no JWT; what it says cannot be read"))?;
    let text = match given.json {
        true => format!("{}\n", String::from_utf8_lossy(&protocol::encode(&claims))),
        false => own_token::table(&claims),
    };
    write!(std::io::stdout(), "{text}").map_err(|error| text::unwritten(&error))?;
    Ok(status::DONE)
}

/// Catches Ctrl-C and the signals that end a program; not SIGHUP where nohup(1) has it ignored.
fn catch() -> Result<Signals, Failure> {
    let all = [SIGINT, SIGTERM, SIGHUP];
    let caught = if is_ignored(SIGHUP) { &all[..2] } else { &all };
    Signals::catch(caught)
        .map_err(|error| Failure::refused(format!("cannot watch for signals: {error}")))
}

/// Asks once over a connection of its own, prints the answer, and returns its exit status.
fn ask_once(settings: &Settings, ask: Ask, signals: Option<&Signals>) -> Result<u8, Failure> {
    let id = settings.id.clone().unwrap_or_else(fresh_id);
    let request = Request { id: Some(id), token: settings.token.clone(), ask };
    let os = if let Ask::Os(os) = &request.ask { Some(os.clone()) } else { None };
    again::run(settings, signals, |settings, again| {
        let mut conversation = Conversation::open(settings, request.clone(), signals)?;
        let (body, answer) = conversation.last()?;
        if let (Some(os), Answer::Error(error)) = (&os, &answer)
            && (error.code, os.confirmed, settings.json) == (Code::Unconfirmed, false, false)
            && confirm::is_possible()
        {
            confirm::ask(&os.name, signals)?;
            let ask = Ask::Os(Os { confirmed: true, ..os.clone() });
            return ask_once(settings, ask, signals);
        }
        conversation.finish(&body, &answer, again)
    })
}

/// An id that no other request of this subject has now, so that `cancel` finds the right one.
fn fresh_id() -> Id {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Id::Text(format!("zcmd-{}-{:x}", std::process::id(), now.as_nanos()))
}

/// When a run that begins now has to be over.
fn deadline(settings: &Settings) -> Instant {
    settings.until.unwrap_or_else(|| Instant::now() + settings.timeout)
}
