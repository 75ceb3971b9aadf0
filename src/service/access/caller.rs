//! The caller of a request, and the scope of its token.
//!
//! Promises: only `Authority::identify` makes a `Caller`, from a token that is valid now.
//! Leaves out: the checks, which are in `access::authority`.

use std::rc::Rc;

use crate::port::Subject;
use crate::service::access::opened::Opened;
use crate::service::access::roles::Roles;
use crate::service::access::scope::includes;
use crate::service::refusal::Refusal;

/// The holder of a valid token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) opened: Rc<Opened>,
    pub(super) default_scope: Rc<str>,
    pub(super) roles: Rc<Roles>,
}

impl Caller {
    /// A caller with this scope, where the role `ops` is `status os:uptime`, and `all` is `os:*`.
    #[cfg(test)]
    pub(crate) fn imagined(scope: &str) -> Self {
        let (claims, subject) = (Default::default(), Subject::new(None, "nobody".to_owned()));
        let roles = Roles::parse("ops status os:uptime\nall os:*").unwrap_or_default().into();
        Self { opened: Rc::new(Opened { claims, subject }), default_scope: scope.into(), roles }
    }

    /// The subject, the key for limits and counts.
    pub fn subject(&self) -> &Subject {
        &self.opened.subject
    }

    /// The `jti` of the token.
    pub fn token_id(&self) -> Option<&str> {
        self.opened.claims.id.as_deref()
    }

    /// Whether the scope includes this word.
    pub fn may(&self, word: &str) -> bool {
        self.rule(word).is_some()
    }

    /// The word of the scope that includes this one: the same word, `os:*` for the name of a
    /// command, or a role of which a word does. The words are separated by blanks (RFC 8693, 4.2).
    pub fn rule(&self, word: &str) -> Option<&str> {
        let by_role = |own: &str| {
            own.strip_prefix("role:").is_some_and(|role| self.roles.include(role, word))
        };
        self.scope().find(|own| includes(own, word) || by_role(own))
    }

    /// The refusal of what the scope does not include.
    pub fn forbidden(&self, word: String) -> Refusal {
        let mut roles = self.scope().filter_map(|own| own.strip_prefix("role:"));
        match roles.find(|role| !self.roles.has(role)) {
            Some(role) => Refusal::UnknownRole(word, role.to_owned()),
            None => Refusal::Forbidden(word),
        }
    }

    fn scope(&self) -> impl Iterator<Item = &str> {
        self.opened.claims.scope.as_deref().unwrap_or(&self.default_scope).split(' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("role:ops", [false, true, true]),
            ("role:all compute", [true, true, false]),
            ("role:none role:op role: role:OPS", [false, false, false]),
            ("role:ops,role:all", [false, false, false]),
            ("status  compute os:uptime", [true, true, true]),
        ];
        for (scope, wanted) in cases {
            let caller = Caller::imagined(scope);
            let found = ["compute", "os:uptime", "status"].map(|word| caller.may(word));
            assert_eq!(found, wanted, "{scope:?}");
        }
        assert_eq!(Caller::imagined("role:none role:ops").rule("status"), Some("role:ops"));
        let refused = Caller::imagined("role:ops role:none").forbidden("compute".to_owned());
        let why = "the token's scope does not include compute; ask the owner to add it";
        assert_eq!(refused.reason(), format!("{why}; its role none is not in ROLES_FILE"));
        assert_eq!(refused.into_error(false).message, why, "what a host has is not told");
    }
}
