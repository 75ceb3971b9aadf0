//! A generator of attack tokens, drawn from the checks that a token has to pass: each with the one
//! exact reason for which it is refused, or none.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zcmd::port::Moment;
use zcmd::protocol::token::{Keys, hmac_sha256};
use zcmd::service::access::authority::{Authority, Revoked};
use zcmd::service::access::clients::Clients;
use zcmd::service::access::opened::OpenedTokens;
use zcmd::service::settings::TokenRules;

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const OLD_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ9876543210";
const HEADER: &str = r#"{"alg":"HS256"}"#;
const NOW: u64 = 1_800_000_000;

/// A token and the reason for which it is refused; none, if it holds.
type Attacks = Vec<(String, Option<&'static str>)>;

fn signed_with(key: &str, header: &[u8], payload: &[u8]) -> String {
    sign(key, &format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)))
}

/// Any text, with its signature: what only the issuer can make, so that the later checks are met.
fn sign(key: &str, text: &str) -> String {
    let tag = hmac_sha256(key.as_bytes(), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Claims that hold, with `more` at their end.
fn payload(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"sub":"a","exp":{},"iss":"us","aud":"here"{comma}{more}}}"#, NOW + 60)
}

fn with_header(header: &str) -> String {
    signed_with(KEY, header.as_bytes(), payload("").as_bytes())
}

fn with_payload(payload: &str) -> String {
    signed_with(KEY, HEADER.as_bytes(), payload.as_bytes())
}

/// Segments, sizes, alphabet: RFC 7515, 5.2; RFC 7519, 7.2.
fn layouts(out: &mut Attacks) {
    let good = with_payload(&payload(""));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, tag] = parts[..] else { panic!("three parts") };
    let mut add = |token: String, why| out.push((token, Some(why)));
    add(String::new(), "no token");
    for token in ["x", "null", "{}", header] {
        add(token.to_owned(), "token has no dots");
    }
    for token in [format!("{header}.{claims}"), ".".into(), format!("{header}.{tag}")] {
        add(token, "token has one dot");
    }
    // Five parts are JWE (RFC 7516); empty ones between do not help.
    for dots in ["a.b.c.d", "a.b.c.d.e", "....", "..."] {
        add(dots.to_owned(), "token has more than two dots");
    }
    for extra in [format!("{good}."), format!(".{good}"), format!("{header}..{claims}.{tag}")] {
        add(extra, "token has more than two dots");
    }
    for token in [format!(".{claims}.{tag}"), format!("{header}..{tag}"), "..".into()] {
        add(token, "token has an empty part");
    }
    // No signature at all, and every length but the right one.
    for length in (0..43).chain(44..60) {
        let cut: String = tag.chars().chain(std::iter::repeat('A')).take(length).collect();
        add(format!("{header}.{claims}.{cut}"), "signature is not 43 characters");
    }
    for bad in ['=', '+', '/', ' ', '\n', '\0', '%', '~'] {
        add(format!("{header}.{claims}.{bad}{}", &tag[1..]), "signature is not base64url");
    }
    // Bits that base64url leaves unused: two spellings of one signature.
    let last = tag.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    for other in 1..4 {
        let twin = alphabet.chars().nth(place & !3 | (place + other) & 3).unwrap();
        add(format!("{header}.{claims}.{}{twin}", &tag[..42]), "signature is not base64url");
    }
    // One bit of each part, at many places.
    let flipped = |part: &str, at: usize| {
        let mut bytes = part.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let why = "signature does not match";
    (0..header.len()).for_each(|at| add(format!("{}.{claims}.{tag}", flipped(header, at)), why));
    (0..claims.len()).for_each(|at| add(format!("{header}.{}.{tag}", flipped(claims, at)), why));
    (0..42).for_each(|at| add(format!("{header}.{claims}.{}", flipped(tag, at)), why));
    for padded in [
        format!("{header}.{claims} .{tag}"),
        format!(" {good}"),
        format!("{header}.{claims}=.{tag}"),
    ] {
        add(padded, why);
    }
    for trimmed in [format!("{good}\n"), format!("{good} "), format!("{good}=")] {
        add(trimmed, "signature is not 43 characters");
    }
    // The alphabet of a part that the issuer did sign.
    for bad in ["=", "==", "+", "/", " ", "\n", "\u{e9}", "%3D"] {
        add(sign(KEY, &format!("{header}{bad}.{claims}")), "header is not base64url");
        add(sign(KEY, &format!("{header}.{claims}{bad}")), "payload is not base64url");
    }
    let long = with_payload(&payload(&format!(r#""x":"{}""#, "x".repeat(8192))));
    add(long, "token is too long");
    add("a".repeat(1_000_000), "token is too long");
    let room = with_payload(&payload(&format!(r#""x":"{}""#, "x".repeat(5900))));
    out.push((room, None));
    out.push((good, None));
}

/// Algorithms, extensions, types, key ids: RFC 7515, 4.1; RFC 8725, 3.1 and 3.11.
fn headers(out: &mut Attacks) {
    let mut add = |header: &str, why| out.push((with_header(header), why));
    let alg = Some("alg is not HS256");
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        " ",
        "hs256",
        "Hs256",
        "HS256 ",
        " HS256",
        "HS384",
        "HS512",
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
        "dir",
        "A256KW",
        "HS256\\u0000",
        "HS\\u0032",
        "\\uff28S256",
        "HS256,none",
    ] {
        add(&format!(r#"{{"alg":"{name}"}}"#), alg);
    }
    for value in ["null", "true", "0", "256", "[]", r#"["HS256"]"#, "{}", r#"{"alg":"HS256"}"#] {
        add(&format!(r#"{{"alg":{value}}}"#), alg);
    }
    for header in ["{}", r#"{"typ":"JWT"}"#, r#"{"Alg":"HS256"}"#, r#"{"alg ":"HS256"}"#] {
        add(header, alg);
    }
    // Escapes are read: this is HS256, in another spelling.
    add(r#"{"\u0061lg":"HS2\u0035\u0036"}"#, None);
    let extension = Some("header asks for an extension");
    for name in ["crit", "b64", "enc", "zip", "cty"] {
        for value in ["null", "[]", r#"["exp"]"#, "false", r#""JWT""#] {
            add(&format!(r#"{{"alg":"HS256","{name}":{value}}}"#), extension);
        }
    }
    let typ = Some("typ is not JWT");
    for value in [r#""at+jwt""#, r#""JWE""#, r#""JWT ""#, r#""""#, "null", "1", r#"["JWT"]"#] {
        add(&format!(r#"{{"alg":"HS256","typ":{value}}}"#), typ);
    }
    for value in ["JWT", "jwt", "Jwt"] {
        add(&format!(r#"{{"alg":"HS256","typ":"{value}"}}"#), None);
    }
    let kid = Some("kid is not that of the key that signed");
    for value in [
        r#""old""#,
        r#""NEW""#,
        r#""new ""#,
        r#""""#,
        "null",
        "0",
        r#"["new"]"#,
        r#""../../../dev/null""#,
        r#""' or 1=1 --""#,
        r#""new\u0000""#,
        r#""/etc/passwd""#,
    ] {
        add(&format!(r#"{{"alg":"HS256","kid":{value}}}"#), kid);
    }
    add(r#"{"alg":"HS256","kid":"new"}"#, None);
    // Key material in the header is never looked at, and unknown members do not matter.
    for name in ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "iv", "anything"] {
        add(&format!(r#"{{"alg":"HS256","{name}":"https://evil.example/key"}}"#), None);
    }
    let payload = payload("");
    let by = |key, header: &str| signed_with(key, header.as_bytes(), payload.as_bytes());
    out.push((by(OLD_KEY, r#"{"alg":"HS256","kid":"old"}"#), None));
    out.push((by(OLD_KEY, r#"{"alg":"HS256","kid":"new"}"#), kid));
    for key in ["", "secret", "your-secret-key", "0123456789abcdefghijklmnopqrstuvwxy", "{}"] {
        out.push((by(key, HEADER), Some("signature does not match")));
    }
}

/// JSON: duplicates, depth, surplus, numbers, Unicode; the same for both parts (RFC 8259, 8725).
fn json(out: &mut Attacks) {
    let mut add = |text: &[u8], what: &'static [&'static str; 2]| {
        out.push((signed_with(KEY, text, payload("").as_bytes()), Some(what[0])));
        out.push((signed_with(KEY, HEADER.as_bytes(), text), Some(what[1])));
    };
    let not_json = &["header is not a strict object", "payload is not a strict object"];
    for text in [
        &b"\xff"[..],
        b"{",
        b"}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{'a':1}",
        b"{a:1}",
        b"{\"a\":1}x",
        b"{\"a\":1} {}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":01}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":NaN}",
        b"{\"a\":Infinity}",
        b"{\"a\":0x1}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\xc0\xaf\"}",
        b"{\"a\":1}\0",
        b"//\n{}",
        b" ",
        b"{\"a\":tru}",
    ] {
        add(text, not_json);
    }
    let not_object = &["header is not a strict object", "payload is not a strict object"];
    for text in [&b"null"[..], b"true", b"0", b"\"x\"", b"[]", b"[{}]"] {
        add(text, not_object);
    }
    let not_strict = &["header is not a strict object", "payload is not a strict object"];
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(17), "]".repeat(17));
    let objects = format!(r#"{}1{}"#, r#"{"a":"#.repeat(18), "}".repeat(18));
    for text in [
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"sub":"a","sub":"root"}"#,
        r#"{"sub":"a","s\u0075b":"root"}"#,
        r#"{"x":{"y":1,"y":2}}"#,
        r#"{"x":[{"y":1,"\u0079":2}]}"#,
        &deep,
        &objects,
    ] {
        add(text.as_bytes(), not_strict);
    }
}

/// Claims: RFC 7519, 4.1; RFC 7800, 3.
fn claims(out: &mut Attacks) {
    let replaced = |name: &str, value: &str| {
        let known = [
            ("sub", r#""a""#.to_owned()),
            ("exp", (NOW + 60).to_string()),
            ("iss", r#""us""#.to_owned()),
            ("aud", r#""here""#.to_owned()),
        ];
        let mut all: BTreeMap<&str, String> = known.into_iter().collect();
        all.insert(name, value.to_owned());
        let members: Vec<String> = all
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!(r#""{name}":{value}"#))
            .collect();
        with_payload(&format!("{{{}}}", members.join(",")))
    };
    let mut add = |name: &str, value: &str, why| out.push((replaced(name, value), why));
    for value in ["null", "1", "[]", r#"["a"]"#, "{}", "true"] {
        add("sub", value, Some("sub is not a string"));
        add("scope", value, Some("scope is not a string"));
        add("jti", value, Some("jti is not a string"));
        add("iss", value, Some("iss is not a string"));
    }
    add("sub", "", Some("sub is missing"));
    add("sub", r#""""#, Some("sub is empty or too long"));
    add("sub", &format!(r#""{}""#, "a".repeat(256)), Some("sub is empty or too long"));
    add("sub", &format!(r#""{}""#, "a".repeat(255)), None);
    for value in [r#""a\n""#, r#""\u0000""#, r#""a\u0085""#, r#""\u001b[2J""#, r#""\u007f""#] {
        add("sub", value, Some("sub has a control character"));
    }
    add("exp", "", Some("exp is missing"));
    let dates =
        [("exp", "exp is not a date"), ("nbf", "nbf is not a date"), ("iat", "iat is not a date")];
    for (name, why) in dates {
        for value in [
            "null",
            "true",
            "[]",
            "{}",
            r#""1800000060""#,
            "-1",
            "-0.5",
            "253402300800",
            "1e308",
            "1e999",
            "-1e999",
            r#""never""#,
            "99999999999999999999999999",
        ] {
            add(name, value, Some(why));
        }
    }
    // The leeway is 30 seconds, to the second and to its fraction.
    for (name, offset, why) in [
        ("exp", -30.0, Some("expired")),
        ("exp", -30.25, Some("expired")),
        ("exp", -29.75, None),
        ("exp", 0.0, None),
        ("nbf", 30.0, None),
        ("nbf", 30.25, Some("not valid yet")),
        ("nbf", 3600.0, Some("not valid yet")),
        ("iat", 30.0, None),
        ("iat", 30.25, Some("issued in the future")),
    ] {
        add(name, &(NOW as f64 + offset).to_string(), why);
    }
    for value in ["0", "1", "1799999969", "0.0", "1.7e9"] {
        add("exp", value, Some("expired"));
    }
    add("exp", "1.8e9", None);
    for value in ["", r#""US""#, r#""us ""#, r#""""#, r#""us/""#, r#""\uff55s""#, r#""us\u0000""#] {
        add("iss", value, Some("another issuer"));
    }
    add("iss", r#""\u0075s""#, None);
    for value in ["", r#""there""#, r#""""#, "[]", r#"["there"]"#, r#""HERE""#, r#"["here "]"#] {
        add("aud", value, Some("another audience"));
    }
    for value in ["null", "1", "{}", "[1]", r#"["here",1]"#, r#"[["here"]]"#, "[null]"] {
        add("aud", value, Some("aud is neither a string nor an array of strings"));
    }
    add("aud", r#"["there","here"]"#, None);
    // The list is read without the blanks around its entries, so they cannot tell two names apart.
    for value in [r#""gone""#, r#""\u0067one""#, r#""gone ""#] {
        add("jti", value, Some("revoked"));
    }
    add("jti", r#""gone.""#, None);
    for value in [
        "null",
        "1",
        "[]",
        "{}",
        r#""x""#,
        r#"{"kid":1}"#,
        r#"{"jwk":{}}"#,
        r#"{"x5t#S256":"x"}"#,
        r#"{"kid":"x","jwk":{}}"#,
        r#"{"jku":"https://evil.example"}"#,
        r#"{"Kid":"x"}"#,
    ] {
        add("cnf", value, Some("cnf is not one kid"));
    }
    for value in [r#"{"kid":""}"#, r#"{"kid":"x"}"#, r#"{"kid":"gone"}"#] {
        add("cnf", value, Some("bound to another key"));
    }
    // What is not known does not matter.
    for name in ["admin", "roles", "kid", "alg", "Exp", "sub ", "subject", "\\u0000"] {
        add(name, "true", None);
    }
}

#[test]
fn every_attack_token_has_its_verdict_and_its_reason() {
    let text = |text: &str| Some(text.to_owned());
    let rules = TokenRules {
        issuer: text("us"),
        audience: text("here"),
        leeway: Duration::from_secs(30),
        ..TokenRules::default()
    };
    let client = "0".repeat(40);
    let authority = Authority {
        rules,
        keys: Keys::parse(&format!("new:{KEY}\nold:{OLD_KEY}")).unwrap(),
        revoked: Revoked::parse("gone\n").unwrap(),
        clients: Some(Clients::parse(&format!("{client} one")).unwrap()),
        roles: Default::default(),
    };
    let now = Moment { uptime: Duration::ZERO, unix: Duration::from_secs(NOW) };
    let mut attacks = Attacks::new();
    for generate in [layouts, headers, json, claims] {
        generate(&mut attacks);
    }
    let (mut wrong, mut reasons) = (Vec::new(), BTreeMap::<_, usize>::new());
    for (token, wanted) in &attacks {
        let known = &mut OpenedTokens::default();
        let mut judge = || authority.identify(known, Some(&client), token, &now);
        let found = judge().err().map(|why| why.0);
        assert_eq!(judge().err().map(|why| why.0), found, "the same when it is known");
        *reasons.entry(found).or_default() += 1;
        if found != *wanted {
            let shown: String = token.chars().take(200).collect();
            wrong.push(format!("{shown}: {found:?}, not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), attacks.len());
    assert!(attacks.len() >= 250, "only {} tokens", attacks.len());
    let holding = reasons.remove(&None).unwrap();
    assert!(holding >= 20, "{holding} hold: a generator whose tokens all fail shows nothing");
    assert!(reasons.len() >= 30, "only {} reasons are met: {reasons:#?}", reasons.len());
    println!("{} attack tokens, {holding} of which hold; {} reasons", attacks.len(), reasons.len());
}
