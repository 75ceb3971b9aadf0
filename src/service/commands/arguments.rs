//! From the values that a caller gives to the arguments of a command.
//!
//! Promises: one element of `run` is one argument, or one for each value of a repeated parameter,
//! or none for an optional parameter that is not given; a value never splits, globs or expands. The
//! dashes that a finished argument begins with stand in the owner's text before any value, or come
//! of a parameter that says `dash` or declares values with a minus sign: no other value makes an
//! option, an empty one included. What is shown has secrets masked.
//! Leaves out: the rule of a single value, which is `service::commands::parameter`, and the opening
//! of paths, which is `system::beneath`.

use crate::port::{Beneath, Entry, Place};
use crate::protocol::json::echo;
use crate::protocol::request;
use crate::service::commands::keys::did_you_mean;
use crate::service::commands::parameter::{Kind, Parameter, Pass};

/// What the owner declared: the elements of `run` after the program, and the parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Declared {
    pub(super) templates: Vec<Template>,
    pub(super) parameters: Vec<Parameter>,
}

/// One element of `run`: text and placeholders.
pub(super) type Template = Vec<Piece>;

/// A part of an element of `run`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// The value of the parameter of this index.
    Value(usize),
}

/// The arguments of one run.
#[derive(Debug)]
pub(super) struct Filled {
    /// As the program gets them.
    pub(super) arguments: Vec<String>,
    /// As the log may show them.
    pub(super) shown: Vec<String>,
    /// The paths among the values.
    pub(super) beneath: Vec<Beneath>,
    /// The names in directories among the values.
    pub(super) entries: Vec<Entry>,
    /// The parameters whose values the program does not get as they are in its arguments.
    pub(super) passed: Vec<(Pass, String)>,
    /// Values that the command reads from standard input, each as a line.
    pub(super) stdin: String,
    /// Values that the command finds in its environment, with the names of the variables.
    pub(super) variables: Vec<(String, String)>,
}

/// The values of each parameter, in order.
type Values = Vec<Vec<String>>;

/// A part of a finished argument.
struct Part<'a> {
    text: &'a str,
    /// The value that the text comes from.
    value: Option<ValueIndex>,
}

/// One of the values of a parameter.
#[derive(Clone, Copy, PartialEq)]
struct ValueIndex {
    parameter: usize,
    value: usize,
}

impl Declared {
    /// Checks what a caller gives, and puts it in its place.
    ///
    /// # Errors
    /// Too few or too many values, or the rule that one of them breaks.
    pub(super) fn fill(&self, given: &request::Values) -> Result<Filled, String> {
        let values = self.values(given)?;
        let arguments = self.parts(&self.templates, &values);
        arguments.iter().try_for_each(|parts| self.check_dashes(parts))?;
        Ok(Filled {
            beneath: self.beneath(&values, &arguments),
            entries: self.entries(&values),
            passed: self.ways(&values),
            stdin: self.passed(Pass::Stdin, &values).map(|(_, value)| value + "\n").collect(),
            variables: self.passed(Pass::Env, &values).collect(),
            arguments: joined(&arguments),
            shown: joined(&self.parts(&self.templates, &self.masked(&values))),
        })
    }

    /// Checks that the defaults fill an element of `run` lawfully, whatever else is given, and that
    /// an optional parameter is all of its element.
    ///
    /// # Errors
    /// The parameter whose default makes an option, or that leaves a part of an element.
    pub(super) fn check_element(&self, template: &Template) -> Result<(), String> {
        let own = |piece: &Piece| match piece {
            Piece::Value(index) => self.parameters.get(*index).filter(|own| own.optional),
            Piece::Text(_) => None,
        };
        if let (Some(Parameter { name, .. }), true) =
            (template.iter().find_map(own), template.len() > 1)
        {
            return Err(format!(
                "parameter {name} is optional, and this element holds more than {{{name}}}; make \
                 them two elements, or give {name} a default"
            ));
        }
        let value = |own: &Parameter| match &own.default {
            Some(default) => Ok(vec![own.accept(default)?]),
            None => Ok(vec!["x".to_owned()]),
        };
        let values = self.parameters.iter().map(value).collect::<Result<_, String>>()?;
        let arguments = self.parts(std::slice::from_ref(template), &values);
        arguments.iter().try_for_each(|parts| self.check_dashes(parts))
    }

    /// Gives each parameter its values: those that are named, or the next ones in order.
    fn values(&self, given: &request::Values) -> Result<Values, String> {
        self.check_names(given)?;
        let mut ordered = given.ordered.iter();
        let mut values = Values::new();
        for parameter in &self.parameters {
            let mine: Vec<&String> = match given.named.get(&parameter.name) {
                Some(named) => named.iter().collect(),
                None => ordered.by_ref().take(parameter.repeat).collect(),
            };
            if mine.len() > parameter.repeat {
                return Err(parameter.too_many(mine.len()));
            }
            let accepted = match (mine.is_empty(), &parameter.default) {
                (true, Some(default)) => vec![parameter.accept(default)?],
                (true, None) if parameter.optional => Vec::new(),
                (true, None) => return Err(parameter.missing()),
                _ => mine.into_iter().map(|v| parameter.accept(v)).collect::<Result<_, _>>()?,
            };
            values.push(accepted);
        }
        match ordered.count() {
            0 => Ok(values),
            surplus => Err(self.surplus(surplus)),
        }
    }

    /// Whether the command has a parameter of each name that is given.
    fn check_names(&self, given: &request::Values) -> Result<(), String> {
        let names = || self.parameters.iter().map(|parameter| parameter.name.as_str());
        let Some(name) = given.named.keys().find(|name| !names().any(|known| known == *name))
        else {
            return Ok(());
        };
        let hint = did_you_mean(name, names());
        let known = match self.parameters.is_empty() {
            true => "this command takes none".to_owned(),
            false => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Err(format!("there is no parameter {}{hint}; {known}", echo(name)))
    }

    /// What to say of values that no parameter takes.
    fn surplus(&self, count: usize) -> String {
        match self.parameters.iter().map(|parameter| parameter.repeat).sum::<usize>() {
            0 => "this command takes no parameters; leave them out".to_owned(),
            takes => format!("too many values, by {count}: this command takes {takes} at most"),
        }
    }

    fn masked(&self, values: &Values) -> Values {
        let mask = |(parameter, values): (&Parameter, &Vec<String>)| match parameter.secret {
            true => vec!["***".to_owned(); values.len()],
            false => values.clone(),
        };
        self.parameters.iter().zip(values).map(mask).collect()
    }

    /// The parts of each argument that templates and values make.
    fn parts<'a>(&self, templates: &'a [Template], values: &'a Values) -> Vec<Vec<Part<'a>>> {
        let mut arguments = Vec::new();
        for template in templates {
            let repeats = |piece: &Piece| match piece {
                Piece::Value(index) => values.get(*index).map_or(1, Vec::len),
                Piece::Text(_) => 1,
            };
            for turn in 0..template.iter().map(repeats).max().unwrap_or(1) {
                let part = |piece: &'a Piece| match piece {
                    Piece::Text(text) => Part { text, value: None },
                    Piece::Value(index) => {
                        let own = values.get(*index).map_or(&[][..], Vec::as_slice);
                        let at = if turn < own.len() { turn } else { 0 };
                        let text = own.get(at).map_or("", String::as_str);
                        Part { text, value: Some(ValueIndex { parameter: *index, value: at }) }
                    }
                };
                arguments.push(template.iter().map(part).collect());
            }
        }
        arguments
    }

    /// Looks where each dash that an argument begins with comes from.
    fn check_dashes(&self, parts: &[Part<'_>]) -> Result<(), String> {
        let mut empty = None;
        for Part { text, value } in parts {
            let own = value.and_then(|own| self.parameters.get(own.parameter));
            let blamed = match own {
                Some(parameter) => Some(parameter).filter(|own| !own.may_begin_with_dash()),
                // Text of the owner is the beginning only because what precedes it is empty.
                None => empty,
            };
            if let Some(parameter) = blamed.filter(|_| text.starts_with('-')) {
                return Err(parameter.dashed());
            }
            if text.is_empty() {
                empty = empty.or(own.filter(|own| !own.dash));
            }
            if text.bytes().any(|byte| byte != b'-') {
                break;
            }
        }
        Ok(())
    }

    /// How the values are passed of parameters that are given, but for those in arguments.
    fn ways(&self, values: &Values) -> Vec<(Pass, String)> {
        let given = self.parameters.iter().zip(values).filter(|(_, values)| !values.is_empty());
        let passed = given.filter(|(own, _)| own.pass != Pass::Argument);
        passed.map(|(own, _)| (own.pass, own.name.clone())).collect()
    }

    /// The names and values of parameters that are passed in this way.
    fn passed(&self, pass: Pass, values: &Values) -> impl Iterator<Item = (String, String)> {
        let own = self.parameters.iter().zip(values).filter(move |(own, _)| own.pass == pass);
        own.flat_map(|(own, values)| values.iter().map(|value| (own.name.clone(), value.clone())))
    }

    /// The names in directories among the values.
    fn entries(&self, values: &Values) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (own, values) in self.parameters.iter().zip(values) {
            let Kind::Entry { directory } = &own.kind else { continue };
            entries.extend(values.iter().map(|name| Entry {
                parameter: own.name.clone(),
                directory: directory.clone(),
                name: name.clone(),
            }));
        }
        entries
    }

    /// The paths among the values.
    fn beneath(&self, values: &Values, arguments: &[Vec<Part<'_>>]) -> Vec<Beneath> {
        let mut paths = Vec::new();
        for (index, (own, values)) in self.parameters.iter().zip(values).enumerate() {
            let Kind::Path { under } = &own.kind else { continue };
            paths.extend(values.iter().enumerate().map(|(at, path)| Beneath {
                parameter: own.name.clone(),
                directory: under.clone(),
                path: path.clone(),
                places: if own.pass == Pass::Fd {
                    places(arguments, ValueIndex { parameter: index, value: at })
                } else {
                    Vec::new()
                },
            }));
        }
        paths
    }
}

fn joined(arguments: &[Vec<Part<'_>>]) -> Vec<String> {
    arguments.iter().map(|parts| parts.iter().map(|part| part.text).collect()).collect()
}

/// Where a value stands: indices of arguments, and the byte of each at which it begins.
fn places(arguments: &[Vec<Part<'_>>], value: ValueIndex) -> Vec<Place> {
    let mut places = Vec::new();
    for (argument, parts) in arguments.iter().enumerate() {
        let mut byte = 0;
        for part in parts {
            if part.value == Some(value) {
                places.push(Place { argument, byte });
            }
            byte += part.text.len();
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use crate::protocol::request::{Os, Values};
    use crate::service::access::caller::Caller;
    use crate::service::commands::Commands;
    use crate::service::refusal::Refusal;
    use crate::service::settings::CommandLimits;

    /// The arguments, or the refusal, of a command with these templates and parameters.
    fn filled(run: &str, parameters: &str, values: &[&str]) -> Result<Vec<String>, String> {
        let text = format!(r#"{{"x": {{"run": ["/x", {run}], "parameters": [{parameters}]}}}}"#);
        let commands = Commands::parse(&text).map_err(|faults| faults.join("; "))?;
        let parameters = values.iter().map(|value| (*value).to_owned()).collect();
        let ask = Os { name: "x".into(), parameters, ..Os::default() };
        match commands.permit(&Caller::imagined("os:*"), &CommandLimits::default(), &ask) {
            Ok(permit) => Ok(permit.invocation.arguments),
            Err(Refusal::BadParameter(why)) => Err(why),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// The arguments, or the refusal, of `/x {a} {b} {c}` with values by order and by name.
    fn named(ordered: &[&str], named: &[(&str, &[&str])]) -> Result<Vec<String>, String> {
        let text = r#"{"x": {"run": ["/x", "{a}", "-b", "{b}", "{c}"], "parameters": [
            {"name": "a", "type": "word"}, {"name": "b", "type": "word", "default": "B"},
            {"name": "c", "type": "word", "optional": true, "repeat": 2}]}}"#;
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let named = named.iter().map(|(name, values)| ((*name).to_owned(), texts(values)));
        let parameters = Values { ordered: texts(ordered), named: named.collect() };
        let ask = Os { name: "x".into(), parameters, ..Os::default() };
        let commands = Commands::parse(text).unwrap();
        match commands.permit(&Caller::imagined("os:*"), &CommandLimits::default(), &ask) {
            Ok(permit) => Ok(permit.invocation.arguments),
            Err(Refusal::BadParameter(why)) => Err(why),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn values_come_in_order_or_by_name_and_an_optional_one_leaves_nothing() {
        /// Values in order, values by name, and what comes of it.
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a [&'a str])], Result<&'a str, &'a str>);
        let cases: &[Case<'_>] = &[
            (&["1"], &[], Ok("1 -b B")),
            (&["1", "2", "3", "4"], &[], Ok("1 -b 2 3 4")),
            (&[], &[("a", &["1"])], Ok("1 -b B")),
            (&["1", "3"], &[("b", &["2"])], Ok("1 -b 2 3")),
            (&["2"], &[("a", &["1"]), ("c", &["3", "4"])], Ok("1 -b 2 3 4")),
            (&["1"], &[("b", &[]), ("c", &[])], Ok("1 -b B")),
            (&[], &[], Err("parameter a is missing")),
            (&["1"], &[("b", &["2", "3"])], Err("parameter b: takes one value, and 2 are given")),
            (&["1"], &[("c", &["2"; 3])], Err("parameter c: takes 2 values at most, and 3 are")),
            (
                &["1", "2", "3", "4"],
                &[("c", &["5"])],
                Err("too many values, by 2: this command takes 4"),
            ),
            (&["1"], &[("c", &["-x"])], Err("parameter c: must not make an argument")),
            (&["1"], &[("d", &["2"])], Err("there is no parameter \"d\"; known here: a, b, c")),
        ];
        for (ordered, by_name, wanted) in cases {
            match (named(ordered, by_name), wanted) {
                (Ok(arguments), Ok(wanted)) => assert_eq!(arguments.join(" "), *wanted),
                (Err(why), Err(wanted)) => assert!(why.starts_with(wanted), "{why}"),
                (found, _) => panic!("{ordered:?} {by_name:?}: {found:?}"),
            }
        }
        let optional = r#"{"name":"lines","type":"text","optional":true}"#;
        let none = filled(r#""y""#, "", &["x"]).unwrap_err();
        assert_eq!(none, "this command takes no parameters; leave them out");
        for (run, parameters, wanted) in [
            (r#""-n{lines}""#, optional, ": x.run[1]: parameter lines is optional, and this"),
            (
                r#""{lines}""#,
                r#"{"name":"lines","type":"text","optional":true,"default":""}"#,
                "x.parameters[0]: has a default and is optional",
            ),
            (
                r#""{lines}", "{b}""#,
                r#"{"name":"lines","type":"text","optional":true},{"name":"b","type":"ip"}"#,
                "x.parameters[1]: needs a default or optional",
            ),
        ] {
            let why = filled(run, parameters, &[]).unwrap_err();
            assert!(why.contains(wanted), "{why}");
        }
    }

    #[test]
    fn old_wound_an_empty_value_makes_an_option_of_what_follows() {
        let (a, b) = (r#"{"name":"a","type":"text"}"#, r#"{"name":"b","type":"text"}"#);
        let dash = r#"{"name":"a","type":"text","dash":true}"#;
        let ab = format!("{a},{b}");
        let many = format!(r#"{a},{{"name":"b","type":"text","repeat":3}}"#);
        let dash_ab = format!("{dash},{b}");
        let number = r#"{"name":"a","type":"integer","min":-9}"#;
        let choice = r#"{"name":"a","type":"choice","of":["","-v"]},"#.to_owned() + b;
        let last = r#"{"name":"b","type":"text","default":""}"#;
        let a_last = format!("{a},{last}");
        let path = r#"{"name":"a","type":"path","under":"/etc"}"#;
        let path_by_default = r#"{"name":"a","type":"path","under":"/etc","default":"-x"}"#;
        /// What comes of it: arguments, or the parameter to blame.
        type Wanted = Result<&'static [&'static str], &'static str>;
        let cases: &[(&str, &str, &[&str], Wanted)] = &[
            (r#""{a}-{b}""#, &ab, &["", "rf"], Err("a")),
            (r#""{a}-{b}""#, &ab, &["x", "-rf"], Ok(&["x--rf"])),
            (r#""{a}{b}""#, &ab, &["", "-rf"], Err("b")),
            (r#""{a}{b}""#, &ab, &["-r", "f"], Err("a")),
            (r#""{a}{b}-x""#, &ab, &["", ""], Err("a")),
            (r#""{a}-{b}""#, &dash_ab, &["", "rf"], Ok(&["-rf"])),
            (r#""{a}{b}-x""#, &dash_ab, &["", ""], Err("b")),
            (r#""{a}{b}""#, &dash_ab, &["", "-x"], Err("b")),
            (r#""{a}{b}""#, &dash_ab, &["-", "-x"], Err("b")),
            (r#""{a}{b}""#, &dash_ab, &["-x", "-y"], Ok(&["-x-y"])),
            (r#""{a}-{b}""#, &many, &["", "r", "f"], Err("a")),
            (r#""{a}", "{b}""#, &many, &["1", "2", "-3"], Err("b")),
            (r#""{a}""#, a, &["-x"], Err("a")),
            (r#""{a}""#, dash, &["-x"], Ok(&["-x"])),
            (r#""{a}""#, number, &["-5"], Ok(&["-5"])),
            (r#""-{a}""#, number, &["-5"], Ok(&["--5"])),
            (r#""{a}{b}""#, &choice, &["-v", "-"], Ok(&["-v-"])),
            (r#""{a}-{b}""#, &choice, &["", "x"], Err("a")),
            // The owner's own dashes, and what a value may not add to them.
            (r#""--to={a}""#, a, &["-x"], Ok(&["--to=-x"])),
            (r#""-n{a}""#, a, &["-x"], Ok(&["-n-x"])),
            (r#""-{a}""#, a, &["x"], Ok(&["-x"])),
            (r#""-{a}""#, a, &["-config=x"], Err("a")),
            (r#""-{a}-{b}""#, &ab, &["", "config=x"], Err("a")),
            (r#""-{a}""#, a, &[""], Ok(&["-"])),
            (r#""{a}{b}""#, &a_last, &["-x"], Err("a")),
            (r#""{a}{b}""#, &a_last, &["x"], Ok(&["x"])),
            (r#""{b}-{a}""#, &a_last, &["x"], Err("b")),
            (r#""{a}""#, path, &["-x"], Ok(&["/etc/-x"])),
            (r#""{a}""#, path_by_default, &[], Ok(&["/etc/-x"])),
        ];
        for (run, parameters, values, wanted) in cases {
            match (filled(run, parameters, values), wanted) {
                (Ok(arguments), Ok(wanted)) => assert_eq!(arguments, *wanted, "{run} {values:?}"),
                (Err(why), Err(name)) => {
                    let rule = "must not make an argument begin with -";
                    assert!(why.contains(&format!("parameter {name}: {rule}")), "{run}: {why}");
                    assert!(!why.contains("rf") && !why.contains("config"), "{why}");
                }
                (found, _) => panic!("{run} {parameters} {values:?}: {found:?}"),
            }
        }
        // What the defaults of a command do is found when its file is read.
        let late = filled(r#""{b}-x""#, r#"{"name":"b","type":"text","default":""}"#, &["y"]);
        assert!(late.unwrap_err().contains(": x.run[1]: parameter b: must not make"));
    }
}
