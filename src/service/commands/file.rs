//! Commands files: JSON with comments that becomes `Commands`, or is refused whole.
//!
//! Promises: an unknown key, a name that is there twice, in one file or in two, a wrong type, a
//! program that is not absolute, a placeholder without a parameter and a parameter without a use
//! are errors, each with its file, line, column and the path of the key. All of them are told, up
//! to `COMMANDS_FAULTS_MAX`: of bad syntax, the first in each file.
//! Leaves out: the reading of parameters, which is `service::commands::parameters_file`, and
//! whether programs, users and directories exist.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use crate::port::{Execution, RESOURCES};
use crate::protocol::json::{Fault, Json, Members, Object, echo};
use crate::service::commands::arguments::{Declared, Piece, Template};
use crate::service::commands::keys::{
    Faults, Lists, absolute, count, did_you_mean, identifier, seconds, text, texts, within,
};
use crate::service::commands::parameter::Parameter;
use crate::service::commands::parameters_file::parameters;
use crate::service::commands::text::{place, without_comments};
use crate::service::commands::{Command, Commands};

/// Keys of an entry that say what runs, its environment, and who may ask for it.
const WHAT: [&str; 7] = ["about", "run", "parameters", "env", "enabled", "scope_group", "confirm"];

/// Keys of a file that are no commands.
const RESERVED: [&str; 2] = ["$schema", "$values"];

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

impl Commands {
    /// Reads commands files: the name and the text of each, in order.
    ///
    /// # Errors
    /// All that is wrong with them, as `FILE:LINE:COLUMN: what`.
    pub fn read(files: &[(&str, &str)]) -> Result<Self, Vec<String>> {
        let plain: Vec<_> = files.iter().map(|(_, text)| without_comments(text)).collect();
        let files = files.iter().zip(&plain);
        let mut files: Vec<_> = files.map(|(file, plain)| Text::read(*file, plain)).collect();
        let mut lists = Lists::default();
        for Text { members, faults, .. } in &mut files {
            for (name, json) in members.iter().filter(|(name, _)| name.starts_with('$')) {
                faults.inside(name, |faults| reserved(name, *json, &mut lists, faults));
            }
        }
        let (mut commands, mut places, mut told) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for Text { name: file, text, members, mut faults } in files {
            for (name, json) in members.iter().filter(|(name, _)| !name.starts_with('$')) {
                let (line, column) = place(text, json.position());
                let own = format!("{file}:{line}:{column}");
                let command = faults.inside(name, |faults| {
                    if let Some(first) = places.get(name) {
                        faults.0.push(json.fault(format!("is in {first} already; keep one")));
                    }
                    command(name, *json, &lists, faults)
                });
                places.entry(name.clone()).or_insert_with(|| own.clone());
                if let Some((command, true)) = command {
                    commands.insert(name.to_string(), Command { place: own, ..command });
                }
            }
            told.extend(tell(faults, file, text));
        }
        if places.len() > limits::COMMANDS_MAX {
            told.push(format!("more than {} commands", limits::COMMANDS_MAX));
        }
        if told.is_empty() { Ok(Self(commands)) } else { Err(bounded(told)) }
    }

    /// Reads the text of one commands file, which faults call `commands`.
    ///
    /// # Errors
    /// As `read`.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        Self::read(&[("commands", text)])
    }
}

/// A file as far as it is read.
struct Text<'a> {
    name: &'a str,
    text: &'a str,
    members: Members<'a>,
    faults: Faults,
}

impl<'a> Text<'a> {
    /// Reads the members of a file; one whose name was there before comes last.
    fn read((name, text): (&'a str, &'a str), plain: &'a Result<String, Fault>) -> Self {
        let mut faults = Faults::default();
        let plain = faults.keep(plain.as_ref().map_err(Fault::clone));
        let json = plain.and_then(|plain| faults.keep(Json::parse(plain.as_bytes())));
        let object = json.and_then(|json| faults.keep(json.object_with_repeats()));
        let (object, repeats) = object.unwrap_or_default();
        let members = object.into_members().into_iter().chain(repeats).collect();
        Self { name, text, members, faults }
    }
}

/// Reads a key that is no command.
fn reserved(name: &str, json: Json<'_>, lists: &mut Lists, faults: &mut Faults) {
    let object = match name {
        // For editors.
        "$schema" => return drop(faults.keep(json.string())),
        "$values" => faults.object(json),
        _ => {
            let hint = did_you_mean(name, RESERVED.into_iter());
            let known = RESERVED.join(", ");
            let message = format!("no command's name begins with ${hint}; known here: {known}");
            return faults.0.push(json.fault(message));
        }
    };
    for (name, json) in object.iter().flat_map(Object::members) {
        let list = faults.inside(&format!(".{name}"), |faults| faults.keep(texts(json)));
        if list.is_some_and(|list| lists.insert(name.to_owned(), list).is_some()) {
            let message = format!("the list {} is there twice; keep one", echo(name));
            faults.0.push(json.fault(message));
        }
    }
}

/// The faults of a file as people are told of them, in the order of its text.
fn tell(Faults(mut faults): Faults, file: &str, text: &str) -> Vec<String> {
    faults.sort_by_key(|fault| fault.position);
    let tell = |Fault { position, message }: &Fault| {
        let (line, column) = place(text, *position);
        format!("{file}:{line}:{column}: {message}")
    };
    // One more, so that `bounded` sees that there are more.
    faults.iter().take(limits::COMMANDS_FAULTS_MAX + 1).map(tell).collect()
}

fn bounded(mut told: Vec<String>) -> Vec<String> {
    if told.len() > limits::COMMANDS_FAULTS_MAX {
        told.truncate(limits::COMMANDS_FAULTS_MAX);
        told.push(format!("more than {} errors; the rest is not told", told.len()));
    }
    told
}

/// Reads an entry, and whether it is enabled.
fn command(
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
    let enabled = faults.member(&object, "enabled", Json::boolean).unwrap_or(true);
    let command = Command {
        place: String::new(),
        about: faults.member(&object, "about", text),
        scope_group: faults.member(&object, "scope_group", group),
        confirm: faults.member(&object, "confirm", Json::boolean).unwrap_or(false),
        program,
        declared,
        execution: execution(&object, faults).into(),
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
    for (index, parameter) in declared.parameters.iter().enumerate() {
        if !declared.templates.iter().flatten().any(|piece| *piece == Piece::Value(index)) {
            let name = &parameter.name;
            let message = format!("parameter {name} is never used; put {{{name}}} into run");
            faults.0.push(json.fault(message));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::commands::parameter::Kind;

    #[test]
    fn every_error_has_the_path_of_its_key() {
        let cases = [
            ("[]", "expected an object, found an array"),
            (
                r#"{"a": {"run": ["/x"]}, "a": {"run": ["/x"]}}"#,
                "a: is in commands:1:7 already; keep one",
            ),
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
                "a: unknown key \"shell\"; known here: about",
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
                "a.parameters[0].type: must be one of integer",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"ip","min":1}]}}"#,
                "a.parameters[0]: unknown key \"min\"",
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
            assert_eq!(faults.len(), 1, "{faults:?}");
            let (_, fault) = faults[0].split_once(": ").unwrap();
            assert!(fault.starts_with(wanted), "{faults:?}");
        }
    }

    #[test]
    fn old_wound_each_command_told_only_its_first_error() {
        let text = r#"{
  // Everything is wrong here. "é"
  "tail": {
    "run": ["tail", "-n", "{line}", 7],
    "timeout": 5, /* é */ "user": 1,
    "parameters": [
      { "name": "lines", "type": "integer", "min": 9, "max": 1, "defualt": "3" },
      { "name": "lines", "type": "pathh" }
    ],
    "env": { "A=": "1", "B": 2 }, "user": "x"
  },
  "b": { "run": ["/x", "{lnes}"], "parameters": [ { "name": "lines", "type": "ip" } ] },
  "b": 1
}"#;
        let first = Commands::read(&[("a.json", text)]).unwrap_err();
        assert_eq!(first, ["a.json:5:19: JSON: a comment begins with // and ends with its line"]);
        let text = text.replace("/* é */", "       ");
        let other = r#"{"d": {"run": ["/x"]}, "b": {"run": ["/x"]}}"#;
        let told = Commands::read(&[("a.json", &text), ("b.json", other)]).unwrap_err();
        let wanted = [
            "a.json:4:13: tail.run[0]: must be an absolute path",
            "a.json:4:37: tail.run[3]: expected a string, found a number",
            "a.json:5:16: tail: unknown key \"timeout\": did you mean timeout_seconds?; known",
            "a.json:5:35: tail.user: expected a string, found a number",
            "a.json:7:7: tail.parameters[0]: min is greater than max",
            "a.json:7:76: tail.parameters[0]: unknown key \"defualt\": did you mean default?",
            "a.json:8:34: tail.parameters[1].type: must be one of integer",
            "a.json:10:20: tail.env: a variable's name is not empty",
            "a.json:10:30: tail.env.B: expected a string, found a number",
            "a.json:10:43: tail: the key \"user\" is there twice",
            "a.json:12:24: b.run[1]: the placeholder {lnes} has no parameter: did you mean lines?",
            "a.json:13:8: b: is in a.json:12:8 already; keep one",
            "a.json:13:8: b: expected an object, found a number",
            "b.json:1:29: b: is in a.json:12:8 already; keep one",
        ];
        assert_eq!(told.len(), wanted.len(), "{told:#?}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.starts_with(wanted), "{told}");
        }
    }

    #[test]
    fn lists_of_values_are_shared_and_a_disabled_command_is_checked_and_absent() {
        let with_list = |name: &str| {
            let parameter = format!(r#"{{"name": "p", "type": "choice", "values": "{name}"}}"#);
            format!(r#"{{"run": ["/x", "{{p}}"], "parameters": [{parameter}]}}"#)
        };
        let lists = r#"{"$schema": "s.json", "$values": {"days": ["mon", "tue"]}}"#;
        let (good, bad) = (with_list("days"), with_list("dyas"));
        let off = r#"{"run": ["/x"], "enabled": false}"#;
        let text = format!(r#"{{"a": {good}, "b": {good}, "off": {off}}}"#);
        // A list may be in a later file.
        let commands = Commands::read(&[("a", &text), ("b", lists)]).unwrap();
        assert_eq!(commands.0.keys().collect::<Vec<_>>(), ["a", "b"]);
        let shared = Kind::Choice(vec!["mon".into(), "tue".into()]);
        assert_eq!(commands.0["b"].declared.parameters[0].kind, shared);

        let text = format!(r#"{{"a": {bad}, "off": {{"enabled": false}}, "$x": 1}}"#);
        let other = r#"{"$values": {"days": [1], "x": []}, "$schema": 1, "off": 1,
            "c": {"run": ["/x", "{p}"], "parameters":
                [{"name": "p", "type": "choice", "values": "x"}], "success": [256], "lock": "a b"}}"#;
        let told = Commands::read(&[("a", &text), ("l", lists), ("b", other)]).unwrap_err();
        let wanted = [
            "a:1:87: a.parameters[0].values: there is no list \"dyas\" in $values: did you mean days?",
            "a:1:105: off: run is missing",
            "a:1:131: $x: no command's name begins with $",
            "b:1:23: $values.days: expected a string, found a number",
            "b:1:48: $schema: expected a string, found a number",
            "b:1:58: off: is in a:1:105 already; keep one",
            "b:1:58: off: expected an object, found a number",
            "b:3:18: c.parameters[0]: type choice needs one choice at least",
            "b:3:79: c.success: must be exit codes, integers from 0 to 255",
            "b:3:93: c.lock: a name is 1 to 64 letters",
        ];
        assert_eq!(told.len(), wanted.len(), "{told:#?}");
        for (one, wanted) in told.iter().zip(wanted) {
            assert!(one.starts_with(wanted), "{told:#?}");
        }
        let twice = Commands::read(&[("a", lists), ("b", lists)]).unwrap_err();
        assert_eq!(twice, ["b:1:43: $values: the list \"days\" is there twice; keep one"]);
    }

    #[test]
    fn errors_without_end_are_bounded() {
        let entries = (0..1000).map(|index| format!(r#""{index}": {{"a": 1, "b": 2}}"#));
        let text = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
        let told = Commands::parse(&text).unwrap_err();
        assert_eq!(told.len(), limits::COMMANDS_FAULTS_MAX + 1);
        assert!(told.last().unwrap().contains("more than 100 errors"));
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
