//! HMAC keys: secrets that are strong enough for HMAC-SHA256 (RFC 7518, section 3.2).
//!
//! Promises: a well-known, short or repetitive key is refused, and no message repeats it. Leaves
//! out: tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::limits;
use crate::protocol::{Members, encode};

/// Secrets that are common in examples and manuals, in lower case.
const WELL_KNOWN: &[&str] =
    &["your-secret-key", "your-256-bit-secret", "secret", "changeme", "change-me", "password"];

#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) mac: Hmac<Sha256>,
    /// The header of tokens that are signed here, in base64url.
    pub(super) header: String,
}

impl Key {
    pub(super) fn new(kid: Option<&str>, secret: &[u8]) -> Result<Self, String> {
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

    pub(super) fn unchecked(kid: Option<&str>, secret: &[u8]) -> Option<Self> {
        let mut header = vec![("alg", "HS256"), ("typ", "JWT")];
        header.extend(kid.map(|kid| ("kid", kid)));
        let header = URL_SAFE_NO_PAD.encode(encode(&Members(&header)));
        Some(Self { kid: kid.map(str::to_owned), mac: mac(secret)?, header })
    }
}

/// The HMAC-SHA256 of a text (RFC 2104), for published test vectors; tokens use `Keys`.
pub fn hmac_sha256(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let tag = mac(secret).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec());
    tag.unwrap_or_default()
}

/// Whether a secret is a short pattern, repeated.
fn repeats(secret: &[u8]) -> bool {
    (1..=secret.len() / 4).any(|period| {
        secret.iter().zip(secret.iter().skip(period)).all(|(byte, later)| byte == later)
    })
}

/// Whether a secret is a well-known word with padding.
fn made_of(secret: &str, word: &str) -> bool {
    let rest = secret.replace(word, "");
    rest.as_bytes().windows(2).all(|pair| matches!(pair, [a, b] if a == b))
}

fn mac(secret: &[u8]) -> Option<Hmac<Sha256>> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(secret).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Keys;
    use super::*;

    const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

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
