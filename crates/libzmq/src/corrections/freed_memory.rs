//! Returns the memory of closed connections to the system.
//!
//! Without it: malloc keeps it; after a thousand idle connections 25 MiB stay resident.
//! The correction: one second after many connections of an I/O thread have closed, it calls
//! malloc_trim; so at most once a second. With musl, nothing is done: it needs none.
//! Upstream: zeromq/libzmq#4232 (open), #3470 (closed: the allocator keeps it).
//! Test: `old_wound_memory_of_closed_connections_is_kept`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
    Edit(
        "io_thread.hpp",
        "
    //  Returns load experienced by the I/O thread.
    int get_load () const;

  private:
",
        "
    //  Returns load experienced by the I/O thread.
    int get_load () const;

    //  Called in this thread, when the session of an accepted connection ends.
    void connection_closed ();

  private:
    //  Connections that were closed since memory was last returned, the number from which on it is
    //  returned, and whether a timer is set: the other ends of the pipes are freed a little later.
    enum
    {
        trim_after = 64,
        trim_ms = 1000
    };
    int _closed = 0;
    bool _trim_waits = false;

",
    ),
    Edit(
        "io_thread.cpp",
        "
#include <new>
",
        "
#include <new>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
",
    ),
    Edit(
        "io_thread.cpp",
        "
    //  No timers here. This function is never called.
    zmq_assert (false);
}
",
        "
    _closed = 0;
    _trim_waits = false;
#ifdef __GLIBC__
    malloc_trim (0);
#endif
}

void zmq::io_thread_t::connection_closed ()
{
    if (++_closed >= trim_after && !_trim_waits) {
        _poller->add_timer (trim_ms, this, 0);
        _trim_waits = true;
    }
}
",
    ),
    // A stopping thread waits for its timers.
    Edit(
        "io_thread.cpp",
        "
    zmq_assert (_mailbox_handle);
",
        "
    zmq_assert (_mailbox_handle);
    if (_trim_waits)
        _poller->cancel_timer (this, 0);
",
    ),
    Edit(
        "session_base.cpp",
        "
#include \"udp_engine.hpp\"
",
        "
#include \"udp_engine.hpp\"
#include \"io_thread.hpp\"
",
    ),
    Edit(
        "session_base.cpp",
        "
    if (_engine)
        _engine->terminate ();

    LIBZMQ_DELETE (_addr);
",
        "
    if (_engine)
        _engine->terminate ();

    if (!_active)
        _io_thread->connection_closed ();

    LIBZMQ_DELETE (_addr);
",
    ),
];
