//! Bounds the bytes in the queues of all accepted connections together.
//!
//! Without it: high-water marks count messages of any size, for each connection: 370 MiB were
//! received.
//! The correction: `budget.hpp` counts the bytes that all pipes hold. A session without room for
//! another message waits until its pipe is empty; an empty pipe takes one message whatever the
//! others hold, so that no session waits for others. A message that a session has read counts until
//! it reads the next: the encoder holds it until then. The bound is ZMQ_RECOVERY_IVL (see the table
//! in `lib.rs`).
//! Upstream: zeromq/libzmq#3176 (closed; the answer is that high-water marks count messages).
//! Tests: `old_wound_a_flood_that_the_daemon_does_not_keep_up_with`,
//! `worst_memory_of_strangers_in_the_clear`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
    Edit(
        "pipe.hpp",
        "
    void send_hiccup_msg (const std::vector<unsigned char> &hiccup_);

  private:
",
        "
    void send_hiccup_msg (const std::vector<unsigned char> &hiccup_);

    //  Counts bytes from now on, in both directions. This end is the session's, which may write while
    //  all sessions together are below the limit.
    void meter (int64_t limit_);

    //  Whether there is room for a message of this weight among all outgoing ones.
    bool admits (int64_t weight_, int64_t limit_) const;

  private:
    //  The bytes in the two directions; null for pipes that do not count.
    std::shared_ptr<tally_t> _in_tally;
    std::shared_ptr<tally_t> _out_tally;
    //  For the session's end: the limit, and the bytes that it has read and still holds.
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
        //  The reader checks this flag after it has emptied the pipe; if it has just done so, it
        //  may have missed the flag.
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
