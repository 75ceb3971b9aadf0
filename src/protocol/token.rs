//! Tokens: JWT (RFC 7519) signed with HMAC-SHA256 (RFC 7515, RFC 7518 section 3.2), read in the
//! order that RFC 8725 asks for.
//!
//! Promises: nothing of a token is parsed before one of the keys has signed it. What opens has been
//! read by the strict reader and has claims of the right types. Every refusal has one exact reason,
//! for the log; it repeats nothing of the token.
//! Leaves out: time, issuer, audience and revocation, which `service::access::caller` decides. Any
//! other algorithm.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::ser::{Serialize, SerializeMap, Serializer};
use sha2::Sha256;

use crate::limits;
use crate::protocol::json::{Json, Kind, Object};

/// Characters of an HMAC-SHA256 in base64url.
const SIGNATURE_CHARACTERS: usize = 43;

/// Secrets that examples and manuals are full of, in lower case.
const WELL_KNOWN: &[&str] =
    &["your-secret-key", "your-256-bit-secret", "secret", "changeme", "change-me", "password"];

/// One to `KEYS_MAX` keys, any of which may have signed a token.
#[derive(Clone)]
pub struct Keys(Vec<Key>);

#[derive(Clone)]
struct Key {
    kid: Option<String>,
    mac: Hmac<Sha256>,
    /// The header of the tokens that are made here, in base64url.
    header: String,
}

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// `sub`: whom it is about.
    pub subject: String,
    /// `scope`: what it reaches (RFC 8693, 4.2).
    pub scope: Option<String>,
    /// `exp`: seconds since 1970 from which on it does not hold.
    pub expires: f64,
    /// `nbf`: seconds since 1970 before which it does not hold.
    pub not_before: Option<f64>,
    /// `iat`: seconds since 1970 at which it was made.
    pub issued: Option<f64>,
    /// `iss`: who made it.
    pub issuer: Option<String>,
    /// `aud`: whom it is for.
    pub audience: Option<Vec<String>>,
    /// `jti`: its name.
    pub id: Option<String>,
    /// `cnf` (RFC 7800): the thumbprint of the one CURVE key that may present it, under `kid`.
    pub confirmation: Option<String>,
}

/// Why a token does not open: the exact reason, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unopened(pub &'static str);

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} keys", self.0.len())
    }
}

impl Keys {
    /// Reads the text of a key file: one key a line, `kid:secret` or just the secret. One final
    /// line feed is not part of a key.
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

    /// Takes pairs of `kid` and secret.
    ///
    /// # Errors
    /// No key, too many, a weak one, or a `kid` given twice; what to do instead. The message does
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

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// One key of any strength, for published vectors: some are signed with zeros.
    pub fn unchecked(kid: Option<&str>, secret: &[u8]) -> Option<Self> {
        Key::unchecked(kid, secret).map(|key| Self(vec![key]))
    }

    /// Makes a token of these claims, signed with the first key.
    pub fn sign(&self, claims: &Claims) -> String {
        let Some(Key { mac, header, .. }) = self.0.first() else { return String::new() };
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(super::encode(claims)));
        let tag = mac.clone().chain_update(signed.as_bytes()).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// A key for another purpose out of each key, in their order: whoever has it learns nothing of
    /// the key that it is made of (RFC 5869, 3.3).
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
        claims(&object)
    }

    /// Checks the layout, the signature and the header of a token (RFC 7515, 5.2), and gives its
    /// payload, still to be read.
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
            // In constant time: the comparison is the library's.
            key.mac.clone().chain_update(signed.as_bytes()).verify_slice(tag).is_ok()
        };
        let key = self.0.iter().find(matching).ok_or(Unopened("signature does not match"))?;
        // A header of our own making needs no look: it is the one that would pass.
        if header != key.header {
            let header =
                URL_SAFE_NO_PAD.decode(header).map_err(|_| Unopened("header is not base64url"))?;
            check_header(&header, key.kid.as_deref())?;
        }
        URL_SAFE_NO_PAD.decode(payload).map_err(|_| Unopened("payload is not base64url"))
    }
}

impl Key {
    fn new(kid: Option<&str>, secret: &[u8]) -> Result<Self, String> {
        let hint = "make one with: zcmdd keygen";
        if kid == Some("") {
            return Err("the kid before the colon is empty".to_owned());
        }
        // To HMAC, `k` and `k` followed by NUL are the same key.
        if secret.ends_with(b"\0") {
            return Err(format!("ends with NUL; {hint}"));
        }
        let text = String::from_utf8_lossy(secret).to_lowercase();
        if WELL_KNOWN.contains(&text.as_str()) {
            return Err(format!("is a well-known secret; {hint}"));
        }
        let (min, max) = (limits::KEY_BYTES_MIN, limits::KEY_BYTES_MAX);
        if !(min..=max).contains(&secret.len()) {
            return Err(format!("is {} bytes, not {min} to {max}; {hint}", secret.len()));
        }
        if repeats(secret) || WELL_KNOWN.iter().any(|word| made_of(&text, word)) {
            return Err(format!("repeats itself; {hint}"));
        }
        Self::unchecked(kid, secret).ok_or_else(|| "cannot be a key".to_owned())
    }

    fn unchecked(kid: Option<&str>, secret: &[u8]) -> Option<Self> {
        let mut header = vec![("alg", "HS256"), ("typ", "JWT")];
        header.extend(kid.map(|kid| ("kid", kid)));
        let header = URL_SAFE_NO_PAD.encode(super::encode(&super::Members(&header)));
        Some(Self { kid: kid.map(str::to_owned), mac: mac(secret)?, header })
    }
}

/// The HMAC-SHA256 of a text (RFC 2104), for published vectors; tokens want a `Keys`.
pub fn hmac_sha256(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let tag = mac(secret).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec());
    tag.unwrap_or_default()
}

/// Whether a secret is one short pattern over and over.
fn repeats(secret: &[u8]) -> bool {
    (1..=secret.len() / 4).any(|period| {
        secret.iter().zip(secret.iter().skip(period)).all(|(byte, later)| byte == later)
    })
}

/// Whether a secret is a well-known word, filled up to the length.
fn made_of(secret: &str, word: &str) -> bool {
    let rest = secret.replace(word, "");
    rest.as_bytes().windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

fn mac(secret: &[u8]) -> Option<Hmac<Sha256>> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(secret).ok()
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

/// RFC 7519, 4.1.
fn claims(object: &Object<'_>) -> Result<Claims, Unopened> {
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

/// RFC 7800, 3.1: proof of a key that cannot be checked here is proof that is missing.
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
            out.serialize_entry("cnf", &super::Members(&[("kid", thumbprint)]))?;
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
                // Whole seconds are written without a fraction, as everybody reads them.
                Some(date) if date.fract() == 0.0 => out.serialize_entry(name, &(date as u64))?,
                Some(date) => out.serialize_entry(name, &date)?,
                None => {}
            }
        }
        out.end()
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
    fn rfc_4231_tags() {
        // Test cases 1, 2, 3, 4, 6 and 7 of RFC 4231, section 4; the fifth is a truncated tag.
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let counting: Vec<u8> = (1..=25).collect();
        let long = b"This is a test using a larger than block-size key and a larger than \
                     block-size data. The key needs to be hashed before being used by the HMAC \
                     algorithm.";
        let cases: &[(&[u8], &[u8], &str)] = &[
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &counting,
                &[0xcd; 50],
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                long,
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, text, tag) in cases {
            assert_eq!(hex(&hmac_sha256(key, text)), *tag);
        }
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

    #[test]
    fn a_weak_key_is_refused_and_not_repeated_in_the_message() {
        let weak = [
            "",
            "your-secret-key",
            "secret",
            "short",
            "00000000000000000000000000000000",
            "abcdabcdabcdabcdabcdabcdabcdabcd",
            "your-256-bit-secretyour-256-bit-secret",
            "k\0aaaaaaaaaaabbbbbbbbbbbcccccccccc",
            &format!("a:{KEY}\na:{}", KEY.to_uppercase()),
            &[KEY; 5].map(|key| format!("{key}\n")).concat(),
            &format!(":{KEY}"),
            &format!("{KEY}\n\n"),
        ];
        for text in weak {
            let message = Keys::parse(text).expect_err(text);
            let told = text.lines().any(|line| line.len() > 6 && message.contains(line));
            assert!(!told, "{message}");
        }
    }
}
