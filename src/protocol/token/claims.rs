//! Claims: the content of a token (RFC 7519, section 4), read and written.
//!
//! Promises: the claims have the right types, and the subject has no control character. Leaves out:
//! whether the claims are valid now, and the signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits;
use crate::protocol::Members;
use crate::protocol::json::{Json, Kind, Object};

/// Why a token is refused: the exact reason, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened(pub &'static str);

/// The claims of a token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// `sub`: the subject.
    pub subject: String,
    /// `scope`: what the token permits (RFC 8693, 4.2).
    pub scope: Option<String>,
    /// `exp`: seconds since 1970 from which the token is expired.
    pub expires: f64,
    /// `nbf`: seconds since 1970 before which the token is not valid.
    pub not_before: Option<f64>,
    /// `iat`: seconds since 1970 when the token was issued.
    pub issued: Option<f64>,
    /// `iss`: the issuer.
    pub issuer: Option<String>,
    /// `aud`: the recipients.
    pub audience: Option<Vec<String>>,
    /// `jti`: the token's identifier.
    pub id: Option<String>,
    /// `cnf` (RFC 7800): the thumbprint of the one CURVE key that may present it, under `kid`.
    pub confirmation: Option<String>,
}

impl Claims {
    /// What a token says, without a look at its signature: for its holder, who has no key to check
    /// it with. None if it is no JWT. Never for a decision; `Keys::open` is.
    pub fn unverified(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, '.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        claims(&Json::parse_object(&payload).ok()?).ok()
    }
}

/// RFC 7519, 4.1.
pub(super) fn claims(object: &Object<'_>) -> Result<Claims, Unopened> {
    let text = |name, why| match object.get(name).map(Json::string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.into_owned())),
        Some(Err(_)) => Err(Unopened(why)),
    };
    let date = |name, why| match object.get(name).map(Json::real) {
        None => Ok(None),
        Some(Ok(date)) if (0.0..=limits::UNIX_SECONDS_MAX as f64).contains(&date) => Ok(Some(date)),
        Some(_) => Err(Unopened(why)),
    };
    let subject = text("sub", "sub is not a string")?.ok_or(Unopened("sub is missing"))?;
    if !(1..=limits::SUBJECT_BYTES_MAX).contains(&subject.len()) {
        return Err(Unopened("sub is empty or too long"));
    }
    if subject.contains(char::is_control) {
        return Err(Unopened("sub has a control character"));
    }
    Ok(Claims {
        subject,
        scope: text("scope", "scope is not a string")?,
        expires: date("exp", "exp is not a date")?.ok_or(Unopened("exp is missing"))?,
        not_before: date("nbf", "nbf is not a date")?,
        issued: date("iat", "iat is not a date")?,
        issuer: text("iss", "iss is not a string")?,
        audience: audience(object.get("aud"))?,
        id: text("jti", "jti is not a string")?,
        confirmation: object.get("cnf").map(confirmation).transpose()?,
    })
}

/// RFC 7800, 3.1: a confirmation that cannot be verified here makes the token invalid.
fn confirmation(json: Json<'_>) -> Result<String, Unopened> {
    let object = json.object().ok().filter(|object| object.members().count() == 1);
    let kid = object.and_then(|object| object.get("kid")?.string().ok().map(Into::into));
    kid.ok_or(Unopened("cnf is not one kid"))
}

/// One string or an array of strings (RFC 7519, 4.1.3).
fn audience(json: Option<Json<'_>>) -> Result<Option<Vec<String>>, Unopened> {
    let wrong = |_| Unopened("aud is neither a string nor an array of strings");
    let Some(json) = json else { return Ok(None) };
    let members =
        if json.kind() == Kind::String { vec![json] } else { json.array().map_err(wrong)? };
    let names = members.into_iter().map(|name| name.string().map(Into::into).map_err(wrong));
    names.collect::<Result<_, _>>().map(Some)
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("sub", &self.subject)?;
        for (name, text) in [("scope", &self.scope), ("iss", &self.issuer), ("jti", &self.id)] {
            if let Some(text) = text {
                out.serialize_entry(name, text)?;
            }
        }
        if let Some(thumbprint) = &self.confirmation {
            out.serialize_entry("cnf", &Members(&[("kid", thumbprint)]))?;
        }
        if let Some(audience) = &self.audience {
            match audience.as_slice() {
                [one] => out.serialize_entry("aud", one)?,
                several => out.serialize_entry("aud", several)?,
            }
        }
        let dates = [("iat", self.issued), ("nbf", self.not_before), ("exp", Some(self.expires))];
        for (name, date) in dates {
            match date {
                // Whole seconds are written without a fraction, as usual.
                Some(date) if date.fract() == 0.0 => out.serialize_entry(name, &(date as u64))?,
                Some(date) => out.serialize_entry(name, &date)?,
                None => {}
            }
        }
        out.end()
    }
}
