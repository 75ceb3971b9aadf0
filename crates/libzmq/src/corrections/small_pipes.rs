//! Pipes grow by 32 messages.
//!
//! Without it: an idle connection has two pipes with room for 256 messages each: 33 KiB in place of
//! 25.
//! The correction: a smaller constant.
//! Upstream: none is needed; config.hpp has the constant for such choices.
//! Test: `worst_memory_of_strangers_in_the_clear`.

use super::Edit;

pub(super) const EDITS: &[Edit] =
    &[Edit("config.hpp", "message_pipe_granularity = 256", "message_pipe_granularity = 32")];
