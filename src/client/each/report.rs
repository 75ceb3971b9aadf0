//! What became of each host: an output for all hosts that gave it, and a table.
//!
//! Promises: the text of a host cannot forge the name of another one, nor a row of the table: it is
//! escaped and indented. Hosts are in the order in which they were named.
//! Leaves out: when and how it is written.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::status::{self, Failure};
use crate::client::text;
use crate::port::{OutputBytes, Stream};
use crate::protocol;
use crate::protocol::reply::{Answer, Error, Reply};

/// What became of a host, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It did what it was asked, with exit status 0.
    Ok,
    /// It was not asked: `--stop-after`, or Ctrl-C.
    Skipped,
    /// There is no connection to its daemon. Nothing ran.
    Unreachable,
    /// Its daemon, or the client, refused. Nothing ran.
    Refused,
    /// It ran, and failed; or the expression has no value.
    Failed,
    /// Ctrl-C has ended it.
    Cancelled,
    /// It was asked, and what became of it is not known.
    Unknown,
}

/// One host at its end.
#[derive(Clone, Debug)]
pub struct End {
    /// Its name.
    pub host: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The exit status that `zcmd` alone would have had.
    pub status: u8,
    /// What happened and what to do, as a terminal may show it.
    pub message: String,
    /// From its turn to its end.
    pub took: Duration,
    /// The last answer; a command's has all the output that is kept.
    pub answer: Option<Answer>,
    /// What a command without a last answer wrote, to standard output and standard error.
    pub partial: [Vec<u8>; 2],
}

/// The exit status of a run: that of the worst host, of several the highest.
pub fn worst(ends: &[End]) -> u8 {
    let worst = ends.iter().map(|end| (end.outcome, end.status)).max();
    worst.map_or(status::DONE, |(_, status)| status)
}

/// Hands over each output under the names of the hosts that gave it, and then a table of all.
///
/// # Errors
/// Those of `out`.
pub fn table(
    ends: &[End],
    out: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (index, end) in ends.iter().enumerate() {
        let output = end.output();
        let is_new = !ends.iter().take(index).any(|earlier| earlier.output() == output);
        let shown = if is_new { output.shown() } else { String::new() };
        if !shown.is_empty() {
            let same = ends.iter().filter(|other| other.output() == output);
            let names: Vec<_> = same.map(|end| text::one_line(&end.host)).collect();
            let count = names.len();
            out(format!("{} ({count}):\n{shown}\n", names.join(",")).as_bytes())?;
        }
    }
    let width = ends.iter().map(|end| text::one_line(&end.host).chars().count()).max();
    let width = width.unwrap_or(0).max("HOST".len());
    out(format!("{:width$}  {:11}  STATUS  SECONDS\n", "HOST", "OUTCOME").as_bytes())?;
    for end in ends {
        let (host, seconds) = (text::one_line(&end.host), end.took.as_secs_f64());
        let outcome = end.outcome.name();
        let row = format!("{host:width$}  {outcome:11}  {:6}  {seconds:7.2}", end.status);
        let message = if end.message.is_empty() { "" } else { "  " };
        out(format!("{row}{message}{}\n", end.message).as_bytes())?;
    }
    Ok(())
}

/// Hands over a line of JSON for each host.
///
/// # Errors
/// Those of `out`.
pub fn json(
    ends: &[End],
    out: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for end in ends {
        let reply = end.answer.clone().and_then(encoded);
        let [stdout, stderr] = end.partial.clone();
        let partial = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
        let partial = partial.into_iter().filter(|(_, bytes)| !bytes.is_empty());
        let output =
            partial.filter_map(|(stream, bytes)| encoded(Answer::Output { stream, bytes }));
        let (host, outcome, status, message) =
            (&end.host, end.outcome.name(), end.status, &end.message);
        let duration_ms = u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX);
        let output = output.collect();
        let row = Row { host, outcome, status, duration_ms, message, output, reply };
        let mut line = protocol::encode(&row);
        line.push(b'\n');
        out(&line)?;
    }
    Ok(())
}

/// A host in JSON.
#[derive(Serialize)]
struct Row<'a> {
    host: &'a str,
    outcome: &'static str,
    status: u8,
    duration_ms: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    /// The replies with output, where there is no last one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    output: Vec<Box<RawValue>>,
    /// The last reply; its output is all that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Box<RawValue>>,
}

/// A reply as the wire has it, without its id.
fn encoded(answer: Answer) -> Option<Box<RawValue>> {
    let body = Reply { id: None, answer }.encode();
    String::from_utf8(body).ok().and_then(|text| RawValue::from_string(text).ok())
}

impl Outcome {
    /// As the table and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// What a host gave.
#[derive(PartialEq)]
struct Output<'a> {
    stdout: &'a [u8],
    stderr: &'a [u8],
    /// When it was cut: the true sizes.
    truncated: Option<OutputBytes>,
}

impl End {
    fn output(&self) -> Output<'_> {
        let ([stdout, stderr], truncated) = match &self.answer {
            Some(Answer::Result(json)) => ([json.as_bytes(), &[]], None),
            Some(Answer::Ran(ran) | Answer::Error(Error { ran: Some(ran), .. })) => {
                ([ran.stdout.as_slice(), &ran.stderr], ran.truncated)
            }
            _ => (self.partial.each_ref().map(Vec::as_slice), None),
        };
        Output { stdout, stderr, truncated }
    }
}

impl Output<'_> {
    /// As the table has it: each line escaped and indented.
    fn shown(&self) -> String {
        let mut shown = indented("", self.stdout) + &indented("standard error: ", self.stderr);
        if let Some(OutputBytes { stdout, stderr }) = self.truncated {
            shown += &format!(
                "  (cut: {} of {stdout} bytes of standard output, {} of {stderr} bytes of \
                 standard error)\n",
                self.stdout.len(),
                self.stderr.len()
            );
        }
        shown
    }
}

/// Lines of a host, each behind a mark.
fn indented(mark: &str, bytes: &[u8]) -> String {
    let shown = |line: &str| line.split('\t').map(text::one_line).collect::<Vec<_>>().join("\t");
    let line = |line: &str| format!("  {mark}{}\n", shown(line));
    String::from_utf8_lossy(bytes).lines().map(line).collect()
}
