//! The caller of a request, and the scope of its token.
//!
//! Promises: only `Authority::identify` makes a `Caller`, from a token that is valid now.
//! Leaves out: the checks, which are in `access::authority`.

use std::rc::Rc;

use crate::port::Subject;
use crate::service::access::opened::Opened;

/// The holder of a valid token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) opened: Rc<Opened>,
    pub(super) default_scope: Rc<str>,
}

impl Caller {
    /// A caller with this scope.
    #[cfg(test)]
    pub(crate) fn imagined(scope: &str) -> Self {
        let (claims, subject) = (Default::default(), Subject::new(None, "nobody".to_owned()));
        Self { opened: Rc::new(Opened { claims, subject }), default_scope: scope.into() }
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

    /// The word of the scope that includes this one: the same word, or `os:*` for the name of a
    /// command. The words are separated by blanks (RFC 8693, 4.2).
    pub fn rule(&self, word: &str) -> Option<&str> {
        let includes = |own: &&str| *own == word || (*own == "os:*" && word.starts_with("os:"));
        let scope = self.opened.claims.scope.as_deref().unwrap_or(&self.default_scope);
        scope.split(' ').find(includes)
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
            ("status  compute os:uptime", [true, true, true]),
        ];
        for (scope, wanted) in cases {
            let caller = Caller::imagined(scope);
            let found = ["compute", "os:uptime", "status"].map(|word| caller.may(word));
            assert_eq!(found, wanted, "{scope:?}");
        }
    }
}
