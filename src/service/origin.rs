//! Where a request came from, and so where its answer goes.
//!
//! Promises: plain data, which is known before anything of the request is.
//! Leaves out: what is asked.

use crate::port::{Peer, Subject};
use crate::protocol::request::Id;

/// Whom an answer goes to.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where the request came from.
    pub peer: Peer,
    /// Its `id`.
    pub id: Option<Id>,
    /// Its `command_type`, or `unread`.
    pub kind: &'static str,
    /// Whom it counts for; none without a valid token.
    pub subject: Option<Subject>,
}

impl Origin {
    /// Of a request that is not read yet.
    pub fn unread(peer: Peer) -> Self {
        Self { peer, id: None, kind: "unread", subject: None }
    }
}
