//! An hour of attacks in minutes, with one good client that measures all the time:
//!
//!     scripts/soak [MINUTES]
//!
//! It starts a daemon on loopback and sends it mutated bodies, invalid connections, floods, endless
//! commands and faults of its host: in turn, and mixed. One table shows the messages sent and
//! answered in each phase, the waits of the good client, and the peaks of memory and descriptors of
//! the daemon.
//!
//! Promises: ends by itself, with 1 if a bound below was exceeded; leaves no process and no file.
//! Each phase is bounded in time and memory.
//! Leaves out: CURVE, and peers on other hosts.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
#![allow(unreachable_pub)]

mod attacks;
mod faults;
mod good;
mod host;
mod table;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::good::Good;
use crate::host::Host;
use crate::table::Row;

/// MiB that the daemon may hold for all strangers together, above the baseline.
const STRANGERS_MIB: f64 = 64.0;
/// The same for holders of a token: the kept output of running commands, and replies to peers that
/// do not read.
const HOLDERS_MIB: f64 = 128.0;
/// MiB that may be left at the end, in the allocator.
const LEFT_MIB: f64 = 32.0;
/// MiB at which a phase is aborted, and after it all others, to protect the host.
const BREAK_OFF_MIB: f64 = 512.0;
const BREAK_OFF_ALL_MIB: f64 = 2048.0;
/// The longest wait of the good client in milliseconds: a starved client waits as long as the
/// attack lasts; one on a busy machine, which also runs the attacks, for some seconds.
const WORST_MS: f64 = 8_000.0;
/// The timeout of the end of a phase's effects.
const SETTLE: Duration = Duration::from_secs(10);
/// Minutes after which the phases repeat.
const ROUND_MINUTES: f64 = 5.0;

/// Messages of one phase, and their replies.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    sent: u64,
    /// `None` if replies are not read.
    answered: Option<u64>,
}

/// A phase runs while the scene is on.
struct Scene<'a> {
    host: &'a Host,
    /// MiB held when it began.
    before: f64,
    until: Instant,
    stop: &'a AtomicBool,
}

impl Scene<'_> {
    fn is_on(&self) -> bool {
        Instant::now() < self.until
            && !self.stop.load(Ordering::Relaxed)
            && self.host.held_mib() < (self.before + BREAK_OFF_MIB).min(BREAK_OFF_ALL_MIB)
    }
}

struct Phase {
    name: &'static str,
    /// The memory that it may cost.
    mib: f64,
    /// Whether every request is answered.
    complete: bool,
    run: fn(&Scene<'_>) -> Result<Tally, String>,
}

const fn phase(
    name: &'static str,
    mib: f64,
    complete: bool,
    run: fn(&Scene<'_>) -> Result<Tally, String>,
) -> Phase {
    Phase { name, mib, complete, run }
}

const PHASES: &[Phase] = &[
    phase("mutated bodies", HOLDERS_MIB, true, attacks::bodies),
    phase("garbage connections", STRANGERS_MIB, false, attacks::garbage),
    phase("flood without token", STRANGERS_MIB, false, attacks::flood),
    phase("strangers, unread", STRANGERS_MIB, false, attacks::unread_strangers),
    phase("token holders, unread", HOLDERS_MIB, false, attacks::unread_holders),
    phase("commands without end", HOLDERS_MIB, true, attacks::commands),
    phase("log file replaced", STRANGERS_MIB, false, faults::log_replaced),
    phase("bad files, SIGHUP", STRANGERS_MIB, false, faults::bad_files),
    phase("disk of the log full", STRANGERS_MIB, false, faults::disk_full),
    phase("no descriptors left", STRANGERS_MIB, false, faults::no_descriptors),
    phase("all mixed", HOLDERS_MIB + STRANGERS_MIB, false, attacks::mixed),
];

fn main() -> ExitCode {
    match soak() {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            faults.iter().for_each(|fault| println!("NOT KEPT: {fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn soak() -> Result<Vec<String>, Box<dyn Error>> {
    let minutes: f64 = std::env::args().nth(1).map_or(Ok(5.0), |text| text.parse())?;
    if !(0.1..=24.0 * 60.0).contains(&minutes) {
        return Err("usage: soak [MINUTES], 0.1 to 1440".into());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let rounds = (minutes / ROUND_MINUTES).ceil();
    let phases = PHASES.len() as f64 + 1.0;
    let each = Duration::from_secs_f64(minutes * 60.0 / rounds / phases);
    let mut host = Host::start()?;
    let good = Good::start(&host)?;
    let mut faults = Vec::new();

    // The baseline is taken from a daemon that has served, before the first attack.
    pause(Instant::now() + each, &stop);
    host.begin();
    let mut rows = vec![Row::new("good client alone", Tally::default())];
    rows[0].close(good.take().0, host.peaks(), host.start_mib());
    rows.extend(PHASES.iter().map(|phase| Row::new(phase.name, Tally::default())));
    for _ in 0..rounds as u64 {
        for (phase, row) in PHASES.iter().zip(&mut rows[1..]) {
            if !stop.load(Ordering::Relaxed) {
                let (before, until) = (host.held_mib(), Instant::now() + each);
                let scene = Scene { host: &host, before, until, stop: &stop };
                faults.extend(play(phase, row, &scene, &good));
            }
        }
    }
    good.stop();
    if stop.load(Ordering::Relaxed) {
        faults.push("it was interrupted: not all phases ran".to_owned());
    }
    judge(&rows, &host, &mut faults);
    table::print(&rows, &host);
    faults.extend(host.end());
    Ok(faults)
}

/// Runs one phase, and returns the faults.
fn play(phase: &Phase, row: &mut Row, scene: &Scene<'_>, good: &Good) -> Vec<String> {
    let (host, name, mut faults) = (scene.host, phase.name, Vec::new());
    match (phase.run)(scene) {
        Ok(tally) => {
            if phase.complete && tally.answered != Some(tally.sent) {
                let answered = tally.answered.unwrap_or(0);
                faults.push(format!("{name}: {answered} of {} were answered", tally.sent));
            }
            row.add(tally);
        }
        Err(why) => faults.push(format!("{name}: {why}")),
    }
    let (times, bad) = good.take();
    row.close(times, host.peaks(), host.start_mib() + scene.before);
    faults.extend(bad.iter().map(|(what, count)| format!("{name}: {count} times {what}")));
    if let Err(why) = host.settle(SETTLE) {
        faults.push(format!("after {name}: {why}"));
    }
    if host.held_mib() > BREAK_OFF_ALL_MIB {
        faults.push(format!("after {name}: the later phases are skipped, to save memory"));
    }
    // Measures from the time after a phase belong to no phase.
    good.take();
    host.peaks();
    faults
}

/// Compares the rows with the bounds.
fn judge(rows: &[Row], host: &Host, faults: &mut Vec<String>) {
    let limits = PHASES.iter().map(|phase| phase.mib);
    for (row, mib) in rows.iter().zip(std::iter::once(STRANGERS_MIB).chain(limits)) {
        if row.cost_mib > mib {
            let (name, cost) = (row.name, row.cost_mib);
            faults.push(format!("{name}: it cost {cost:.0} MiB, not {mib:.0}"));
        }
        for (what, worst) in [("maths", row.worst(0)), ("true", row.worst(1))] {
            if worst > WORST_MS {
                let name = row.name;
                faults.push(format!("{name}: {what} took {worst:.0} ms, not {WORST_MS:.0}"));
            }
        }
    }
    if host.held_mib() > LEFT_MIB {
        faults.push(format!("{:.0} MiB are left, not {LEFT_MIB:.0}", host.held_mib()));
    }
}

/// Waits, at most until a signal to end.
fn pause(until: Instant, stop: &AtomicBool) {
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(10));
    }
}
