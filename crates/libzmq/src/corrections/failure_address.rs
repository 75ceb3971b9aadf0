//! A monitor is told the peer's address when a connection fails.
//!
//! Without it: the event has our own address, which says nothing about the peer.
//! The correction: the remote address, where there is one.
//! Upstream: pull request zeromq/libzmq#3379 has both addresses in a draft (zmq_socket_monitor_versioned).
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
