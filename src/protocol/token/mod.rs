//! Tokens: JWT (RFC 7519) signed with HMAC-SHA256 (RFC 7515, RFC 7518 section 3.2), read in the
//! order of RFC 8725.
//!
//! Promises: the signature is verified before header and payload are decoded, except by
//! `Claims::unverified`, which the client alone uses, for the token of its user. A token that opens
//! was read by the strict JSON reader and has claims of the right types. Every refusal has one
//! exact reason, for the log; the reason has no part of the token.
//! Leaves out: time, issuer, audience and revocation, which `service::access::authority` checks;
//! all other algorithms.

mod claims;
mod key;

pub use claims::{Claims, Unopened};
pub use key::hmac_sha256;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use crate::limits;
use crate::protocol::json::{Json, Object};
use key::Key;

/// Characters of an HMAC-SHA256 in base64url.
const SIGNATURE_CHARACTERS: usize = 43;

/// One to `KEYS_MAX` keys; a token may be signed by any of them.
#[derive(Clone)]
pub struct Keys(Vec<Key>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} keys", self.0.len())
    }
}

impl Keys {
    /// Reads the text of a key file: one key a line, `kid:secret` or the secret alone. A final line
    /// feed is ignored.
    ///
    /// # Errors
    /// A NUL or a carriage return; and as for `new`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['\0', '\r']) {
            return Err("holds a NUL or a carriage return; end lines with line feeds".to_owned());
        }
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let keys = lines.map(|line| match line.split_once(':') {
            Some((kid, secret)) => (Some(kid), secret.as_bytes()),
            None => (None, line.as_bytes()),
        });
        Self::new(keys)
    }

    /// Checks pairs of `kid` and secret.
    ///
    /// # Errors
    /// No key, too many, a weak one, or a duplicate `kid`; the message says what to do, and does
    /// not repeat the key.
    pub fn new<'a>(
        pairs: impl IntoIterator<Item = (Option<&'a str>, &'a [u8])>,
    ) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, (kid, secret)) in pairs.into_iter().enumerate() {
            let key = Key::new(kid, secret).map_err(|why| format!("key {}: {why}", index + 1))?;
            if key.kid.is_some() && keys.iter().any(|other| other.kid == key.kid) {
                return Err(format!("key {}: its kid is there twice", index + 1));
            }
            keys.push(key);
        }
        if !(1..=limits::KEYS_MAX).contains(&keys.len()) {
            return Err(format!("{} keys, not 1 to {}", keys.len(), limits::KEYS_MAX));
        }
        Ok(Self(keys))
    }

    /// The number of keys.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One key of any strength, for published test vectors: some use a key of zeros.
    pub fn unchecked(kid: Option<&str>, secret: &[u8]) -> Option<Self> {
        Key::unchecked(kid, secret).map(|key| Self(vec![key]))
    }

    /// Makes a token with these claims, signed with the first key.
    pub fn sign(&self, claims: &Claims) -> String {
        let Some(Key { mac, header, .. }) = self.0.first() else { return String::new() };
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(super::encode(claims)));
        let tag = mac.clone().chain_update(signed.as_bytes()).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Derives a key for another purpose from each key, in order: it reveals nothing about the
    /// original key (RFC 5869, 3.3).
    pub fn derive(&self, purpose: &str) -> Vec<[u8; 32]> {
        let derived = |key: &Key| key.mac.clone().chain_update(purpose).finalize().into_bytes();
        self.0.iter().map(|key| derived(key).into()).collect()
    }

    /// Opens a token: checks its layout and its signature, then reads its claims.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn open(&self, token: &str) -> Result<Claims, Unopened> {
        let payload = self.verify(token)?;
        let object = Json::parse_object(&payload).and_then(Object::strict);
        let object = object.map_err(|_| Unopened("payload is not a strict object"))?;
        claims::claims(&object)
    }

    /// Checks the layout, the signature and the header of a token (RFC 7515, 5.2), and returns the
    /// decoded payload, not parsed yet.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, token: &str) -> Result<Vec<u8>, Unopened> {
        if token.len() > limits::TOKEN_BYTES_MAX {
            return Err(Unopened("token is too long"));
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(Unopened("token has no dots"))?;
        let (header, payload) = signed.split_once('.').ok_or(Unopened("token has one dot"))?;
        if payload.contains('.') {
            return Err(Unopened("token has more than two dots"));
        }
        if header.is_empty() || payload.is_empty() {
            return Err(Unopened("token has an empty part"));
        }
        if tag.len() != SIGNATURE_CHARACTERS {
            return Err(Unopened("signature is not 43 characters"));
        }
        let mut decoded = [0; SIGNATURE_CHARACTERS];
        let length = URL_SAFE_NO_PAD.decode_slice(tag, &mut decoded);
        let length = length.map_err(|_| Unopened("signature is not base64url"))?;
        let tag = decoded.get(..length).unwrap_or_default();
        let matching = |key: &&Key| {
            // The library compares in constant time.
            key.mac.clone().chain_update(signed.as_bytes()).verify_slice(tag).is_ok()
        };
        let key = self.0.iter().find(matching).ok_or(Unopened("signature does not match"))?;
        // A header that is equal to our own needs no check: it would pass.
        if header != key.header {
            let header =
                URL_SAFE_NO_PAD.decode(header).map_err(|_| Unopened("header is not base64url"))?;
            check_header(&header, key.kid.as_deref())?;
        }
        URL_SAFE_NO_PAD.decode(payload).map_err(|_| Unopened("payload is not base64url"))
    }
}

/// RFC 7515, 4.1; RFC 7519, 5; RFC 8725, 3.1, 3.8 and 3.11.
fn check_header(header: &[u8], kid: Option<&str>) -> Result<(), Unopened> {
    let object = Json::parse_object(header).and_then(Object::strict);
    let object = object.map_err(|_| Unopened("header is not a strict object"))?;
    let member = |name| object.get(name).map(Json::string);
    match member("alg") {
        Some(Ok(algorithm)) if algorithm == "HS256" => {}
        _ => return Err(Unopened("alg is not HS256")),
    }
    if ["crit", "b64", "enc", "zip", "cty"].iter().any(|name| object.get(name).is_some()) {
        return Err(Unopened("header asks for an extension")); // RFC 7515, 4.1.11
    }
    match member("typ") {
        None => {}
        Some(Ok(kind)) if kind.eq_ignore_ascii_case("JWT") => {}
        Some(_) => return Err(Unopened("typ is not JWT")),
    }
    match member("kid") {
        None => Ok(()),
        Some(Ok(named)) if kid == Some(named.as_ref()) => Ok(()),
        Some(_) => Err(Unopened("kid is not that of the key that signed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

    fn signed(header: &str, payload: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(hmac_sha256(KEY.as_bytes(), signed.as_bytes()))
        )
    }

    #[test]
    fn rfc_7515_a_1_verifies() {
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let keys = Keys::new([(None, &URL_SAFE_NO_PAD.decode(secret).unwrap()[..])]).unwrap();
        assert!(keys.verify(token).unwrap().starts_with(b"{\"iss\":\"joe\""));
        assert_eq!(keys.open(token), Err(Unopened("sub is missing")));
    }

    #[test]
    fn what_is_signed_opens() {
        let claims = Claims {
            subject: "alice".into(),
            scope: Some("compute os:*".into()),
            expires: 1_900_000_000.0,
            issued: Some(1_800_000_000.5),
            not_before: None,
            issuer: Some("us".into()),
            audience: Some(vec!["a".into(), "b".into()]),
            id: Some("1".into()),
            confirmation: Some("thumbprint".into()),
        };
        let old = Keys::parse(&format!("old:{KEY}\n")).unwrap();
        let both = Keys::parse(&format!("new:{}\nold:{KEY}", KEY.to_uppercase())).unwrap();
        assert_eq!(both.open(&old.sign(&claims)), Ok(claims.clone()));
        assert_eq!(both.open(&both.sign(&claims)), Ok(claims.clone()));
        assert_eq!(
            old.open(&both.sign(&claims)),
            Err(Unopened("signature does not match")),
            "a key that was rotated out signs no more"
        );
    }

    #[test]
    fn every_check_refuses_with_its_reason() {
        const HEADER: &str = r#"{"alg":"HS256"}"#;
        const PAYLOAD: &str = r#"{"sub":"a","exp":1}"#;
        let good = signed(HEADER, PAYLOAD);
        let deep = format!(r#"{{"sub":"a","exp":1,"x":{}1{}}}"#, "[".repeat(20), "]".repeat(20));
        let headers = [
            (r#"{"alg":"none"}"#, "alg is not HS256"),
            (r#"{"alg":"hs256"}"#, "alg is not HS256"),
            (r#"{"alg":["HS256"]}"#, "alg is not HS256"),
            (r#"{"typ":"JWT"}"#, "alg is not HS256"),
            (r#"{"alg":"HS256","\u0061lg":"HS256"}"#, "header is not a strict object"),
            (r#"{"alg":"HS256"}x"#, "header is not a strict object"),
            (r#"["HS256"]"#, "header is not a strict object"),
            (r#"{"alg":"HS256","crit":["b64"]}"#, "header asks for an extension"),
            (r#"{"alg":"HS256","zip":"DEF"}"#, "header asks for an extension"),
            (r#"{"alg":"HS256","typ":"JWE"}"#, "typ is not JWT"),
            (r#"{"alg":"HS256","kid":"1"}"#, "kid is not that of the key that signed"),
            (r#"{"alg":"HS256","kid":1}"#, "kid is not that of the key that signed"),
        ];
        let payloads = [
            (r#"{"exp":1}"#, "sub is missing"),
            (r#"{"sub":"","exp":1}"#, "sub is empty or too long"),
            (r#"{"sub":"a\nb","exp":1}"#, "sub has a control character"),
            (r#"{"sub":7,"exp":1}"#, "sub is not a string"),
            (r#"{"sub":"a"}"#, "exp is missing"),
            (r#"{"sub":"a","exp":"1"}"#, "exp is not a date"),
            (r#"{"sub":"a","exp":-1}"#, "exp is not a date"),
            (r#"{"sub":"a","exp":1e300}"#, "exp is not a date"),
            (r#"{"sub":"a","exp":1e999}"#, "exp is not a date"),
            (r#"{"sub":"a","exp":1,"nbf":null}"#, "nbf is not a date"),
            (r#"{"sub":"a","exp":1,"iat":true}"#, "iat is not a date"),
            (r#"{"sub":"a","exp":1,"iss":1}"#, "iss is not a string"),
            (r#"{"sub":"a","exp":1,"jti":[]}"#, "jti is not a string"),
            (r#"{"sub":"a","exp":1,"scope":["os:*"]}"#, "scope is not a string"),
            (r#"{"sub":"a","exp":1,"aud":[1]}"#, "aud is neither a string nor an array of strings"),
            (r#"{"sub":"a","exp":1,"x":{"y":1,"y":2}}"#, "payload is not a strict object"),
            (&deep, "payload is not a strict object"),
            ("7", "payload is not a strict object"),
        ];
        let layouts = [
            (String::new(), "token has no dots"),
            ("a.b".into(), "token has one dot"),
            (format!("{good}.{good}"), "token has more than two dots"),
            (format!("{good}="), "signature is not 43 characters"),
            (format!(" {good}"), "signature does not match"),
            (format!(".{good}"), "token has more than two dots"),
            (format!("..{}", "A".repeat(43)), "token has an empty part"),
            (format!("{}+", &good[..good.len() - 1]), "signature is not base64url"),
            ("x".repeat(8193), "token is too long"),
        ];
        let keys = Keys::parse(KEY).unwrap();
        assert!(keys.open(&good).is_ok());
        let headers = headers.map(|(header, why)| (signed(header, PAYLOAD), why));
        let payloads = payloads.map(|(payload, why)| (signed(HEADER, payload), why));
        for (token, why) in headers.into_iter().chain(payloads).chain(layouts) {
            assert_eq!(keys.open(&token), Err(Unopened(why)), "{token}");
        }
        let spare_bits = "AB"; // the last four bits of one byte in two characters must be zero
        let signed = format!("{spare_bits}.{spare_bits}");
        let token = format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(hmac_sha256(KEY.as_bytes(), signed.as_bytes()))
        );
        assert_eq!(keys.open(&token), Err(Unopened("header is not base64url")));
    }
}
