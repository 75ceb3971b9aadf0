//! Bounds the time and the memory of incomplete frames and messages.
//!
//! Without it: a frame that is announced and never sent is held for ever with its whole size, even
//! before the handshake: 270 MiB.
//! The correction: a frame larger than the read buffer counts with its whole size; its connection
//! is closed if there is no room for it or the handshake is not done. Without heartbeats, a message
//! must be complete after ZMQ_HEARTBEAT_TIMEOUT milliseconds (see the table in `lib.rs`). It needs
//! `is_accepted` of `connections_max`.
//! Upstream: zeromq/libzmq#2877 (open) asks for a way to drop silent clients.
//! Tests: `old_wound_frames_that_are_never_finished`,
//! `worst_memory_of_strangers_before_the_handshake`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
    Edit(
        "i_decoder.hpp",
        "
    virtual msg_t *msg () = 0;
",
        "
    virtual msg_t *msg () = 0;

    //  Whether a message is partly received; its number, counted from 0; and the bytes of the frame
    //  that is held.
    virtual bool is_unfinished (uint64_t *message_, size_t *held_) const
    {
        *message_ = *held_ = 0;
        return false;
    }
",
    ),
    Edit(
        "v2_decoder.hpp",
        "
    msg_t *msg () { return &_in_progress; }
",
        "
    msg_t *msg () { return &_in_progress; }
    bool is_unfinished (uint64_t *message_, size_t *held_) const
    {
        *message_ = _messages;
        *held_ = _in_progress.size ();
        return _in_frame || (_msg_flags & msg_t::more) != 0;
    }
",
    ),
    Edit(
        "v2_decoder.hpp",
        "
    msg_t _in_progress;
",
        "
    msg_t _in_progress;
    bool _in_frame = false;
    uint64_t _messages = 0;
",
    ),
    Edit(
        "v2_decoder.cpp",
        "
    _msg_flags = 0;
    if (_tmpbuf[0] & v2_protocol_t::more_flag)",
        "
    _in_frame = true;
    _msg_flags = 0;
    if (_tmpbuf[0] & v2_protocol_t::more_flag)",
    ),
    Edit(
        "v2_decoder.cpp",
        "
    //  Message is completely read. Signal this to the caller
",
        "
    _in_frame = false;
    if (!(_msg_flags & msg_t::more))
        ++_messages;

    //  Message is completely read. Signal this to the caller
",
    ),
    Edit(
        "stream_engine_base.hpp",
        "
    bool in_event_internal ();
",
        "
    bool in_event_internal ();

    //  Counts the frame that is being received. Returns false if that closed the connection.
    bool account_for_input ();

    //  Bytes of a large frame that were counted.
    int64_t _held = 0;

    //  The timer for completing a message, and the number of the message.
    enum
    {
        message_timer_id = 0x20
    };
    bool _has_message_timer = false;
    uint64_t _timed_message = 0;
",
    ),
    Edit(
        "stream_engine_base.cpp",
        "
        errno_assert (rc == 0);
#endif
        _s = retired_fd;
    }
",
        "
        errno_assert (rc == 0);
#endif
        _s = retired_fd;
    }

    held_in () -= _held;
",
    ),
    Edit(
        "stream_engine_base.cpp",
        "
    if (_has_ttl_timer) {
        cancel_timer (heartbeat_ttl_timer_id);
        _has_ttl_timer = false;
    }

    if (_has_timeout_timer) {",
        "
    if (_has_message_timer) {
        cancel_timer (message_timer_id);
        _has_message_timer = false;
    }

    if (_has_ttl_timer) {
        cancel_timer (heartbeat_ttl_timer_id);
        _has_ttl_timer = false;
    }

    if (_has_timeout_timer) {",
    ),
    Edit(
        "stream_engine_base.cpp",
        "
        _input_stopped = true;
        reset_pollin (_handle);
    }

    _session->flush ();
    return true;
}
",
        "
        _input_stopped = true;
        reset_pollin (_handle);
    }

    _session->flush ();
    return account_for_input ();
}

bool zmq::stream_engine_base_t::account_for_input ()
{
    if (!is_accepted ())
        return true;

    uint64_t message;
    size_t frame;
    bool waits = _decoder->is_unfinished (&message, &frame);
    const int64_t size = static_cast<int64_t> (frame);
    const int64_t held = size > small_frame ? size : 0;
    if (held != _held) {
        held_in () -= _held;
        _held = 0;
        const bool early =
          _mechanism && _mechanism->status () == mechanism_t::handshaking;
        if (held > 0
            && (early
                || !leaves_room (held_in (),
                                 _options.recovery_ivl * INT64_C (1024),
                                 held))) {
            errno = EMSGSIZE;
            error (connection_error);
            return false;
        }
        held_in () += held;
        _held = held;
    }

    //  A handshake has another timer; a message that waits for room is not late.
    waits = waits && !_input_stopped && !_has_handshake_timer
            && _options.heartbeat_interval <= 0
            && _options.heartbeat_timeout > 0;
    if (waits && !_has_message_timer) {
        add_timer (_options.heartbeat_timeout, message_timer_id);
        _has_message_timer = true;
        _timed_message = message;
    } else if (!waits && _has_message_timer) {
        cancel_timer (message_timer_id);
        _has_message_timer = false;
    }
    return true;
}
",
    ),
    Edit(
        "stream_engine_base.cpp",
        "
    if (rc == -1 && errno == EAGAIN)
        _session->flush ();
    else if (_io_error) {",
        "
    if (rc == -1 && errno == EAGAIN) {
        _session->flush ();
        return account_for_input ();
    } else if (_io_error) {",
    ),
    Edit(
        "stream_engine_base.cpp",
        "
    } else if (id_ == heartbeat_ivl_timer_id) {
        _next_msg",
        "
    } else if (id_ == message_timer_id) {
        _has_message_timer = false;
        uint64_t message;
        size_t frame;
        _decoder->is_unfinished (&message, &frame);
        if (message == _timed_message)
            error (timeout_error);
        else
            account_for_input ();
    } else if (id_ == heartbeat_ivl_timer_id) {
        _next_msg",
    ),
];
