//! One entry of a commands file.
//!
//! Promises: an unknown key, a wrong type, a program that is not absolute, a placeholder without a
//! parameter and a parameter without a use are errors. All of an entry is looked at.
//! Leaves out: the reading of parameters, which is `service::commands::parameters_file`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use crate::port::{Execution, RESOURCES};
use crate::protocol::json::{Fault, Json, Object};
use crate::service::commands::Command;
use crate::service::commands::arguments::{Declared, Piece, Template};
use crate::service::commands::keys::{
    Faults, Lists, absolute, count, did_you_mean, identifier, seconds, text, within,
};
use crate::service::commands::parameter::{Parameter, Pass};
use crate::service::commands::parameters_file::parameters;

/// Keys of an entry that say what runs, its environment, and who may ask for it.
const WHAT: [&str; 7] = ["about", "run", "parameters", "env", "enabled", "scope_group", "confirm"];

/// Reads a value and puts it where it belongs.
type Read = fn(&mut Execution, Json<'_>) -> Result<(), Fault>;

/// Keys of an entry that say as what and within which limits it runs, besides `RESOURCES`.
const HOW: [(&str, Read); 10] = [
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
    ("lock", |own, json| group(json).map(|name| own.lock = Some(name))),
    ("success", |own, json| exit_codes(json).map(|codes| own.success = codes)),
    ("leave_children", |own, json| json.boolean().map(|leave| own.leave_children = leave)),
];

/// What every command finds in its environment before its own entry is asked.
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")];

/// Reads an entry, and whether it is enabled.
pub(super) fn command(
    name: &str,
    json: Json<'_>,
    lists: &Lists,
    faults: &mut Faults,
) -> Option<(Command, bool)> {
    let before = faults.0.len();
    if !identifier(name) {
        faults.0.push(json.fault("a name is 1 to 64 letters, digits, _ . or -"));
    }
    let object = faults.object(json)?;
    let (how, kernel) = (HOW.map(|(key, _)| key), RESOURCES.map(|(key, _)| key));
    faults.only(&object, &[WHAT.as_slice(), &how, &kernel].concat());
    let parameters = match object.get("parameters") {
        Some(json) => faults.inside(".parameters", |faults| parameters(json, lists, faults)),
        None => Some(Vec::new()),
    };
    let (program, declared) = match object.get("run") {
        Some(json) => faults.inside(".run", |faults| run(json, parameters, faults)),
        None => {
            faults.0.push(json.fault("run is missing; it names the program and its arguments"));
            None
        }
    }
    .unwrap_or_default();
    let execution = execution(&object, faults);
    let passed = declared.parameters.iter().filter(|own| own.pass == Pass::Env);
    for (index, Parameter { name, .. }) in passed.enumerate() {
        if index == limits::PASSED_VARIABLES_MAX {
            faults.0.push(json.fault(format!("more than {index} parameters with pass env")));
        }
        if execution.environment.contains_key(name) {
            let message = format!("parameter {name} is passed in a variable that is set already");
            faults.0.push(json.fault(message));
        }
    }
    let enabled = faults.member(&object, "enabled", Json::boolean).unwrap_or(true);
    let command = Command {
        place: String::new(),
        about: faults.member(&object, "about", text),
        scope_group: faults.member(&object, "scope_group", group),
        confirm: faults.member(&object, "confirm", Json::boolean).unwrap_or(false),
        program,
        declared,
        execution: execution.into(),
    };
    (faults.0.len() == before).then_some((command, enabled))
}

fn execution(object: &Object<'_>, faults: &mut Faults) -> Execution {
    let environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut execution = Execution {
        grace: Duration::from_secs(2),
        directory: "/".to_owned(),
        environment: environment.into(),
        ..Execution::default()
    };
    for (key, read) in HOW {
        faults.member(object, key, |json| read(&mut execution, json));
    }
    for (key, least) in RESOURCES {
        let most = faults.member(object, key, within(least..=u64::MAX));
        execution.resources.extend(most.map(|most| (key, most)));
    }
    if let Some(json) = object.get("env") {
        let added = faults.inside(".env", |faults| environment_of(json, faults));
        execution.environment.extend(added);
    }
    execution
}

/// The name of a group or of a lock.
fn group(json: Json<'_>) -> Result<String, Fault> {
    let name = text(json)?;
    match identifier(&name) {
        true => Ok(name),
        false => Err(json.fault("a name is 1 to 64 letters, digits, _ . or -")),
    }
}

fn exit_codes(json: Json<'_>) -> Result<Vec<u8>, Fault> {
    let read = |json: Json<'_>| {
        json.integer().map_err(|_| json.fault("must be exit codes, integers from 0 to 255"))
    };
    let codes: Vec<u8> = json.array()?.into_iter().map(read).collect::<Result<_, _>>()?;
    if codes.is_empty() { Err(json.fault("must hold an exit code at least")) } else { Ok(codes) }
}

fn environment_of(json: Json<'_>, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let object = faults.object(json);
    for (name, value) in object.iter().flat_map(Object::members) {
        if name.is_empty() || name.contains(['=', '\0']) {
            faults.0.push(value.fault("a variable's name is not empty and has no = in it"));
        }
        let text = faults.inside(&format!(".{name}"), |faults| faults.keep(text(value)));
        environment.extend(text.map(|text| (name.to_owned(), text)));
    }
    environment
}

/// Reads `run`: the program, and the arguments with their parameters. These are not looked for if
/// some of them are wrong.
fn run(
    json: Json<'_>,
    parameters: Option<Vec<Parameter>>,
    faults: &mut Faults,
) -> Option<(String, Declared)> {
    let elements = faults.keep(json.array())?;
    let Some((program, arguments)) = elements.split_first() else {
        faults.0.push(json.fault("must hold the program at least"));
        return None;
    };
    let program = faults.inside("[0]", |faults| faults.keep(absolute(*program)));
    let before = faults.0.len();
    let mut templates = Vec::new();
    for (index, element) in arguments.iter().enumerate() {
        let read = |faults: &mut Faults| faults.keep(template(*element, parameters.as_deref()));
        templates.extend(faults.inside(&format!("[{}]", index + 1), read));
    }
    if faults.0.len() > before {
        return None;
    }
    let declared = Declared { templates, parameters: parameters? };
    for (index, Parameter { name, pass, .. }) in declared.parameters.iter().enumerate() {
        let stands = declared.templates.iter().flatten().any(|piece| *piece == Piece::Value(index));
        let message = match (stands, pass.is_argument()) {
            (false, true) => format!("parameter {name} is never used; put {{{name}}} into run"),
            (true, false) => {
                format!("parameter {name} says how it is passed; take {{{name}}} out of run")
            }
            _ => continue,
        };
        faults.0.push(json.fault(message));
    }
    for (index, (template, json)) in declared.templates.iter().zip(arguments).enumerate() {
        let checked = declared.check_element(template).map_err(|why| json.fault(why));
        faults.inside(&format!("[{}]", index + 1), |faults| faults.keep(checked));
    }
    Some((program?, declared))
}

/// Reads an element: `{name}` is a placeholder, any other brace is itself.
fn template(json: Json<'_>, parameters: Option<&[Parameter]>) -> Result<Template, Fault> {
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
        let mut known = parameters.unwrap_or_default().iter().map(|own| own.name.as_str());
        let index = match known.clone().position(|known| known == name) {
            Some(index) => index,
            None if parameters.is_none() => 0,
            None => {
                let hint = did_you_mean(name, known.by_ref());
                let message = format!("the placeholder {{{name}}} has no parameter{hint}");
                return Err(json.fault(message));
            }
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
