//! Memory: what peers can have the process hold is bounded in bytes, whatever their number.
//!
//! The bounds come in options that only multicast uses: ZMQ_RECOVERY_IVL has the KiB that may wait
//! to be read by the socket, ZMQ_RATE those that may wait to be sent; see `budget.hpp`.

use super::Edit;

pub(super) const ALL: &[&[Edit]] = &[
    WHOLE_MESSAGES,
    PIPES_COUNT_BYTES,
    REPLIES_ARE_ADMITTED_WHOLE,
    UNFINISHED_FRAMES,
    NO_PINNED_BUFFERS,
    SMALL_PIPES,
];

/// MAXMSGSIZE was for each frame, and the frames of a message without end filled the memory. Now it
/// is for all of them together, each with the size of its descriptor. A message that goes on when
/// there is no room for the rest of it ends its connection: it cannot wait, half written.
/// Test: `old_wound_a_message_without_end`.
const WHOLE_MESSAGES: &[Edit] = &[
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

/// High-water marks count messages, of any size. The pipes of accepted connections count bytes as
/// well. A session that finds no room for another message waits until its pipe is empty; an empty
/// pipe takes one message whatever there is, so that none waits for others. What a session has read
/// counts until it comes for more: that long the encoder has it.
/// Tests: `old_wound_a_flood_that_the_daemon_does_not_keep_up_with`,
/// `worst_memory_of_strangers_in_the_clear`.
const PIPES_COUNT_BYTES: &[Edit] = &[
    Edit(
        "pipe.hpp",
        "
    void send_hiccup_msg (const std::vector<unsigned char> &hiccup_);

  private:
",
        "
    void send_hiccup_msg (const std::vector<unsigned char> &hiccup_);

    //  Counts bytes from now on, in both directions. This end is the session's, which may write as
    //  long as all sessions together keep below the limit.
    void meter (int64_t limit_);

    //  Whether there is room for a message of this weight among all that go out.
    bool admits (int64_t weight_, int64_t limit_) const;

  private:
    //  What the two directions hold; none for pipes that do not count.
    std::shared_ptr<tally_t> _in_tally;
    std::shared_ptr<tally_t> _out_tally;
    //  For the end of a session: the limit, and what it has read and still holds.
    int64_t _limit = 0;
    int64_t _reading = 0;

    bool take_room (const msg_t &msg_);
    void took (const msg_t &msg_);

",
    ),
    Edit(
        "pipe.hpp",
        "
#include \"ypipe_base.hpp\"
",
        "
#include \"ypipe_base.hpp\"
#include \"budget.hpp\"
",
    ),
    Edit(
        "pipe.cpp",
        "
bool zmq::pipe_t::read (msg_t *msg_)
{
",
        "
void zmq::pipe_t::meter (int64_t limit_)
{
    _limit = limit_;
    _in_tally = std::make_shared<tally_t> (held_out ());
    _out_tally = std::make_shared<tally_t> (held_in ());
    _peer->_in_tally = _out_tally;
    _peer->_out_tally = _in_tally;
}

bool zmq::pipe_t::admits (int64_t weight_, int64_t limit_) const
{
    return !_out_tally || _out_tally->admits (weight_, limit_);
}

bool zmq::pipe_t::take_room (const msg_t &msg_)
{
    tally_t &tally = *_out_tally;
    const int64_t weight = tally_t::weight (msg_.size ());
    if (_limit > 0 && !tally.open && !tally.is_empty ()
        && !tally.admits (weight, _limit)) {
        //  The reader looks for this when it has emptied the pipe; if it has just done so, it may
        //  not have seen it.
        tally.wanted = true;
        if (!tally.is_empty ())
            return false;
        tally.wanted = false;
    }
    tally.charge (weight);
    tally.open = (msg_.flags () & msg_t::more) != 0;
    return true;
}

void zmq::pipe_t::took (const msg_t &msg_)
{
    const int64_t weight = tally_t::weight (msg_.size ());
    if (_limit > 0)
        _reading = weight;
    else if (_in_tally->release (weight) && _in_tally->wanted.exchange (false))
        send_activate_write (_peer, _msgs_read);
}

bool zmq::pipe_t::read (msg_t *msg_)
{
    if (_reading > 0) {
        _in_tally->release (_reading);
        _reading = 0;
    }
",
    ),
    Edit(
        "pipe.cpp",
        "
        if (unlikely (msg_->is_credential ())) {
            const int rc = msg_->close ();",
        "
        if (unlikely (msg_->is_credential ())) {
            if (_in_tally)
                took (*msg_);
            const int rc = msg_->close ();",
    ),
    Edit(
        "pipe.cpp",
        "
    if (!(msg_->flags () & msg_t::more) && !msg_->is_routing_id ())
        _msgs_read++;
",
        "
    if (!(msg_->flags () & msg_t::more) && !msg_->is_routing_id ())
        _msgs_read++;

    if (_in_tally)
        took (*msg_);
",
    ),
    Edit(
        "pipe.cpp",
        "
    const bool more = (msg_->flags () & msg_t::more) != 0;
    const bool is_routing_id = msg_->is_routing_id ();
",
        "
    if (_out_tally && !take_room (*msg_)) {
        _out_active = false;
        return false;
    }

    const bool more = (msg_->flags () & msg_t::more) != 0;
    const bool is_routing_id = msg_->is_routing_id ();
",
    ),
    Edit(
        "pipe.cpp",
        "
            zmq_assert (msg.flags () & msg_t::more);
            const int rc = msg.close ();
",
        "
            zmq_assert (msg.flags () & msg_t::more);
            if (_out_tally) {
                _out_tally->release (tally_t::weight (msg.size ()));
                _out_tally->open = false;
            }
            const int rc = msg.close ();
",
    ),
    Edit(
        "session_base.cpp",
        "
        errno_assert (rc == 0);

        //  Plug the local end of the pipe.
        pipes[0]->set_event_sink (this);
",
        "
        errno_assert (rc == 0);
        if (!_active)
            pipes[0]->meter (options.recovery_ivl * INT64_C (1024));

        //  Plug the local end of the pipe.
        pipes[0]->set_event_sink (this);
",
    ),
];

/// Whether a message is taken is decided with its first frame, of which a ROUTER knows no more than
/// that it is a routing id. The size of all of it, in KiB, may be told in the bits of zmq_send's
/// flags that have no meaning; then it is taken only if there is room for all of it.
/// Test: `old_wound_unread_replies_over_many_connections`.
const REPLIES_ARE_ADMITTED_WHOLE: &[Edit] = &[
    Edit(
        "socket_base.hpp",
        "
    //  Number of messages received since last command processing.
    int _ticks;
",
        "
    //  Number of messages received since last command processing.
    int _ticks;

  protected:
    //  Bytes of the message that is about to be sent, as its sender told; 0 if it did not.
    int64_t _announced = 0;

  private:
",
    ),
    Edit(
        "socket_base.cpp",
        "
    msg_->reset_metadata ();

    //  Try to send the message using method in each socket class
",
        "
    msg_->reset_metadata ();

    _announced = static_cast<int64_t> (flags_ >> 8) * 1024;

    //  Try to send the message using method in each socket class
",
    ),
    Edit(
        "router.cpp",
        "
                            errno = EHOSTUNREACH;
                        return -1;
                    }
                }
",
        "
                            errno = EHOSTUNREACH;
                        return -1;
                    }
                }
                if (_current_out && _announced > 0
                    && !_current_out->admits (
                      _announced, options.rate * INT64_C (1024))) {
                    _current_out = NULL;
                    _more_out = false;
                    errno = EAGAIN;
                    return -1;
                }
",
    ),
];

/// A frame that was announced and did not come was held for ever, and before the handshake as well.
/// One beyond the read buffer counts with its whole size, and ends its connection when there is no
/// room for it, or when the handshake is not done. A message has to be there after
/// ZMQ_HEARTBEAT_TIMEOUT milliseconds, when there are no heartbeats.
/// Tests: `old_wound_frames_that_are_never_finished`,
/// `worst_memory_of_strangers_before_the_handshake`.
const UNFINISHED_FRAMES: &[Edit] = &[
    Edit(
        "i_decoder.hpp",
        "
    virtual msg_t *msg () = 0;
",
        "
    virtual msg_t *msg () = 0;

    //  Whether some of a message has come and not all; which message that is, counted from 0; and
    //  the bytes of the frame that is held.
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

    //  Whether a listener accepted this connection.
    bool is_accepted () const
    {
        return _endpoint_uri_pair.local_type == endpoint_type_bind;
    }

    //  Counts the frame that is being received. False if that ended the connection.
    bool account_for_input ();

    //  Bytes of a large frame that were counted.
    int64_t _held = 0;

    //  The time for finishing a message, and which message.
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
#include \"wire.hpp\"

static std::string",
        "
#include \"wire.hpp\"
#include \"budget.hpp\"

static std::string",
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

    //  A handshake has a timer of its own, and one that waits for room is not late.
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

/// A message of more than 33 bytes kept the whole read buffer that it came in, of 18 KiB. Messages
/// are copied out of it, as ZMQ_ZERO_COPY_RECV (a draft) set to 0 has it.
/// Test: `worst_memory_of_strangers_in_the_clear`.
const NO_PINNED_BUFFERS: &[Edit] =
    &[Edit("ctx.cpp", "\n    _zero_copy (true)", "\n    _zero_copy (false)")];

/// An idle connection had two pipes with room for 256 messages each, 33 KiB.
/// Test: `worst_memory_of_strangers_in_the_clear`.
const SMALL_PIPES: &[Edit] = &[Edit(
    "config.hpp",
    "message_pipe_granularity = 256",
    "message_pipe_granularity = 32",
)];
