//! The validity of tokens: keys, revocations, the CURVE keys of clients, and the owner's rules for
//! claims.
//!
//! Promises: a token is valid if one of the keys has signed it, its claims hold now (RFC 7519,
//! section 4.1; RFC 8725), it is not revoked, and it comes over a connection that may present it.
//! Every refusal has one exact reason, for the log; the reply to the caller is the same for all.
//! Leaves out: the reading of tokens, which is in `protocol::token`.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::limits;
use crate::port::Moment;
use crate::protocol::token::{Keys, Unopened};
use crate::service::access::caller::Caller;
use crate::service::access::clients::Clients;
use crate::service::access::opened::OpenedTokens;
use crate::service::access::roles::Roles;
use crate::service::settings::TokenRules;

/// All that decides whether a token is valid.
#[derive(Clone, Debug)]
pub struct Authority {
    /// The owner's rules for claims.
    pub rules: TokenRules,
    /// The keys that sign tokens.
    pub keys: Keys,
    /// The revoked tokens.
    pub revoked: Revoked,
    /// The CURVE keys of admitted clients; none without CURVE.
    pub clients: Option<Clients>,
    /// What the roles of tokens stand for.
    pub roles: Rc<Roles>,
}

/// The identifiers (`jti`) of revoked tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(BTreeSet<String>);

impl Revoked {
    /// Reads a list, one `jti` a line; surrounding blanks, empty lines and a byte order mark are
    /// ignored.
    ///
    /// # Errors
    /// More lines than `REVOKED_TOKENS_MAX`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.trim_start_matches('\u{feff}').lines();
        let lines: BTreeSet<String> =
            lines.map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        if lines.len() > limits::REVOKED_TOKENS_MAX {
            return Err(format!("more than {} lines", limits::REVOKED_TOKENS_MAX));
        }
        Ok(Self(lines))
    }

    /// The number of revoked tokens.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn has(&self, id: &str) -> bool {
        self.0.contains(id.trim())
    }
}

impl Authority {
    /// Identifies the caller of a request over a connection with this CURVE key; `known` has tokens
    /// that were opened with the same keys.
    ///
    /// # Errors
    /// The token is not valid now; the reason.
    pub fn identify(
        &self,
        known: &mut OpenedTokens,
        key: Option<&str>,
        token: &str,
        now: &Moment,
    ) -> Result<Caller, Unopened> {
        let Self { rules, keys, revoked, clients, roles } = self;
        let client = clients.as_ref().and_then(|clients| clients.find(key?));
        if clients.is_some() && client.is_none() {
            return Err(Unopened("the client's key is no longer let in"));
        }
        if token.is_empty() {
            return Err(Unopened("no token"));
        }
        let opened = known.open(keys, token)?;
        let claims = &opened.claims;
        if now.unix < limits::CLOCK_MIN {
            return Err(Unopened("the clock of this host is not set"));
        }
        let (now, leeway) = (now.unix.as_secs_f64(), rules.leeway.as_secs_f64());
        if now >= claims.expires + leeway {
            return Err(Unopened("expired"));
        }
        if claims.not_before.is_some_and(|not_before| now < not_before - leeway) {
            return Err(Unopened("not valid yet"));
        }
        if claims.issued.is_some_and(|issued| issued > now + leeway) {
            return Err(Unopened("issued in the future"));
        }
        if rules.issuer.is_some() && claims.issuer != rules.issuer {
            return Err(Unopened("another issuer"));
        }
        match (&claims.audience, &rules.audience) {
            (None, None) => {}
            (Some(names), Some(wanted)) if names.contains(wanted) => {}
            // RFC 7519, 4.1.3: a recipient that is not in it must refuse.
            _ => return Err(Unopened("another audience")),
        }
        if claims.id.as_ref().is_some_and(|id| revoked.has(id)) {
            return Err(Unopened("revoked"));
        }
        // RFC 7800: a stolen token is useless without the key that it is bound to.
        let thumbprint = client.map(|client| &client.thumbprint);
        if claims.confirmation.is_some() && claims.confirmation.as_ref() != thumbprint {
            return Err(Unopened("bound to another key"));
        }
        if client.is_some_and(|client| !client.may_speak_for(&claims.subject)) {
            return Err(Unopened("the client's key may not speak for this subject"));
        }
        let (default_scope, roles) = (Rc::clone(&rules.default_scope), Rc::clone(roles));
        Ok(Caller { opened, default_scope, roles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::protocol::token::Claims;

    const NOW: f64 = 1_800_000_000.0;

    /// The time this many seconds after `NOW`.
    fn at(unix: f64) -> Moment {
        Moment { uptime: Duration::ZERO, unix: Duration::from_secs_f64(NOW + unix) }
    }

    fn names(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_token_holds_from_nbf_to_exp_for_us_and_until_revoked() {
        let keys = Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap();
        let authority = |rules: &TokenRules| Authority {
            rules: rules.clone(),
            keys: keys.clone(),
            revoked: Revoked::parse("bad\n\n \tblank \r\n").unwrap(),
            clients: None,
            roles: Default::default(),
        };
        let leeway = Duration::from_secs(30);
        let open = TokenRules { leeway, ..TokenRules::default() };
        let text = |text: &str| Some(text.to_owned());
        let closed = TokenRules { issuer: text("us"), audience: text("here"), ..open.clone() };
        let base = Claims { subject: "a".into(), expires: NOW + 1000.0, ..Claims::default() };
        let ours = Claims { issuer: text("us"), audience: names(&["x", "here"]), ..base.clone() };
        let cases = [
            (base.clone(), &open, 1029.9, Ok(())),
            (base.clone(), &open, 1030.0, Err("expired")),
            (Claims { not_before: Some(NOW + 900.0), ..base.clone() }, &open, 870.0, Ok(())),
            (
                Claims { not_before: Some(NOW + 900.0), ..base.clone() },
                &open,
                869.9,
                Err("not valid yet"),
            ),
            (Claims { issued: Some(NOW + 900.0), ..base.clone() }, &open, 870.0, Ok(())),
            (
                Claims { issued: Some(NOW + 900.0), ..base.clone() },
                &open,
                869.0,
                Err("issued in the future"),
            ),
            (Claims { id: text("bad"), ..base.clone() }, &open, 1.0, Err("revoked")),
            (Claims { id: text("blank"), ..base.clone() }, &open, 1.0, Err("revoked")),
            (Claims { id: text("blank "), ..base.clone() }, &open, 1.0, Err("revoked")),
            (Claims { id: text("good"), ..base.clone() }, &open, 1.0, Ok(())),
            (
                Claims { audience: names(&["x"]), ..base.clone() },
                &open,
                1.0,
                Err("another audience"),
            ),
            (Claims { issuer: text("x"), ..base.clone() }, &open, 1.0, Ok(())),
            (ours.clone(), &closed, 1.0, Ok(())),
            (base, &closed, 1.0, Err("another issuer")),
            (Claims { issuer: text("US"), ..ours.clone() }, &closed, 1.0, Err("another issuer")),
            (Claims { audience: None, ..ours.clone() }, &closed, 1.0, Err("another audience")),
            (Claims { audience: names(&[]), ..ours }, &closed, 1.0, Err("another audience")),
        ];
        for (claims, rules, now, wanted) in cases {
            let token = keys.sign(&claims);
            let found =
                authority(rules).identify(&mut OpenedTokens::default(), None, &token, &at(now));
            assert_eq!(found.map(drop).map_err(|why| why.0), wanted, "{claims:?} at {now}");
        }
        let none = authority(&open).identify(&mut OpenedTokens::default(), None, "", &at(1.0));
        assert_eq!(none.map(drop), Err(Unopened("no token")));
    }

    #[test]
    fn old_wound_a_byte_order_mark_kept_the_first_revocation_from_its_token() {
        let revoked = Revoked::parse("\u{feff}one\r\ntwo\r\n").unwrap();
        assert_eq!((revoked.count(), revoked.has("one"), revoked.has("two")), (2, true, true));
    }

    #[test]
    fn old_wound_a_clock_of_1970_let_expired_tokens_in() {
        let authority = Authority {
            rules: TokenRules::default(),
            keys: Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap(),
            revoked: Revoked::default(),
            clients: None,
            roles: Default::default(),
        };
        let claims = Claims { subject: "a".into(), expires: NOW, ..Claims::default() };
        let token = authority.keys.sign(&claims);
        let set = limits::CLOCK_MIN;
        let unset = Err("the clock of this host is not set");
        for (unix, wanted) in [
            (Duration::ZERO, unset),
            (set.saturating_sub(Duration::from_nanos(1)), unset),
            (set, Ok(())),
        ] {
            let now = Moment { uptime: Duration::ZERO, unix };
            let found = authority.identify(&mut OpenedTokens::default(), None, &token, &now);
            assert_eq!(found.map(drop).map_err(|why| why.0), wanted, "{unix:?}");
        }
    }

    #[test]
    fn a_token_holds_only_with_the_key_that_it_is_bound_to() {
        let [ours, theirs, gone] = ["0", "1", "2"].map(|digit| digit.repeat(40));
        let clients = Clients::parse(&format!("{ours} one\n{theirs} two bob")).unwrap();
        let thumbprint = clients.find(&ours).unwrap().thumbprint.clone();
        let authority = |clients| Authority {
            rules: TokenRules::default(),
            keys: Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap(),
            revoked: Revoked::default(),
            clients,
            roles: Default::default(),
        };
        let (curve, cleartext) = (authority(Some(clients)), authority(None));
        let claims = |subject: &str, bound: bool| Claims {
            subject: subject.to_owned(),
            expires: NOW + 1000.0,
            confirmation: bound.then(|| thumbprint.clone()),
            ..Claims::default()
        };
        let another = Err("bound to another key");
        let cases = [
            (&curve, Some(&ours), claims("alice", true), Ok(())),
            (&curve, Some(&ours), claims("alice", false), Ok(())),
            (&curve, Some(&theirs), claims("bob", true), another),
            (&cleartext, None, claims("alice", true), another),
            (&cleartext, None, claims("alice", false), Ok(())),
            (&curve, Some(&theirs), claims("bob", false), Ok(())),
            (
                &curve,
                Some(&theirs),
                claims("alice", false),
                Err("the client's key may not speak for this subject"),
            ),
            (
                &curve,
                Some(&gone),
                claims("alice", false),
                Err("the client's key is no longer let in"),
            ),
            (&curve, None, claims("alice", false), Err("the client's key is no longer let in")),
        ];
        for (authority, key, claims, wanted) in cases {
            let token = authority.keys.sign(&claims);
            let key = key.map(String::as_str);
            let found = authority.identify(&mut OpenedTokens::default(), key, &token, &at(1.0));
            assert_eq!(found.map(drop).map_err(|why| why.0), wanted, "{key:?} {claims:?}");
        }
    }
}
