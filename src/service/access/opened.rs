//! A cache of opened tokens: verifying and parsing one takes more than half of the time of a
//! request for maths.
//!
//! Promises: only tokens with a valid signature are cached, byte for byte, so strangers cannot fill
//! the cache. Time, revocations and the connection are checked with each request. The cache is
//! bounded in entries and bytes. A token is found by the end of its signature, under a hash with a
//! random key, so the time of a look-up does not depend on the bytes of a token. A reload empties
//! the cache, since it may change the keys.
//! Leaves out: whether a token is valid now, which is `Authority::identify`.

use std::collections::HashMap;
use std::rc::Rc;

use crate::limits;
use crate::port::Subject;
use crate::protocol::token::{Claims, Keys, Unopened};

/// The content of a token with a valid signature.
#[derive(Debug)]
pub struct Opened {
    /// Its claims.
    pub claims: Claims,
    /// Its issuer and subject.
    pub subject: Subject,
}

/// The end of a token: 12 of the 32 bytes of its signature.
type End = [u8; 16];

/// The cached tokens, each with its text.
#[derive(Default)]
pub struct OpenedTokens(HashMap<End, (Box<str>, Rc<Opened>)>);

impl std::fmt::Debug for OpenedTokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} tokens", self.0.len())
    }
}

impl OpenedTokens {
    /// Opens a token, or finds it in the cache.
    ///
    /// # Errors
    /// The token does not open with these keys.
    pub fn open(&mut self, keys: &Keys, token: &str) -> Result<Rc<Opened>, Unopened> {
        let end: End = token.as_bytes().last_chunk().copied().unwrap_or_default();
        if let Some((text, opened)) = self.0.get(&end)
            && **text == *token
        {
            return Ok(Rc::clone(opened));
        }
        let claims = keys.open(token)?;
        let subject = Subject::new(claims.issuer.clone(), claims.subject.clone());
        let opened = Rc::new(Opened { claims, subject });
        if token.len() <= limits::OPENED_TOKEN_BYTES_MAX {
            if self.0.len() >= limits::OPENED_TOKENS_MAX {
                // Tokens in use are cached again with their next request.
                self.0.clear();
            }
            self.0.insert(end, (token.into(), Rc::clone(&opened)));
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_opened_once_and_the_table_is_bounded() {
        let keys = Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap();
        let sign =
            |subject: String| keys.sign(&Claims { subject, expires: 1.0, ..Claims::default() });
        let mut tokens = OpenedTokens::default();
        let token = sign("a".to_owned());
        let first = tokens.open(&keys, &token).unwrap();
        assert!(Rc::ptr_eq(&first, &tokens.open(&keys, &token).unwrap()));
        let forged = format!("{}A", &token[..token.len() - 1]);
        assert!(tokens.open(&keys, &forged).is_err() && tokens.open(&keys, "x.y.z").is_err());
        assert_eq!(tokens.0.len(), 1, "what does not open leaves nothing");
        for number in 0..2 * limits::OPENED_TOKENS_MAX {
            tokens.open(&keys, &sign(number.to_string())).unwrap();
            assert!(tokens.0.len() <= limits::OPENED_TOKENS_MAX);
        }
        let before = tokens.0.len();
        let claims = Claims {
            subject: "a".to_owned(),
            scope: Some("x".repeat(limits::OPENED_TOKEN_BYTES_MAX)),
            expires: 1.0,
            ..Claims::default()
        };
        tokens.open(&keys, &keys.sign(&claims)).unwrap();
        assert_eq!(tokens.0.len(), before, "a long one is not kept");
    }
}
