//! Lets only the ROUTER choose routing ids.
//!
//! Without it: a peer that chooses its own takes the id of a peer that has left, and gets its
//! replies; a peer whose choice is refused stays attached, and its unread messages accumulate. 64
//! ids that peers choose in advance abort the process: the counter wraps around, and 4.3.5 asserts
//! that the next id is free.
//! The correction: the peer's choice is dropped, and an id in use is not assigned again.
//! Upstream: zeromq/libzmq#4503 (open) for the refused peer; RFC 28 and ZMQ_ROUTER_HANDOVER let a
//! peer choose.
//! Tests: `old_wound_a_peer_that_takes_the_routing_id_of_one_that_left`,
//! `old_wound_squatting_of_the_next_routing_ids`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[Edit(
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
