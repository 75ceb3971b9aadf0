//! The origin of a request, and so the destination of its reply.
//!
//! Promises: plain data, known before the rest of the request.
//! Leaves out: the rest of the request.

use crate::port::{Peer, Subject};
use crate::protocol::request::Id;

/// The destination of a reply.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The source of the request.
    pub peer: Peer,
    /// Its `id`.
    pub id: Option<Id>,
    /// Its `command_type`, or `unread`.
    pub kind: &'static str,
    /// The subject that the request counts for; none without a valid token.
    pub subject: Option<Subject>,
}

impl Origin {
    /// The origin of a request that is not read yet.
    pub fn unread(peer: Peer) -> Self {
        Self { peer, id: None, kind: "unread", subject: None }
    }
}
