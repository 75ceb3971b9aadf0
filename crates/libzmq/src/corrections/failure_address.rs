//! Reports the peer's address to the monitor when a handshake fails.
//!
//! Without it: the event has the local address, which says nothing about the peer.
//! The correction: the remote address, if there is one.
//! Upstream: pull request zeromq/libzmq#3379 has both addresses in a draft
//! (zmq_socket_monitor_versioned).
//! Test: `old_wound_random_bytes_and_zmtp_1`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[Edit(
    "socket_base.cpp",
    "
                const std::string &endpoint_uri =
                  endpoint_uri_pair_.identifier ();",
    "
                const std::string &endpoint_uri =
                  endpoint_uri_pair_.remote.empty ()
                    ? endpoint_uri_pair_.identifier ()
                    : endpoint_uri_pair_.remote;",
)];
