//! The results, as a table for people or as JSON.
//!
//! Promises: a ratio is that of one round; its median and quartiles are over the rounds.

use std::fmt::Write;

use serde_json::{Value, json};

/// One measure: values of the daemon, and of the baseline in the same rounds.
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    baseline: Vec<f64>,
    daemon: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, baseline: Vec::new(), daemon: Vec::new() }
    }

    /// Adds a round of both.
    pub(crate) fn pair(&mut self, baseline: f64, daemon: f64) {
        self.baseline.push(baseline);
        self.daemon.push(daemon);
    }

    /// Adds a round of the daemon alone.
    pub(crate) fn single(&mut self, daemon: f64) {
        self.daemon.push(daemon);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.daemon.is_empty()
    }

    /// Baseline, daemon and ratio.
    fn spreads(&self) -> [Option<Spread>; 3] {
        let pairs = self.baseline.iter().zip(&self.daemon);
        let ratios = pairs.map(|(baseline, daemon)| daemon / baseline);
        let ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
        [&self.baseline, &self.daemon, &ratios].map(|values| Spread::of(values))
    }
}

/// Median, least value and quartiles.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    min: f64,
    q1: f64,
    q3: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |quarter: usize| sorted.get((last * quarter + 2) / 4).copied();
        Some(Self { median: at(2)?, min: at(0)?, q1: at(1)?, q3: at(3)? })
    }

    /// The interquartile range in percent of the median.
    fn noise(self) -> f64 {
        match self.median {
            0.0 => 0.0,
            median => 100.0 * (self.q3 - self.q1) / median.abs(),
        }
    }

    fn json(self) -> Value {
        json!({"median": self.median, "min": self.min, "q1": self.q1, "q3": self.q3})
    }
}

/// All results.
pub(crate) struct Table {
    rounds: usize,
    load: String,
    parts: Vec<(&'static str, Vec<Row>)>,
}

impl Table {
    pub(crate) fn begin(rounds: usize) -> Self {
        Self { rounds, load: load(), parts: Vec::new() }
    }

    pub(crate) fn add(&mut self, title: &'static str, rows: Vec<Row>) {
        self.parts.push((title, rows));
    }

    pub(crate) fn text(&self) -> String {
        let head = format!("zcmd {}, {} rounds", env!("CARGO_PKG_VERSION"), self.rounds);
        let mut text = format!(
            "{head:40}baseline   median      min       q1       q3  ratio    min     q1     q3 noise\n"
        );
        let line = |spread: Option<Spread>, width: usize| {
            let cells = spread.map(|s| [s.median, s.min, s.q1, s.q3]);
            let cell = |value: f64| format!("{:>width$}", short(value));
            cells.map_or(String::new(), |cells| cells.map(cell).concat())
        };
        for (title, rows) in &self.parts {
            let _ = writeln!(text, "{title}");
            for row in rows {
                let [baseline, daemon, ratio] = row.spreads();
                let name = format!("  {}, {}", row.name, row.unit);
                let shown = baseline.map_or(String::new(), |spread| short(spread.median));
                let noise = baseline.or(daemon).map_or(0.0, Spread::noise);
                let (daemon, ratio) = (line(daemon, 9), line(ratio, 7));
                let _ = writeln!(text, "{name:39}{shown:>9}{daemon}{ratio:28}{noise:>4.0} %");
            }
        }
        let _ = writeln!(
            text,
            "noise: the distance of the baseline's quartiles (of the daemon's, without a baseline) \
             in % of its median;\nload of the machine {} at the start, {} at the end, {} processors",
            self.load,
            load(),
            processors()
        );
        text
    }

    pub(crate) fn json(&self) -> String {
        let row = |title: &str, row: &Row| {
            let [baseline, daemon, ratio] = row.spreads();
            let noise = baseline.or(daemon).map(Spread::noise);
            let [baseline, daemon, ratio] =
                [baseline, daemon, ratio].map(|spread| spread.map(Spread::json));
            json!({"part": title, "name": row.name, "unit": row.unit, "rounds": row.daemon.len(),
                   "baseline": baseline, "daemon": daemon, "ratio": ratio, "noise_percent": noise})
        };
        let parts = self.parts.iter();
        let rows =
            parts.flat_map(|(title, rows)| rows.iter().map(move |measure| row(title, measure)));
        let rows: Vec<Value> = rows.collect();
        let load = [self.load.clone(), load()];
        format!("{}\n", json!({"rows": rows, "load": load, "processors": processors()}))
    }
}

/// The load average of the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A number with at least three digits.
fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_a_round() {
        let mut row = Row::new("work", "µs");
        for (baseline, daemon) in [(1.0, 2.0), (10.0, 15.0), (100.0, 300.0)] {
            row.pair(baseline, daemon);
        }
        let [baseline, daemon, ratio] = row.spreads().map(Option::unwrap);
        assert_eq!((baseline.median, daemon.median), (10.0, 15.0));
        assert_eq!((ratio.median, ratio.min), (2.0, 1.5));
        row = Row::new("memory", "KiB");
        (1..=21).for_each(|value| row.single(f64::from(value)));
        let [baseline, daemon, ratio] = row.spreads();
        let spread = Spread { median: 11.0, min: 1.0, q1: 6.0, q3: 16.0 };
        assert_eq!((baseline, daemon, ratio), (None, Some(spread), None));
        assert_eq!(Row::new("nothing", "s").spreads(), [None; 3]);
    }
}
