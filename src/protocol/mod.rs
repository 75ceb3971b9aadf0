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

use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

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
