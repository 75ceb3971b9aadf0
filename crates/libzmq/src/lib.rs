//! Builds libzmq for `zmq-sys`: the sources of a released version, with CURVE, with descriptors
//! that are closed on exec, and with the corrections in `corrections`.
//!
//! Promises: only a C and a C++ compiler are needed; a correction that does not match fails the
//! build; the program can ask libzmq whether it is corrected (`zmq_has`). Two optimisations are
//! dropped where they are not possible, with a warning that `cargo build -vv` shows: one
//! compilation unit, if names of two files clash; a static libstdc++, if the compiler has none.
//! Leaves out: systems other than Linux.
//!
//! # Options with another meaning
//!
//! The corrections take their bounds through options and flags that have no other effect on a
//! ROUTER without multicast and heartbeats. zcmd sets them in `src/system/router.rs`.
//!
//! | option | in libzmq | here | read by |
//! |---|---|---|---|
//! | `ZMQ_BACKLOG` | length of the kernel's queue | connections of all listeners together; an address holds as many as are left free | `connections_max` |
//! | `ZMQ_RECOVERY_IVL` | multicast | KiB that may wait to be read by the socket, of all peers | `pipes_count_bytes`, `whole_messages`, `unfinished_frames` |
//! | `ZMQ_RATE` | multicast | KiB that may wait to be sent, to all peers | `whole_replies` |
//! | `ZMQ_HEARTBEAT_TIMEOUT` | with heartbeats only | milliseconds for a message that was begun | `unfinished_frames` |
//! | `ZMQ_MAXMSGSIZE` | bytes of a frame | bytes of a message, with its descriptors | `whole_messages` |
//! | bits 8 to 30 of the flags of `zmq_send` | none | KiB of the whole message; with its first frame | `whole_replies` |
//!
//! # The next release of libzmq
//!
//! 1. `cargo run --example places -- SOURCES`, in this directory, with the `src` directory of the new
//!    release, prints the edits that do not match; it changes a copy only.
//! 2. Review each of them against the new code: upstream may have fixed the defect (delete the file
//!    and keep its test) or moved the place (update the edit).
//! 3. Set the new version of `zeromq-src` for `libzmq` in Cargo.toml, or, if there is none, take the
//!    sources from elsewhere in `sources.rs`; set the version of this crate to match.
//! 4. Compare `platform.hpp` with the result of `configure` of the new release.
//! 5. Run `cargo test --test transport --test memory`, then the whole suite: an edit that matches may
//!    still not have its effect.
//!
//! Tried: 4.3.5 is what is built. On the development branch (6b708e4a, July 2026) every edit
//! matches, it compiles as one unit, and the tests of step 5 pass. On 4.3.4 one edit does not match
//! (`pipes_count_bytes`, in `pipe.hpp`), on 4.3.2 sixteen do not.

mod corrections;
mod sources;

use std::env;
use std::path::Path;

pub use sources::misplaced;

/// The interface that `zmq-sys` uses.
pub struct Build(());

impl Build {
    /// A build; there are no options.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(())
    }

    /// Ignored: libsodium is not used.
    pub fn with_libsodium(&mut self, _: Option<()>) -> &mut Self {
        self
    }

    /// Builds libzmq, and tells cargo what to link. With `ZCMD_SYSTEM_LIBZMQ` set, links the
    /// system's libzmq, without the corrections.
    pub fn build(&mut self) {
        println!("cargo:rerun-if-env-changed=ZCMD_SYSTEM_LIBZMQ");
        if env::var_os("ZCMD_SYSTEM_LIBZMQ").is_some() {
            println!("cargo:rustc-link-lib=dylib=zmq");
            return;
        }
        let sources = sources::corrected();
        // Optimised in a debug build too: tests depend on the time of a handshake. For size, if the
        // profile is.
        let level = env::var("OPT_LEVEL").unwrap_or_default();
        let level = if matches!(level.as_str(), "s" | "z") { level } else { "3".to_owned() };
        let compiler = |cpp| {
            let mut build = cc::Build::new();
            build.cpp(cpp).opt_level_str(&level).warnings(false).include(&sources);
            build
        };
        let mut c = compiler(false);
        let nacl = c.flag("-include").flag("platform.hpp").file(sources.join("tweetnacl.c"));
        let objects = nacl.compile_intermediates();
        let mut cpp = compiler(true);
        cpp.std("c++11").flag("-fvisibility=hidden").objects(objects);
        link_stdlib_statically(&mut cpp);
        let whole = cpp.clone().file(sources::whole(&sources)).try_compile("zmq");
        if let Err(error) = whole {
            println!("cargo:warning=libzmq is compiled file by file, and slower: {error}");
            cpp.files(sources::files(&sources)).compile("zmq");
        }
    }
}

/// Links the compiler's static libstdc++, where it has one: less memory, and a faster start.
fn link_stdlib_statically(cpp: &mut cc::Build) {
    let mut compiler = cpp.get_compiler().to_command();
    let answer = compiler.arg("-print-file-name=libstdc++.a").output();
    let path = answer.ok().and_then(|answer| String::from_utf8(answer.stdout).ok());
    // A compiler without the file prints its bare name.
    match path.as_deref().map(|path| Path::new(path.trim())).and_then(Path::parent) {
        Some(place) if place.is_dir() => {
            println!("cargo:rustc-link-search=native={}", place.display());
            cpp.cpp_link_stdlib_static(true);
        }
        _ => println!("cargo:warning=there is no libstdc++.a: the shared one is linked"),
    }
}
