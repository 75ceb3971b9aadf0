//! Counts since the start, and the result of `status`.
//!
//! Promises: every key is a constant of the code, so the tables are bounded.
//! Leaves out: the present state, which is in `jobs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::port::LogState;
use crate::protocol::Members;

/// Upper bounds of the bins of the histogram of durations, in milliseconds; the last bin has none.
const BINS_MS: [(&str, u128); 8] = [
    ("up_to_10", 10),
    ("up_to_30", 30),
    ("up_to_100", 100),
    ("up_to_300", 300),
    ("up_to_1000", 1_000),
    ("up_to_3000", 3_000),
    ("up_to_10000", 10_000),
    ("more", u128::MAX),
];

/// Counts since the start.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Requests by `command_type` and outcome: `ok` or an error code.
    requests: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Invalid tokens, by exact reason.
    tokens: BTreeMap<&'static str, u64>,
    /// Commands by duration, from acceptance to end.
    durations: BTreeMap<&'static str, u64>,
    /// Bytes of received bodies.
    pub bytes_received: u64,
    /// Bytes of sent bodies.
    pub bytes_sent: u64,
    /// Bytes of output of commands.
    pub bytes_written: u64,
    /// Peers that were not admitted.
    pub turned_away: u64,
    /// Successful reloads.
    pub reloads: u64,
    /// Failed reloads.
    pub reloads_refused: u64,
    /// Replies that were dropped.
    pub replies_lost: u64,
}

fn count<K: Ord>(table: &mut BTreeMap<K, u64>, key: K) {
    let entry = table.entry(key).or_default();
    *entry = entry.saturating_add(1);
}

impl Counters {
    /// Counts a request.
    pub fn request(&mut self, kind: &'static str, outcome: &'static str) {
        count(self.requests.entry(kind).or_default(), outcome);
    }

    /// Counts an invalid token.
    pub fn token(&mut self, reason: &'static str) {
        count(&mut self.tokens, reason);
    }

    /// Counts a command that has ended.
    pub fn duration(&mut self, duration: Duration) {
        let bin = BINS_MS.iter().find(|(_, max)| duration.as_millis() <= *max);
        count(&mut self.durations, bin.map_or("more", |(name, _)| *name));
    }
}

/// How many commands there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// Those that run, or have left something running.
    pub running: usize,
    /// Those that wait for their turn.
    pub waiting: usize,
}

/// The result of `status`.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// Time since the start.
    pub uptime: Duration,
    /// Whether tokens may cross a network unencrypted.
    pub cleartext: bool,
    /// Commands at this moment.
    pub commands: CommandCounts,
    /// Counts since the start.
    pub totals: &'a Counters,
    /// The state of the log.
    pub log: &'a LogState,
}

impl Serialize for Status<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let CommandCounts { running, waiting } = self.commands;
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
        out.serialize_entry("uptime_ms", &self.uptime.as_millis())?;
        out.serialize_entry("cleartext", &self.cleartext)?;
        let commands = [("running", running), ("waiting", waiting)];
        out.serialize_entry("commands", &Members(&commands))?;
        out.serialize_entry("totals", self.totals)?;
        out.serialize_entry("log", &Log(self.log))?;
        out.end()
    }
}

struct Log<'a>(&'a LogState);

impl Serialize for Log<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let LogState { backlog, lost, last_error, .. } = self.0;
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("backlog", backlog)?;
        out.serialize_entry("lost", lost)?;
        out.serialize_entry("last_error", &last_error.as_deref())?;
        out.end()
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("requests", &self.requests)?;
        out.serialize_entry("tokens_refused", &self.tokens)?;
        let bins = BINS_MS.map(|(name, _)| (name, self.durations.get(name).copied().unwrap_or(0)));
        out.serialize_entry("command_duration_ms", &Members(&bins))?;
        let bytes = [
            ("received", self.bytes_received),
            ("sent", self.bytes_sent),
            ("written_by_commands", self.bytes_written),
        ];
        out.serialize_entry("bytes", &Members(&bytes))?;
        out.serialize_entry("replies_lost", &self.replies_lost)?;
        out.serialize_entry("turned_away", &self.turned_away)?;
        let reloads = [("done", self.reloads), ("refused", self.reloads_refused)];
        out.serialize_entry("reloads", &Members(&reloads))?;
        out.end()
    }
}
