//! The program can ask whether it runs with the corrections.
//!
//! Without it: a daemon that is linked with another libzmq would not know that its bounds are gone.
//! The correction: `zmq_has("corrections-of-zcmd")`.
//! Upstream: not for upstream.
//! Test: every start of a daemon, which refuses to without.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[Edit(
    "zmq.cpp",
    "
    if (strcmp (capability_, \"curve\") == 0)
        return true;",
    "
    if (strcmp (capability_, \"curve\") == 0
        || strcmp (capability_, \"corrections-of-zcmd\") == 0)
        return true;",
)];
