//! A directory for tests, with everything in it that must not be read through it.

#![allow(dead_code, clippy::unwrap_used, unreachable_pub)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

pub(crate) struct Place {
    root: PathBuf,
    /// The owner's directory.
    pub(crate) inside: PathBuf,
    /// What lies beside it.
    pub(crate) secret: PathBuf,
}

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("zcmd-tool-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let (inside, outside) = (root.join("inside"), root.join("outside"));
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        let secret = outside.join("secret");
        fs::write(&secret, "secret").unwrap();
        fs::write(inside.join("good"), "good").unwrap();
        fs::write(inside.join("sub/good"), "good").unwrap();
        for (name, target) in [
            ("link-inside", "good"),
            ("link-absolute", secret.to_str().unwrap()),
            ("link-relative", "../outside/secret"),
            ("link-chain", "link-relative"),
            ("link-sub", "sub/../../outside/secret"),
            ("link-directory", "../outside"),
            ("link-loop", "link-loop"),
            ("link-root", "/proc/self/root/etc/passwd"),
            ("link-descriptor", "/proc/self/fd/0"),
            ("link-nowhere", "../outside/none"),
            ("link-fifo", "fifo"),
            ("link-hard", "hard"),
        ] {
            symlink(target, inside.join(name)).unwrap();
        }
        let fifo = inside.join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        // Where this is no root, it is one missing name more.
        let device = inside.join("device");
        let _ = mknodat(CWD, &device, FileType::CharacterDevice, Mode::RWXU, makedev(1, 5));
        drop(UnixListener::bind(inside.join("socket")).unwrap());
        fs::hard_link(&secret, inside.join("hard")).unwrap();
        Self { root, inside, secret }
    }

    /// Paths that lead out, or to what is no regular file with one name.
    pub(crate) fn escapes(&self) -> Vec<String> {
        let own = self.inside.join("good");
        let mut paths: Vec<String> = [
            "",
            ".",
            "..",
            "/",
            "../outside/secret",
            "./../outside/secret",
            "sub/../../outside/secret",
            "sub/./../../outside/secret",
            "/etc/passwd",
            "//etc/passwd",
            own.to_str().unwrap(),
            "sub",
            "sub/",
            "good/",
            "good/good",
            "good/../../outside/secret",
            "missing",
            "sub/missing/good",
            "link-absolute",
            "link-relative",
            "link-chain",
            "link-sub",
            "link-directory",
            "link-directory/secret",
            "link-loop",
            "link-root",
            "link-descriptor",
            "link-nowhere",
            "fifo",
            "link-fifo",
            "socket",
            "device",
            "hard",
            "link-hard",
        ]
        .map(str::to_owned)
        .to_vec();
        paths.extend(["a".repeat(256), "a".repeat(4096), "a/".repeat(2500)]);
        paths
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
