//! Builds libzmq for `zmq-sys`: the sources of a released version, with CURVE, with descriptors
//! that close on exec, and with the corrections in `corrections`.
//!
//! Promises: nothing but a C and a C++ compiler is needed; a correction that does not find its
//! place ends the build; the program can ask libzmq whether it was corrected (`zmq_has`).
//! Leaves out: any system but Linux.

mod corrections;

use std::path::{Path, PathBuf};
use std::{env, fs};

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
        corrections::apply(&sources);
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
