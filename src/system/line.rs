//! One line of the log: a record as JSON, or as text for people.
//!
//! Promises: a line has no control character but the line feed at its end, whatever the fields
//! hold, and is never longer than `LOG_LINE_BYTES_MAX`: a long field is cut, and says so.
//! Leaves out: where lines go.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::limits;
use crate::port::{Field, Level, Record};

/// One JSON object and a line feed.
pub fn json(unix: Duration, record: &Record) -> String {
    let line = serde_json::to_string(&Line(unix, record)).unwrap_or_default();
    escape(line)
}

/// One line for people: time, level, event, then `name=value`.
pub fn text(unix: Duration, record: &Record) -> String {
    let mut line = format!("{} {} {}", time(unix), name(record.level), record.event);
    for (name, field) in &record.fields {
        let value = serde_json::to_string(&Cut(field)).unwrap_or_default();
        let bare = value.trim_matches('"');
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte);
        let value = if !bare.is_empty() && bare.bytes().all(plain) { bare } else { &value };
        line.push_str(&format!(" {name}={value}"));
    }
    escape(line)
}

/// Ends a line. JSON escapes the control characters of ASCII; terminals know some more.
fn escape(line: String) -> String {
    let mut escaped = String::with_capacity(line.len() + 1);
    for character in line.chars() {
        match character {
            control if control.is_control() => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => escaped.push(other),
        }
    }
    escaped.push('\n');
    escaped
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

/// A time as RFC 3339 writes it, in UTC with microseconds. The date is that of the proleptic
/// Gregorian calendar, counted in eras of 400 years that begin in March.
pub fn time(unix: Duration) -> String {
    let (days, seconds) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    let days = days + 719_468; // From 0000-03-01 to 1970-01-01.
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = unix.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

struct Line<'a>(Duration, &'a Record);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Line(unix, record) = self;
        let mut out = out.serialize_map(None)?;
        out.serialize_entry("time", &time(*unix))?;
        out.serialize_entry("level", name(record.level))?;
        out.serialize_entry("event", record.event)?;
        for (name, field) in &record.fields {
            out.serialize_entry(name, &Cut(field))?;
        }
        out.end()
    }
}

/// A field, cut to a share of the line.
struct Cut<'a>(&'a Field);

impl Serialize for Cut<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Field::Number(number) => out.serialize_i128(*number),
            Field::Text(text) => out.serialize_str(&cut(text, limits::LOG_FIELD_BYTES_MAX)),
            Field::List(list) => {
                let mut room = limits::LOG_FIELD_BYTES_MAX;
                let shown = list.iter().take_while(|text| {
                    let fits = room > 0;
                    room = room.saturating_sub(text.len() + 1);
                    fits
                });
                let mut shown: Vec<String> =
                    shown.map(|text| cut(text, limits::LOG_FIELD_BYTES_MAX)).collect();
                if shown.len() < list.len() {
                    shown.push(format!("… and {} more", list.len() - shown.len()));
                }
                shown.serialize(out)
            }
        }
    }
}

fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… of {} bytes", text.get(..end).unwrap_or_default(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: Vec<(&'static str, Field)>) -> Record {
        Record { level: Level::Info, event: "tested", fields }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        // Checked against `date -u -d @SECONDS`.
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (limits::UNIX_SECONDS_MAX, "9999-12-31T23:59:59.000000Z"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(time(Duration::from_secs(seconds)), wanted);
        }
        assert_eq!(time(Duration::from_micros(1_500_000)), "1970-01-01T00:00:01.500000Z");
    }

    #[test]
    fn old_wound_no_text_forges_a_line() {
        let evil = "x\n{\"event\":\"forged\"}\u{1b}[2J\u{9b}2J\u{7f}";
        let fields = vec![("a", evil.into()), ("b", Field::List(vec![evil.into()]))];
        for line in
            [json(Duration::ZERO, &record(fields.clone())), text(Duration::ZERO, &record(fields))]
        {
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(line.ends_with('\n') && !line.trim_end().contains(char::is_control), "{line}");
        }
    }

    #[test]
    fn lines_are_bounded() {
        let long = "é\u{1}".repeat(100_000);
        let list = vec![long.clone(); 1000];
        let fields = vec![("a", long.into()), ("b", Field::List(list))];
        let line = json(Duration::ZERO, &record(fields));
        assert!(line.len() < limits::LOG_LINE_BYTES_MAX, "{}", line.len());
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn text_is_readable_and_quotes_what_needs_it() {
        let fields = vec![("a", "b".into()), ("c", "d e".into()), ("n", Field::Number(7))];
        assert_eq!(
            text(Duration::ZERO, &record(fields)),
            "1970-01-01T00:00:00.000000Z info tested a=b c=\"d e\" n=7\n"
        );
    }
}
