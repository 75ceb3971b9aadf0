//! The commands file: JSON that becomes `Commands`, or is refused whole.
//!
//! Promises: an unknown key, a duplicate, a wrong type, a program that is not absolute, a
//! placeholder without a parameter and a parameter without a use are errors, each with the path of
//! the key. All entries are looked at before anything is refused.
//! Leaves out: the reading of parameters, which is `service::commands::parameters_file`, and
//! whether the programs exist.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use crate::port::{Execution, RESOURCES};
use crate::protocol::json::{Fault, Json, Object};
use crate::service::commands::arguments::{Declared, Piece, Template};
use crate::service::commands::keys::{
    absolute, count, identifier, member, named, seconds, text, within,
};
use crate::service::commands::parameter::Parameter;
use crate::service::commands::parameters_file::parameters;
use crate::service::commands::{Command, Commands};

/// Keys of an entry that say what runs.
const WHAT: [&str; 3] = ["about", "run", "parameters"];

/// Reads a value and puts it where it belongs.
type Read = fn(&mut Execution, Json<'_>) -> Result<(), Fault>;

/// Keys of an entry that say as what and within which limits it runs, besides `RESOURCES`.
const HOW: [(&str, Read); 9] = [
    ("timeout_seconds", |own, json| {
        seconds(limits::COMMAND_SECONDS_MAX)(json).map(|most| own.timeout = Some(most))
    }),
    ("grace_seconds", |own, json| {
        seconds(limits::GRACE_SECONDS_MAX)(json).map(|most| own.grace = most)
    }),
    ("output_bytes_max", |own, json| {
        count(limits::OUTPUT_BYTES_MAX)(json).map(|most| own.output_bytes_max = Some(most))
    }),
    ("at_most", |own, json| {
        count(limits::CONCURRENT_COMMANDS_MAX)(json).map(|most| own.at_most = Some(most))
    }),
    ("user", |own, json| text(json).map(|name| own.user = Some(name))),
    ("group", |own, json| text(json).map(|name| own.group = Some(name))),
    ("cwd", |own, json| absolute(json).map(|path| own.directory = path)),
    ("env", |own, json| environment(json).map(|added| own.environment.extend(added))),
    ("leave_children", |own, json| json.boolean().map(|leave| own.leave_children = leave)),
];

/// What every command finds in its environment before its own entry is asked.
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")];

impl Commands {
    /// Reads the text of a commands file.
    ///
    /// # Errors
    /// All that is wrong with it, one message for each entry at the most.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let object = Json::parse_object(text.as_bytes());
        let object = object.map_err(|fault| vec![fault.to_string()])?;
        let (mut commands, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, json) in object.members() {
            match named(name, command(name, json)) {
                Ok(command) => drop(commands.insert(name.to_owned(), command)),
                Err(fault) => faults.push(fault.to_string()),
            }
        }
        if commands.len() > limits::COMMANDS_MAX {
            faults.push(format!("more than {} commands", limits::COMMANDS_MAX));
        }
        if faults.is_empty() { Ok(Self(commands)) } else { Err(faults) }
    }
}

fn command(name: &str, json: Json<'_>) -> Result<Command, Fault> {
    if !identifier(name) {
        return Err(json.fault("a name is 1 to 64 letters, digits, _ . or -"));
    }
    let object = json.object()?;
    let (how, kernel) = (HOW.map(|(key, _)| key), RESOURCES.map(|(key, _)| key));
    object.only([&WHAT, &[how.as_slice(), &kernel].concat()])?;
    let parameters = member(&object, "parameters", parameters)?.unwrap_or_default();
    let run = object.get("run").ok_or_else(|| json.fault("run is missing"))?;
    let (program, templates) = named(".run", templates(run, &parameters))?;
    for (index, parameter) in parameters.iter().enumerate() {
        if !templates.iter().flatten().any(|piece| *piece == Piece::Value(index)) {
            let message = format!("parameter {} is never used", parameter.name);
            return named(".run", Err(run.fault(message)));
        }
    }
    let declared = Declared { templates, parameters };
    for (index, template) in declared.templates.iter().enumerate() {
        let fault = |why| run.fault(format!("[{}]: {why}", index + 1));
        named(".run", declared.check_defaults(template).map_err(fault))?;
    }
    Ok(Command {
        about: member(&object, "about", text)?,
        program,
        declared,
        execution: execution(&object)?.into(),
    })
}

fn execution(object: &Object<'_>) -> Result<Execution, Fault> {
    let environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut execution = Execution {
        grace: Duration::from_secs(2),
        directory: "/".to_owned(),
        environment: environment.into(),
        ..Execution::default()
    };
    for (key, read) in HOW {
        if let Some(json) = object.get(key) {
            named(&format!(".{key}"), read(&mut execution, json))?;
        }
    }
    for (key, least) in RESOURCES {
        let most = member(object, key, within(least..=u64::MAX))?;
        execution.resources.extend(most.map(|most| (key, most)));
    }
    Ok(execution)
}

fn environment(json: Json<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut environment = BTreeMap::new();
    for (name, value) in json.object()?.members() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(value.fault("a variable's name is not empty and has no = in it"));
        }
        environment.insert(name.to_owned(), named(&format!(".{name}"), text(value))?);
    }
    Ok(environment)
}

/// Reads `run`: the program, and the templates of its arguments.
fn templates(json: Json<'_>, parameters: &[Parameter]) -> Result<(String, Vec<Template>), Fault> {
    let elements = json.array()?;
    let Some((program, arguments)) = elements.split_first() else {
        return Err(json.fault("must hold the program at least"));
    };
    let template = |(index, element): (usize, &Json<'_>)| {
        named(&format!("[{}]", index + 1), template(*element, parameters))
    };
    let arguments = arguments.iter().enumerate().map(template).collect::<Result<_, _>>()?;
    Ok((named("[0]", absolute(*program))?, arguments))
}

/// Reads an element: `{name}` is a placeholder, any other brace is itself.
fn template(json: Json<'_>, parameters: &[Parameter]) -> Result<Template, Fault> {
    let whole = text(json)?;
    let (mut template, mut literal, mut rest) = (Template::new(), String::new(), whole.as_str());
    while let Some((before, after)) = rest.split_once('{') {
        literal.push_str(before);
        let Some((name, behind)) = after.split_once('}').filter(|(name, _)| identifier(name))
        else {
            literal.push('{');
            rest = after;
            continue;
        };
        let Some(index) = parameters.iter().position(|parameter| parameter.name == name) else {
            return Err(json.fault(format!("the placeholder {{{name}}} has no parameter")));
        };
        if !literal.is_empty() {
            template.push(Piece::Text(std::mem::take(&mut literal)));
        }
        template.push(Piece::Value(index));
        rest = behind;
    }
    literal.push_str(rest);
    if !literal.is_empty() || template.is_empty() {
        template.push(Piece::Text(literal));
    }
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_path_of_its_key() {
        let cases = [
            ("[]", "expected an object, found an array"),
            (r#"{"a": {"run": ["/x"]}, "a": {"run": ["/x"]}}"#, "the member \"a\" is there twice"),
            (r#"{"a b": {"run": ["/x"]}}"#, "a b: a name is"),
            (r#"{"a": {}}"#, "a: run is missing"),
            (r#"{"a": {"run": []}}"#, "a.run: must hold the program"),
            (r#"{"a": {"run": ["x"]}}"#, "a.run[0]: must be an absolute path"),
            (
                r#"{"a": {"run": ["/{p}"], "parameters": [{"name":"p","type":"ip"}]}}"#,
                "a.run: parameter p is never used",
            ),
            (r#"{"a": {"run": ["/x", 5]}}"#, "a.run[1]: expected a string, found a number"),
            (r#"{"a": {"run": ["/x", "{y}"]}}"#, "a.run[1]: the placeholder {y} has no parameter"),
            (r#"{"a": {"run": "/x"}}"#, "a.run: expected an array, found a string"),
            (
                r#"{"a": {"run": ["/x"], "shell": true}}"#,
                "a: unknown field \"shell\"; known here: about",
            ),
            (
                r#"{"a": {"run": ["/x"], "timeout_seconds": 0}}"#,
                "a.timeout_seconds: must be an integer, 1 to 86400",
            ),
            (r#"{"a": {"run": ["/x"], "at_most": "2"}}"#, "a.at_most: must be an integer"),
            (r#"{"a": {"run": ["/x"], "cwd": "tmp"}}"#, "a.cwd: must be an absolute path"),
            (r#"{"a": {"run": ["/x"], "env": {"A=": "1"}}}"#, "a.env: a variable's name"),
            (r#"{"a": {"run": ["/x"], "env": {"A": 1}}}"#, "a.env.A: expected a string"),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p"}]}}"#,
                "a.parameters[0]: type is missing",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"int"}]}}"#,
                "a.parameters[0]: type: must be one of integer",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"ip","min":1}]}}"#,
                "a.parameters[0]: unknown field \"min\"",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"integer","min":3,"max":1}]}}"#,
                "a.parameters[0]: min is greater than max",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"integer","default":"x"}]}}"#,
                "a.parameters[0]: default: parameter p: must be an integer",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"path"}]}}"#,
                "a.parameters[0]: type path needs under",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"path","under":"/x","pass":"path"}]}}"#,
                "a.parameters[0].pass: must be \"fd\"",
            ),
            (
                r#"{"a": {"run": ["/x","{p}{q}"], "parameters": [{"name":"p","type":"ip","repeat":2},{"name":"q","type":"ip"}]}}"#,
                "a.parameters[1]: comes after one with repeat",
            ),
            (
                r#"{"a": {"run": ["/x","{p}{q}"], "parameters": [{"name":"p","type":"ip","default":"::1"},{"name":"q","type":"ip"}]}}"#,
                "a.parameters[1]: needs a default",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"ip"},{"name":"p","type":"ip"}]}}"#,
                "a.parameters[1]: the name p is there twice",
            ),
        ];
        for (text, wanted) in cases {
            let faults = Commands::parse(text).expect_err(text);
            assert_eq!(faults.len(), 1);
            assert!(faults.iter().all(|fault| fault.starts_with(wanted)), "{faults:?}");
        }
        let two = Commands::parse(r#"{"a": {}, "b": {"run": ["/x"]}, "c": 1}"#).unwrap_err();
        assert_eq!(two.len(), 2, "all entries are looked at");
    }

    #[test]
    fn braces_that_name_no_parameter_are_themselves() {
        let text = r#"{"a": {"run": ["/x", "{print $1}", "{}", "a{", "", "{p}-{p}"],
                       "parameters": [{"name":"p","type":"ip"}]}}"#;
        let commands = Commands::parse(text).unwrap();
        let arguments = &commands.0["a"].declared.templates;
        let literal = |text: &str| vec![Piece::Text(text.to_owned())];
        assert_eq!(arguments[..4], ["{print $1}", "{}", "a{", ""].map(literal));
        assert_eq!(arguments[4], [Piece::Value(0), Piece::Text("-".into()), Piece::Value(0)]);
    }
}
