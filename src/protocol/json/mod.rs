//! Strict reading of JSON (RFC 8259): the one reader for requests, replies, tokens and the
//! commands file.
//!
//! Promises: duplicate names (compared after unescaping), trailing bytes and too deep nesting are
//! refused. Every fault says what is wrong and at which byte, and repeats no value of the text: a
//! misplaced token never reaches an error or a log. A number stays text until the caller asks for
//! an integer or a double.
//! Leaves out: the fields of requests, replies, tokens and commands.

mod fault;
mod visitors;

use std::borrow::Cow;
use std::fmt;

use serde::de::Deserializer;
use serde_json::value::RawValue;

pub use fault::{Fault, echo};
use visitors::{Elements, ReadMembers};

use crate::limits;

/// Number of members up to which names are compared pairwise: faster than sorting.
const FEW: usize = 16;

/// A value in a text that is known to be well-formed: its kind and its place.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    raw: &'a str,
    position: usize,
}

/// The kinds of values, shown with an article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes.
    String,
    /// Names and values.
    Object,
    /// Values.
    Array,
    /// `true` or `false`.
    Boolean,
    /// `null`.
    Null,
    /// Digits.
    Number,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::String => "a string",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Boolean => "a boolean",
            Self::Null => "null",
            Self::Number => "a number",
        })
    }
}

/// The members of an object, in the order of the text, each name once.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Members<'a>,
}

/// Names and values.
pub type Members<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

impl<'a> Json<'a> {
    /// Reads a whole text as one value.
    ///
    /// # Errors
    /// Invalid UTF-8, a fault of syntax, or anything but blanks after the value.
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        let whole = Self::whole(text)?;
        let value: &RawValue = serde_json::from_str(whole.raw).map_err(|e| whole.syntax(&e))?;
        Ok(whole.part(value))
    }

    /// Reads a whole text as one object.
    ///
    /// # Errors
    /// As `parse` and `object`.
    pub fn parse_object(text: &'a [u8]) -> Result<Object<'a>, Fault> {
        let whole = Self::whole(text)?;
        match whole.raw.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            // Reading the members finds every fault that `parse` would find, in one pass.
            true => whole.members(),
            false => Self::parse(text)?.object(),
        }
    }

    /// A text that may be JSON.
    fn whole(text: &'a [u8]) -> Result<Self, Fault> {
        let raw = std::str::from_utf8(text).map_err(|error| Fault {
            position: error.valid_up_to(),
            message: "not valid UTF-8".to_owned(),
        })?;
        Ok(Json { raw, position: 0 })
    }

    /// The text of the value.
    pub fn text(self) -> &'a str {
        self.raw
    }

    /// Where the value begins: bytes from the start of the text.
    pub fn position(self) -> usize {
        self.position
    }

    /// A fault of this value.
    pub fn fault(self, message: impl Into<String>) -> Fault {
        Fault { position: self.position, message: message.into() }
    }

    /// What kind of value this is.
    pub fn kind(self) -> Kind {
        match self.raw.as_bytes().first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The value as an unescaped string; borrowed if it has no escapes.
    ///
    /// # Errors
    /// Another kind of value, or an escape that encodes no character.
    pub fn string(self) -> Result<Cow<'a, str>, Fault> {
        self.expect(Kind::String)?;
        let inside = self.raw.get(1..self.raw.len().saturating_sub(1)).unwrap_or_default();
        // Without an early end, the compiler makes wide instructions of it.
        if !inside.bytes().fold(false, |found, byte| found | (byte == b'\\')) {
            return Ok(Cow::Borrowed(inside));
        }
        serde_json::from_str(self.raw).map(Cow::Owned).map_err(|error| self.syntax(&error))
    }

    /// The value as a boolean.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn boolean(self) -> Result<bool, Fault> {
        self.expect(Kind::Boolean)?;
        Ok(self.raw == "true")
    }

    /// The value as an integer: digits, with a sign if `T` is signed, without a point or an
    /// exponent.
    ///
    /// # Errors
    /// Another kind of value, or an integer that `T` does not hold.
    pub fn integer<T: std::str::FromStr>(self) -> Result<T, Fault> {
        self.expect(Kind::Number)?;
        self.raw.parse().map_err(|_| self.fault("expected an integer in range"))
    }

    /// The value as a number, rounded to a double.
    ///
    /// # Errors
    /// Another kind of value, or one beyond the largest double.
    pub fn real(self) -> Result<f64, Fault> {
        self.expect(Kind::Number)?;
        match self.raw.parse::<f64>() {
            Ok(real) if real.is_finite() => Ok(real),
            _ => Err(self.fault("number out of range")),
        }
    }

    /// The value as an array.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn array(self) -> Result<Vec<Json<'a>>, Fault> {
        self.expect(Kind::Array)?;
        serde_json::Deserializer::from_str(self.raw)
            .deserialize_seq(Elements(|element| self.part(element)))
            .map_err(|error| self.syntax(&error))
    }

    /// The value as an object.
    ///
    /// # Errors
    /// Another kind of value, or a duplicate name in it.
    pub fn object(self) -> Result<Object<'a>, Fault> {
        self.expect(Kind::Object)?;
        self.members()
    }

    /// The value as an object, for a reader that tells all faults of a text: its members, each name
    /// once, and those whose name was there before.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn object_with_repeats(self) -> Result<(Object<'a>, Members<'a>), Fault> {
        self.expect(Kind::Object)?;
        let (mut members, mut repeats) = (Vec::new(), Vec::new());
        let mut names = std::collections::BTreeSet::new();
        for (name, value) in self.all_members()?.members {
            let is_new = names.insert(name.clone());
            if is_new { &mut members } else { &mut repeats }.push((name, value));
        }
        Ok((Object { members }, repeats))
    }

    fn all_members(self) -> Result<Object<'a>, Fault> {
        let mut text = serde_json::Deserializer::from_str(self.raw);
        let read = ReadMembers(|value| self.part(value));
        let members = text.deserialize_map(read).and_then(|members| {
            text.end()?;
            Ok(members)
        });
        Ok(Object { members: members.map_err(|error| self.syntax(&error))? })
    }

    fn members(self) -> Result<Object<'a>, Fault> {
        let object = self.all_members()?;
        match object.duplicate() {
            None => Ok(object),
            Some((name, value)) => {
                Err(value.fault(format!("the member {} is there twice", echo(name))))
            }
        }
    }

    fn check_within(self, depth: usize) -> Result<(), Fault> {
        let inner: Vec<Json<'a>> = match self.kind() {
            Kind::Array => self.array()?,
            Kind::Object => self.object()?.members.into_iter().map(|(_, value)| value).collect(),
            Kind::String => return self.string().map(drop),
            Kind::Boolean | Kind::Null | Kind::Number => return Ok(()),
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.fault(format!("nested deeper than {}", limits::JSON_DEPTH_MAX)));
        };
        inner.into_iter().try_for_each(|value| value.check_within(depth))
    }

    fn expect(self, kind: Kind) -> Result<(), Fault> {
        if self.kind() == kind {
            return Ok(());
        }
        Err(self.fault(format!("expected {kind}, found {}", self.kind())))
    }

    /// A part of this value, sliced by the parser from the value's own text.
    fn part(self, inner: &'a RawValue) -> Json<'a> {
        let raw = inner.get();
        let offset = (raw.as_ptr() as usize).saturating_sub(self.raw.as_ptr() as usize);
        Json { raw, position: self.position.saturating_add(offset) }
    }

    /// A syntax error. The parser counts lines and columns from 1; its message quotes no text.
    fn syntax(self, error: &serde_json::Error) -> Fault {
        let before = self.raw.split_inclusive('\n').take(error.line().saturating_sub(1));
        let line: usize = before.map(str::len).sum();
        let offset = line.saturating_add(error.column().saturating_sub(1)).min(self.raw.len());
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or_default();
        Fault { position: self.position.saturating_add(offset), message: format!("JSON: {what}") }
    }
}

impl<'a> Object<'a> {
    /// The same object, if all of it is strict, ignored parts included: no duplicate name, no
    /// excess of depth.
    ///
    /// # Errors
    /// The first such fault.
    pub fn strict(self) -> Result<Self, Fault> {
        for (_, value) in &self.members {
            value.check_within(limits::JSON_DEPTH_MAX.saturating_sub(1))?;
        }
        Ok(self)
    }

    /// The first member with a duplicate name.
    fn duplicate(&self) -> Option<(&str, Json<'a>)> {
        if self.members.len() <= FEW {
            let mut members = self.members.iter().enumerate();
            let twice = members.find(|(index, (name, _))| {
                self.members.iter().take(*index).any(|(before, _)| before == name)
            });
            return twice.map(|(_, (name, value))| (name.as_ref(), *value));
        }
        let mut names: Vec<(&str, Json<'a>)> = self.members().collect();
        // The sort is stable, so the duplicate follows the first member.
        names.sort_by_key(|(name, _)| *name);
        let twice = |pair: &[(&str, Json<'a>)]| matches!(pair, [(a, _), (b, _)] if a == b);
        names.windows(2).find(|pair| twice(pair)).and_then(<[_]>::last).copied()
    }

    /// The member with this name.
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// All members, in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// All members, in the order of the text.
    pub fn into_members(self) -> Members<'a> {
        self.members
    }

    /// Refuses members that are not among `known`.
    ///
    /// # Errors
    /// The first unknown member; the message lists the known ones.
    pub fn only(&self, known: [&[&str]; 2]) -> Result<(), Fault> {
        let unknown = |name: &str| !known.iter().any(|names| names.contains(&name));
        match self.members().find(|(name, _)| unknown(name)) {
            None => Ok(()),
            Some((name, value)) => Err(value.fault(format!(
                "unknown field {}; known here: {}",
                echo(name),
                known.concat().join(", ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_byte_and_never_the_value() {
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
        let cases: &[(&[u8], usize, &str)] = &[
            (b"", 0, "JSON: EOF while parsing a value"),
            (b"\xff", 0, "not valid UTF-8"),
            (b"{} x", 3, "JSON: trailing characters"),
            (b"{\"a\":1,\"\\u0061\":2}", 16, "the member \"a\" is there twice"),
            (b"{\"a\":[1],\n \"c\":{\"b\":1,\"b\":2}}", 26, "the member \"b\" is there twice"),
            (b"{\"a\":\"\\ud800\"}", 12, "JSON: unexpected end of hex escape"),
            (deep.as_bytes(), 20, "nested deeper than 16"),
        ];
        for (text, position, message) in cases {
            let fault = Json::parse_object(text).and_then(Object::strict).expect_err("refused");
            assert_eq!((fault.position, fault.message.as_str()), (*position, *message));
        }
        let fault = Json::parse(br#"{"token":5}"#).unwrap().object().unwrap();
        let fault = fault.get("token").unwrap().string().unwrap_err();
        assert_eq!(fault.to_string(), "expected a string, found a number (at byte 9)");
    }

    #[test]
    fn brackets_without_end_are_refused_quickly() {
        let brackets = "[".repeat(200_000);
        assert!(Json::parse(brackets.as_bytes()).is_err());
    }

    #[test]
    fn an_array_without_end_is_refused_where_it_becomes_too_long() {
        let text = format!("[{}1]", "1,".repeat(100_000));
        let fault = Json::parse(text.as_bytes()).unwrap().array().unwrap_err();
        assert_eq!(fault.message, "JSON: more than 1024 elements");
        assert!(fault.position < 4096, "{}", fault.position);
    }
}
