//! Copies messages out of the read buffer.
//!
//! Without it: a message of 34 bytes keeps its whole read buffer of 18 KiB allocated.
//! The correction: the effect of setting the draft option ZMQ_ZERO_COPY_RECV to 0.
//! Upstream: zeromq/libzmq#2830, and pull request #2969, which added the draft option.
//! Test: `worst_memory_of_strangers_in_the_clear`.

use super::Edit;

pub(super) const EDITS: &[Edit] =
    &[Edit("ctx.cpp", "\n    _zero_copy (true)", "\n    _zero_copy (false)")];
