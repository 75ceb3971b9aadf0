//! A request, decoded from its body and encoded into one.
//!
//! Promises: what decodes has every field that its `command_type` needs, none that it does not
//! know, and is within the limits; what does not decode says which field is wrong, and where.
//! Leaves out: whether the token holds, and what the expression or the parameters mean.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits;
use crate::protocol::json::{Fault, Json, Object, echo};

/// What a caller may choose to find its replies by; it comes back in every one of them.
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
    /// What is asked for.
    pub ask: Ask,
}

/// What is asked for: one variant for each `command_type`.
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
    /// Is anybody there?
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
    /// Its parameters, in the order of the commands file.
    pub parameters: Vec<String>,
    /// What it reads from standard input.
    pub stdin: String,
    /// Lowers its time limit.
    pub timeout: Option<Duration>,
    /// Whether its output is sent while it runs.
    pub stream: bool,
    /// Whether to tell what would run, and run nothing.
    pub explain: bool,
}

/// A body that is no request. What could be read of it serves the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecoded {
    /// Its `id`, if it has a good one.
    pub id: Option<Id>,
    /// Whether it asked for a command.
    pub os: bool,
    /// What is wrong, and where.
    pub fault: Fault,
    /// Whether all that is wrong is its size.
    pub too_large: bool,
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
    /// Reads a body.
    ///
    /// # Errors
    /// Anything that is not exactly one request, with the first field that is wrong.
    pub fn decode(body: &[u8]) -> Result<Self, Undecoded> {
        let object = Json::parse_object(body);
        let object =
            object.map_err(|fault| Undecoded { id: None, os: false, fault, too_large: false })?;
        let id = object.get("id").and_then(|json| id(json).ok());
        let kind = object.get("command_type").and_then(|json| json.string().ok());
        decode(&object).map_err(|Refused { fault, too_large }| Undecoded {
            id,
            os: kind.is_some_and(|kind| kind == "os"),
            fault,
            too_large,
        })
    }

    /// Writes the body that decodes to this request.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(self)
    }
}

struct Refused {
    fault: Fault,
    too_large: bool,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, too_large: false }
    }
}

type Decode = fn(&Object<'_>) -> Result<Ask, Refused>;

fn decode(object: &Object<'_>) -> Result<Request, Refused> {
    let kind = field(object, "command_type")?;
    let kind = named("command_type", kind.string())?;
    let (known, ask): (&[&str], Decode) = match kind.as_ref() {
        "compute" => (&["expression", "variables"], compute),
        "os" => (&["command_name", "parameters", "stdin", "timeout_ms", "stream", "explain"], os),
        "list" => (&[], |_| Ok(Ask::List)),
        "status" => (&[], |_| Ok(Ask::Status)),
        "ping" => (&[], |_| Ok(Ask::Ping)),
        "cancel" => (&["target"], cancel),
        other => {
            let message = format!(
                "command_type: unknown {}; use compute, os, list, status, ping or cancel",
                echo(other)
            );
            return Err(field(object, "command_type")?.fault(message).into());
        }
    };
    object.only([&["command_type", "id", "token"], known])?;
    let token = match object.get("token") {
        Some(token) => named("token", token.string())?.into_owned(),
        None => String::new(),
    };
    let id = object.get("id").map(|json| named("id", id(json))).transpose()?;
    Ok(Request { id, token, ask: ask(object)? })
}

fn compute(object: &Object<'_>) -> Result<Ask, Refused> {
    let expression = text(object, "expression", limits::EXPRESSION_BYTES_MAX)?;
    let mut variables = Vec::new();
    if let Some(json) = object.get("variables") {
        let object = named("variables", json.object())?;
        within(json, "variables", object.members().count(), limits::VARIABLES_MAX, "variables")?;
        for (name, value) in object.members() {
            if value.kind() != "a number" {
                let found = value.kind();
                let message = format!("variables: {} must be a number, not {found}", echo(name));
                return Err(value.fault(message).into());
            }
            variables.push((name.to_owned(), value.text().to_owned()));
        }
    }
    Ok(Ask::Compute { expression, variables })
}

fn os(object: &Object<'_>) -> Result<Ask, Refused> {
    let mut os =
        Os { name: text(object, "command_name", limits::NAME_BYTES_MAX)?, ..Os::default() };
    if let Some(json) = object.get("parameters") {
        let values = named("parameters", json.array())?;
        within(json, "parameters", values.len(), limits::PARAMETERS_MAX, "values")?;
        for (index, value) in values.into_iter().enumerate() {
            let name = format!("parameters[{index}]");
            let text = named(&name, value.string())?;
            within(value, &name, text.len(), limits::PARAMETER_BYTES_MAX, "bytes")?;
            os.parameters.push(text.into_owned());
        }
    }
    if object.get("stdin").is_some() {
        os.stdin = text(object, "stdin", limits::STDIN_BYTES_MAX)?;
    }
    if let Some(json) = object.get("timeout_ms") {
        let milliseconds: u32 = named("timeout_ms", json.integer())?;
        if milliseconds == 0 {
            return Err(json.fault("timeout_ms: must be at least 1").into());
        }
        os.timeout = Some(Duration::from_millis(milliseconds.into()));
    }
    for (name, flag) in [("stream", &mut os.stream), ("explain", &mut os.explain)] {
        if let Some(json) = object.get(name) {
            *flag = named(name, json.boolean())?;
        }
    }
    Ok(Ask::Os(os))
}

fn cancel(object: &Object<'_>) -> Result<Ask, Refused> {
    Ok(Ask::Cancel { target: named("target", id(field(object, "target")?))? })
}

fn field<'a>(object: &Object<'a>, name: &str) -> Result<Json<'a>, Fault> {
    object
        .get(name)
        .ok_or_else(|| Fault { position: 0, message: format!("the field {name} is missing") })
}

fn text(object: &Object<'_>, name: &str, bytes_max: usize) -> Result<String, Refused> {
    let json = field(object, name)?;
    let text = named(name, json.string())?;
    within(json, name, text.len(), bytes_max, "bytes")?;
    Ok(text.into_owned())
}

fn id(json: Json<'_>) -> Result<Id, Fault> {
    match json.kind() {
        "a string" => {
            let text = json.string()?;
            if text.len() > limits::ID_BYTES_MAX {
                return Err(json.fault(format!("longer than {} bytes", limits::ID_BYTES_MAX)));
            }
            Ok(Id::Text(text.into_owned()))
        }
        "a number" => {
            let number: i128 = json.integer()?;
            if !(i64::MIN.into()..=u64::MAX.into()).contains(&number) {
                return Err(json.fault("expected an integer of 64 bits"));
            }
            Ok(Id::Number(number))
        }
        other => Err(json.fault(format!("expected a string or an integer, found {other}"))),
    }
}

fn named<T>(name: &str, value: Result<T, Fault>) -> Result<T, Fault> {
    value.map_err(|fault| Fault { message: format!("{name}: {}", fault.message), ..fault })
}

fn within(json: Json<'_>, name: &str, size: usize, max: usize, unit: &str) -> Result<(), Refused> {
    if size <= max {
        return Ok(());
    }
    let message = format!("{name}: {size} {unit}; at most {max} are allowed");
    Err(Refused { fault: json.fault(message), too_large: true })
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
                for (name, flag) in [("stream", os.stream), ("explain", os.explain)] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_request_survives_the_wire() {
        let os = Os {
            name: "ping".into(),
            parameters: vec!["a b".into(), "\u{0}\"é".into()],
            stdin: "x\n".into(),
            timeout: Some(Duration::from_millis(1500)),
            stream: true,
            explain: true,
        };
        let asks = [
            Ask::Compute { expression: "x+1".into(), variables: vec![("x".into(), "1e3".into())] },
            Ask::Os(os),
            Ask::List,
            Ask::Status,
            Ask::Ping,
            Ask::Cancel { target: Id::Text("7".into()) },
        ];
        for ask in asks {
            for id in [None, Some(Id::Number(-7)), Some(Id::Text("é".into()))] {
                let request = Request { id, token: "t.t.t".into(), ask: ask.clone() };
                assert_eq!(Request::decode(&request.encode()), Ok(request));
            }
        }
    }

    #[test]
    fn a_bad_request_names_its_field_and_byte() {
        let long = format!(r#"{{"command_type":"compute","expression":"{}"}}"#, "1".repeat(4097));
        let cases = [
            ("", "JSON: EOF while parsing a value (at byte 0)"),
            ("[]", "expected an object, found an array (at byte 0)"),
            ("{}", "the field command_type is missing (at byte 0)"),
            (
                r#"{"command_type":7}"#,
                "command_type: expected a string, found a number (at byte 16)",
            ),
            (
                r#"{"command_type":"list","x":1}"#,
                "unknown field \"x\"; known here: command_type, id, token (at byte 27)",
            ),
            (
                r#"{"command_type":"list","id":1,"id":2}"#,
                "the member \"id\" is there twice (at byte 35)",
            ),
            (
                r#"{"command_type":"list","token":null}"#,
                "token: expected a string, found null (at byte 31)",
            ),
            (
                r#"{"command_type":"os","command_name":"a","parameters":["x",1]}"#,
                "parameters[1]: expected a string, found a number (at byte 58)",
            ),
            (
                r#"{"command_type":"os","command_name":"a","timeout_ms":0}"#,
                "timeout_ms: must be at least 1 (at byte 53)",
            ),
            (
                r#"{"command_type":"compute","expression":"x","variables":{"x":"1"}}"#,
                "variables: \"x\" must be a number, not a string (at byte 60)",
            ),
            (
                r#"{"command_type":"ping","id":[1]}"#,
                "id: expected a string or an integer, found an array (at byte 28)",
            ),
            (
                r#"{"command_type":"ping","id":1.5}"#,
                "id: expected an integer in range (at byte 28)",
            ),
            (r#"{"command_type":"cancel"}"#, "the field target is missing (at byte 0)"),
            (r#"{"command_type":"ping"} {}"#, "JSON: trailing characters (at byte 24)"),
            (&long, "expression: 4097 bytes; at most 4096 are allowed (at byte 39)"),
        ];
        for (body, message) in cases {
            let undecoded = Request::decode(body.as_bytes()).expect_err(body);
            assert_eq!(undecoded.fault.to_string(), message);
            assert_eq!(undecoded.too_large, message.contains("at most"));
        }
    }

    #[test]
    fn what_can_be_read_of_a_bad_request_serves_its_reply() {
        let body = br#"{"x":1,"command_type":"os","id":"a"}"#;
        let undecoded = Request::decode(body).unwrap_err();
        assert_eq!((undecoded.id, undecoded.os), (Some(Id::Text("a".into())), true));
    }
}
