//! Pauses a listener when there is no descriptor for the next connection.
//!
//! Without it: the listener stays readable, and the I/O thread spins: 1.0 s of processor time in 2
//! s.
//! The correction: on EMFILE and ENFILE the listener is not polled for 100 ms; other connections
//! are served meanwhile.
//! Upstream: reported for its Python binding as zeromq/pyzmq#1642 (closed as a question).
//! Test: `old_wound_a_thousand_idle_connections_and_256_descriptors`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
    Edit("tcp_listener.cpp", ACCEPT_FAILED, ACCEPT_FAILED_WAITS),
    Edit("ipc_listener.cpp", ACCEPT_FAILED, ACCEPT_FAILED_WAITS),
    Edit(
        "stream_listener_base.hpp",
        "
    //  Underlying socket.
    fd_t _s;
",
        "
    //  Stops polling for connections until a timer fires.
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
