//! Accepts a reply only if there is room for all of it.
//!
//! Without it: a message is accepted by its first frame alone, which for a ROUTER is the routing
//! id; 1.9 GiB were queued.
//! The correction: the sender passes the size of the whole message in the unused bits of zmq_send's
//! flags. The bound is ZMQ_RATE (see the table in `lib.rs`).
//! Upstream: no report is known; as in `pipes_count_bytes`, high-water marks count messages.
//! Test: `old_wound_unread_replies_over_many_connections`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
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
    //  Bytes of the message that is about to be sent, if its sender passed them; otherwise 0.
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
