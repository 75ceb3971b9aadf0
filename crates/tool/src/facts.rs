//! `facts`: what a host is and how it is.
//!
//! Promises: the output is one line of JSON. It has no data of other processes, no environment and
//! no argument list. The program does not block: it skips network file systems. An unknown value is
//! null or absent; every list has a bound.
//! Leaves out: values that need two samples, such as processor usage.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// File systems, sensors and addresses that are told.
const MANY: usize = 64;
/// File systems that answer without a network and hold files.
const LOCAL: &[&str] = &[
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jffs2", "ntfs3",
    "overlay", "squashfs", "tmpfs", "ubifs", "vfat", "xfs", "zfs",
];
/// What systemd-timesyncd makes when it has set the clock.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Gathers everything.
pub(crate) fn facts() -> Value {
    let name = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uptime = first_number(&read("/proc/uptime"));
    json!({
        "hostname": text(name.nodename()),
        "release": release(),
        "kernel": text(name.release()),
        "machine": text(name.machine()),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "uptime_seconds": uptime.map(|seconds| seconds as u64),
        "load": load(),
        "memory": memory(&read("/proc/meminfo")),
        "file_systems": file_systems(&read("/proc/self/mountinfo")),
        "temperatures": temperatures(),
        "addresses": addresses(),
        "time": {
            "unix_seconds": now.as_secs(),
            // Other programs leave no sign that they have set it.
            "synchronized": Path::new(SYNCHRONIZED).exists().then_some(true),
        },
    })
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Some fields of os-release(5).
fn release() -> Value {
    let text = match read("/etc/os-release") {
        text if text.is_empty() => read("/usr/lib/os-release"),
        text => text,
    };
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    json!({ "id": field("ID"), "version": field("VERSION_ID"), "name": field("PRETTY_NAME") })
}

/// The averages of 1, 5 and 15 minutes.
fn load() -> Vec<f64> {
    read("/proc/loadavg").split(' ').take(3).filter_map(|number| number.parse().ok()).collect()
}

fn memory(meminfo: &str) -> Value {
    let bytes = |name: &str| {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        rest.and_then(first_number).map(|kib| kib as u64 * 1024)
    };
    json!({
        "total_bytes": bytes("MemTotal"),
        "available_bytes": bytes("MemAvailable"),
        "swap_total_bytes": bytes("SwapTotal"),
        "swap_free_bytes": bytes("SwapFree"),
    })
}

/// The local file systems by the name of their mount point, each device once (proc(5)).
fn file_systems(mountinfo: &str) -> Value {
    let (mut seen, mut found) = (BTreeSet::new(), Map::new());
    for line in mountinfo.lines() {
        let Some((mount, source)) = line.split_once(" - ") else { continue };
        let mut fields = mount.split(' ').skip(2);
        let (Some(device), Some(point)) = (fields.next(), fields.nth(1)) else { continue };
        let kind = source.split(' ').next().unwrap_or_default();
        // Blanks and the like are written as \040.
        if !LOCAL.contains(&kind) || point.contains('\\') || found.len() >= MANY {
            continue;
        }
        let Ok(status) = rustix::fs::statvfs(point) else { continue };
        if status.f_blocks == 0 || !seen.insert(device) {
            continue;
        }
        let bytes = |blocks: u64| blocks.saturating_mul(status.f_frsize);
        let value = json!({
            "type": kind,
            "total_bytes": bytes(status.f_blocks),
            "available_bytes": bytes(status.f_bavail),
            "files": status.f_files,
            "files_available": status.f_favail,
        });
        found.insert(point.to_owned(), value);
    }
    Value::Object(found)
}

/// Degrees Celsius by the name of the sensor.
fn temperatures() -> Value {
    let mut found = Map::new();
    let mut add = |name: String, path: &Path| {
        if let Some(thousandths) = first_number(&read(path))
            && found.len() < MANY
        {
            found.insert(name, json!(thousandths / 1000.0));
        }
    };
    for zone in entries("/sys/class/thermal", "thermal_zone") {
        add(format!("{} ({})", read(zone.join("type")).trim(), base(&zone)), &zone.join("temp"));
    }
    for chip in entries("/sys/class/hwmon", "hwmon") {
        let name = read(chip.join("name"));
        for input in entries(&chip, "temp").iter().filter(|path| base(path).ends_with("_input")) {
            let sensor = base(input).trim_end_matches("_input").to_owned();
            add(format!("{} ({} {sensor})", name.trim(), base(&chip)), input);
        }
    }
    Value::Object(found)
}

/// What a directory has whose name begins so, in order.
fn entries(directory: impl AsRef<Path>, prefix: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| base(path).starts_with(prefix));
    paths.sort();
    paths.truncate(MANY);
    paths
}

fn base(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The addresses of this host but those of loopback: IPv6 with its interface.
fn addresses() -> Vec<String> {
    let mut found = ipv4(&read("/proc/net/fib_trie"));
    found.extend(read("/proc/net/if_inet6").lines().filter_map(ipv6));
    found.truncate(MANY);
    found
}

/// The local addresses of the kernel's routes: the line before `/32 host LOCAL` has the address.
fn ipv4(fib_trie: &str) -> Vec<String> {
    let (mut found, mut last) = (BTreeSet::new(), "");
    for line in fib_trie.lines().map(str::trim) {
        match line.strip_prefix("|-- ") {
            Some(address) => last = address,
            None if line == "/32 host LOCAL" && !last.starts_with("127.") => {
                found.insert(last.to_owned());
            }
            None => {}
        }
    }
    found.into_iter().collect()
}

/// A line of /proc/net/if_inet6: 32 digits, and the interface as the last field.
fn ipv6(line: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let address = std::net::Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
    let interface = fields.next_back()?;
    (!address.is_loopback()).then(|| format!("{address}%{interface}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read_as_it_writes_them() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
            Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.7\n        \
            /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 192.0.2.7\n\
            /32 host LOCAL\n";
        assert_eq!(ipv4(trie), ["192.0.2.7"]);
        let line = "fe800000000000000000000000000001 02 40 20 80     eth0";
        assert_eq!(ipv6(line).unwrap(), "fe80::1%eth0");
        assert_eq!(ipv6("00000000000000000000000000000001 01 80 10 80       lo"), None);
        assert_eq!(ipv6("x"), None);
        assert_eq!(memory("MemTotal:     2 kB\nSwapFree: x\n")["total_bytes"], 2048);
        let mounts = "22 1 0:21 / / rw shared:1 - tmpfs tmpfs rw\n\
            23 22 0:99 / /nowhere rw - nfs host:/x rw\nnoise\n24 22 0:21 / /proc rw - tmpfs t rw\n";
        let found = file_systems(mounts);
        assert_eq!(found.as_object().unwrap().keys().collect::<Vec<_>>(), ["/"]);
        assert_eq!(found["/"]["type"], "tmpfs");
    }
}
