//! Values of parameters, checked by what `list` tells of them.
//!
//! Promises: a value that the daemon would take is never refused here. What cannot be known here,
//! such as another type, fits.
//! Leaves out: the verdict, which is the daemon's.

use std::net::IpAddr;

use crate::limits;
use crate::protocol::json::{Fault, Json, Object};

/// What the values of a parameter are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// All of them, if they are told one by one.
    pub choices: Option<Vec<String>>,
    kind: String,
    min: Option<String>,
    max: Option<String>,
    bytes_max: Option<u64>,
}

impl Values {
    /// Reads them from the entry of a parameter.
    ///
    /// # Errors
    /// It is none.
    pub fn read(parameter: &Object<'_>) -> Result<Self, Fault> {
        let string = |json: Json<'_>| Ok(json.string()?.into_owned());
        let text = |name| parameter.get(name).map(|json| json.text().to_owned());
        let choices = parameter.get("of").map(|of| of.array()?.into_iter().map(string).collect());
        Ok(Self {
            choices: choices.transpose()?,
            kind: parameter.get("type").map_or(Ok(String::new()), string)?,
            min: text("min"),
            max: text("max"),
            bytes_max: parameter.get("max_bytes").map(Json::integer).transpose()?,
        })
    }

    /// Whether the value is one of them, as far as can be known.
    pub fn may_be(&self, value: &str) -> bool {
        let listed = self.choices.as_ref().is_none_or(|all| all.iter().any(|one| one == value));
        let short = self.bytes_max.is_none_or(|max| value.len() as u64 <= max)
            && value.len() <= limits::PARAMETER_BYTES_MAX;
        let typed = match self.kind.as_str() {
            "integer" => {
                value.parse().is_ok_and(|number: i64| self.within(number)) && !value.contains('+')
            }
            "number" => {
                let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'-';
                value.bytes().all(digits) && value.parse().is_ok_and(|n: f64| self.within(n))
            }
            "word" => {
                value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
            }
            "ip" => value.parse::<IpAddr>().is_ok(),
            "hostname" => {
                value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
            }
            "path" => !value.split('/').any(|part| part == "." || part == ".."),
            _ => true,
        };
        listed && short && typed && !value.contains(char::is_control)
    }

    fn within<N: std::str::FromStr + PartialOrd>(&self, number: N) -> bool {
        let bound = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<N>().ok());
        bound(&self.min).is_none_or(|min| number >= min)
            && bound(&self.max).is_none_or(|max| number <= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_by_what_the_list_tells() {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            (
                r#"{"type":"integer","min":-1,"max":10}"#,
                &["-1", "10", "007"],
                &["", "11", "-2", "1.5", "+1", "1e0", "x", "99999999999999999999"],
            ),
            (r#"{"type":"number","max":2.5}"#, &["2.5", "0", "-9"], &["", "3", "inf", "1e0", "-"]),
            (r#"{"type":"choice","of":["on","off"]}"#, &["on"], &["", "o", "ON"]),
            (r#"{"type":"word","max_bytes":4}"#, &["eth0"], &["abcde", "a b", "é"]),
            (r#"{"type":"text","max_bytes":2}"#, &["é", "", "?"], &["éa", "\u{1b}", "a\n"]),
            (r#"{"type":"ip"}"#, &["::1", "192.0.2.1"], &["", "1.2.3", "host"]),
            (r#"{"type":"hostname"}"#, &["example.org"], &["a b", "a_b"]),
            (r#"{"type":"path","under":"/var/log"}"#, &["a/b", "/var/log/a"], &["../a", "a/.."]),
            (r#"{"type":"of-a-later-version","max":3}"#, &["anything"], &["\u{7}"]),
        ];
        for (entry, good, bad) in cases {
            let object = Json::parse(entry.as_bytes()).unwrap().object().unwrap();
            let values = Values::read(&object).unwrap();
            good.iter().for_each(|value| assert!(values.may_be(value), "{entry} {value:?}"));
            bad.iter().for_each(|value| assert!(!values.may_be(value), "{entry} {value:?}"));
        }
    }
}
