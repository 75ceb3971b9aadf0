//! `zcmd bench`: measures the daemon beside a baseline of the machine itself.
//!
//! Promises: baseline and daemon alternate in each round, so that other load affects both; each
//! number has its spread. Each wait is bounded, and the whole run by --timeout.
//! Leaves out: instructions and allocations, which scripts/request-cost counts; overload and
//! attacks, which scripts/soak makes.

mod idle;
mod parts;
mod place;
mod server;
mod table;
mod wire;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lexopt::prelude::*;
use zcmd::client::settings::{Given, Settings};
use zcmd::client::status::{self, Failure};
use zcmd::client::text;

use crate::table::Table;

const HELP: &str = "\
zcmd bench [OPTION]... [PART]...

  zcmd bench                               all parts, with daemons that it starts
  zcmd bench wire idle                     two parts
  zcmd bench --server ipc:///run/zcmd/s    the wire of a running daemon (with
                                           MAX_REQUESTS_PER_MINUTE=0), with your token

Parts:
  wire       requests beside a bare ROUTER that echoes: rate, latency, processor time, memory
  programs   true over the wire, zcmd compute and zcmd --version beside a plain fork and exec
  fresh      start of the daemon until it listens, and its memory then
  busy       maths beside 64 running commands, beside maths without
  idle       memory of 10,000 idle connections, and after their end; at most 3 rounds
  curve      requests and zcmd ping with CURVE, beside the same without

Options:
  --rounds N          rounds, in each of which baseline and daemon alternate (21)
  --requests N        requests to each in each round; a tenth of them one at a time (20000)
  --in-flight N       concurrent requests (64)
  --timeout SECONDS   limit for the whole run (240)
  --json              the table as one object
  --server LIST, --token-file FILE          as for zcmd
  --help, --version
";

/// The parameters of a run.
pub(crate) struct Plan {
    rounds: usize,
    requests: usize,
    in_flight: usize,
    /// The time at which the run must end.
    until: Instant,
}

impl Plan {
    /// Fails after the end time.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match Instant::now() < self.until {
            true => Ok(()),
            false => Err(Failure::uncertain(
                "the time is over; ask for fewer --rounds or --requests, or give a longer --timeout",
            )),
        }
    }
}

/// A command line.
struct Line {
    plan: Plan,
    given: Given,
    parts: Vec<&'static parts::Part>,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, first, address, reply] = arguments.as_slice()
        && first == server::ECHO
    {
        return server::echo(address, reply.as_bytes());
    }
    let done = match read(lexopt::Parser::from_env()) {
        Ok(Ok(line)) => measure(&line).map(|table| match line.given.json {
            true => table.json(),
            false => table.text(),
        }),
        Ok(Err(text)) => Ok(text),
        Err(error) => Err(Failure::refused(format!("bench: {error} (see zcmd bench --help)"))),
    };
    let done = done.and_then(|text| {
        let written = std::io::stdout().write_all(text.as_bytes());
        written.map_err(|error| text::unwritten(&error))
    });
    let failure = match done {
        Ok(()) => return ExitCode::from(status::DONE),
        Err(failure) => failure,
    };
    if !failure.message.is_empty() {
        text::diagnose(&failure.message);
    }
    ExitCode::from(failure.status)
}

/// A command line, or a text to print instead.
fn read(mut parser: lexopt::Parser) -> Result<Result<Line, String>, lexopt::Error> {
    let (mut rounds, mut requests, mut in_flight) = (21, 20_000, 64);
    let (mut given, mut parts) = (Given::default(), Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => rounds = number(&mut parser, 1_000)?,
            Long("requests") => requests = number(&mut parser, 1_000_000)?,
            // The high-water marks of the two peers together.
            Long("in-flight") => {
                in_flight = number(&mut parser, zcmd::limits::PEER_MESSAGES_MAX as usize)?;
            }
            Long("timeout") => given.timeout = Some(parser.value()?.string()?),
            Long("json") => given.json = true,
            Long("server") => given.server = Some(parser.value()?.string()?),
            Long("token-file") => given.token_file = Some(parser.value()?.string()?),
            Short('h') | Long("help") => return Ok(Err(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Err(format!("zcmd-bench {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Value(name) => {
                let name = name.string()?;
                let part = parts::PARTS.iter().find(|part| part.name == name);
                parts.push(part.ok_or_else(|| format!("no part {name:?}"))?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if given.server.is_some() && !parts.is_empty() {
        return Err("--server measures a daemon on its wire only".into());
    }
    if parts.is_empty() {
        parts = parts::PARTS.iter().collect();
    }
    let seconds: f64 = match &given.timeout {
        Some(text) => text.parse().map_err(|_| format!("--timeout {text}: expected seconds"))?,
        None => 240.0,
    };
    let most = zcmd::limits::TIMEOUT_SECONDS_MAX as f64;
    let until = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, most));
    Ok(Ok(Line { plan: Plan { rounds, requests, in_flight, until }, given, parts }))
}

/// A number from 1 to `max`.
fn number(parser: &mut lexopt::Parser, max: usize) -> Result<usize, lexopt::Error> {
    parser.value()?.parse_with(|text: &str| match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from 1 to {max}")),
    })
}

fn measure(line: &Line) -> Result<Table, Failure> {
    let mut table = Table::begin(line.plan.rounds);
    if line.given.server.is_some() {
        let settings = Settings::gather(&line.given)?;
        table.add(parts::WIRE, parts::wire_of(&settings, &line.plan)?);
        return Ok(table);
    }
    // Raises the limit on descriptors to the hard limit; daemons of this run inherit it.
    server::raise_descriptors();
    let place = place::Place::make()?;
    for part in &line.parts {
        table.add(part.title, (part.measure)(&place, &line.plan)?);
    }
    Ok(table)
}
