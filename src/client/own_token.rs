//! The token at hand, as its holder can read it: whose it is, what for, and until when.
//!
//! Promises: nothing here decides; the clock of this host is one of several, and the daemon's
//! counts. The signature, and so the token itself, is never shown.
//! Leaves out: where the token is from.

use std::fmt::Write;
use std::time::Duration;

use crate::client::catalogue::duration;
use crate::client::status;
use crate::client::text::one_line;
use crate::protocol::reply::{Code, Error};
use crate::protocol::token::Claims;
use crate::system::clock::unix_time;
use crate::system::line;

/// A token in a line, for `-v`.
pub fn describe(token: &str) -> String {
    match Claims::unverified(token) {
        Some(claims) => {
            let until = until(claims.expires, unix_time());
            format!("subject {}, {}", one_line(&claims.subject), until)
        }
        None => format!("{} bytes that are no JWT", token.len()),
    }
}

/// Why a daemon may have refused a token, as far as its holder can tell.
fn why_refused(token: &str) -> Option<String> {
    let (claims, now) = (Claims::unverified(token)?, unix_time());
    if claims.expires <= now.as_secs_f64() {
        return Some(format!("the token {}", until(claims.expires, now)));
    }
    match claims.not_before {
        Some(from) if from > now.as_secs_f64() => {
            Some(format!("the token does not hold before {}", date(from)))
        }
        _ => None,
    }
}

/// What an error says, with what the holder of the token knows of it.
pub fn words(error: &Error, token: &str) -> String {
    match (error.code, why_refused(token)) {
        (Code::Unauthorized, Some(why)) => {
            format!("{why}; ask the owner of the host for a new one (zcmdd token)")
        }
        _ => status::words(error),
    }
}

/// A token as a table of names and values.
pub fn table(claims: &Claims) -> String {
    let mut text = String::new();
    let audience = claims.audience.as_ref().map(|names| names.join(", "));
    let rows = [
        ("subject", Some(claims.subject.clone())),
        ("issuer", claims.issuer.clone()),
        ("audience", audience),
        ("scope", Some(claims.scope.clone().unwrap_or_else(|| "none; the daemon's".into()))),
        ("time", Some(until(claims.expires, unix_time()))),
        ("jti", claims.id.clone()),
        ("key", claims.confirmation.clone()),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:8}  {}", one_line(&value));
        }
    }
    text
}

fn until(expires: f64, now: Duration) -> String {
    let at = Duration::try_from_secs_f64(expires).unwrap_or_default();
    match at.checked_sub(now) {
        Some(left) if !left.is_zero() => {
            format!("expires in {}, at {}", duration(left), date(expires))
        }
        _ => format!("expired {} ago, at {}", duration(now.saturating_sub(at)), date(expires)),
    }
}

/// A date as RFC 3339 writes it, to the second.
fn date(unix: f64) -> String {
    let unix = Duration::try_from_secs_f64(unix).unwrap_or_default();
    let text = line::time(unix);
    format!("{}Z", text.get(..19).unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now = Duration::from_secs(1_000_000_000);
        let cases = [
            (1_000_000_061.0, "expires in 1 min 1 s, at 2001-09-09T01:47:41Z"),
            (1_000_000_000.0, "expired 0 s ago, at 2001-09-09T01:46:40Z"),
            (999_996_400.5, "expired 59 min 59 s ago, at 2001-09-09T00:46:40Z"),
        ];
        for (expires, told) in cases {
            assert_eq!(until(expires, now), told);
        }
    }

    #[test]
    fn what_is_no_token_is_described_by_its_length_alone() {
        assert_eq!(describe("a secret word"), "13 bytes that are no JWT");
        assert_eq!(describe("a.b.c"), "5 bytes that are no JWT");
        assert_eq!(why_refused("a secret word"), None);
    }
}
