//! Lets the program ask whether it runs with the corrections.
//!
//! Without it: a daemon that is linked with another libzmq would not know that its bounds are
//! missing.
//! The correction: `zmq_has("corrections-of-zcmd")`.
//! Upstream: not applicable.
//! Test: every start of a daemon, which refuses to serve without it.

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
