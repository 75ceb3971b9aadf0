//! Tokens through the verifier, beside a plain one that is written here with `serde_json`: both
//! take the same tokens, and read the same claims.
//!
//! An input of two lines is a header and a payload, which are signed here, so that what only the
//! issuer can make is met as well. Any other input is a token as it stands.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sha2::{Digest, Sha256};
use zcmd::limits;
use zcmd::protocol::token::{Claims, Keys};
use zcmd_fuzz::{Opinion, opinion, printable};

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::parse(&format!("k1:{KEY}")).expect("a key"));

fuzz_target!(|input: &[u8]| {
    let newline = input.iter().position(|byte| *byte == b'\n');
    let token = match newline.map(|at| input.split_at(at)) {
        Some((header, payload)) => sign(header, payload.get(1..).unwrap_or_default()),
        None => String::from_utf8_lossy(input).into_owned(),
    };
    let (ours, theirs) = (KEYS.open(&token), verify(&token));
    match (&ours, &theirs) {
        (Err(why), _) => assert!(printable(why.0) && why.0.len() < 64, "{}", why.0),
        (Ok(claims), _) => {
            assert_eq!(KEYS.open(&KEYS.sign(claims)).as_ref(), Ok(claims), "read back");
        }
    }
    match (ours, theirs) {
        (Ok(ours), Some(Opinion::Lawful(theirs))) => compare(&ours, &theirs),
        (Ok(_), Some(Opinion::None)) | (Err(_), None | Some(Opinion::None)) => {}
        (ours, theirs) => panic!("{token}: {ours:?}, here: {theirs:?}"),
    }
});

/// HMAC-SHA256 as RFC 2104 has it.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn sign(header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let tag = URL_SAFE_NO_PAD.encode(hmac(KEY.as_bytes(), signed.as_bytes()));
    format!("{signed}.{tag}")
}

/// The claims of a token that holds but for its dates.
fn verify(token: &str) -> Option<Opinion> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, tag] = parts[..] else { return None };
    let signed = format!("{header}.{payload}");
    if token.len() > limits::TOKEN_BYTES_MAX
        || URL_SAFE_NO_PAD.decode(tag).ok()? != hmac(KEY.as_bytes(), signed.as_bytes())
    {
        return None;
    }
    let header = opinion(&URL_SAFE_NO_PAD.decode(header).ok()?);
    let claims = opinion(&URL_SAFE_NO_PAD.decode(payload).ok()?);
    let header = match &header {
        Opinion::Lawful(header) => header.as_object()?,
        Opinion::Refused(_) => return None,
        Opinion::None => return Some(Opinion::None),
    };
    let text = |name: &str| header.get(name).map(|value| value.as_str().unwrap_or_default());
    let lawful = text("alg") == Some("HS256")
        && text("typ").is_none_or(|kind| kind.to_ascii_uppercase() == "JWT")
        && text("kid").is_none_or(|kid| kid == "k1")
        && !["crit", "b64", "enc", "zip", "cty"].iter().any(|name| header.contains_key(*name));
    match claims {
        Opinion::Lawful(claims) => (lawful && holds(&claims)).then_some(Opinion::Lawful(claims)),
        Opinion::Refused(_) => None,
        Opinion::None => Some(Opinion::None),
    }
}

fn holds(claims: &Value) -> bool {
    let Some(claims) = claims.as_object() else { return false };
    let is = |name: &str, right: fn(&Value) -> bool| claims.get(name).is_none_or(right);
    let date = |value: &Value| {
        value.as_f64().is_some_and(|date| (0.0..=limits::UNIX_SECONDS_MAX as f64).contains(&date))
    };
    let subject = |value: &Value| {
        value.as_str().is_some_and(|sub| {
            !sub.is_empty() && sub.len() <= limits::SUBJECT_BYTES_MAX && printable(sub)
        })
    };
    let audience = |value: &Value| match value {
        Value::Array(names) => names.iter().all(Value::is_string),
        one => one.is_string(),
    };
    let confirmation = |value: &Value| {
        value.as_object().is_some_and(|cnf| cnf.len() == 1)
            && value.get("kid").is_some_and(Value::is_string)
    };
    claims.contains_key("sub")
        && claims.contains_key("exp")
        && is("sub", subject)
        && ["exp", "nbf", "iat"].iter().all(|name| is(name, date))
        && ["scope", "iss", "jti"].iter().all(|name| is(name, Value::is_string))
        && is("aud", audience)
        && is("cnf", confirmation)
}

fn compare(ours: &Claims, theirs: &Value) {
    assert_eq!(theirs["sub"], *ours.subject);
    for (name, text) in [("scope", &ours.scope), ("iss", &ours.issuer), ("jti", &ours.id)] {
        assert_eq!(theirs.get(name).and_then(Value::as_str), text.as_deref(), "{name}");
    }
    let cnf = theirs.get("cnf").and_then(|cnf| cnf["kid"].as_str());
    assert_eq!(cnf, ours.confirmation.as_deref());
    let dates = [("exp", Some(ours.expires)), ("nbf", ours.not_before), ("iat", ours.issued)];
    for (name, date) in dates {
        // serde_json's doubles may be one off in the last place.
        let near = match (theirs.get(name).and_then(Value::as_f64), date) {
            (Some(a), Some(b)) => (a - b).abs() <= a * 1e-15 + f64::MIN_POSITIVE,
            (a, b) => a == b,
        };
        assert!(near, "{name}: {date:?} {}", theirs[name]);
    }
}
