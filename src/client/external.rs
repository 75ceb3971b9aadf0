//! Subcommands that are programs of their own: `zcmd NAME` runs `zcmd-NAME`.
//!
//! Promises: a program is looked for beside this one first, then in the directories of PATH; those
//! that are not absolute are passed over. A name has ASCII letters, digits, `-` and `_` only, so
//! that it leads to no other directory. The program takes the place of this one: arguments,
//! descriptors and exit status are its own.
//! Leaves out: the names that this program knows itself, which the caller looks at first.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, access};

use crate::client::status::{self, Failure};

/// What the names of such programs begin with.
const PREFIX: &str = "zcmd-";

/// The program for this name, if there is one.
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(&folders(), name)
}

/// The names of all such programs, in order.
pub fn names() -> BTreeSet<String> {
    names_in(&folders())
}

/// Becomes the program. Returns only if that fails.
pub fn become_program(path: &Path, arguments: Vec<OsString>) -> Failure {
    let error = Command::new(path).args(arguments).exec();
    let message = format!("cannot start {}: {error}", path.display());
    Failure { status: status::FORBIDDEN, ..Failure::refused(message) }
}

/// Where to look, in order.
fn folders() -> Vec<PathBuf> {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let path = std::env::var_os("PATH").unwrap_or_default();
    own.into_iter().chain(absolute(&path)).collect()
}

/// The absolute directories of a PATH. The others depend on where a script happens to be.
fn absolute(path: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(path).filter(|folder| folder.is_absolute())
}

fn find_in(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    let programs = folders.iter().map(|folder| folder.join(format!("{PREFIX}{name}")));
    is_name(name).then(|| programs.into_iter().find(|path| is_program(path))).flatten()
}

fn names_in(folders: &[PathBuf]) -> BTreeSet<String> {
    let entries = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    let name = |entry: std::fs::DirEntry| {
        let file = entry.file_name().into_string().ok()?;
        let name = file.strip_prefix(PREFIX)?;
        (is_name(name) && is_program(&entry.path())).then(|| name.to_owned())
    };
    entries.filter_map(name).collect()
}

fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.bytes().all(known)
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir_all, remove_dir_all, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_program_that_may_be_run_is_found() {
        let root = std::env::temp_dir().join(format!("zcmd-external-{}", std::process::id()));
        let [own, other] = ["own", "other"].map(|name| root.join(name));
        for (path, mode) in [
            (own.join("zcmd-a"), 0o755),
            (own.join("zcmd-b"), 0o644),
            (own.join("zcmd-c.old"), 0o755),
            (own.join("other"), 0o755),
            (other.join("zcmd-a"), 0o755),
            (other.join("zcmd-b"), 0o755),
        ] {
            create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, "").unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        }
        create_dir_all(own.join("zcmd-folder")).unwrap();
        let folders = [root.join("none"), own.clone(), other.clone()];
        for (name, found) in [
            ("a", Some(own.join("zcmd-a"))),
            ("b", Some(other.join("zcmd-b"))),
            ("c.old", None),
            ("folder", None),
            ("", None),
            ("/../zcmd-a", None),
        ] {
            assert_eq!(find_in(&folders, name), found, "{name:?}");
        }
        assert_eq!(names_in(&folders), BTreeSet::from(["a", "b"].map(str::to_owned)));
        remove_dir_all(root).unwrap();
    }

    #[test]
    fn only_absolute_directories_of_path_count() {
        let found: Vec<_> = absolute(OsStr::new(".::bin:/usr/bin:../x:/bin")).collect();
        assert_eq!(found, ["/usr/bin", "/bin"].map(PathBuf::from));
    }
}
