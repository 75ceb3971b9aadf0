//! The parameters of one entry of the commands file.
//!
//! Promises: an unknown key, a wrong type, a name that is there twice, a default that breaks its
//! own rule, and an order in which values would be ambiguous are errors, each with the path of the
//! key. Leaves out: what values a parameter takes, which is `service::commands::parameter`.

use crate::limits;
use crate::protocol::json::{Fault, Json, Object, echo};
use crate::service::commands::keys::{
    Faults, Lists, absolute, count, did_you_mean, identifier, text, texts,
};
use crate::service::commands::parameter::{Kind, Parameter, Pass};
use crate::service::commands::pattern::Pattern;

/// Reads `parameters`; nothing if one of them is wrong.
pub(super) fn parameters(
    json: Json<'_>,
    lists: &Lists,
    faults: &mut Faults,
) -> Option<Vec<Parameter>> {
    let mut parameters: Vec<Parameter> = Vec::new();
    let before = faults.0.len();
    for (index, json) in faults.keep(json.array())?.into_iter().enumerate() {
        let parameter = faults.inside(&format!("[{index}]"), |faults| {
            let parameter = parameter(json, lists, faults)?;
            faults.keep(check_order(&parameters, &parameter).map_err(|why| json.fault(why)));
            Some(parameter)
        });
        parameters.extend(parameter);
    }
    let values = parameters.iter().map(|parameter| parameter.repeat);
    if values.sum::<usize>() > limits::PARAMETERS_MAX {
        faults.0.push(json.fault(format!("more than {} values", limits::PARAMETERS_MAX)));
    }
    (faults.0.len() == before).then_some(parameters)
}

/// Whether a parameter may come after these.
fn check_order(before: &[Parameter], parameter: &Parameter) -> Result<(), String> {
    if before.iter().any(|other| other.name == parameter.name) {
        return Err(format!("the name {} is there twice", parameter.name));
    }
    if before.iter().any(|other| other.repeat > 1) {
        return Err("comes after one with repeat, which must be the last".to_owned());
    }
    let may_be_absent = |own: &Parameter| own.default.is_some() || own.optional;
    if !may_be_absent(parameter) && before.iter().any(may_be_absent) {
        return Err("needs a default or optional, since one before it has one".to_owned());
    }
    Ok(())
}

fn parameter(json: Json<'_>, lists: &Lists, faults: &mut Faults) -> Option<Parameter> {
    let object = faults.object(json)?;
    let mut word = |key: &str| {
        if object.get(key).is_none() {
            faults.0.push(json.fault(format!("{key} is missing")));
        }
        faults.member(&object, key, text)
    };
    let (name, kind_name) = (word("name"), word("type"));
    if name.as_ref().is_some_and(|name| !identifier(name)) {
        faults.0.push(json.fault("name: 1 to 64 letters, digits, _ . or -"));
    }
    let kind = kind_name.and_then(|name| {
        let Some(own) = own_keys(&name) else {
            let names = TYPES.map(|(name, _)| name);
            let (hint, known) = (did_you_mean(&name, names.into_iter()), names.join(", "));
            let at = object.get("type").unwrap_or(json);
            faults.0.push(at.fault(format!(".type: must be one of {known}{hint}")));
            return None;
        };
        faults.only(&object, &[&SHARED, own].concat());
        kind(&Reading { object: &object, json, lists }, &name, faults)
    });
    let mut flag = |key| faults.member(&object, key, Json::boolean).unwrap_or(false);
    let (optional, dash, secret) = (flag("optional"), flag("dash"), flag("secret"));
    let default = faults.member(&object, "default", text);
    let repeat = faults.member(&object, "repeat", count(limits::PARAMETERS_MAX)).unwrap_or(1);
    if optional && default.is_some() {
        faults.0.push(json.fault("has a default and is optional; keep one of the two"));
    }
    let is_path = matches!(kind, Some(Kind::Path { .. }));
    let read = |json: Json<'_>| pass(json, is_path);
    let pass = faults.member(&object, "pass", read).unwrap_or_default();
    let (name, kind) = (name?, kind?);
    let parameter = Parameter { name, kind, default, optional, dash, repeat, secret, pass };
    faults.keep(check_pass(&parameter).map_err(|why| json.fault(why)));
    if let Some(default) = &parameter.default {
        let accepted = parameter.accept(default);
        faults.keep(accepted.map_err(|why| json.fault(format!("default: {why}"))));
    }
    Some(parameter)
}

/// Reads how the command gets the values.
fn pass(json: Json<'_>, is_path: bool) -> Result<Pass, Fault> {
    let all = [Pass::Stdin, Pass::Env, Pass::Fd];
    let known = if is_path { &all[..] } else { &all[..2] };
    let named = text(json)?;
    let found = known.iter().find(|pass| pass.name() == Some(&named));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = known.iter().filter_map(|pass| pass.name()).collect();
        json.fault(format!("must be one of {}", names.join(", ")))
    })
}

/// Whether a parameter can be passed as it says.
fn check_pass(parameter: &Parameter) -> Result<(), String> {
    let Parameter { name, secret, repeat, pass, .. } = parameter;
    let is_variable = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    match pass {
        Pass::Argument | Pass::Fd => Ok(()),
        _ if !secret => Err("pass: a value that the log does not show is secret; say \"secret\": \
                             true as well, or put it into run"
            .to_owned()),
        Pass::Env if *repeat > 1 => Err("pass: a variable holds one value, without repeat".into()),
        Pass::Env if !is_variable => Err(format!(
            "pass: the name is that of the variable: letters, digits and _, not {name}"
        )),
        Pass::Stdin | Pass::Env => Ok(()),
    }
}

/// The keys that every parameter may have.
const SHARED: [&str; 8] =
    ["name", "type", "default", "optional", "dash", "repeat", "secret", "pass"];

/// The types, each with the keys that are its own.
const TYPES: [(&str, &[&str]); 10] = [
    ("integer", &["min", "max"]),
    ("number", &["min", "max"]),
    ("choice", &["of", "values", "of_directory"]),
    ("word", &["max_bytes"]),
    ("pattern", &["pattern", "max_bytes"]),
    ("host", &[]),
    ("hostname", &[]),
    ("ip", &[]),
    ("path", &["under"]),
    ("text", &["max_bytes"]),
];

fn own_keys(name: &str) -> Option<&'static [&'static str]> {
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, keys)| *keys)
}

/// The entry of a parameter, and what it may refer to.
struct Reading<'a> {
    object: &'a Object<'a>,
    json: Json<'a>,
    lists: &'a Lists,
}

/// Reads what the values of a type are.
fn kind(entry: &Reading<'_>, name: &str, faults: &mut Faults) -> Option<Kind> {
    let Reading { object, json, .. } = entry;
    let bytes_max = |faults: &mut Faults, default| {
        let read = count(limits::PARAMETER_BYTES_MAX);
        faults.member(object, "max_bytes", read).unwrap_or(default)
    };
    let kind = match name {
        "integer" => Kind::Integer {
            min: faults.member(object, "min", Json::integer).unwrap_or(0),
            max: faults.member(object, "max", Json::integer).unwrap_or(i64::MAX),
        },
        "number" => Kind::Number {
            min: faults.member(object, "min", Json::real).unwrap_or(0.0),
            max: faults.member(object, "max", Json::real).unwrap_or(f64::MAX),
        },
        "choice" => choice(entry, faults)?,
        "word" => Kind::Word { bytes_max: bytes_max(faults, 64) },
        "text" => Kind::Text { bytes_max: bytes_max(faults, 256) },
        "pattern" => {
            Kind::Pattern { bytes_max: bytes_max(faults, 256), pattern: pattern(entry, faults)? }
        }
        "host" => Kind::Host,
        "hostname" => Kind::Hostname,
        "ip" => Kind::Ip,
        "path" => {
            if object.get("under").is_none() {
                faults.0.push(json.fault("type path needs under, the directory"));
            }
            let under = faults.member(object, "under", directory)?;
            Kind::Path { under }
        }
        _ => return None,
    };
    let empty = match &kind {
        Kind::Integer { min, max } => min > max,
        Kind::Number { min, max } => min > max,
        _ => false,
    };
    if empty {
        faults.0.push(json.fault("min is greater than max"));
    }
    Some(kind)
}

fn pattern(Reading { object, json, .. }: &Reading<'_>, faults: &mut Faults) -> Option<Pattern> {
    if object.get("pattern").is_none() {
        faults.0.push(json.fault("type pattern needs pattern, a regular expression"));
    }
    let read = |json: Json<'_>| Pattern::new(&text(json)?).map_err(|why| json.fault(why));
    faults.member(object, "pattern", read)
}

/// Reads the choices, or where they are.
fn choice(Reading { object, json, lists }: &Reading<'_>, faults: &mut Faults) -> Option<Kind> {
    let from = ["of", "values", "of_directory"].map(|key| object.get(key));
    if from.iter().flatten().count() != 1 {
        faults.0.push(json.fault(
            "type choice needs one of the keys of, with the choices, values, with the name of a \
             list, and of_directory",
        ));
        return None;
    }
    if object.get("of_directory").is_some() {
        let directory = faults.member(object, "of_directory", directory)?;
        return Some(Kind::Entry { directory });
    }
    let listed = |json: Json<'_>| {
        let name = text(json)?;
        lists.get(&name).cloned().ok_or_else(|| {
            let hint = did_you_mean(&name, lists.keys().map(String::as_str));
            json.fault(format!("there is no list {} in $values{hint}", echo(&name)))
        })
    };
    let of = faults.member(object, "of", texts);
    let of = of.or_else(|| faults.member(object, "values", listed))?;
    if of.is_empty() {
        faults.0.push(json.fault("type choice needs one choice at least"));
    }
    Some(Kind::Choice(of))
}

/// Reads a directory; what is kept has no slash at its end.
fn directory(json: Json<'_>) -> Result<String, Fault> {
    let path = absolute(json)?;
    let whole = path.trim_end_matches('/');
    Ok(if whole.is_empty() { "/" } else { whole }.to_owned())
}
