//! Faults of the daemon's host.
//!
//! Promises: each fault is undone when its phase ends.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::host::DESCRIPTORS_MAX;
use crate::{Scene, Tally};

/// The timeout of the reaction to a signal.
const PATIENCE: Duration = Duration::from_secs(5);
/// The interval between two faults of one kind.
const PAUSE: Duration = Duration::from_millis(100);

/// Moves and removes the log file, in turn; the daemon makes a new one on SIGHUP.
pub fn log_replaced(scene: &Scene<'_>) -> Result<Tally, String> {
    let log = scene.host.folder.join("log/log");
    let mut tally = Tally { sent: 0, answered: Some(0) };
    while scene.is_on() {
        let done = match tally.sent % 2 {
            0 => fs::rename(&log, log.with_extension("moved")),
            _ => fs::remove_file(&log),
        };
        done.map_err(|error| format!("{}: {error}", log.display()))?;
        scene.host.hang_up()?;
        tally.sent += 1;
        wait("a new log file", || log.exists())?;
        tally.answered = Some(tally.sent);
        std::thread::sleep(PAUSE);
    }
    let _ = fs::remove_file(log.with_extension("moved"));
    Ok(tally)
}

/// Replaces the files that SIGHUP reads by bad ones, and restores them, in turn.
pub fn bad_files(scene: &Scene<'_>) -> Result<Tally, String> {
    let bad: &[(&str, &[u8])] =
        &[("commands.json", b"{\"true\": 1}"), ("commands.json", b"\xff"), ("key", b"short")];
    let mut tally = Tally { sent: 0, answered: None };
    for (name, text) in bad.iter().cycle() {
        if !scene.is_on() {
            break;
        }
        let path = scene.host.folder.join(name);
        let good = fs::read(&path).map_err(|error| error.to_string())?;
        for text in [text, &good[..]] {
            fs::write(&path, text).map_err(|error| error.to_string())?;
            scene.host.hang_up()?;
            tally.sent += 1;
            std::thread::sleep(PAUSE);
        }
    }
    Ok(tally)
}

/// Fills the disk of the log while lines are logged.
pub fn disk_full(scene: &Scene<'_>) -> Result<Tally, String> {
    if !scene.host.small_disk {
        println!(
            "disk of the log full: left out, since no small disk could be mounted as this user"
        );
        return Ok(Tally::default());
    }
    let filler = scene.host.folder.join("log/filler");
    // Writes until the disk is full: the error is expected.
    let _ = fs::write(&filler, vec![0; 4 << 20]);
    let tally = crate::attacks::bodies(scene);
    fs::remove_file(&filler).map_err(|error| error.to_string())?;
    tally
}

/// A connection from one address of many: a single address does not get all connections.
fn connect(number: usize, scene: &Scene<'_>) -> Result<TcpStream, rustix::io::Errno> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let last = u8::try_from(number % 250 + 1).unwrap_or(1);
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, last), 0))?;
    match connect(&socket, &scene.host.address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error),
    }
}

/// Takes all descriptors by idle connections.
pub fn no_descriptors(scene: &Scene<'_>) -> Result<Tally, String> {
    let mut open = Vec::new();
    while scene.is_on() {
        if open.len() as u64 >= DESCRIPTORS_MAX + 200 {
            std::thread::sleep(PAUSE);
        } else if let Ok(stream) = connect(open.len(), scene) {
            open.push(stream);
        }
    }
    Ok(Tally { sent: open.len() as u64, answered: None })
}

fn wait(what: &str, condition: impl Fn() -> bool) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > until {
            return Err(format!("timed out waiting for {what}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
