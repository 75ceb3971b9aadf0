//! Bytes ⇄ values, for both programs: requests, replies, tokens and JSON.
//!
//! Promises: decoded values are within the limits and unambiguous; each refusal has a reason.
//! Leaves out: time, state and logging. `service::access::authority` decides whether a token is
//! valid *now*.

pub mod curve;
pub mod endpoint;
pub mod envelope;
pub mod json;
pub mod reply;
pub mod request;
pub mod token;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::limits;

/// Writes a value of our own types as JSON.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    // Writing strings, numbers and maps with string keys to memory cannot fail. A client's own
    // number that is not JSON leaves an empty body, which is refused.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Members of an object, written in this order.
#[derive(Debug)]
pub struct Members<'a, V>(pub &'a [(&'a str, V)]);

impl<V: Serialize> Serialize for Members<'_, V> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            out.serialize_entry(name, value)?;
        }
        out.end()
    }
}

/// Text that is JSON already, written unchanged.
///
/// # Errors
/// The text is not JSON.
pub fn raw<E: Error>(text: &str) -> Result<Box<RawValue>, E> {
    RawValue::from_string(text.to_owned()).map_err(E::custom)
}

/// How bytes are spelled: as text or as base64, each with its name.
fn spelled<'a>([text, base64]: [&'static str; 2], bytes: &'a [u8]) -> (&'static str, Cow<'a, str>) {
    match std::str::from_utf8(bytes) {
        Ok(utf8) if is_short_in_json(utf8) => (text, Cow::Borrowed(utf8)),
        _ => (base64, Cow::Owned(STANDARD.encode(bytes))),
    }
}

/// Whether a text in JSON (RFC 8259, 7) is not longer than it is in base64, or short.
fn is_short_in_json(text: &str) -> bool {
    let length = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..=31 => 6,
        _ => 1,
    };
    let length: usize = text.bytes().map(length).sum();
    length <= limits::ESCAPED_BYTES_MAX.max(text.len().div_ceil(3) * 4)
}
