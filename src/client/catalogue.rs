//! Answers for people: what may be run, counters, and the plain ones.
//!
//! Promises: everything that a daemon tells about its commands is shown, in the terms of the
//! commands file. Members that are not known here are passed over, or shown as they stand. What is
//! kept is as the daemon wrote it; what is shown went through `text::one_line`.
//! Leaves out: JSON for programs, which is printed as it came.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use crate::client::frames;
use crate::client::text::one_line;
use crate::client::values::Values;
use crate::limits;
use crate::protocol::json::{Fault, Json, Kind, Object};
use crate::protocol::request::Ask;

/// What a token may do.
#[derive(Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// Whether it may evaluate expressions.
    pub compute: bool,
    /// The commands that it may run.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Whether it asks for a confirmation.
    pub confirm: bool,
    /// What it takes, in order.
    pub parameters: Vec<Parameter>,
}

/// One parameter of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type and the rule for its values, in words.
    pub rule: String,
    /// What it is when it is not given.
    pub default: Option<String>,
    /// Whether it may be left out without one.
    pub optional: bool,
    /// A value that it takes, if its type is known here.
    pub example: Option<String>,
    /// How many values it takes at most.
    pub repeat: usize,
    /// Its values, as far as a client can check them.
    pub values: Values,
    /// Whether its values are not to be seen.
    pub secret: bool,
}

/// The answer as a person reads it, each line with its end.
///
/// # Errors
/// It is no JSON, or not what `list`, `status` or `ping` is answered with.
pub fn show(ask: &Ask, json: &str) -> Result<String, Fault> {
    let json = Json::parse(json.as_bytes())?;
    Ok(match ask {
        Ask::Compute { .. } | Ask::Os(_) => format!("{}\n", one_line(json.text())),
        Ask::List => Catalogue::read(json)?.to_string(),
        Ask::Status => table(json.text())?,
        Ask::Ping => {
            let object = json.object()?;
            let version = one_line(&string(&object, "version")?.unwrap_or_default());
            let uptime = object.get("uptime_ms").map_or(Ok(0), Json::integer)?;
            format!("zcmdd {version}, up {}\n", duration(Duration::from_millis(uptime)))
        }
        Ask::Jobs => frames::jobs(json)?,
        // Like kill(1): no news is good news.
        Ask::Cancel { .. } | Ask::Watch { .. } => String::new(),
    })
}

/// An object as names and values, each line with its end.
///
/// # Errors
/// It is none.
pub fn table(json: &str) -> Result<String, Fault> {
    let mut text = String::new();
    counters(&mut text, &Json::parse(json.as_bytes())?.object()?.strict()?, 0)?;
    Ok(text)
}

impl Catalogue {
    /// Reads the answer to `list`.
    ///
    /// # Errors
    /// It is none.
    pub fn read(json: Json<'_>) -> Result<Self, Fault> {
        let object = json.object()?;
        let commands = object.get("commands").map_or(Ok(Vec::new()), Json::array)?;
        Ok(Self {
            compute: object.get("compute").map_or(Ok(false), Json::boolean)?,
            commands: commands.into_iter().map(Command::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Command {
    fn read(json: Json<'_>) -> Result<Self, Fault> {
        let object = json.object()?;
        let parameters = object.get("parameters").map_or(Ok(Vec::new()), Json::array)?;
        Ok(Self {
            name: string(&object, "name")?.ok_or_else(|| json.fault("a command has no name"))?,
            about: string(&object, "about")?.unwrap_or_default(),
            confirm: object.get("confirm").map_or(Ok(false), Json::boolean)?,
            parameters: parameters.into_iter().map(Parameter::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Parameter {
    fn read(json: Json<'_>) -> Result<Self, Fault> {
        let object = json.object()?;
        let mut rule = match object.get("of") {
            Some(of) => {
                let choices = of.array()?.into_iter().map(Json::string);
                choices.collect::<Result<Vec<_>, _>>()?.join(" | ")
            }
            None => string(&object, "type")?.unwrap_or_default(),
        };
        let text = |name| object.get(name).map(Json::text);
        let _ = match (text("min"), text("max")) {
            (Some(min), Some(max)) => write!(rule, ", {min} to {max}"),
            (Some(min), None) => write!(rule, ", at least {min}"),
            (None, Some(max)) => write!(rule, ", at most {max}"),
            (None, None) => Ok(()),
        };
        if let Some(under) = string(&object, "under")? {
            let _ = write!(rule, " under {under}");
        }
        if let Some(directory) = string(&object, "of_directory")? {
            let _ = write!(rule, ", a name in {directory}");
        }
        if let Some(pattern) = string(&object, "pattern")? {
            let _ = write!(rule, " {pattern}");
        }
        if let Some(pass) = string(&object, "pass")? {
            let _ = write!(rule, ", pass {pass}");
        }
        if let Some(bytes) = text("max_bytes") {
            let _ = write!(rule, ", at most {bytes} bytes");
        }
        let repeat = object.get("repeat").map_or(Ok(1), Json::integer)?;
        if repeat > 1 {
            let _ = write!(rule, ", up to {repeat} times");
        }
        for (name, words) in [("dash", "may begin with -"), ("secret", "not logged")] {
            if object.get(name).map_or(Ok(false), Json::boolean)? {
                let _ = write!(rule, ", {words}");
            }
        }
        Ok(Self {
            name: string(&object, "name")?.ok_or_else(|| json.fault("a parameter has no name"))?,
            rule,
            default: string(&object, "default")?,
            optional: object.get("optional").map_or(Ok(false), Json::boolean)?,
            example: example(&object)?,
            repeat: repeat.clamp(1, limits::PARAMETERS_MAX),
            values: Values::read(&object)?,
            secret: object.get("secret").map_or(Ok(false), Json::boolean)?,
        })
    }
}

impl std::fmt::Display for Catalogue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.compute {
            writeln!(out, "maths: zcmd compute EXPRESSION")?;
        }
        for command in &self.commands {
            write!(out, "{command}")?;
        }
        match self.compute || !self.commands.is_empty() {
            true => Ok(()),
            false => writeln!(out, "nothing: this token reaches no command and no maths"),
        }
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", one_line(&self.name))?;
        for parameter in &self.parameters {
            let dots = if parameter.repeat > 1 { "..." } else { "" };
            let name = one_line(&parameter.name.to_uppercase());
            match parameter.default.is_some() || parameter.optional {
                true => write!(out, " [{name}{dots}]")?,
                false => write!(out, " {name}{dots}")?,
            }
        }
        writeln!(out)?;
        if !self.about.is_empty() {
            writeln!(out, "    {}", one_line(&self.about))?;
        }
        if self.confirm {
            writeln!(out, "    asks for a confirmation: --yes gives it")?;
        }
        let names: Vec<_> = self.parameters.iter().map(|p| one_line(&p.name)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, parameter) in names.iter().zip(&self.parameters) {
            write!(out, "    {name:width$}  {}", one_line(&parameter.rule))?;
            match &parameter.default {
                Some(default) => writeln!(out, "; {} unless given", one_line(default))?,
                None if parameter.optional => writeln!(out, "; may be left out")?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }
}

/// A value that a parameter takes.
fn example(object: &Object<'_>) -> Result<Option<String>, Fault> {
    if let Some(of) = object.get("of") {
        return Ok(of.array()?.first().map(|json| json.string()).transpose()?.map(Cow::into_owned));
    }
    Ok(match string(object, "type")?.unwrap_or_default().as_str() {
        "integer" | "number" => object.get("min").map(|json| json.text().to_owned()),
        "word" => Some("eth0".to_owned()),
        "text" => Some("hello".to_owned()),
        "hostname" | "host" => Some("www.example.org".to_owned()),
        "ip" => Some("192.0.2.1".to_owned()),
        "path" => string(object, "under")?.map(|under| {
            let whole = under.trim_end_matches('/');
            format!("{whole}/file")
        }),
        _ => None,
    })
}

/// The text of a field, if it is there.
///
/// # Errors
/// It is no string.
pub fn string(object: &Object<'_>, name: &str) -> Result<Option<String>, Fault> {
    Ok(object.get(name).map(Json::string).transpose()?.map(Cow::into_owned))
}

/// Names and values, aligned; an object inside is indented under its name.
fn counters(text: &mut String, object: &Object<'_>, depth: usize) -> Result<(), Fault> {
    let members: Vec<_> = object.members().map(|(name, json)| (one_line(name), json)).collect();
    let width = members.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let indent = 2 * depth;
    for (name, value) in members {
        let _ = match value.kind() {
            Kind::Object => {
                let _ = writeln!(text, "{:indent$}{name}", "");
                counters(text, &value.object()?, depth + 1)?;
                Ok(())
            }
            Kind::String => {
                let shown = one_line(&value.string()?);
                writeln!(text, "{:indent$}{name:width$}  {shown}", "")
            }
            _ => writeln!(text, "{:indent$}{name:width$}  {}", "", one_line(value.text())),
        };
    }
    Ok(())
}

/// The two largest units of a time.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (1, h, _, _) => format!("1 day {h} h"),
        (d, h, _, _) => format!("{d} days {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_shown_for_people() {
        let list = r#"{"compute":true,"commands":[{"name":"up","confirm":true,"parameters":[]},{"name":"ping",
            "about":"Reach a\u001b host","parameters":[{"name":"host","type":"hostname"},
            {"name":"count","type":"integer","min":-1,"max":10,"default":"3"},
            {"name":"unit","type":"choice","of":["a","b c"]},
            {"name":"f","type":"path","under":"/var/log"},
            {"name":"n","type":"number","min":0.5,"new":[1]},
            {"name":"pin","type":"text","secret":true,"dash":true},
            {"name":"w","type":"word","max_bytes":64,"repeat":4}]}]}"#;
        let list_shown = "\
maths: zcmd compute EXPRESSION
up
    asks for a confirmation: --yes gives it
ping HOST [COUNT] UNIT F N PIN W...
    Reach a\\u{1b} host
    host   hostname
    count  integer, -1 to 10; 3 unless given
    unit   a | b c
    f      path under /var/log
    n      number, at least 0.5
    pin    text, may begin with -, not logged
    w      word, at most 64 bytes, up to 4 times
";
        let status = r#"{"requests":{"compute":12,"os":{"ok":3}},"up":"1\n","running":0}"#;
        let status_shown = "\
requests
  compute  12
  os
    ok  3
up        1\\n
running   0
";
        let none = "nothing: this token reaches no command and no maths\n";
        let cancel = Ask::Cancel { target: None, job: Some(1) };
        let compute = Ask::Compute { expression: "1".into(), variables: vec![] };
        let cases = [
            (compute, "1e30", "1e30\n"),
            (Ask::List, list, list_shown),
            (Ask::List, r#"{"compute":false,"commands":[]}"#, none),
            (Ask::Status, status, status_shown),
            (Ask::Ping, r#"{"version":"0.1.0","uptime_ms":61999}"#, "zcmdd 0.1.0, up 1 min 1 s\n"),
            (cancel, r#"{"cancelled":true}"#, ""),
        ];
        for (ask, json, shown) in cases {
            assert_eq!(super::show(&ask, json).unwrap(), shown);
        }
        for json in [r#"{"commands":[{}]}"#, r#"{"commands":3}"#, "[]", r#"{"commands":[7]}"#] {
            assert!(super::show(&Ask::List, json).is_err(), "{json}");
        }
    }

    #[test]
    fn times_have_two_units() {
        let cases = [(0, "0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"), (90_000, "1 day 1 h")];
        for (seconds, text) in cases {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(Duration::from_secs(86_400 * 400)), "400 days 0 h");
    }
}
