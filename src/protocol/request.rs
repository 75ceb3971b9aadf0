//! A request as a client writes it.
//!
//! Promises: what is written has the fields that its `command_type` takes and no others.
//! Leaves out: reading, which is `protocol::envelope` for the fields that all requests share, and
//! `service::operations` for the others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The name that a caller gives to a request; it comes back in every reply to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// At most `ID_BYTES_MAX` bytes.
    Text(String),
    /// Any integer of 64 bits, with or without a sign.
    Number(i128),
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Comes back in every reply.
    pub id: Option<Id>,
    /// The caller's token; empty when there is none.
    pub token: String,
    /// What the client asks for.
    pub ask: Ask,
}

/// What a client asks for: one variant for each `command_type` that `zcmd` sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Evaluate an expression.
    Compute {
        /// The expression.
        expression: String,
        /// Names and the text of their numbers.
        variables: Vec<(String, String)>,
    },
    /// Run a command.
    Os(Os),
    /// What may this token run?
    List,
    /// The counters.
    Status,
    /// Does the daemon answer?
    Ping,
    /// End a command.
    Cancel {
        /// The `id` of its request.
        target: Id,
    },
}

/// A command to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Os {
    /// Its name in the commands file.
    pub name: String,
    /// The values of its parameters.
    pub parameters: Values,
    /// What it reads from standard input.
    pub stdin: String,
    /// Lowers its time limit.
    pub timeout: Option<Duration>,
    /// Whether its output is sent while it runs.
    pub stream: bool,
    /// Whether to tell what would run, and run nothing.
    pub explain: bool,
    /// Whether it is meant, for a command that asks for a confirmation.
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

impl Ask {
    /// The `command_type` on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Compute { .. } => "compute",
            Self::Os(_) => "os",
            Self::List => "list",
            Self::Status => "status",
            Self::Ping => "ping",
            Self::Cancel { .. } => "cancel",
        }
    }
}

impl Request {
    /// Writes the body.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(self)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => out.serialize_str(text),
            Self::Number(number) => out.serialize_i128(*number),
        }
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("command_type", self.ask.kind())?;
        out.serialize_entry("token", &self.token)?;
        if let Some(id) = &self.id {
            out.serialize_entry("id", id)?;
        }
        match &self.ask {
            Ask::Compute { expression, variables } => {
                out.serialize_entry("expression", expression)?;
                if !variables.is_empty() {
                    out.serialize_entry("variables", &Numbers(variables))?;
                }
            }
            Ask::Os(os) => {
                out.serialize_entry("command_name", &os.name)?;
                out.serialize_entry("parameters", &os.parameters)?;
                if !os.stdin.is_empty() {
                    out.serialize_entry("stdin", &os.stdin)?;
                }
                if let Some(timeout) = os.timeout {
                    out.serialize_entry("timeout_ms", &timeout.as_millis())?;
                }
                for (name, flag) in
                    [("stream", os.stream), ("explain", os.explain), ("confirmed", os.confirmed)]
                {
                    if flag {
                        out.serialize_entry(name, &true)?;
                    }
                }
            }
            Ask::Cancel { target } => out.serialize_entry("target", target)?,
            Ask::List | Ask::Status | Ask::Ping => {}
        }
        out.end()
    }
}

struct Numbers<'a>(&'a [(String, String)]);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        for (name, number) in self.0 {
            out.serialize_entry(name, &super::raw(number)?)?;
        }
        out.end()
    }
}
