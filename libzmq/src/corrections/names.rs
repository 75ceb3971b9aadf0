//! Names: which routing id a peer has, what its address is, and how the program knows that it runs
//! with the corrections.

use super::Edit;

pub(super) const ALL: &[&[Edit]] = &[ROUTING_IDS, ADDRESS_OF_A_FAILURE, CORRECTED];

/// The ROUTER gives out all routing ids itself. A peer that chose its own could take the id of one
/// that had left, and get its replies; one whose choice was refused was left attached, with its
/// messages piling up unread (RFC 28 lets a peer choose; zmq_setsockopt(3), ZMQ_ROUTER_HANDOVER).
/// An id that is taken is not given out: the counter wraps around, and 4.3.5 asserts that the next
/// one is free.
/// Test: `old_wound_a_peer_that_takes_the_routing_id_of_one_that_left`.
const ROUTING_IDS: &[Edit] = &[Edit(
    "router.cpp",
    "
        if (msg.size () == 0) {
            //  Fall back on the auto-generation
            unsigned char buf[5];
            buf[0] = 0;
            put_uint32 (buf + 1, _next_integral_routing_id++);
            routing_id.set (buf, sizeof buf);
            msg.close ();
        } else {
            routing_id.set (static_cast<unsigned char *> (msg.data ()),
                            msg.size ());
            msg.close ();

            //  Try to remove an existing routing id entry to allow the new
            //  connection to take the routing id.
            const out_pipe_t *const existing_outpipe =
              lookup_out_pipe (routing_id);

            if (existing_outpipe) {
                if (!_handover)
                    //  Ignore peers with duplicate ID
                    return false;

                //  We will allow the new connection to take over this
                //  routing id. Temporarily assign a new routing id to the
                //  existing pipe so we can terminate it asynchronously.
                unsigned char buf[5];
                buf[0] = 0;
                put_uint32 (buf + 1, _next_integral_routing_id++);
                blob_t new_routing_id (buf, sizeof buf);

                pipe_t *const old_pipe = existing_outpipe->pipe;

                erase_out_pipe (old_pipe);
                old_pipe->set_router_socket_routing_id (new_routing_id);
                add_out_pipe (ZMQ_MOVE (new_routing_id), old_pipe);

                if (old_pipe == _current_in)
                    _terminate_current_in = true;
                else
                    old_pipe->terminate (true);
            }
        }
",
    "
        msg.close ();
        unsigned char buf[5];
        buf[0] = 0;
        do {
            put_uint32 (buf + 1, _next_integral_routing_id++);
            routing_id.set (buf, sizeof buf);
        } while (has_out_pipe (routing_id));
",
)];

/// A monitor is told of a connection's failure with our address, which says nothing of the peer.
/// Test: `old_wound_random_bytes_and_zmtp_1`.
const ADDRESS_OF_A_FAILURE: &[Edit] = &[Edit(
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

/// By this the program knows that it runs with all of these.
/// Test: every start of a daemon, which refuses to without.
const CORRECTED: &[Edit] = &[Edit(
    "zmq.cpp",
    "
    if (strcmp (capability_, \"curve\") == 0)
        return true;",
    "
    if (strcmp (capability_, \"curve\") == 0
        || strcmp (capability_, \"corrections-of-zcmd\") == 0)
        return true;",
)];
