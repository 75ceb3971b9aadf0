//! The parameters of one entry of the commands file.
//!
//! Promises: an unknown key, a wrong type, a name that is there twice, a default that breaks its
//! own rule, and an order in which values would be ambiguous are errors, each with the path of the
//! key. Leaves out: what values a parameter takes, which is `service::commands::parameter`.

use crate::limits;
use crate::protocol::json::{Fault, Json, Object};
use crate::service::commands::keys::{absolute, count, identifier, member, named, text};
use crate::service::commands::parameter::{Kind, Parameter};

/// Reads `parameters`.
pub(super) fn parameters(json: Json<'_>) -> Result<Vec<Parameter>, Fault> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for (index, json) in json.array()?.into_iter().enumerate() {
        let check = |parameter: Parameter| {
            if parameters.iter().any(|other| other.name == parameter.name) {
                return Err(json.fault(format!("the name {} is there twice", parameter.name)));
            }
            if parameters.iter().any(|other| other.repeat > 1) {
                return Err(json.fault("comes after one with repeat, which must be the last"));
            }
            if parameter.default.is_none() && parameters.iter().any(|o| o.default.is_some()) {
                return Err(json.fault("needs a default, since one before it has one"));
            }
            Ok(parameter)
        };
        let parameter = named(&format!("[{index}]"), parameter(json).and_then(check))?;
        parameters.push(parameter);
    }
    let values = parameters.iter().map(|parameter| parameter.repeat);
    if values.sum::<usize>() > limits::PARAMETERS_MAX {
        return Err(json.fault(format!("more than {} values", limits::PARAMETERS_MAX)));
    }
    Ok(parameters)
}

fn parameter(json: Json<'_>) -> Result<Parameter, Fault> {
    let object = json.object()?;
    let word = |key: &str| {
        let value = member(&object, key, text)?;
        value.ok_or_else(|| json.fault(format!("{key} is missing")))
    };
    let name = word("name")?;
    if !identifier(&name) {
        return Err(json.fault("name: 1 to 64 letters, digits, _ . or -"));
    }
    let (own, kind) = kind(&object, &word("type")?, json)?;
    let known = ["name", "type", "default", "dash", "repeat", "secret"];
    object.only([&known, own])?;
    let flag = |key| Ok(member(&object, key, Json::boolean)?.unwrap_or(false));
    let parameter = Parameter {
        name,
        kind,
        default: member(&object, "default", text)?,
        dash: flag("dash")?,
        repeat: member(&object, "repeat", count(limits::PARAMETERS_MAX))?.unwrap_or(1),
        secret: flag("secret")?,
    };
    if let Some(default) = &parameter.default {
        parameter.accept(default).map_err(|why| json.fault(format!("default: {why}")))?;
    }
    Ok(parameter)
}

/// Reads a type, and names the keys that are its own.
fn kind(
    object: &Object<'_>,
    name: &str,
    json: Json<'_>,
) -> Result<(&'static [&'static str], Kind), Fault> {
    let need = |key: &str| json.fault(format!("type {name} needs {key}"));
    let bytes_max = || member(object, "max_bytes", count(limits::PARAMETER_BYTES_MAX));
    let kind: (&[&str], Kind) = match name {
        "integer" => (
            &["min", "max"],
            Kind::Integer {
                min: member(object, "min", Json::integer)?.unwrap_or(0),
                max: member(object, "max", Json::integer)?.unwrap_or(i64::MAX),
            },
        ),
        "number" => (
            &["min", "max"],
            Kind::Number {
                min: member(object, "min", Json::real)?.unwrap_or(0.0),
                max: member(object, "max", Json::real)?.unwrap_or(f64::MAX),
            },
        ),
        "choice" => {
            let of = member(object, "of", |json| json.array()?.into_iter().map(text).collect())?;
            let of: Vec<String> = of.unwrap_or_default();
            if of.is_empty() {
                return Err(need("of, with the choices"));
            }
            (&["of"], Kind::Choice(of))
        }
        "word" => (&["max_bytes"], Kind::Word { bytes_max: bytes_max()?.unwrap_or(64) }),
        "text" => (&["max_bytes"], Kind::Text { bytes_max: bytes_max()?.unwrap_or(256) }),
        "hostname" => (&[], Kind::Hostname),
        "ip" => (&[], Kind::Ip),
        "path" => {
            let under = member(object, "under", absolute)?.ok_or_else(|| need("under"))?;
            let whole = if under == "/" { "/" } else { under.trim_end_matches('/') };
            let pass_fd = member(object, "pass", |json| match text(json)?.as_str() {
                "fd" => Ok(true),
                _ => Err(json.fault("must be \"fd\"")),
            })?;
            let (under, pass_fd) = (whole.to_owned(), pass_fd.unwrap_or(false));
            (&["under", "pass"], Kind::Path { under, pass_fd })
        }
        _ => {
            let known = "integer, number, choice, word, hostname, ip, path, text";
            return Err(json.fault(format!("type: must be one of {known}")));
        }
    };
    let empty = match &kind.1 {
        Kind::Integer { min, max } => min > max,
        Kind::Number { min, max } => min > max,
        _ => false,
    };
    if empty { Err(json.fault("min is greater than max")) } else { Ok(kind) }
}
