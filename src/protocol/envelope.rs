//! The fields that all requests share, and the reading of fields.
//!
//! Promises: the `id` of a body that is an object is known even if everything else in it is wrong,
//! so that an error reaches the request that caused it. An error names the field, the rule and the
//! byte, and repeats no value. Only `id`, `command_type` and `token` are read.
//! Leaves out: the request types and their fields, which are in `service::operations`.

use std::borrow::Cow;

use crate::limits;
use crate::protocol::json::{Fault, Json, Kind, Object};
use crate::protocol::request::Id;

/// The fields that every request may have.
const SHARED: &[&str] = &["command_type", "id", "token"];

/// A request whose shared fields are read.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Repeated in every reply.
    pub id: Option<Id>,
    /// The `command_type`.
    pub kind: Cow<'a, str>,
    /// The token; empty when there is none.
    pub token: Cow<'a, str>,
    /// All fields, the shared ones included.
    pub fields: Object<'a>,
}

/// A field that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong, and where.
    pub fault: Fault,
    /// Whether its only fault is its size.
    pub too_large: bool,
}

/// A body that is not a request, and its `id` if that is valid.
pub type Unread = (Option<Id>, Fault);

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self { fault, too_large: false }
    }
}

impl<'a> Envelope<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// Anything but one strict object whose shared fields have their types.
    pub fn read(body: &'a [u8]) -> Result<Self, Unread> {
        let fields = Json::parse_object(body).map_err(|fault| (None, fault))?;
        let read_id = fields.get("id").map(|json| named("id", id(json))).transpose();
        let known = read_id.as_ref().ok().cloned().flatten();
        let read = || {
            let kind = named("command_type", field(&fields, "command_type")?.string())?;
            let token = match fields.get("token") {
                Some(token) => named("token", token.string())?,
                None => Cow::Borrowed(""),
            };
            read_id.map(|id| (id, kind, token))
        };
        match read() {
            Ok((id, kind, token)) => Ok(Self { id, kind, token, fields }),
            Err(fault) => Err((known, fault)),
        }
    }

    /// Refuses fields that are neither shared nor among `known`.
    ///
    /// # Errors
    /// The first unknown field, and the known ones.
    pub fn only(&self, known: &[&str]) -> Result<(), Fault> {
        self.fields.only([SHARED, known])
    }

    /// A fault of the `command_type`.
    pub fn wrong_kind(&self, message: String) -> Fault {
        match self.fields.get("command_type") {
            Some(json) => json.fault(message),
            None => Fault { position: 0, message },
        }
    }
}

/// A field that must be there.
///
/// # Errors
/// It is not there.
pub fn field<'a>(object: &Object<'a>, name: &str) -> Result<Json<'a>, Fault> {
    object
        .get(name)
        .ok_or_else(|| Fault { position: 0, message: format!("the field {name} is missing") })
}

/// A field that must be a text of at most `bytes_max` bytes.
///
/// # Errors
/// It is missing, of another type, or longer.
pub fn text<'a>(object: &Object<'a>, name: &str, bytes_max: usize) -> Result<Cow<'a, str>, Wrong> {
    let json = field(object, name)?;
    let text = named(name, json.string())?;
    within(json, name, text.len(), bytes_max, "bytes")?;
    Ok(text)
}

/// A string of at most `ID_BYTES_MAX` bytes, or an integer of 64 bits.
///
/// # Errors
/// Anything else.
pub fn id(json: Json<'_>) -> Result<Id, Fault> {
    match json.kind() {
        Kind::String => {
            let text = json.string()?;
            if text.len() > limits::ID_BYTES_MAX {
                return Err(json.fault(format!("longer than {} bytes", limits::ID_BYTES_MAX)));
            }
            Ok(Id::Text(text.into_owned()))
        }
        Kind::Number => {
            let number: i128 = json.integer()?;
            if !(i64::MIN.into()..=u64::MAX.into()).contains(&number) {
                return Err(json.fault("expected an integer of 64 bits"));
            }
            Ok(Id::Number(number))
        }
        other => Err(json.fault(format!("expected a string or an integer, found {other}"))),
    }
}

/// Puts the name of its field before a fault.
///
/// # Errors
/// Those of `value`.
pub fn named<T>(name: &str, value: Result<T, Fault>) -> Result<T, Fault> {
    value.map_err(|fault| Fault { message: format!("{name}: {}", fault.message), ..fault })
}

/// Checks a size.
///
/// # Errors
/// It is greater than `max`.
pub fn within(
    json: Json<'_>,
    name: &str,
    size: usize,
    max: usize,
    unit: &str,
) -> Result<(), Wrong> {
    if size <= max {
        return Ok(());
    }
    let message = format!("{name}: {size} {unit}; at most {max} are allowed");
    Err(Wrong { fault: json.fault(message), too_large: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_envelope_names_its_field_and_byte_and_keeps_its_id() {
        let seven = Some(Id::Number(7));
        let cases = [
            ("", None, "JSON: EOF while parsing a value (at byte 0)"),
            ("[]", None, "expected an object, found an array (at byte 0)"),
            (r#"{"id":7}"#, seven.clone(), "the field command_type is missing (at byte 0)"),
            (
                r#"{"id":7,"command_type":7}"#,
                seven.clone(),
                "command_type: expected a string, found a number (at byte 23)",
            ),
            (
                r#"{"command_type":"list","id":1,"id":2}"#,
                None,
                "the member \"id\" is there twice (at byte 35)",
            ),
            (
                r#"{"command_type":"list","token":null,"id":7}"#,
                seven,
                "token: expected a string, found null (at byte 31)",
            ),
            (
                r#"{"command_type":"ping","id":[1]}"#,
                None,
                "id: expected a string or an integer, found an array (at byte 28)",
            ),
            (
                r#"{"command_type":"ping","id":1.5}"#,
                None,
                "id: expected an integer in range (at byte 28)",
            ),
            (r#"{"command_type":"ping"} {}"#, None, "JSON: trailing characters (at byte 24)"),
        ];
        for (body, wanted, message) in cases {
            let (id, fault) = Envelope::read(body.as_bytes()).expect_err(body);
            assert_eq!((id, fault.to_string().as_str()), (wanted, message));
        }
    }
}
