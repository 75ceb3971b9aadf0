//! Bounds the number of connections, in total and for each address.
//!
//! Without it: each connection of a stranger costs 25 KiB and a descriptor, without a bound; with a
//! total bound alone, one address can block all others.
//! The correction: ZMQ_BACKLOG also bounds the connections of all listeners together, and an
//! address (a /64 of IPv6; ipc is one) holds at most as many as are left free: half, if it is
//! alone. A connection beyond that is closed when it is accepted, and the monitor is told.
//! Connections are counted by their engines, which own the descriptors. The kernel's queue of
//! connections that are not accepted yet keeps its length: a client that it drops waits for
//! seconds.
//! Upstream: zeromq/libzmq#2877 (open; the answer is a firewall).
//! Tests: `connections_are_bounded_and_descriptors_are_kept_for_commands`,
//! `old_wound_one_address_takes_all_connections`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
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
    if (!accepted_t::is_room_for (fd_, options.backlog)) {
        ::close (fd_);
        _socket->event_handshake_failed_no_detail (endpoint_pair, EMFILE);
        return;
    }

    i_engine *engine;
",
    ),
    Edit(
        "stream_engine_base.hpp",
        "
    bool in_event_internal ();
",
        "
    bool in_event_internal ();

    //  Counts this connection, if a listener accepted it.
    std::unique_ptr<accepted_t> _accepted;
    bool is_accepted () const { return _accepted != NULL; }
",
    ),
    Edit(
        "stream_engine_base.hpp",
        "
#include \"tcp.hpp\"
",
        "
#include \"tcp.hpp\"
#include \"budget.hpp\"
",
    ),
    Edit(
        "stream_engine_base.cpp",
        "
    //  Put the socket into non-blocking mode.
    unblock_socket (_s);
",
        "
    //  Put the socket into non-blocking mode.
    unblock_socket (_s);

    if (_endpoint_uri_pair.local_type == endpoint_type_bind)
        _accepted.reset (new accepted_t (_s));
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

    _accepted.reset ();
",
    ),
];
