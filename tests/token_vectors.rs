//! Published signatures, judged as their authors say: RFC 7515, RFC 7797, Wycheproof.
//!
//! The files are not part of this checkout. Without them the tests say that they are skipped, and
//! fail where `CI` is set.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod house;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use serde_json::Value;
use zcmd::protocol::token::{Keys, hmac_sha256};

fn vectors(name: &str) -> Option<Value> {
    house::vectors(name).map(|text| serde_json::from_str(&text).unwrap())
}

/// Bytes in base64url; none if it is not.
fn decode(text: &Value) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).ok()
}

/// Bytes of a key, which a key set may spell with trailing bits that mean nothing.
fn secret(text: &Value) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&URL_SAFE, lenient).decode(text.as_str().unwrap()).ok()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Judges each case by the keys it names; keys that are refused at start accept nothing.
fn judge(cases: &Value, keys: impl Fn(&Value) -> Result<Keys, String>) -> (usize, Vec<String>) {
    let cases = cases.as_array().unwrap();
    let wrong = cases.iter().filter(|case| {
        let token = case["token"].as_str().unwrap();
        let accepted = keys(case).is_ok_and(|keys| keys.verify(token).is_ok());
        accepted != (case["expect"] == "accept")
    });
    (cases.len(), wrong.map(|case| format!("{} {}", case["name"], case["why"])).collect())
}

#[test]
fn jws_hs256_of_wycheproof_and_the_rfcs() {
    for (name, count) in [("wycheproof_jws_hs256.json", 40), ("rfc.json", 4)] {
        let Some(cases) = vectors(name) else { return };
        let (judged, wrong) = judge(&cases, |case| {
            let secret = decode(&case["secret_b64url"]).unwrap();
            Keys::unchecked(case["kid"].as_str(), &secret).ok_or_else(String::new)
        });
        assert!(judged >= count, "{name}: {judged}");
        assert_eq!(wrong, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn key_sets_of_wycheproof() {
    let Some(cases) = vectors("wycheproof_jwk_oct.json") else { return };
    let (judged, wrong) = judge(&cases, |case| {
        // What is no HS256 key for signatures is none of ours.
        let ours = case["jwks"].as_array().unwrap().iter().filter(|key| {
            key["kty"] == "oct"
                && key.get("alg").is_none_or(|alg| alg == "HS256")
                && key.get("use").is_none_or(|purpose| purpose == "sig")
        });
        let keys: Vec<_> =
            ours.filter_map(|key| Some((key["kid"].as_str(), secret(&key["k"])?))).collect();
        Keys::new(keys.iter().map(|(kid, secret)| (*kid, &secret[..])))
    });
    assert_eq!((judged, wrong), (14, Vec::new()));
}

#[test]
fn hmac_sha256_of_wycheproof() {
    let Some(file) = vectors("wycheproof_hmac_sha256.json") else { return };
    let tests = file["tests"].as_array().unwrap();
    assert!(tests.len() >= 174);
    for test in tests {
        let tag = unhex(&test["tag"]);
        let whole = hmac_sha256(&unhex(&test["key"]), &unhex(&test["msg"]));
        // Some tags are cut to their first half.
        let matches = whole.get(..tag.len()) == Some(&tag[..]);
        assert_eq!(matches, test["result"] == "valid", "{}: {}", test["tcId"], test["comment"]);
    }
}
