//! Who is asking, and what they may ask for.
//!
//! Promises: a `Caller` is made by `identify` alone, from a token that one of the keys signed and
//! that holds now (RFC 7519 section 4.1, RFC 8725). Every refusal has one exact reason, for the
//! log; outside they are all the same.
//! Leaves out: how a token is read, which is `protocol::token`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::port::Moment;
use crate::protocol::token::Unopened;
use crate::service::rules::Rules;

/// What the owner asks of a token beyond its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The issuer that it must name.
    pub issuer: Option<String>,
    /// The audience that it must name.
    pub audience: Option<String>,
    /// By how much the clocks may differ.
    pub leeway: Duration,
    /// The scope of tokens that name none.
    pub default_scope: String,
}

/// Names of tokens (`jti`) that hold no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(BTreeSet<String>);

/// Whom limits and counts belong to: issuer and subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    issuer: Option<String>,
    name: String,
}

/// Somebody whose token holds now.
#[derive(Clone, Debug)]
pub struct Caller {
    subject: Subject,
    token_id: Option<String>,
    scope: String,
}

impl Revoked {
    /// Reads a list, one `jti` a line; blanks around it, empty lines and the byte order mark of
    /// some editors mean nothing.
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

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn has(&self, id: &str) -> bool {
        self.0.contains(id.trim())
    }
}

impl Subject {
    /// Who made the token (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whom it is about (`sub`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One text for each subject, and no two with the same.
    pub fn account(&self) -> Arc<str> {
        format!("{:?}/{}", self.issuer, self.name).into()
    }
}

impl Caller {
    /// Somebody with this scope.
    #[cfg(test)]
    pub(super) fn imagined(scope: &str) -> Self {
        let subject = Subject { issuer: None, name: "nobody".to_owned() };
        Self { subject, token_id: None, scope: scope.to_owned() }
    }

    /// Whom limits and counts belong to.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The `jti` of the token.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// Whether the scope includes this word.
    pub fn may(&self, word: &str) -> bool {
        self.rule(word).is_some()
    }

    /// The word of the scope that includes this one: the same word, or `os:*` for the name of a
    /// command. The words are separated by blanks (RFC 8693, 4.2).
    pub fn rule(&self, word: &str) -> Option<&str> {
        let includes = |own: &&str| *own == word || (*own == "os:*" && word.starts_with("os:"));
        self.scope.split(' ').find(includes)
    }
}

/// Tells who is asking, over a connection with this CURVE key.
///
/// # Errors
/// The token does not hold now; why.
pub fn identify(
    Rules { keys, revoked, clients, .. }: &Rules,
    rules: &TokenRules,
    key: Option<&str>,
    token: &str,
    now: &Moment,
) -> Result<Caller, Unopened> {
    let client = clients.as_ref().and_then(|clients| clients.find(key?));
    if clients.is_some() && client.is_none() {
        return Err(Unopened("the client's key is no longer let in"));
    }
    if token.is_empty() {
        return Err(Unopened("no token"));
    }
    let claims = keys.open(token)?;
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
        // RFC 7519, 4.1.3: whoever does not find itself in it must refuse.
        _ => return Err(Unopened("another audience")),
    }
    if claims.id.as_ref().is_some_and(|id| revoked.has(id)) {
        return Err(Unopened("revoked"));
    }
    // RFC 7800: of no use to whoever stole it, and came with another key.
    let thumbprint = client.map(|client| &client.thumbprint);
    if claims.confirmation.is_some() && claims.confirmation.as_ref() != thumbprint {
        return Err(Unopened("bound to another key"));
    }
    if client.is_some_and(|client| !client.may_speak_for(&claims.subject)) {
        return Err(Unopened("the client's key may not speak for this subject"));
    }
    Ok(Caller {
        subject: Subject { issuer: claims.issuer, name: claims.subject },
        token_id: claims.id,
        scope: claims.scope.unwrap_or_else(|| rules.default_scope.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::token::{Claims, Keys};
    use crate::service::clients::Clients;
    use crate::service::commands::Commands;

    const NOW: f64 = 1_800_000_000.0;

    /// So many seconds after `NOW`.
    fn at(unix: f64) -> Moment {
        Moment { uptime: Duration::ZERO, unix: Duration::from_secs_f64(NOW + unix) }
    }

    fn names(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_token_holds_from_nbf_to_exp_for_us_and_until_revoked() {
        let keys = Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap();
        let house = Rules {
            keys: keys.clone(),
            revoked: Revoked::parse("bad\n\n \tblank \r\n").unwrap(),
            clients: None,
            commands: Commands::default(),
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
            let found = identify(&house, rules, None, &token, &at(now));
            assert_eq!(found.map(drop).map_err(|why| why.0), wanted, "{claims:?} at {now}");
        }
        let none = identify(&house, &open, None, "", &at(1.0));
        assert_eq!(none.map(drop), Err(Unopened("no token")));
    }

    #[test]
    fn old_wound_a_byte_order_mark_kept_the_first_revocation_from_its_token() {
        let revoked = Revoked::parse("\u{feff}one\r\ntwo\r\n").unwrap();
        assert_eq!((revoked.count(), revoked.has("one"), revoked.has("two")), (2, true, true));
    }

    #[test]
    fn old_wound_a_clock_of_1970_let_expired_tokens_in() {
        let house = Rules {
            keys: Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap(),
            revoked: Revoked::default(),
            clients: None,
            commands: Commands::default(),
        };
        let claims = Claims { subject: "a".into(), expires: NOW, ..Claims::default() };
        let token = house.keys.sign(&claims);
        let set = limits::CLOCK_MIN;
        let unset = Err("the clock of this host is not set");
        for (unix, wanted) in [
            (Duration::ZERO, unset),
            (set.saturating_sub(Duration::from_nanos(1)), unset),
            (set, Ok(())),
        ] {
            let now = Moment { uptime: Duration::ZERO, unix };
            let found = identify(&house, &TokenRules::default(), None, &token, &now);
            assert_eq!(found.map(drop).map_err(|why| why.0), wanted, "{unix:?}");
        }
    }

    #[test]
    fn a_token_holds_only_with_the_key_that_it_is_bound_to() {
        let [ours, theirs, gone] = ["0", "1", "2"].map(|digit| digit.repeat(40));
        let clients = Clients::parse(&format!("{ours} one\n{theirs} two bob")).unwrap();
        let thumbprint = clients.find(&ours).unwrap().thumbprint.clone();
        let house = |clients| Rules {
            keys: Keys::parse("0123456789abcdefghijklmnopqrstuvwxyz").unwrap(),
            revoked: Revoked::default(),
            clients,
            commands: Commands::default(),
        };
        let (curve, cleartext) = (house(Some(clients)), house(None));
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
        for (house, key, claims, wanted) in cases {
            let token = house.keys.sign(&claims);
            let key = key.map(String::as_str);
            let found = identify(house, &TokenRules::default(), key, &token, &at(1.0));
            assert_eq!(found.map(drop).map_err(|why| why.0), wanted, "{key:?} {claims:?}");
        }
    }

    #[test]
    fn a_scope_reaches_what_it_names_and_nothing_else() {
        let cases = [
            ("", [false, false, false]),
            ("compute", [true, false, false]),
            ("os:uptime", [false, true, false]),
            ("os:*", [false, true, false]),
            ("os:up", [false, false, false]),
            ("os:up*", [false, false, false]),
            ("* os", [false, false, false]),
            ("os:compute os:status", [false, false, false]),
            ("compute\tstatus", [false, false, false]),
            ("status  compute os:uptime", [true, true, true]),
        ];
        for (scope, wanted) in cases {
            let caller = Caller::imagined(scope);
            let found = ["compute", "os:uptime", "status"].map(|word| caller.may(word));
            assert_eq!(found, wanted, "{scope:?}");
        }
    }
}
