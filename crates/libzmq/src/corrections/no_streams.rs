//! Leaves out the C++ streams, which libzmq uses to join texts and numbers.
//!
//! Without it: a static program carries the locales of the C++ library, 0.5 MB of them.
//! The correction: the same texts by `std::to_string`.
//! Upstream: not reported; it is no fault.
//! Test: `the_static_daemon_is_small` in `tests/deploy/static_files.rs`.

use super::Edit;

pub(super) const EDITS: &[Edit] = &[
    Edit(
        "address.cpp",
        "        std::stringstream s;
        s << protocol << \"://\" << address;
        addr_ = s.str ();
",
        "        addr_ = protocol + \"://\" + address;
",
    ),
    Edit(
        "ctx.cpp",
        "                std::ostringstream s;
                s << value;
                scoped_lock_t locker (_opt_sync);
                _thread_name_prefix = s.str ();
",
        "                scoped_lock_t locker (_opt_sync);
                _thread_name_prefix = std::to_string (value);
",
    ),
    Edit(
        "stream_engine_base.cpp",
        "            std::ostringstream buf;
            buf << \":\" << cred.uid << \":\" << cred.gid << \":\" << cred.pid;
            peer_address += buf.str ();
",
        "            peer_address += \":\" + std::to_string (cred.uid) + \":\"
                            + std::to_string (cred.gid) + \":\"
                            + std::to_string (cred.pid);
",
    ),
    Edit(
        "stream_engine_base.cpp",
        "    std::ostringstream stream;
    stream << static_cast<int> (_s);
    std::string fd_string = stream.str ();
",
        "    std::string fd_string = std::to_string (static_cast<int> (_s));
",
    ),
];
