//! The table that is printed at the end.

use crate::Tally;
use crate::good::Times;
use crate::host::Host;

/// A phase, summed over all rounds.
pub struct Row {
    pub name: &'static str,
    /// MiB that it cost, above those held when it began.
    pub cost_mib: f64,
    peak_mib: f64,
    tally: Tally,
    times: Times,
    descriptors: u64,
}

impl Row {
    pub fn new(name: &'static str, tally: Tally) -> Self {
        Self { name, cost_mib: 0.0, peak_mib: 0.0, tally, times: Times::default(), descriptors: 0 }
    }

    pub fn add(&mut self, tally: Tally) {
        self.tally.sent += tally.sent;
        let both = self.tally.answered.unwrap_or(0) + tally.answered.unwrap_or(0);
        self.tally.answered = self.tally.answered.or(tally.answered).map(|_| both);
    }

    /// Adds the end of a phase: waits, peaks of MiB and descriptors, and the MiB at its beginning.
    pub fn close(&mut self, times: Times, (mib, descriptors): (f64, u64), before: f64) {
        for (all, more) in self.times.iter_mut().zip(times) {
            all.extend(more);
            all.sort_by(f64::total_cmp);
        }
        self.peak_mib = self.peak_mib.max(mib);
        self.cost_mib = self.cost_mib.max(mib - before);
        self.descriptors = self.descriptors.max(descriptors);
    }

    /// The longest wait for maths (0), for `true` (1).
    pub fn worst(&self, kind: usize) -> f64 {
        self.times[kind].last().copied().unwrap_or(0.0)
    }

    /// Median, 99th percentile and maximum.
    fn waits(&self, kind: usize) -> String {
        let times = &self.times[kind];
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).unwrap_or(&0.0);
        format!("{:6.2} {:7.2} {:7.1}", at(0.5), at(0.99), self.worst(kind))
    }
}

pub fn print(rows: &[Row], host: &Host) {
    println!(
        "{:22} {:>9} {:>9} {:>22} {:>22} {:>5} {:>5}",
        "", "", "", "maths, ms", "true, ms", "most", "most"
    );
    println!(
        "{:22} {:>9} {:>9} {:>6} {:>7} {:>7} {:>6} {:>7} {:>7} {:>5} {:>5}",
        "phase",
        "sent",
        "answered",
        "median",
        "p99",
        "worst",
        "median",
        "p99",
        "worst",
        "MiB",
        "fds"
    );
    for row in rows {
        let answered = row.tally.answered.map_or("-".to_owned(), |count| count.to_string());
        println!(
            "{:22} {:>9} {answered:>9} {} {} {:5.0} {:5}",
            row.name,
            row.tally.sent,
            row.waits(0),
            row.waits(1),
            row.peak_mib,
            row.descriptors
        );
    }
    let (start, now) = host.descriptors();
    println!(
        "at the start {:.1} MiB, {start} descriptors; at the end {:.1} MiB, {now} descriptors, {} \
         processes of commands",
        host.start_mib(),
        host.start_mib() + host.held_mib(),
        host.processes()
    );
    println!(
        "bounds: strangers {} MiB, with token holders {} MiB, left {} MiB, worst wait {} ms",
        crate::STRANGERS_MIB,
        crate::HOLDERS_MIB,
        crate::LEFT_MIB,
        crate::WORST_MS
    );
}
