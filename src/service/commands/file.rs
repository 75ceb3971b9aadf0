//! Commands files: JSON with comments that becomes `Commands`, or is refused whole.
//!
//! Promises: every error has its file, line, column and the path of its key. All of them are told,
//! up to `COMMANDS_FAULTS_MAX`: of bad syntax, the first in each file. A name that is there twice,
//! in one file or in two, is an error.
//! Leaves out: what an entry says, which is `service::commands::entry`, and whether programs,
//! users and directories exist.

use std::collections::BTreeMap;

use crate::limits;
use crate::protocol::json::{Fault, Json, Members, Object, echo};
use crate::service::commands::entry::command;
use crate::service::commands::keys::{Faults, Lists, did_you_mean, texts};
use crate::service::commands::text::{place, without_comments};
use crate::service::commands::{Command, Commands};

/// Keys of a file that are no commands.
const RESERVED: [&str; 2] = ["$schema", "$values"];

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
                let own = format!("{file}:{}", place(text, json.position()));
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
        format!("{file}:{}: {message}", place(text, *position))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::commands::arguments::Piece;
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
                "a.parameters[0].pass: must be one of stdin, env, fd",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"ip","pass":"fd"}]}}"#,
                "a.parameters[0].pass: must be one of stdin, env",
            ),
            (
                r#"{"a": {"run": ["/x"], "parameters": [{"name":"p","type":"ip","pass":"env"}]}}"#,
                "a.parameters[0]: pass: a value that the log does not show is secret",
            ),
            (
                r#"{"a": {"run": ["/x"], "parameters": [{"name":"p-q","type":"ip","pass":"env","secret":true}]}}"#,
                "a.parameters[0]: pass: the name is that of the variable: letters, digits and _, not p-q",
            ),
            (
                r#"{"a": {"run": ["/x"], "parameters": [{"name":"p","type":"ip","pass":"env","secret":true,"repeat":2}]}}"#,
                "a.parameters[0]: pass: a variable holds one value",
            ),
            (
                r#"{"a": {"run": ["/x","{p}"], "parameters": [{"name":"p","type":"ip","pass":"stdin","secret":true}]}}"#,
                "a.run: parameter p says how it is passed; take {p} out of run",
            ),
            (
                r#"{"a": {"run": ["/x"], "parameters": [{"name":"LANG","type":"ip","pass":"env","secret":true}]}}"#,
                "a: parameter LANG is passed in a variable that is set already",
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
