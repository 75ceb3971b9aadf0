//! Arrays and objects, read element by element from the parser.
//!
//! Promises: reading stops with an error after `JSON_ELEMENTS_MAX` elements. Leaves out: duplicate
//! names.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits;

/// Reads the elements of an array, and maps each to a result.
pub(super) struct Elements<F>(pub(super) F);

impl<'a, T, F: Fn(&'a RawValue) -> T> Visitor<'a> for Elements<F> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element()? {
            elements.push((self.0)(element));
            bounded(elements.len())?;
        }
        Ok(elements)
    }
}

/// Reads the members of an object, and maps each value to a result.
pub(super) struct ReadMembers<F>(pub(super) F);

impl<'a, T, F: Fn(&'a RawValue) -> T> Visitor<'a> for ReadMembers<F> {
    type Value = Vec<(Cow<'a, str>, T)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(Name(name)) = object.next_key()? {
            members.push((name, (self.0)(object.next_value()?)));
            bounded(members.len())?;
        }
        Ok(members)
    }
}

fn bounded<E: serde::de::Error>(count: usize) -> Result<(), E> {
    if count <= limits::JSON_ELEMENTS_MAX {
        return Ok(());
    }
    Err(E::custom(format_args!("more than {} elements", limits::JSON_ELEMENTS_MAX)))
}

/// The name of a member, borrowed when it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'a> Deserialize<'a> for Name<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'a> Visitor<'a> for Borrow {
            type Value = Name<'a>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        from.deserialize_str(Borrow)
    }
}
