//! Builds libzmq for `zmq-sys`: the sources of a released version, with CURVE, with descriptors
//! that close on exec, and with the corrections below.
//!
//! Promises: nothing but a C and a C++ compiler is needed; a correction that does not find its
//! place ends the build; the program can ask libzmq whether it was corrected (`zmq_has`).
//! Leaves out: any system but Linux.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A change to one file of libzmq: what stands there, exactly once, and what is to stand there.
struct Correction(&'static str, &'static str, &'static str);

const CORRECTIONS: &[Correction] = &[
    // Routing ids that libzmq gives out count up. One that is taken was asserted to be free.
    Correction(
        "router.cpp",
        "
            routing_id.set (buf, sizeof buf);
            msg.close ();",
        "
            routing_id.set (buf, sizeof buf);
            while (has_out_pipe (routing_id)) {
                put_uint32 (buf + 1, _next_integral_routing_id++);
                routing_id.set (buf, sizeof buf);
            }
            msg.close ();",
    ),
    // A peer may not choose an id that begins with a zero byte (RFC 37/ZMTP: those are ours). Such
    // a peer, and one whose id is taken, was left attached with its messages piling up unread.
    Correction(
        "router.cpp",
        "
            if (existing_outpipe) {
                if (!_handover)
                    //  Ignore peers with duplicate ID
                    return false;
",
        "
            if (routing_id.data ()[0] == 0 || (existing_outpipe && !_handover)) {
                pipe_->terminate (false);
                return false;
            }
            if (existing_outpipe) {
",
    ),
    // MAXMSGSIZE was for each frame, and the frames of a message without end filled the memory.
    // Now it is for all of them together, each with the size of its descriptor.
    Correction(
        "session_base.hpp",
        "
    bool _incomplete_in;
",
        "
    bool _incomplete_in;

    //  Bytes of the message that is being received.
    uint64_t _incoming_size = 0;
",
    ),
    Correction(
        "session_base.cpp",
        "
    if (_pipe && _pipe->write (msg_)) {
        const int rc = msg_->init ();",
        "
    const bool more = (msg_->flags () & msg_t::more) != 0;
    const uint64_t size = _incoming_size + msg_->size () + sizeof (msg_t);
    if (options.maxmsgsize >= 0
        && size > static_cast<uint64_t> (options.maxmsgsize)) {
        errno = EMSGSIZE;
        return -1;
    }
    if (_pipe && _pipe->write (msg_)) {
        _incoming_size = more ? size : 0;
        const int rc = msg_->init ();",
    ),
    // Without a descriptor for the next connection, the thread spun. Now it looks again in 10 ms.
    Correction("tcp_listener.cpp", ACCEPT_FAILED, ACCEPT_FAILED_WAITS),
    Correction("ipc_listener.cpp", ACCEPT_FAILED, ACCEPT_FAILED_WAITS),
    // A monitor is told of a connection's failure with our address, which says nothing of the peer.
    Correction(
        "socket_base.cpp",
        "
                const std::string &endpoint_uri =
                  endpoint_uri_pair_.identifier ();",
        "
                const std::string &endpoint_uri =
                  endpoint_uri_pair_.remote.empty ()
                    ? endpoint_uri_pair_.identifier ()
                    : endpoint_uri_pair_.remote;",
    ),
    // By this the program knows that it runs with all of these.
    Correction(
        "zmq.cpp",
        "
    if (strcmp (capability_, \"curve\") == 0)
        return true;",
        "
    if (strcmp (capability_, \"curve\") == 0
        || strcmp (capability_, \"corrections-of-zcmd\") == 0)
        return true;",
    ),
];

const ACCEPT_FAILED: &str = "
    if (fd == retired_fd) {
        _socket->event_accept_failed (";
const ACCEPT_FAILED_WAITS: &str = "
    if (fd == retired_fd) {
        if (errno == EMFILE || errno == ENFILE)
            usleep (10000);
        _socket->event_accept_failed (";

/// What `zmq-sys` asks for.
pub struct Build(());

impl Build {
    /// A build; there is nothing to choose.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(())
    }

    /// There is no libsodium in it.
    pub fn with_libsodium(&mut self, _: Option<()>) -> &mut Self {
        self
    }

    /// Builds, and tells cargo what to link. With `ZCMD_SYSTEM_LIBZMQ` set, the system's own
    /// libzmq is linked, without the corrections.
    pub fn build(&mut self) {
        println!("cargo:rerun-if-env-changed=ZCMD_SYSTEM_LIBZMQ");
        if env::var_os("ZCMD_SYSTEM_LIBZMQ").is_some() {
            println!("cargo:rustc-link-lib=dylib=zmq");
            return;
        }
        let sources = copy_of_sources().join("src");
        for Correction(file, before, after) in CORRECTIONS {
            let path = sources.join(file);
            let text = fs::read_to_string(&path).expect("a file of libzmq");
            assert_eq!(text.matches(before).count(), 1, "{file} is not the one to correct");
            fs::write(path, text.replace(before, after)).expect("room for a file");
        }
        let platform = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform.hpp");
        fs::copy(platform, sources.join("platform.hpp")).expect("room for a file");
        let nacl = tweetnacl::source_dir().join("src");
        for file in ["tweetnacl.c", "tweetnacl.h"] {
            fs::copy(nacl.join(file), sources.join(file)).expect("a file of TweetNaCl");
        }
        // Also in a debug build: how long a handshake takes is part of what is tested.
        let compiler = |cpp| {
            let mut build = cc::Build::new();
            build.cpp(cpp).opt_level(3).warnings(false).include(&sources);
            build
        };
        let mut c = compiler(false);
        let nacl = c.flag("-include").flag("platform.hpp").file(sources.join("tweetnacl.c"));
        let objects = nacl.compile_intermediates();
        compiler(true).std("c++11").files(compiled(&sources)).objects(objects).compile("zmq");
    }
}

/// A fresh copy of libzmq's sources. The crate that has them copies them for whoever builds them
/// with it, after it has; its compilers are told to do nothing.
fn copy_of_sources() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("a build script"));
    let _ = fs::remove_dir_all(out.join("source"));
    let target = env::var("TARGET").expect("a build script");
    let tools = ["CC", "CXX", "AR", "RANLIB"].map(|tool| format!("{tool}_{target}"));
    let before = tools.each_ref().map(env::var_os);
    tools.iter().for_each(|tool| env::set_var(tool, "true"));
    libzmq::Build::new().build();
    for (tool, value) in tools.iter().zip(before) {
        match value {
            Some(value) => env::set_var(tool, value),
            None => env::remove_var(tool),
        }
    }
    out.join("source")
}

/// All of libzmq but WebSockets.
fn compiled(sources: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sources).expect("the sources");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".cpp") && !name.starts_with("ws")
    });
    files.sort();
    files
}
