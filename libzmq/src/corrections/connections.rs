//! Connections: how many there may be, and what a listener does without a descriptor.

use super::Edit;

pub(super) const ALL: &[&[Edit]] = &[CONNECTIONS_MAX, NO_DESCRIPTOR, ENGINES_ARE_COUNTED];

/// ZMQ_BACKLOG bounds the connections of all listeners together as well: one beyond it is closed as
/// soon as it is accepted, and the monitor is told. libzmq has no bound of its own. The kernel's
/// queue of those that are not accepted yet does not shrink with it: what it drops waits seconds.
/// Test: `connections_are_bounded_and_descriptors_are_kept_for_commands`.
const CONNECTIONS_MAX: &[Edit] = &[
    Edit("tcp_listener.cpp", "listen (_s, options.backlog)", "listen (_s, 1024)"),
    Edit("ipc_listener.cpp", "listen (_s, options.backlog)", "listen (_s, 1024)"),
    Edit(
        "stream_listener_base.cpp",
        "
#include \"raw_engine.hpp\"
",
        "
#include \"raw_engine.hpp\"
#include \"budget.hpp\"
",
    ),
    Edit(
        "stream_listener_base.cpp",
        "
    i_engine *engine;
",
        "
    if (accepted_connections () >= options.backlog) {
        ::close (fd_);
        _socket->event_handshake_failed_no_detail (endpoint_pair, EMFILE);
        return;
    }

    i_engine *engine;
",
    ),
];

/// Connections are counted by their engines, which own the descriptors.
/// Test: as above.
const ENGINES_ARE_COUNTED: &[Edit] = &[
    Edit(
        "stream_engine_base.cpp",
        "
    //  Put the socket into non-blocking mode.
    unblock_socket (_s);
",
        "
    //  Put the socket into non-blocking mode.
    unblock_socket (_s);

    if (is_accepted ())
        ++accepted_connections ();
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
    if (is_accepted ())
        --accepted_connections ();
",
    ),
];

/// Without a descriptor for the next connection the I/O thread spun: the listener stayed readable.
/// It is left alone for 100 ms, in which the others are served.
/// Test: `old_wound_a_thousand_idle_connections_and_256_descriptors`.
const NO_DESCRIPTOR: &[Edit] = &[
    Edit("tcp_listener.cpp", ACCEPT_FAILED, ACCEPT_FAILED_WAITS),
    Edit("ipc_listener.cpp", ACCEPT_FAILED, ACCEPT_FAILED_WAITS),
    Edit(
        "stream_listener_base.hpp",
        "
    //  Underlying socket.
    fd_t _s;
",
        "
    //  Does not look for connections until a timer fires.
    void pause ();
    void timer_event (int id_) ZMQ_FINAL;
    bool _paused = false;

    //  Underlying socket.
    fd_t _s;
",
    ),
    Edit(
        "stream_listener_base.cpp",
        "
void zmq::stream_listener_base_t::process_term (int linger_)
{
",
        "
void zmq::stream_listener_base_t::pause ()
{
    reset_pollin (_handle);
    add_timer (100, 1);
    _paused = true;
}

void zmq::stream_listener_base_t::timer_event (int)
{
    _paused = false;
    set_pollin (_handle);
}

void zmq::stream_listener_base_t::process_term (int linger_)
{
    if (_paused)
        cancel_timer (1);
",
    ),
];

const ACCEPT_FAILED: &str = "
    if (fd == retired_fd) {
        _socket->event_accept_failed (";
const ACCEPT_FAILED_WAITS: &str = "
    if (fd == retired_fd) {
        if (errno == EMFILE || errno == ENFILE)
            pause ();
        _socket->event_accept_failed (";
