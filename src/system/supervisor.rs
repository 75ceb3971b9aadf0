//! The socket of the supervisor that started this process, such as systemd: sd_notify(3).
//!
//! Promises: a message is one datagram, and sending it never blocks. Without `NOTIFY_SOCKET`,
//! nothing is sent. Leaves out: what is told, and when.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::system::launch::own_pid;

/// The supervisor, if there is one that wants to be told.
#[derive(Debug)]
pub struct Supervisor(Option<(UnixDatagram, SocketAddr)>);

impl Supervisor {
    /// The one that `NOTIFY_SOCKET` names: an absolute path, or `@` and the name of an abstract
    /// socket.
    ///
    /// # Errors
    /// The variable names no such socket, or no descriptor is left.
    pub fn from_environment() -> io::Result<Self> {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self(None));
        };
        let address = address(&name)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address))))
    }

    /// Sends assignments, one a line.
    ///
    /// # Errors
    /// Those of sendto(2); the supervisor does not know it then.
    pub fn tell(&self, assignments: &str) -> io::Result<()> {
        let Some((socket, address)) = &self.0 else { return Ok(()) };
        socket.send_to_addr(assignments.as_bytes(), address).map(drop)
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::other("it is neither an absolute path nor @ and a name")),
    }
}

/// The time within which the supervisor wants a sign of life, if it wants any of this process:
/// `WATCHDOG_USEC`, unless `WATCHDOG_PID` is another process (sd_watchdog_enabled(3)).
pub fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().ok());
    let is_own = number("WATCHDOG_PID").is_none_or(|pid| pid == Some(own_pid().into()));
    let microseconds = number("WATCHDOG_USEC").flatten().filter(|time| *time > 0);
    microseconds.filter(|_| is_own).map(Duration::from_micros)
}

/// CLOCK_MONOTONIC in microseconds, for `MONOTONIC_USEC`.
pub fn monotonic_microseconds() -> u128 {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).unwrap_or_default().as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_socket_is_absolute_or_abstract() {
        let path = "x".repeat(200);
        for (name, good) in [
            ("/run/systemd/notify", true),
            ("@zcmd", true),
            ("notify", false),
            ("vsock:2:1", false),
            (&format!("/{path}"), false),
            (&format!("@{path}"), false),
        ] {
            assert_eq!(address(OsStr::new(name)).is_ok(), good, "{name}");
        }
    }
}
