//! A second opinion on JSON: `serde_json`'s own reader, which numbers and strings are built by, with
//! the rules of `zcmd::protocol::json` written down anew.
//!
//! Promises: no name twice in one object, no more levels and no more elements than `zcmd::limits`
//! says. Leaves out: numbers beyond the doubles, which `serde_json` refuses; see `Opinion::None`.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use zcmd::limits;

/// What `serde_json` makes of a text.
#[derive(Debug, PartialEq)]
pub enum Opinion {
    /// A value that keeps all rules.
    Lawful(Value),
    /// No JSON, or JSON that breaks a rule.
    Refused(String),
    /// No opinion: the text has a number that no double holds.
    None,
}

/// Reads a whole text by the rules.
pub fn opinion(text: &[u8]) -> Opinion {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Level(1).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(value) => Opinion::Lawful(value),
        Err(error) if error.to_string().starts_with("number out of range") => Opinion::None,
        Err(error) => Opinion::Refused(error.to_string()),
    }
}

/// A value that stands inside `0` - 1 arrays and objects.
struct Level(usize);

impl Level {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        match self.0 <= limits::JSON_DEPTH_MAX {
            true => Ok(Self(self.0 + 1)),
            false => Err(E::custom("too deep")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element_seed(self.inner()?)? {
            values.push(value);
            few(values.len())?;
        }
        self.inner::<A::Error>()?;
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(self.inner()?)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name twice"));
            }
            few(members.len())?;
        }
        self.inner::<A::Error>()?;
        Ok(Value::Object(members))
    }
}

fn few<E: Error>(count: usize) -> Result<(), E> {
    match count <= limits::JSON_ELEMENTS_MAX {
        true => Ok(()),
        false => Err(E::custom("too many elements")),
    }
}

/// Whether a message may be printed and logged: no control character.
pub fn printable(message: &str) -> bool {
    !message.contains(char::is_control)
}

/// Reads any value, for those who ask for no rules.
pub fn lenient(text: &[u8]) -> Option<Value> {
    Value::deserialize(&mut serde_json::Deserializer::from_slice(text)).ok()
}
