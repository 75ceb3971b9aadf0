//! A request as a client writes it.
//!
//! Promises: what is written has the fields that its `command_type` takes and no others.
//! Leaves out: reading, which is `protocol::envelope` for the fields that all requests share, and
//! `service::operations` for the others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::protocol::raw;

/// The identifier that a caller gives to a request; every reply to it repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// At most `ID_BYTES_MAX` bytes.
    Text(String),
    /// Any integer of 64 bits, with or without a sign.
    Number(i128),
}

impl std::fmt::Display for Id {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Number(number) => write!(out, "{number}"),
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Request {
    /// Repeated in every reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// The caller's token; empty when there is none.
    pub token: String,
    /// What the client asks for.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What a client asks for: one variant for each `command_type` that `zcmd` sends. Variants and
/// fields have the names on the wire, unless an attribute renames them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "command_type", rename_all = "lowercase")]
pub enum Ask {
    /// Evaluate an expression.
    Compute {
        /// The expression.
        expression: String,
        /// Names and the text of their numbers.
        #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "numbers")]
        variables: Vec<(String, String)>,
    },
    /// Run a command.
    Os(Os),
    /// List what this token may run.
    List,
    /// The counters.
    Status,
    /// Check that the daemon answers.
    Ping,
    /// End a command.
    Cancel {
        /// The `id` of its request.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<Id>,
        /// Its number among the jobs, where there is no `target`.
        #[serde(skip_serializing_if = "Option::is_none")]
        job: Option<u64>,
    },
    /// List the commands that run and wait.
    Jobs,
    /// Tell `status` or `jobs` at an interval.
    Watch {
        /// Which of them.
        what: &'static str,
        /// Milliseconds from one reply to the next.
        every_ms: u64,
    },
}

/// A command to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Os {
    /// Its name in the commands file.
    #[serde(rename = "command_name")]
    pub name: String,
    /// The values of its parameters.
    pub parameters: Values,
    /// Its standard input.
    #[serde(flatten, skip_serializing_if = "Vec::is_empty", serialize_with = "stdin")]
    pub stdin: Vec<u8>,
    /// Lowers its time limit.
    #[serde(rename = "timeout_ms", skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "milliseconds")]
    pub timeout: Option<Duration>,
    /// Whether its output is streamed while it runs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    /// Whether to report what would run, and run nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
    /// Whether the caller confirms it, for a command that asks for a confirmation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
}

/// The values of a command's parameters. On the wire: an array, in the order of the commands file;
/// or an object, by name, in which the empty name has the values of all other parameters in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Of the parameters that are not named, in the order of the commands file.
    pub ordered: Vec<String>,
    /// By the names of their parameters.
    pub named: BTreeMap<String, Vec<String>>,
}

impl FromIterator<String> for Values {
    fn from_iter<I: IntoIterator<Item = String>>(values: I) -> Self {
        Self { ordered: values.into_iter().collect(), named: BTreeMap::new() }
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.named.is_empty() {
            return self.ordered.serialize(out);
        }
        let mut out = out.serialize_map(None)?;
        if !self.ordered.is_empty() {
            out.serialize_entry("", &self.ordered)?;
        }
        for (name, values) in &self.named {
            match values.as_slice() {
                [value] => out.serialize_entry(name, value)?,
                values => out.serialize_entry(name, values)?,
            }
        }
        out.end()
    }
}

impl Request {
    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(self)
    }
}

/// Numbers keep all their digits: their text is JSON already.
fn numbers<S: Serializer>(of: &[(String, String)], out: S) -> Result<S::Ok, S::Error> {
    let number = |(name, text): &(String, String)| Ok((name.clone(), raw(text)?));
    out.collect_map(of.iter().map(number).collect::<Result<Vec<_>, _>>()?)
}

/// Text under its own name, other bytes in base64.
fn stdin<S: Serializer>(of: &[u8], out: S) -> Result<S::Ok, S::Error> {
    out.collect_map([super::spelled(["stdin", "stdin_base64"], of)])
}

fn milliseconds<S: Serializer>(of: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    of.map(|duration| duration.as_millis()).serialize(out)
}
