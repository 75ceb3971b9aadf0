//! Lets ZMQ_MAXMSGSIZE bound a whole message.
//!
//! Without it: the bound is for each frame, and an endless message of small frames fills the
//! memory.
//! The correction: all frames of a message count, each with the size of its descriptor. A message
//! for whose remaining frames there is no room closes its connection: a partly written message
//! cannot wait.
//! Upstream: no report is known. zmq_setsockopt(3) speaks of "the inbound message".
//! Test: `old_wound_a_message_without_end`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
    Edit(
        "session_base.hpp",
        "
    bool _incomplete_in;
",
        "
    bool _incomplete_in;

    //  Bytes of the message that is being received.
    uint64_t _incoming_size = 0;
",
    ),
    Edit(
        "session_base.cpp",
        "
    if (_pipe && _pipe->write (msg_)) {
        const int rc = msg_->init ();",
        "
    const bool more = (msg_->flags () & msg_t::more) != 0;
    const uint64_t size = _incoming_size + msg_->size () + sizeof (msg_t);
    if (options.maxmsgsize >= 0
        && size > static_cast<uint64_t> (options.maxmsgsize)) {
        errno = EMSGSIZE;
        return -1;
    }
    if (!_active && _incoming_size > 0
        && size > static_cast<uint64_t> (small_frame)
        && !leaves_room (held_in (), options.recovery_ivl * INT64_C (1024),
                         static_cast<int64_t> (size))) {
        errno = ENOBUFS;
        return -1;
    }
    if (_pipe && _pipe->write (msg_)) {
        _incoming_size = more ? size : 0;
        const int rc = msg_->init ();",
    ),
];
