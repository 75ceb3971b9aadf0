//! Any text as a CURVE key, beside a plain reader of Z85 (RFC 32), and as each of the lists that an
//! owner writes: no panic, one spelling for a key, and no message that repeats a secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zcmd::protocol::curve::CurveKey;
use zcmd::protocol::token::Keys;
use zcmd::service::access::authority::Revoked;
use zcmd::service::access::clients::Clients;

const ALPHABET: &str =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

fuzz_target!(|text: &str| {
    let ours = CurveKey::parse(text);
    assert_eq!(ours.as_ref().ok().map(|key| key.0.to_vec()), z85(text), "{text:?}");
    match ours {
        Ok(key) => {
            assert_eq!(key.thumbprint().len(), 43);
        }
        Err(why) => assert!(hides(text, &why), "{why}"),
    }
    if let Err(why) = CurveKey::parse_lines::<2>(text) {
        assert!(hides(text, &why), "{why}");
    }
    if let Err(why) = Keys::parse(text) {
        assert!(hides(text, &why), "{why}");
    }
    if let Ok(clients) = Clients::parse(text) {
        let first = text.split_whitespace().next().unwrap_or_default();
        let known = clients.find(first);
        assert!(known.is_none_or(|client| !client.name.contains(char::is_whitespace)));
    }
    drop(Revoked::parse(text));
});

/// 32 bytes in 40 characters, five for four.
fn z85(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().map(|c| ALPHABET.find(c).map(|at| at as u64));
    let digits = digits.collect::<Option<Vec<_>>>().filter(|digits| digits.len() == 40)?;
    let values =
        digits.chunks(5).map(|five| five.iter().fold(0, |value, digit| value * 85 + digit));
    let words = values.map(|value| u32::try_from(value).ok().map(u32::to_be_bytes));
    words.collect::<Option<Vec<_>>>().map(|words| words.concat())
}

/// Whether a message repeats no line of a secret text. Short lines, and those with blanks, may be
/// a part of the message itself.
fn hides(text: &str, why: &str) -> bool {
    text.lines().all(|line| line.len() < 20 || line.contains(' ') || !why.contains(line))
}
